/** Several web processes on one port: a parent that keeps them running and serves nothing itself. */

import cluster, { type Worker } from "node:cluster";
import { once } from "node:events";
import process from "node:process";
import { setTimeout } from "node:timers/promises";
import { stopped } from "./deadline.ts";
import { log } from "./logs.ts";
import type { Settings } from "./settings.ts";

// They accept for themselves. A parent that accepts for them may be left with a connection that
// nobody takes any more, and would keep it hanging until the end.
cluster.schedulingPolicy = cluster.SCHED_NONE;

const listening = new WeakSet<Worker>();

export async function fork({ SHUTDOWN_TIMEOUT, WEB_CONCURRENCY }: Settings): Promise<void> {
  process.on("exit", () => {
    for (const web of Object.values(cluster.workers ?? {})) {
      web?.process.kill("SIGKILL");
    }
  });
  cluster.on("listening", (web) => listening.add(web));

  const first = cluster.fork();
  await Promise.race([once(first, "listening"), once(first, "exit")]);
  if (!listening.has(first)) {
    // It has said why; no other could either.
    process.exit(1);
  }
  const stop = new AbortController();
  const webs = Array.from({ length: WEB_CONCURRENCY }, (_, number) =>
    keep(number === 0 ? first : cluster.fork(), stop.signal),
  );
  await stopped(SHUTDOWN_TIMEOUT);
  stop.abort();
  await Promise.all(webs);
}

/** Replaces a process that dies, and takes the last one along when told to stop. */
async function keep(web: Worker, stop: AbortSignal): Promise<void> {
  const kill = (): void => {
    // One that only boots would open the port again, as it hears of signals when it has booted.
    web.process.kill(listening.has(web) ? "SIGTERM" : "SIGKILL");
  };
  stop.addEventListener("abort", kill);
  const [code, signal] = await once(web, "exit");
  stop.removeEventListener("abort", kill);
  if (stop.aborted) {
    return;
  }
  log.error({ pid: web.process.pid, status: signal ?? code }, "web process died");
  await setTimeout(1000);
  if (!stop.aborted) {
    await keep(cluster.fork(), stop);
  }
}
