/** The commands: one for each process of the Procfile, and the one-off tasks. */

import process from "node:process";
import { tasks } from "./features.ts";
import { log } from "./logs.ts";
import { migrate } from "./migrate.ts";
import { serve } from "./server.ts";
import { openServices, type Task } from "./services.ts";
import type { Settings } from "./settings.ts";
import { work } from "./worker.ts";

type Command = (settings: Settings) => Promise<void>;

function command(task: Task): Command {
  return async (settings) => {
    await using services = openServices(settings);
    await task(services);
  };
}

const commands = new Map<string, Command>([
  ["web", serve],
  ["worker", work],
  ["migrate", migrate],
  ...tasks.map((task): [string, Command] => [task.name, command(task)]),
]);

export async function run(name: string, settings: Settings): Promise<void> {
  const chosen = commands.get(name);
  if (!chosen) {
    log.error({ command: name, commands: [...commands.keys()] }, "there is no such command");
    process.exit(2);
  }
  await chosen(settings);
}
