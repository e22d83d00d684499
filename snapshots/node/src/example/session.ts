import { z } from "zod";
import { Problem } from "../problems.ts";
import { LIFETIME } from "../sessions.ts";
import { text } from "../validation.ts";
import type { Routes } from "../web.ts";

const COOKIE = "session";

const Visitor = z.object({ name: text(100) });

export const routes: Routes = async (app, { sessions }) => {
  app.post("/session", { schema: { body: Visitor } }, async ({ body }, reply) => {
    reply.code(201).setCookie(COOKIE, await sessions.begin(body), {
      httpOnly: true,
      maxAge: LIFETIME,
      path: "/",
      sameSite: "lax",
      secure: "auto",
    });
    return body;
  });

  app.get("/session", async ({ cookies }) => {
    const session = await sessions.read(cookies[COOKIE] ?? "");
    if (!session) {
      throw new Problem(401, "there is no session");
    }
    return session;
  });

  app.delete("/session", async ({ cookies }, reply) => {
    await sessions.end(cookies[COOKIE] ?? "");
    reply.code(204).clearCookie(COOKIE, { path: "/" });
  });
};
