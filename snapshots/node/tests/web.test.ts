import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { open, settings } from "./support.ts";

const { app } = open();

test("tells what is running", async () => {
  const response = await app.inject("/");
  assert.equal(response.statusCode, 200);
  assert.equal(response.json().release, settings.RELEASE);
});

test("is alive and ready", async () => {
  assert.equal((await app.inject("/livez")).statusCode, 200);
  assert.equal((await app.inject("/readyz")).statusCode, 200);
});

test("is not ready while it drains", async () => {
  const draining = open().app;
  await draining.listen({ host: "127.0.0.1", port: 0 });
  const { port } = draining.server.address() as AddressInfo;
  const connection = connect(port, "127.0.0.1");
  connection.write("GET /readyz HTTP/1.1\r\n");
  const [accepted] = await once(draining.server, "connection");
  while (accepted.bytesRead === 0) {
    await setTimeout(10);
  }
  const closed = draining.close();
  connection.write("Host: test\r\n\r\n");
  assert.match(await text(connection), /^HTTP\/1.1 503 .*"not ready: draining"/s);
  await closed;
});

for (const [service, changes] of [
  ["database", { DATABASE_URL: "postgres://nobody@localhost:1/nothing" }],
  ["redis", { REDIS_URL: "redis://localhost:1" }],
] as const) {
  test(`is not ready without its ${service}`, async () => {
    const crippled = open(changes).app;
    const response = await crippled.inject("/readyz");
    assert.equal(response.statusCode, 503);
    assert.equal(response.json().detail, `not ready: ${service}`);
    assert.equal((await crippled.inject("/livez")).statusCode, 200);
  });
}

for (const [method, url, status] of [
  ["GET", "/nowhere", 404],
  ["GET", "/%FF", 404],
  ["POST", "/livez", 405],
] as const) {
  test(`${method} ${url} is answered with a problem`, async () => {
    const response = await app.inject({ method, url });
    assert.equal(response.statusCode, status);
    assert.equal(response.headers["content-type"], "application/problem+json");
    assert.equal(response.json().status, status);
  });
}

test("what nobody foresaw is a problem too", async () => {
  const broken = open().app;
  broken.get("/broken", () => {
    throw new Error("unforeseen");
  });
  const response = await broken.inject("/broken");
  assert.equal(response.statusCode, 500);
  assert.equal(response.headers["content-type"], "application/problem+json");
  assert.doesNotMatch(response.body, /unforeseen/);
});

for (const [given, isKept] of [
  ["abc-1", true],
  ["", false],
  ["a b", false],
  ["x".repeat(129), false],
] as const) {
  test(`the request id ${given.slice(0, 9)} is ${isKept ? "kept" : "replaced"}`, async () => {
    const response = await app.inject({ url: "/livez", headers: { "x-request-id": given } });
    assert.equal(response.headers["x-request-id"] === given, isKept);
    assert.ok(response.headers["x-request-id"]);
  });
}
