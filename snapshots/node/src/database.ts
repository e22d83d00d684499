/** The database: PostgreSQL or MySQL, whichever DATABASE_URL names. */

import {
  type Dialect,
  type Insertable,
  Kysely,
  MysqlAdapter,
  MysqlDialect,
  PostgresDialect,
  sql,
} from "kysely";
import mysql from "mysql2";
import pg from "pg";
import { log, reason } from "./logs.ts";

/** The tables, each declared by the feature that owns it. */
// biome-ignore lint/suspicious/noEmptyInterface: features extend it
export interface Tables {}

export type Database = Kysely<Tables>;

const CONNECT_TIMEOUT = 5000;
const INT8 = 20;

export function openDatabase(url: string): Database {
  return new Kysely({ dialect: url.startsWith("mysql:") ? openMySql(url) : openPostgres(url) });
}

function openPostgres(url: string): Dialect {
  const types = new pg.TypeOverrides();
  types.setTypeParser(INT8, Number);
  const pool = new pg.Pool({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT,
    types,
  });
  pool.on("connect", (connection) => connection.on("error", tellLoss));
  pool.on("error", () => {
    // Its connection has told.
  });
  return new PostgresDialect({ pool });
}

function openMySql(url: string): Dialect {
  const pool = mysql.createPool({ uri: url, connectTimeout: CONNECT_TIMEOUT, timezone: "Z" });
  pool.on("connection", (connection) => connection.on("error", tellLoss));
  return new MysqlDialect({ pool });
}

/** A connection that fails while no statement runs on it would end the process if nobody listened. */
function tellLoss(error: Error): void {
  log.warn({ error: reason(error) }, "a database connection is lost");
}

/** For migrations: what PostgreSQL and MySQL call by different names. */
export function isMySql(database: Kysely<unknown>): boolean {
  return database.getExecutor().adapter instanceof MysqlAdapter;
}

/** Inserts a row and gives its id, which PostgreSQL returns and MySQL tells. */
export async function insert<Table extends keyof Tables & string>(
  database: Database,
  table: Table,
  row: Insertable<Tables[Table]>,
): Promise<number> {
  const query = database.insertInto(table).values(row);
  if (database.getExecutor().adapter.supportsReturning) {
    const { id } = await query.returning(sql<number>`id`.as("id")).executeTakeFirstOrThrow();
    return id;
  }
  const { insertId } = await query.executeTakeFirstOrThrow();
  return Number(insertId);
}
