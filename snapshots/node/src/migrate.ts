/** The release phase: brings the schema to what this release needs. */

import fs from "node:fs/promises";
import path from "node:path";
import { sql } from "kysely";
import { DEFAULT_MIGRATION_TABLE, FileMigrationProvider, Migrator } from "kysely/migration";
import { type Database, openDatabase } from "./database.ts";
import { log } from "./logs.ts";
import type { Settings } from "./settings.ts";

const migrations = new FileMigrationProvider({
  fs,
  path,
  migrationFolder: path.join(import.meta.dirname, "migrations"),
});

export async function migrate(settings: Settings): Promise<void> {
  const database = openDatabase(settings.DATABASE_URL);
  try {
    const migrator = new Migrator({ db: database, provider: migrations });
    const { error, results = [] } = await migrator.migrateToLatest();
    if (error) {
      throw error;
    }
    log.info({ migrations: results.map(({ migrationName }) => migrationName) }, "migrated");
  } finally {
    await database.destroy();
  }
}

/** Knows whether a database is behind this release; a newer release may be ahead of it. */
export class Schema {
  readonly #needed = migrations.getMigrations().then(Object.keys);

  async check(database: Database): Promise<void> {
    const table = sql.table(DEFAULT_MIGRATION_TABLE);
    const { rows } = await sql<{ name: string }>`select name from ${table}`.execute(database);
    const done = new Set(rows.map(({ name }) => name));
    const missing = (await this.#needed).filter((name) => !done.has(name));
    if (missing.length > 0) {
      throw new Error(`migrations have not run: ${missing.join(", ")}`);
    }
  }
}
