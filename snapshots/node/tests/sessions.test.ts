import assert from "node:assert/strict";
import { test } from "node:test";
import { open } from "./support.ts";

const { sessions } = open().services;

test("a session lasts until it ends", async () => {
  const token = await sessions.begin({ name: "Ada" });
  assert.deepEqual(await sessions.read(token), { name: "Ada" });
  await sessions.end(token);
  assert.equal(await sessions.read(token), undefined);
});

test("a token cannot be forged", async () => {
  const token = await sessions.begin({});
  const [id] = token.split(".");
  for (const forged of ["", ".", `${id}`, `${id}.`, `${token}x`, "\u00ff.\u00ff"]) {
    assert.equal(await sessions.read(forged), undefined);
  }
});
