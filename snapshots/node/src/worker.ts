/** The worker process. */

import process from "node:process";
import { drainTimeout, stopped, TimeoutError, within } from "./deadline.ts";
import { jobs } from "./features.ts";
import { log } from "./logs.ts";
import { openServices } from "./services.ts";
import type { Settings } from "./settings.ts";

export async function work(settings: Settings): Promise<void> {
  await using services = openServices(settings);
  const worker = services.jobs.work(jobs, services);
  log.info({ release: settings.RELEASE }, "worker started");
  await stopped(settings.SHUTDOWN_TIMEOUT);
  try {
    await within(drainTimeout(settings.SHUTDOWN_TIMEOUT), worker.finish());
    log.info("worker stopped");
  } catch (error) {
    if (!(error instanceof TimeoutError)) {
      throw error;
    }
    await worker.giveBack();
    log.warn("worker stopped at the deadline");
    process.exit();
  }
}
