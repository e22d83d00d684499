import { setTimeout } from "node:timers/promises";
import type { Generated, Selectable } from "kysely";
import { z } from "zod";
import { type Database, insert } from "../database.ts";
import { Problem } from "../problems.ts";
import type { Services } from "../services.ts";
import { text } from "../validation.ts";
import type { Routes } from "../web.ts";

const BATCH = 500;
const LARGEST_ID = 2n ** 63n - 1n;

interface NotesTable {
  id: Generated<number>;
  body: string;
  word_count: number | null;
  created_at: Date;
}

declare module "../database.ts" {
  interface Tables {
    notes: NotesTable;
  }
}

type Note = Selectable<NotesTable>;

const wholeNumber = z.string().regex(/^\d{1,19}$/, "must be a whole number");

// Beyond what JavaScript counts to exactly, where no note will ever be, all ids are one.
const Id = wholeNumber
  .transform(BigInt)
  .pipe(z.bigint().min(1n).max(LARGEST_ID))
  .transform((value) => Math.min(Number(value), Number.MAX_SAFE_INTEGER));

const NewNote = z.object({ body: text(10_000) });
const NoteId = z.object({ id: Id });
const Page = z.object({
  limit: wholeNumber.transform(Number).pipe(z.number().min(1).max(100)).default(20),
  before: Id.optional(),
});

export const routes: Routes = async (app, { database, jobs }) => {
  app.post("/notes", { schema: { body: NewNote } }, async ({ body: { body } }, reply) => {
    const note = await database.transaction().execute(async (transaction): Promise<Note> => {
      const row = { body, word_count: null, created_at: new Date() };
      const id = await insert(transaction, "notes", row);
      await jobs.put(countWords, id);
      return { id, ...row };
    });
    reply.code(201);
    return note;
  });

  app.get("/notes/:id", { schema: { params: NoteId } }, async ({ params }) => {
    const note = await database
      .selectFrom("notes")
      .selectAll()
      .where("id", "=", params.id)
      .executeTakeFirst();
    if (!note) {
      throw new Problem(404, "there is no such note");
    }
    return note;
  });

  app.get("/notes", { schema: { querystring: Page } }, async ({ query: { limit, before } }) => {
    let notes = database.selectFrom("notes").selectAll().orderBy("id", "desc").limit(limit);
    if (before) {
      notes = notes.where("id", "<", before);
    }
    return await notes.execute();
  });
};

/** Counts the words of a note, which may come late: its job is handed over before its commit. */
export async function countWords({ database, log }: Services, noteId: number): Promise<void> {
  for (let tries = 0; tries < 50; tries += 1) {
    const note = await database
      .selectFrom("notes")
      .select("body")
      .where("id", "=", noteId)
      .executeTakeFirst();
    if (note) {
      await storeCount(database, noteId, note.body);
      return;
    }
    await setTimeout(100);
  }
  log.warn({ note_id: noteId }, "there is no such note");
}

/** Counts the words of every note again. */
export async function recount({ database, log }: Services): Promise<void> {
  let last = 0;
  for (;;) {
    const notes = await database
      .selectFrom("notes")
      .select(["id", "body"])
      .where("id", ">", last)
      .orderBy("id")
      .limit(BATCH)
      .execute();
    for (const { id, body } of notes) {
      await storeCount(database, id, body);
      last = id;
    }
    if (notes.length < BATCH) {
      break;
    }
  }
  log.info("recounted");
}

async function storeCount(database: Database, id: number, body: string): Promise<void> {
  const words = body.match(/\S+/g) ?? [];
  await database
    .updateTable("notes")
    .set({ word_count: words.length })
    .where("id", "=", id)
    .execute();
}
