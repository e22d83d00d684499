/** Requests are checked against zod schemas; handlers see what these give. */

import type { FastifyRequest, FastifySchemaCompiler, FastifyTypeProvider } from "fastify";
import { z } from "zod";
import { Problem } from "./problems.ts";

export interface ZodTypeProvider extends FastifyTypeProvider {
  validator: this["schema"] extends z.ZodType ? z.output<this["schema"]> : unknown;
}

const PARTS: Record<string, string> = { params: "path", querystring: "query" };
const UTF8 = new TextDecoder("utf-8", { fatal: true });

export async function parseJson(_: FastifyRequest, body: Buffer): Promise<unknown> {
  if (body.length === 0) {
    return;
  }
  try {
    return JSON.parse(UTF8.decode(body));
  } catch (cause) {
    throw new Problem(400, "the body is not JSON", { cause });
  }
}

export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart = "body" }) =>
  (input) => {
    const { data, error } = schema.safeParse(input);
    if (!error) {
      return { value: data };
    }
    const part = PARTS[httpPart] ?? httpPart;
    const errors = error.issues.map(({ path, message }) => ({
      field: [part, ...path].join("."),
      detail: message,
    }));
    return { error: new Problem(422, undefined, { errors }) };
  };

/** A text of 1 to so many characters, as people count them, which any database can store. */
export function text(longest: number) {
  return z
    .string()
    .refine((value) => value !== "", { error: "must not be empty" })
    .refine((value) => [...value].length <= longest, {
      error: `must have at most ${longest} characters`,
    })
    .refine((value) => value.isWellFormed() && !value.includes("\0"), {
      error: "must be well-formed Unicode without NUL",
    });
}
