import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "../support.ts";

const { app } = open();

test("a session begins and ends", async () => {
  assert.equal((await app.inject("/session")).statusCode, 401);

  const begun = await app.inject({ method: "POST", url: "/session", payload: { name: "Ada" } });
  assert.equal(begun.statusCode, 201);
  const [cookie] = begun.cookies;
  assert.ok(cookie);
  assert.equal(cookie.httpOnly, true);
  assert.equal(cookie.sameSite, "Lax");

  const cookies = { [cookie.name]: cookie.value };
  const read = await app.inject({ url: "/session", cookies });
  assert.deepEqual(read.json(), { name: "Ada" });

  const ended = await app.inject({ method: "DELETE", url: "/session", cookies });
  assert.equal(ended.statusCode, 204);
  assert.equal((await app.inject({ url: "/session", cookies })).statusCode, 401);
});

for (const payload of [{}, { name: "" }, { name: 1 }, { name: "x".repeat(101) }]) {
  test(`${JSON.stringify(payload).slice(0, 20)} begins no session`, async () => {
    const response = await app.inject({ method: "POST", url: "/session", payload });
    assert.equal(response.statusCode, 422);
  });
}
