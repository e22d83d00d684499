/** The configuration: environment variables and nothing else, the same for every process. */

import { z } from "zod";

export class InvalidSettingsError extends Error {
  readonly errors: string[];

  constructor(errors: string[]) {
    super(errors.join("; "));
    this.name = "InvalidSettingsError";
    this.errors = errors;
  }
}

/** A text that the rule describes: the rule is what somebody reads whose value does not keep it. */
function text(rule: string, keeps: (value: string) => boolean) {
  return z.string({ error: "is required" }).refine(keeps, { error: rule });
}

function url(rule: string, schemes: string[], path: RegExp) {
  return text(rule, (value) => {
    const parsed = URL.parse(value);
    return (
      parsed !== null &&
      schemes.includes(parsed.protocol) &&
      parsed.hostname !== "" &&
      path.test(parsed.pathname)
    );
  });
}

function wholeNumber(of: string, from: number, to: number) {
  return text(
    `must be a whole number${of} from ${from} to ${to}`,
    (value) => /^\d{1,9}$/.test(value) && Number(value) >= from && Number(value) <= to,
  ).transform(Number);
}

const environment = z.object({
  DATABASE_URL: url(
    "must be a postgres:// or mysql:// URL with a host and a database",
    ["postgres:", "postgresql:", "mysql:"],
    /^\/[^/]+$/,
  ),
  REDIS_URL: url(
    "must be a redis:// or rediss:// URL with a host",
    ["redis:", "rediss:"],
    /^(\/\d*)?$/,
  ),
  SESSION_SECRET: text("must have at least 32 characters", (value) => value.length >= 32),
  PORT: wholeNumber("", 1, 65_535).default(8000),
  LOG_LEVEL: z
    .enum(["debug", "info", "warning", "error"], {
      error: "must be debug, info, warning or error",
    })
    .default("info"),
  SHUTDOWN_TIMEOUT: wholeNumber(" of seconds", 1, 3600).default(10),
  WEB_CONCURRENCY: wholeNumber("", 1, 1000).default(1),
  RELEASE: z.string().default("dev"),
});

export type Settings = Readonly<z.output<typeof environment>>;

export const VARIABLES = Object.keys(environment.shape);

/** What is empty counts as not set. */
export function loadSettings(variables: NodeJS.ProcessEnv): Settings {
  const set = Object.entries(variables).filter(([, value]) => value !== "");
  const { data, error } = environment.safeParse(Object.fromEntries(set));
  if (error) {
    throw new InvalidSettingsError(
      error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`),
    );
  }
  return data;
}
