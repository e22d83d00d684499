/** The web application: its health, and the routes of its features. */

import cookie from "@fastify/cookie";
import {
  type FastifyBaseLogger,
  type FastifyPluginAsync,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  type RawServerDefault,
} from "fastify";
import { within } from "./deadline.ts";
import { routes } from "./features.ts";
import { log, reason } from "./logs.ts";
import { Schema } from "./migrate.ts";
import { NAME } from "./name.ts";
import { handleError, Problem, sendProblem } from "./problems.ts";
import { logRequest, RequestLog, refuseGarbage, refusePath, requestId } from "./requests.ts";
import type { Services } from "./services.ts";
import type { Settings } from "./settings.ts";
import { parseJson, validatorCompiler, type ZodTypeProvider } from "./validation.ts";

/** The routes of a feature: a Fastify plugin whose options are the services. */
export type Routes = FastifyPluginAsync<Services, RawServerDefault, ZodTypeProvider>;

export type App = ReturnType<typeof createApp>;

const BODY_LIMIT = 1024 * 1024;
const CHECK_TIMEOUT = 2000;
const HANDLER_TIMEOUT = 30_000;

export function createApp(settings: Settings, services: Services) {
  const app = fastify({
    bodyLimit: BODY_LIMIT,
    clientErrorHandler: refuseGarbage,
    frameworkErrors: refusePath,
    genReqId: requestId,
    handlerTimeout: HANDLER_TIMEOUT,
    logController: new RequestLog({ requestIdLogLabel: "request_id" }),
    loggerInstance: services.log as FastifyBaseLogger,
    return503OnClosing: false,
  }).withTypeProvider<ZodTypeProvider>();

  app.removeAllContentTypeParsers();
  app.addContentTypeParser(/^application\/(?:.+\+)?json\b/, { parseAs: "buffer" }, parseJson);
  // What is no JSON is no object either: no schema takes it.
  app.addContentTypeParser("*", { parseAs: "buffer" }, async (_: unknown, body: Buffer) => body);
  app.setValidatorCompiler(validatorCompiler);
  app.setErrorHandler(handleError);
  app.setNotFoundHandler((_, reply) => sendProblem(reply, new Problem(404)));
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id);
  });
  app.addHook("onRequestAbort", async (request) => logRequest(request));

  app.register(cookie);
  const methods = new Map<string, string[]>();
  app.addHook("onRoute", ({ url, method }) => {
    methods.set(url, [...(methods.get(url) ?? []), method].flat());
  });
  for (const feature of [health(settings), ...routes]) {
    app.register(feature, services);
  }
  // Without these, a path that has other methods would be answered with 404.
  app.after(() => {
    for (const [url, allowed] of [...methods]) {
      const refuse = async (_: FastifyRequest, reply: FastifyReply): Promise<void> => {
        reply.header("allow", allowed.join(", "));
        throw new Problem(405);
      };
      const others = app.supportedMethods.filter((method) => !allowed.includes(method));
      app.route({ url, method: others, onRequest: refuse, handler: refuse });
    }
  });
  return app;
}

function health(settings: Settings): Routes {
  return async (app, { database, redis }) => {
    const schema = new Schema();
    let draining = false;
    app.addHook("preClose", async () => {
      draining = true;
    });

    app.get("/", async () => ({ name: NAME, release: settings.RELEASE }));

    app.get("/livez", async () => ({ status: "ok" }));

    app.get("/readyz", async () => {
      const checks = await Promise.all([
        failure("database", schema.check(database)),
        failure("redis", redis.ping()),
        draining ? "draining" : null,
      ]);
      const failures = checks.filter((name) => name !== null);
      if (failures.length > 0) {
        throw new Problem(503, `not ready: ${failures.join(", ")}`);
      }
      return { status: "ok" };
    });
  };
}

/** The service, if it fails. A driver may take long to give up: nobody waits for that. */
async function failure(service: string, check: Promise<unknown>): Promise<string | null> {
  try {
    await within(CHECK_TIMEOUT, check);
    return null;
  } catch (error) {
    log.warn({ service, error: reason(error) }, "not ready");
    return service;
  }
}
