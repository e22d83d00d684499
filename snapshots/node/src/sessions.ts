/** Sessions: a signed id in a cookie, the data in Redis, so that any process can serve anybody. */

import { randomBytes } from "node:crypto";
import { Signer } from "@fastify/cookie";
import type { Redis } from "ioredis";
import { answered } from "./outages.ts";

export const LIFETIME = 14 * 24 * 60 * 60;

export class Sessions {
  readonly #redis: Redis;
  readonly #signer: Signer;
  readonly #prefix: string;

  constructor(redis: Redis, secret: string, prefix: string) {
    this.#redis = redis;
    this.#signer = new Signer(secret);
    this.#prefix = prefix;
  }

  /** Stores a session and gives its token, the value of the cookie. */
  async begin(data: unknown): Promise<string> {
    const id = randomBytes(32).toString("base64url");
    await answered(this.#redis.set(this.#key(id), JSON.stringify(data), "EX", LIFETIME));
    return this.#signer.sign(id);
  }

  async read(token: string): Promise<unknown> {
    const id = this.#verified(token);
    const stored = id && (await answered(this.#redis.get(this.#key(id))));
    return stored ? JSON.parse(stored) : undefined;
  }

  async end(token: string): Promise<void> {
    const id = this.#verified(token);
    if (id) {
      await answered(this.#redis.del(this.#key(id)));
    }
  }

  #verified(token: string): string | null {
    return this.#signer.unsign(token).value;
  }

  #key(id: string): string {
    return `${this.#prefix}:session:${id}`;
  }
}
