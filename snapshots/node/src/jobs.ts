/**
 * Jobs: a BullMQ queue that hands each of them to one worker, again if that worker dies.
 *
 * A worker holds a lock on the job that it does, and renews it for as long as it lives. A job whose
 * lock ran out, or that failed, goes to a worker again. So a job may run more than once: it must
 * not matter.
 */

import { Queue, type Job as QueuedJob, Worker } from "bullmq";
import type { Redis } from "ioredis";
import { within } from "./deadline.ts";
import { reason } from "./logs.ts";
import { answered } from "./outages.ts";
import type { Services } from "./services.ts";

const QUEUE = "jobs";
const LOCK = 20_000;
const TIMEOUT = 5 * 60 * 1000;
// For a day.
const RETRIES = { attempts: 24 * 60 * 3, delay: 20_000 };

export type Job<Arguments extends unknown[]> = (
  services: Services,
  ...args: Arguments
) => Promise<void>;

export class Jobs {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #queue: Queue;

  constructor(redis: Redis, prefix: string, retries = RETRIES) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#queue = new Queue(QUEUE, {
      connection: redis,
      defaultJobOptions: {
        attempts: retries.attempts,
        backoff: { delay: retries.delay, type: "fixed" },
        removeOnComplete: true,
        removeOnFail: true,
      },
      prefix,
      skipMetasUpdate: true,
      skipVersionCheck: true,
      // Whoever puts a job has to learn at once that Redis is away.
      skipWaitingForReady: true,
    });
    this.#queue.on("error", () => {
      // What fails is told by whoever waits for it.
    });
  }

  async put<Arguments extends unknown[]>(job: Job<Arguments>, ...args: Arguments): Promise<void> {
    await answered(this.#queue.add(job.name, args));
  }

  /** Does one job at a time, with the services as its first argument. */
  work(jobs: Job<never>[], services: Services): JobWorker {
    const connection = this.#redis.duplicate({
      commandTimeout: undefined,
      lazyConnect: false,
      maxRetriesPerRequest: null,
    });
    return new JobWorker(connection, this.#prefix, jobs, services);
  }
}

export class JobWorker {
  readonly #jobs: Map<string, Job<never>>;
  readonly #services: Services;
  readonly #connection: Redis;
  readonly #worker: Worker;
  #current: QueuedJob | undefined;

  constructor(connection: Redis, prefix: string, jobs: Job<never>[], services: Services) {
    this.#jobs = new Map(jobs.map((job) => [job.name, job]));
    this.#services = services;
    this.#connection = connection;
    this.#worker = new Worker(QUEUE, (job) => this.#do(job), {
      connection,
      lockDuration: LOCK,
      lockRenewTime: LOCK / 4,
      maxStalledCount: RETRIES.attempts,
      prefix,
      runRetryDelay: 1000,
      stalledInterval: LOCK / 4,
    });
    this.#worker.on("error", (error) => {
      services.log.warn({ error: reason(error) }, "redis does not answer");
    });
  }

  /** Takes no more jobs, and waits for the one that is being done. */
  async finish(): Promise<void> {
    // BullMQ would wait for Redis, too.
    const isAlone = !this.#current && this.#connection.status !== "ready";
    await this.#worker.close(isAlone);
    this.#connection.disconnect();
  }

  /** Hands the job that is being done to another worker; what it still does here must not go on. */
  async giveBack(): Promise<void> {
    const job = this.#current;
    if (job?.token) {
      this.#log(job).warn("job interrupted, given back");
      await job.moveToWait(job.token);
    }
  }

  async #do(job: QueuedJob): Promise<void> {
    const log = this.#log(job);
    this.#current = job;
    try {
      const handler = this.#jobs.get(job.name);
      if (!handler) {
        throw new Error("there is no such job");
      }
      await within(TIMEOUT, handler({ ...this.#services, log }, ...(job.data as never)));
      log.info("job done");
    } catch (error) {
      const isLast = job.attemptsMade + 1 >= (job.opts.attempts ?? 1);
      log.error({ exception: error }, `job failed, ${isLast ? "given up" : "to be tried again"}`);
      throw error;
    } finally {
      this.#current = undefined;
    }
  }

  #log(job: QueuedJob) {
    return this.#services.log.child({ job: job.name, job_id: job.id });
  }
}
