/** What the tests share: the service on the database and the Redis that the environment names. */

import process from "node:process";
import { after } from "node:test";
import { log } from "../src/logs.ts";
import { migrate } from "../src/migrate.ts";
import { openServices, type Services } from "../src/services.ts";
import { loadSettings, type Settings } from "../src/settings.ts";
import { type App, createApp } from "../src/web.ts";

log.level = "silent";

export const settings = loadSettings(process.env);

await migrate(settings);

export function open(changes: Partial<Settings> = {}): { app: App; services: Services } {
  const services = openServices({ ...settings, ...changes });
  const app = createApp(settings, services);
  after(async () => {
    await app.close();
    await services[Symbol.asyncDispose]();
  });
  return { app, services };
}
