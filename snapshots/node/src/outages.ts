/** When a backing service does not answer: nobody's mistake, and it passes. */

/** SQLSTATEs and codes of Node and mysql2 that mean: nobody there, no room, or going down. */
const CODES = /^(?:08|28|3D|53|57P|58)\w+$|^E[A-Z]+$|^PROTOCOL_/;
/** pg has no codes for what happens to its connections. */
const MESSAGES = /^Connection terminated|^timeout ex|not queryable$/;

/** A service did not answer; the cause says why. */
export class OutageError extends Error {
  override name = "OutageError";
}

/** Whatever Redis fails with is an outage. */
export async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    throw new OutageError("redis does not answer", { cause });
  }
}

/** The database may also refuse what it is asked, which is a mistake of ours. */
export function isOutage(error: Error): boolean {
  const { code, sqlState = code } = error as { code?: unknown; sqlState?: unknown };
  return (
    error instanceof OutageError || CODES.test(String(sqlState)) || MESSAGES.test(error.message)
  );
}
