import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";

/** How long work in progress may go on once a process is told to stop, in milliseconds. */
export function drainTimeout(seconds: number): number {
  return Math.max(seconds - 1.5, seconds / 2) * 1000;
}

/** When a process is ended that has not ended by then: halfway between that and the deadline. */
function exitTimeout(seconds: number): number {
  return (drainTimeout(seconds) + seconds * 1000) / 2;
}

let stop: ((signal: NodeJS.Signals) => void) | undefined;

/** Whoever calls it last is told. */
export function onStop(listener: (signal: NodeJS.Signals) => void): void {
  // A listener of its own for each, and the signal that comes while they change would be lost.
  if (!stop) {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      process.on(signal, () => stop?.(signal));
    }
  }
  stop = listener;
}

/** Waits until the process is told to stop; from then on it exits before the deadline, come what may. */
export async function stopped(seconds: number): Promise<void> {
  await new Promise((resolve) => {
    onStop(resolve);
  });
  setTimeout(() => process.exit(), exitTimeout(seconds)).unref();
}

export class TimeoutError extends Error {
  override name = "TimeoutError";
}

/** Waits for some work, but not longer; the work itself goes on. */
export async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  const done = new AbortController();
  const timeout = async (): Promise<never> => {
    await wait(milliseconds, undefined, { signal: done.signal });
    throw new TimeoutError(`not done within ${milliseconds} ms`);
  };
  try {
    return await Promise.race([work, timeout()]);
  } finally {
    done.abort();
  }
}
