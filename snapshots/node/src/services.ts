/** The backing services, attached by their URLs: what a request, a job or a task works with. */

import { Redis } from "ioredis";
import type { Logger } from "pino";
import { type Database, openDatabase } from "./database.ts";
import { Jobs } from "./jobs.ts";
import { log, reason } from "./logs.ts";
import { NAME } from "./name.ts";
import { Sessions } from "./sessions.ts";
import type { Settings } from "./settings.ts";

export interface Services {
  readonly database: Database;
  readonly jobs: Jobs;
  readonly log: Logger;
  readonly redis: Redis;
  readonly sessions: Sessions;
}

export type Task = (services: Services) => Promise<void>;

/** Nothing connects before it is used: a service that is down keeps nobody from starting. */
export function openServices(settings: Settings): Services & AsyncDisposable {
  const database = openDatabase(settings.DATABASE_URL);
  const redis = new Redis(settings.REDIS_URL, {
    commandTimeout: 5000,
    connectTimeout: 2000,
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    retryStrategy: (times) => Math.min(times * 50, 1000),
  });
  redis.on("error", (error) => log.debug({ error: reason(error) }, "redis does not answer"));
  return {
    database,
    jobs: new Jobs(redis, NAME),
    log,
    redis,
    sessions: new Sessions(redis, settings.SESSION_SECRET, NAME),
    async [Symbol.asyncDispose]() {
      redis.disconnect();
      await database.destroy();
    },
  };
}
