import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import { loadSettings, VARIABLES } from "../src/settings.ts";

const GIVEN = {
  DATABASE_URL: "postgres://host/name",
  REDIS_URL: "redis://host",
  SESSION_SECRET: "s".repeat(32),
};

test("has defaults for what is not required", () => {
  const settings = loadSettings({ ...GIVEN, LOG_LEVEL: "" });
  assert.deepEqual(settings, {
    ...GIVEN,
    PORT: 8000,
    LOG_LEVEL: "info",
    SHUTDOWN_TIMEOUT: 10,
    WEB_CONCURRENCY: 1,
    RELEASE: "dev",
  });
});

test("names everything that is missing", () => {
  const errors = Object.keys(GIVEN).map((name) => `${name}: is required`);
  assert.throws(() => loadSettings({ SESSION_SECRET: "" }), { errors });
});

for (const [name, value] of [
  ["DATABASE_URL", "sqlite:///canary.db"],
  ["DATABASE_URL", "postgres://canary"],
  ["REDIS_URL", "canary"],
  ["REDIS_URL", "redis://host/canary"],
  ["SESSION_SECRET", "canary"],
  ["PORT", "canary"],
  ["PORT", "65536"],
  ["LOG_LEVEL", "canary"],
  ["SHUTDOWN_TIMEOUT", "0"],
  ["WEB_CONCURRENCY", "0"],
] as const) {
  test(`names a malformed ${name} (${value}), and not its value`, () => {
    assert.throws(
      () => loadSettings({ ...GIVEN, [name]: value }),
      (error: Error) => {
        assert.match(error.message, new RegExp(`^${name}: must `));
        assert.doesNotMatch(error.message, /canary/);
        return true;
      },
    );
  });
}

test("the example file has every variable", async () => {
  const example = path.join(import.meta.dirname, "../.env.example");
  const names = [...(await readFile(example, "utf8")).matchAll(/^(\w+)=/gm)].map(
    ([, name]) => name,
  );
  assert.deepEqual(new Set(names), new Set(VARIABLES));
});
