import { type Kysely, sql } from "kysely";
import { isMySql } from "../database.ts";

export async function up(database: Kysely<unknown>): Promise<void> {
  const mySql = isMySql(database);
  const notes = database.schema
    .createTable("notes")
    .addColumn("id", "bigint", (column) =>
      mySql
        ? column.primaryKey().autoIncrement()
        : column.primaryKey().generatedByDefaultAsIdentity(),
    )
    .addColumn("body", "text", (column) => column.notNull())
    .addColumn("word_count", "integer")
    .addColumn("created_at", mySql ? sql`datetime(3)` : "timestamptz(3)", (column) =>
      column.notNull(),
    );
  await (mySql ? notes.modifyEnd(sql`character set utf8mb4`) : notes).execute();
}

export async function down(database: Kysely<unknown>): Promise<void> {
  await database.schema.dropTable("notes").execute();
}
