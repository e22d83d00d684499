/** What the service does; the other modules are how. */

import * as notes from "./example/notes.ts";
import * as session from "./example/session.ts";
import type { Job } from "./jobs.ts";
import type { Task } from "./services.ts";
import type { Routes } from "./web.ts";

export const routes: Routes[] = [session.routes, notes.routes];
export const jobs: Job<never>[] = [notes.countWords];
export const tasks: Task[] = [notes.recount];
