import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import path from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { after, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import "./support.ts";

const ROOT = path.join(import.meta.dirname, "..");
const COMMANDS = new Map(
  readFileSync(path.join(ROOT, "Procfile"), "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(": ") as [string, string]),
);
const SIGNALS = ["SIGTERM", "SIGINT"] as const;
const REQUEST = "GET /livez HTTP/1.1\r\nHost: test\r\n\r\n";

const processes: ChildProcess[] = [];

after(() => {
  for (const running of processes) {
    running.kill("SIGKILL");
  }
});

/** Starts a line of the Procfile; gives the process and, once it ended, what it logged. */
function start(name: string, variables: NodeJS.ProcessEnv = {}) {
  const [program = "", ...args] = COMMANDS.get(name)?.split(" ") ?? [];
  const started = spawn(program, args, {
    cwd: ROOT,
    env: { ...process.env, LOG_LEVEL: "info", ...variables },
    stdio: ["ignore", "pipe", "pipe"],
  });
  processes.push(started);
  const output = text(started.stdout);
  const errors = text(started.stderr);
  const ended = once(started, "exit").then(async ([code]) => {
    assert.equal(await errors, "");
    const lines = (await output)
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.ok(lines.every(({ timestamp, level }) => timestamp.endsWith("Z") && level));
    return { code, messages: lines.map(({ message }) => message) };
  });
  return { ended, started };
}

async function freePort(): Promise<number> {
  const server = createServer().listen();
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function dial(port: number): Promise<Socket> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    try {
      const connection = connect(port, "127.0.0.1");
      await once(connection, "connect");
      return connection;
    } catch (error) {
      if (Date.now() > deadline) {
        throw error;
      }
      await setTimeout(100);
    }
  }
}

async function received(connection: Socket): Promise<string> {
  const [data] = await once(connection, "data");
  return String(data);
}

for (const name of COMMANDS.keys()) {
  test(`${name} checks its configuration`, async () => {
    const { ended } = start(name, { DATABASE_URL: "", PORT: "none" });
    assert.deepEqual(await ended, { code: 1, messages: ["invalid configuration"] });
  });
}

test("migrations may run at once", async () => {
  const releases = [start("release"), start("release")];
  for (const { ended } of releases) {
    assert.equal((await ended).code, 0);
  }
});

for (const signal of SIGNALS) {
  test(`worker stops on ${signal}`, async () => {
    const { ended, started } = start("worker");
    await once(started.stdout, "data");
    started.kill(signal);
    assert.deepEqual(await ended, { code: 0, messages: ["worker started", "worker stopped"] });
  });

  for (const count of ["1", "2"]) {
    test(`${count} web, on ${signal}, answers what was begun before it stops`, async () => {
      const port = await freePort();
      const { ended, started } = start("web", { PORT: String(port), WEB_CONCURRENCY: count });
      const idle = await dial(port);
      idle.write(REQUEST);
      assert.match(await received(idle), /^HTTP\/1.1 200/);
      const begun = await dial(port);
      begun.write(REQUEST.slice(0, 20));
      await setTimeout(500);
      started.kill(signal);
      await setTimeout(500);
      begun.write(REQUEST.slice(20));
      assert.match(await received(begun), /^HTTP\/1.1 200/);
      assert.equal((await ended).code, 0);
      await assert.rejects(once(connect(port, "127.0.0.1"), "connect"), { code: "ECONNREFUSED" });
    });
  }
}

test("children die with their parent", async () => {
  const port = await freePort();
  const { ended, started } = start("web", { PORT: String(port), WEB_CONCURRENCY: "2" });
  for (let listening = 0; listening < 2; ) {
    const [chunk] = await once(started.stdout, "data");
    listening += String(chunk).split("\n").length - 1;
  }
  started.kill("SIGKILL");
  // Its output ends when the last of them has gone.
  await ended;
  await assert.rejects(once(connect(port, "127.0.0.1"), "connect"), { code: "ECONNREFUSED" });
});

test("web names a port in use", async () => {
  const server = createServer().listen();
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const { ended } = start("web", { PORT: String(port) });
  assert.deepEqual(await ended, { code: 1, messages: ["cannot listen"] });
  server.close();
});
