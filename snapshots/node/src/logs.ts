/** The log: every line of every library one JSON object on stdout, and nothing on stderr. */

import process from "node:process";
import { format } from "node:util";
import { type Logger, pino, stdSerializers } from "pino";

const LABELS: Record<string, string> = { fatal: "error", trace: "debug", warn: "warning" };
const LEVELS = { debug: "debug", error: "error", info: "info", warning: "warn" } as const;

function stack(error: unknown): string {
  return error instanceof Error ? stdSerializers.err(error).stack : String(error);
}

export const log: Logger = pino({
  base: null,
  errorKey: "exception",
  formatters: { level: (label) => ({ level: LABELS[label] ?? label }) },
  messageKey: "message",
  serializers: { err: stack, exception: stack },
  timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
});

export function setLevel(level: keyof typeof LEVELS): void {
  log.level = LEVELS[level];
}

/** What an error says in one line; an attempt to connect fails once for each address of a host. */
export function reason(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(String).join("; ") : String(error);
}

/** Logs what Node and libraries would write to stderr. */
export function captureEverything(): void {
  process.removeAllListeners("warning");
  process.on("warning", (warning) => log.warn({ exception: warning }, "process warning"));
  process.on("uncaughtException", (error) => {
    log.error({ exception: error }, "uncaught exception");
    process.exit(1);
  });
  for (const [method, level] of [
    ["debug", "debug"],
    ["log", "info"],
    ["info", "info"],
    ["warn", "warn"],
    ["error", "error"],
    ["trace", "debug"],
  ] as const) {
    console[method] = (...values: unknown[]): void => log[level](format(...values));
  }
}
