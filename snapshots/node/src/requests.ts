/** What surrounds every request: its id, its line in the log, and the end of one that is none. */

import { randomUUID } from "node:crypto";
import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import {
  type ConnectionError,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from "fastify";
import { log } from "./logs.ts";
import { CONTENT_TYPE, Problem, sendProblem } from "./problems.ts";

const REQUEST_ID = /^[\w.:/+=-]{1,128}$/;

const STATUSES: Record<string, number> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
};

export function requestId({ headers }: IncomingMessage): string {
  const given = headers["x-request-id"];
  return typeof given === "string" && REQUEST_ID.test(given) ? given : randomUUID();
}

export function logRequest(request: FastifyRequest, reply?: FastifyReply): void {
  request.log.info(
    {
      method: request.method,
      path: request.url.replace(/\?.*/s, ""),
      status: reply?.statusCode ?? null,
      duration_ms: reply && Math.round(reply.elapsedTime * 10) / 10,
    },
    "request",
  );
}

export class RequestLog extends LogController {
  override incomingRequest(): void {
    // One line tells of a request, once it is answered.
  }

  override requestCompleted(_: unknown, request: FastifyRequest, reply: FastifyReply): void {
    logRequest(request, reply);
  }
}

/** Answers where a path cannot be decoded; neither hooks nor the log hear of such a request. */
export function refusePath(_: Error, request: FastifyRequest, reply: FastifyReply): void {
  reply.header("x-request-id", request.id);
  reply.raw.once("finish", () => logRequest(request, reply));
  sendProblem(reply, new Problem(404));
}

/** Answers what is no HTTP, or takes too long to become it. */
export function refuseGarbage({ code }: ConnectionError, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  log.warn({ error: code }, "invalid request");
  const problem = new Problem(STATUSES[code] ?? 400, "this is no HTTP request");
  const body = JSON.stringify(problem);
  socket.end(
    [
      `HTTP/1.1 ${problem.statusCode} ${STATUS_CODES[problem.statusCode]}`,
      "Connection: close",
      `Content-Length: ${Buffer.byteLength(body)}`,
      `Content-Type: ${CONTENT_TYPE}`,
      "",
      body,
    ].join("\r\n"),
  );
}
