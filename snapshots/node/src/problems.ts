/** Errors as application/problem+json (RFC 9457). */

import { STATUS_CODES } from "node:http";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import { reason } from "./logs.ts";
import { isOutage } from "./outages.ts";

export const CONTENT_TYPE = "application/problem+json";

export interface Invalid {
  field: string;
  detail: string;
}

interface ProblemOptions extends ErrorOptions {
  errors?: Invalid[];
}

/** An error that the client is told of as it stands. */
export class Problem extends Error {
  override name = "Problem";
  readonly statusCode: number;
  readonly errors: Invalid[] | undefined;

  constructor(statusCode: number, detail?: string, options: ProblemOptions = {}) {
    super(detail, options);
    this.statusCode = statusCode;
    this.errors = options.errors;
  }

  toJSON() {
    return {
      type: "about:blank",
      title: STATUS_CODES[this.statusCode],
      status: this.statusCode,
      detail: this.message || undefined,
      errors: this.errors,
    };
  }
}

export function handleError(error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
  return sendProblem(reply, toProblem(error, request));
}

export function sendProblem(reply: FastifyReply, problem: Problem) {
  // To a text, Fastify would add a charset, which this media type does not have.
  const body = Buffer.from(JSON.stringify(problem));
  return reply.code(problem.statusCode).header("content-type", CONTENT_TYPE).send(body);
}

function toProblem(error: FastifyError, { log }: FastifyRequest): Problem {
  if (error instanceof Problem) {
    return error;
  }
  if (isOutage(error)) {
    log.warn({ error: reason(error.cause ?? error) }, "a backing service does not answer");
    return new Problem(503, "a backing service does not answer");
  }
  if (error.code === "FST_ERR_CTP_BODY_TOO_LARGE") {
    return new Problem(413, "the body is larger than 1 MiB");
  }
  if (error.code === "FST_ERR_HANDLER_TIMEOUT") {
    return new Problem(503, "the answer took too long");
  }
  if (error.statusCode && error.statusCode < 500) {
    return new Problem(error.statusCode, error.message);
  }
  log.error({ exception: error }, "unhandled exception");
  return new Problem(500);
}
