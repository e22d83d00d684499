/** The entry point: what can fail at once does, before the slow imports. */

import { constants } from "node:os";
import process from "node:process";
import { onStop } from "./deadline.ts";
import { captureEverything, log, setLevel } from "./logs.ts";

captureEverything();

const [, , name = ""] = process.argv;

// Nothing is served yet, or any more. A task that did not finish has failed.
onStop((signal) => {
  process.exit(name === "web" || name === "worker" ? 0 : 128 + constants.signals[signal]);
});

const { InvalidSettingsError, loadSettings } = await import("./settings.ts");

try {
  const settings = loadSettings(process.env);
  setLevel(settings.LOG_LEVEL);
  const { run } = await import("./commands.ts");
  await run(name, settings);
  process.exit();
} catch (error) {
  if (error instanceof InvalidSettingsError) {
    log.error({ errors: error.errors }, "invalid configuration");
  } else {
    log.error({ exception: error }, "uncaught exception");
  }
  process.exit(1);
}
