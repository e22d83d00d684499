import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { EventEmitter, on } from "node:events";
import { after, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { type Job, Jobs, type JobWorker } from "../src/jobs.ts";
import { open } from "./support.ts";

const { services } = open();

/** A queue of its own, and jobs that tell when they begin and end when they are told. */
function arrange(retries?: { attempts: number; delay: number }) {
  const prefix = `test:${randomUUID()}`;
  const jobs = new Jobs(services.redis, prefix, retries);
  const events = new EventEmitter();
  const begun = on(events, "begun", { signal: AbortSignal.timeout(10_000) });
  const hung = Promise.withResolvers<void>();
  const workers: JobWorker[] = [];

  const begin = async (number: number): Promise<void> => {
    events.emit("begun", number);
  };
  const succeed: Job<[number]> = (_, number) => begin(number);
  const fail: Job<[number]> = async (_, number) => {
    await begin(number);
    throw new Error("as it should");
  };
  const hang: Job<[number]> = async (_, number) => {
    await begin(number);
    await hung.promise;
  };

  after(async () => {
    hung.resolve();
    await Promise.all(workers.map((worker) => worker.finish()));
    await services.redis.del(await services.redis.keys(`${prefix}:*`));
  });
  return {
    fail,
    hang,
    jobs,
    next: async (): Promise<number> => (await begun.next()).value?.[0],
    succeed,
    startWorker(): JobWorker {
      const worker = jobs.work([succeed, fail, hang], services);
      workers.push(worker);
      return worker;
    },
  };
}

test("every job is done once", async () => {
  const { jobs, next, startWorker, succeed } = arrange();
  for (const number of [1, 2, 3]) {
    await jobs.put(succeed, number);
  }
  startWorker();
  assert.deepEqual([await next(), await next(), await next()], [1, 2, 3]);
});

test("a job that failed is tried again", async () => {
  const { fail, jobs, next, startWorker } = arrange({ attempts: 2, delay: 10 });
  await jobs.put(fail, 1);
  startWorker();
  assert.deepEqual([await next(), await next()], [1, 1]);
});

test("a job that fails is given up in the end", async () => {
  const { fail, jobs, next, startWorker, succeed } = arrange({ attempts: 1, delay: 10 });
  await jobs.put(fail, 1);
  await jobs.put(succeed, 2);
  startWorker();
  assert.deepEqual([await next(), await next()], [1, 2]);
  assert.equal(await Promise.race([next(), setTimeout(500, "nothing")]), "nothing");
});

test("a job that is interrupted goes to another worker", async () => {
  const { hang, jobs, next, startWorker } = arrange();
  const worker = startWorker();
  await jobs.put(hang, 1);
  assert.equal(await next(), 1);
  await worker.giveBack();
  startWorker();
  assert.equal(await next(), 1);
});
