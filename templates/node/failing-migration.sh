# Adds a migration whose SQL fails to a Node project; run in its root.
cat > src/migrations/99991231_failing.ts <<END
import { type Kysely, sql } from "kysely";

export async function up(database: Kysely<unknown>): Promise<void> {
  await sql\`INSERT INTO nowhere VALUES (1)\`.execute(database);
}
END
