import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { countWords, recount } from "../../src/example/notes.ts";
import { open } from "../support.ts";

const { app, services } = open();

// Whatever worker runs beside these tests is to keep out of them.
const put = mock.method(services.jobs, "put", async () => undefined);

beforeEach(() => put.mock.resetCalls());

async function post(body: string) {
  const response = await app.inject({ method: "POST", url: "/notes", payload: { body } });
  assert.equal(response.statusCode, 201);
  return response.json();
}

async function get(url: string) {
  const response = await app.inject(url);
  assert.equal(response.statusCode, 200);
  return response.json();
}

test("a note is stored and its job handed over", async () => {
  const note = await post("naïve 😀 words");
  assert.equal(note.body, "naïve 😀 words");
  assert.equal(note.word_count, null);
  assert.ok(Math.abs(Date.now() - Date.parse(note.created_at)) < 60_000);
  assert.deepEqual(await get(`/notes/${note.id}`), note);
  assert.deepEqual(
    put.mock.calls.map((call) => call.arguments),
    [[countWords, note.id]],
  );
});

test("words are counted", async () => {
  const { id } = await post("one two  three\n");
  await countWords(services, id);
  assert.equal((await get(`/notes/${id}`)).word_count, 3);
});

test("words are counted again", async () => {
  const notes = [await post("one two"), await post("three four")];
  await recount(services);
  for (const { id } of notes) {
    assert.equal((await get(`/notes/${id}`)).word_count, 2);
  }
});

test("no note is stored without its job", async () => {
  const lonely = open({ REDIS_URL: "redis://localhost:1" }).app;
  const before = await get("/notes");
  const response = await lonely.inject({
    method: "POST",
    url: "/notes",
    payload: { body: "lost" },
  });
  assert.equal(response.statusCode, 503);
  assert.deepEqual(await get("/notes"), before);
});

test("notes are listed newest first", async () => {
  const [first, second, third] = [await post("x"), await post("x"), await post("x")];
  assert.deepEqual(await get("/notes?limit=2"), [third, second]);
  assert.deepEqual(await get(`/notes?limit=1&before=${second.id}`), [first]);
});

const bodies: [string | Buffer, number][] = [
  ["{", 400],
  [Buffer.from('{"body": "\xff"}', "latin1"), 400],
  ["[".repeat(100_000), 400],
  ["{}", 422],
  ['{"body": 1}', 422],
  ['{"body": ""}', 422],
  [String.raw`{"body": "\u0000"}`, 422],
  [String.raw`{"body": "\ud800"}`, 422],
  [JSON.stringify({ body: "😀".repeat(10_001) }), 422],
  [JSON.stringify({ body: "x".repeat(1024 * 1024) }), 413],
];
for (const [payload, status] of bodies) {
  test(`${payload.toString().slice(0, 20)} is no note: ${status}`, async () => {
    const response = await app.inject({
      method: "POST",
      url: "/notes",
      payload,
      headers: { "content-type": "application/json" },
    });
    assert.equal(response.statusCode, status);
    assert.equal(response.headers["content-type"], "application/problem+json");
  });
}

for (const query of ["limit=0", "limit=101", "before=x", `before=${2n ** 63n}`]) {
  test(`a query with ${query} is refused`, async () => {
    assert.equal((await app.inject(`/notes?${query}`)).statusCode, 422);
  });
}

test("an unknown note is not found", async () => {
  assert.equal((await app.inject(`/notes/${2n ** 63n - 1n}`)).statusCode, 404);
});
