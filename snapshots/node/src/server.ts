/** The web process: Fastify's server, with what it lacks at shutdown. */

import cluster from "node:cluster";
import process from "node:process";
import { drainTimeout, stopped, TimeoutError, within } from "./deadline.ts";
import { fork } from "./fork.ts";
import { log, reason } from "./logs.ts";
import { openServices } from "./services.ts";
import type { Settings } from "./settings.ts";
import { createApp } from "./web.ts";

export async function serve(settings: Settings): Promise<void> {
  if (settings.WEB_CONCURRENCY > 1 && cluster.isPrimary) {
    await fork(settings);
    return;
  }
  await using services = openServices(settings);
  const app = createApp(settings, services);
  app.addHook("onSend", async (_, reply) => {
    // Node closes what is idle when it stops listening, but not what becomes idle after that.
    if (!app.server.listening) {
      reply.header("connection", "close");
    }
  });
  try {
    // Every interface, by IPv6 and IPv4, or by IPv4 alone where there is no other.
    await app.listen({ port: settings.PORT, host: "" });
  } catch (error) {
    log.error({ port: settings.PORT, error: reason(error) }, "cannot listen");
    process.exit(1);
  }
  await stopped(settings.SHUTDOWN_TIMEOUT);
  try {
    await within(drainTimeout(settings.SHUTDOWN_TIMEOUT), app.close());
  } catch (error) {
    if (!(error instanceof TimeoutError)) {
      throw error;
    }
    app.server.closeAllConnections();
  }
}
