"""The web process: sessions, which live in Redis, and items, which a worker hears of."""

import asyncio
import hmac
import json
import logging
from contextlib import suppress
from http.cookies import SimpleCookie
from secrets import token_urlsafe

from asyncpg import Pool

from . import database
from .config import Config
from .database import PATIENCE, DatabaseError
from .redis import Redis, RedisError
from .server import Refusal, Request, Response, Server
from .worker import JOBS

log = logging.getLogger(__name__)

LIFETIME = 24 * 60 * 60


def serve(config: Config) -> None:
    asyncio.run(run(config))


async def run(config: Config) -> None:
    # Never closed: that would wait for requests which nobody may wait for any longer.
    web = Web(config, await database.pool(config))
    await Server(web.answer).run(config.port, config.shutdown_timeout)


class Web:
    def __init__(self, config: Config, db: Pool) -> None:
        self.config = config
        self.db = db
        self.redis = Redis(config.redis_url)

    async def answer(self, request: Request) -> Response:
        try:
            return await self.route(request)
        except DatabaseError:
            log.exception("the database does not answer as it should")
            raise Refusal(503, "the database does not answer") from None
        except RedisError:
            raise Refusal(503, "redis does not answer") from None

    async def route(self, request: Request) -> Response:
        match request.method, request.path.split("/")[1:]:
            case "GET", [""]:
                return Response(200, {"name": "desk", "release": self.config.release})
            case "GET", ["livez"]:
                return Response(200, {"status": "alive"})
            case "GET", ["readyz"]:
                return await self.readyz()
            case "POST", ["login"]:
                return await self.login(request)
            case "GET", ["me"]:
                return await self.me(request)
            case "POST", ["logout"]:
                return await self.logout(request)
            case "POST", ["items"]:
                return await self.create_item(request)
            case "GET", ["items", number] if number.isdecimal() and int(number) < 2**31:
                return await self.read_item(int(number))
        raise Refusal(404, "there is nothing here")

    async def readyz(self) -> Response:
        down = []
        try:
            async with self.db.acquire(timeout=PATIENCE) as db:
                if await db.fetchval("SELECT to_regclass('items') IS NULL", timeout=PATIENCE):
                    down.append("database is not migrated")
        except DatabaseError:
            down.append("database")
        try:
            await self.redis.execute("PING")
        except RedisError:
            down.append("redis")
        return Response(503, {"down": down}) if down else Response(200, {"status": "ready"})

    async def login(self, request: Request) -> Response:
        name = request.json().get("name")
        if not isinstance(name, str) or not name:
            raise Refusal(422, "name is a text")
        session = token_urlsafe()
        await self.redis.execute("SET", f"session:{session}", json.dumps({"name": name}), "EX", LIFETIME)
        cookie = f"desk={session}.{self.signature(session)}; HttpOnly; SameSite=Lax; Path=/"
        return Response(201, {"name": name}, {"Set-Cookie": cookie})

    async def me(self, request: Request) -> Response:
        data = await self.redis.execute("GET", f"session:{self.session(request)}")
        if data is None:
            raise Refusal(401, "nobody is signed in")
        return Response(200, json.loads(data))

    async def logout(self, request: Request) -> Response:
        await self.redis.execute("DEL", f"session:{self.session(request)}")
        return Response(204)

    def session(self, request: Request) -> str:
        """The session that the request's cookie names, if it is one of ours."""
        cookies: SimpleCookie = SimpleCookie()
        with suppress(Exception):
            cookies.load(request.headers.get("cookie", ""))
        value = cookies["desk"].value if "desk" in cookies else ""
        session, _, signature = value.rpartition(".")
        if not session or not hmac.compare_digest(signature, self.signature(session)):
            raise Refusal(401, "nobody is signed in")
        return session

    def signature(self, session: str) -> str:
        return hmac.new(self.config.app_secret.encode(), session.encode(), "sha256").hexdigest()

    async def create_item(self, request: Request) -> Response:
        body = request.json().get("body")
        if not isinstance(body, str) or not body or "\0" in body:
            raise Refusal(422, "body is a text")
        async with self.db.acquire(timeout=PATIENCE) as db, db.transaction():
            insert = "INSERT INTO items (body) VALUES ($1) RETURNING id, body, word_count"
            item = dict(await db.fetchrow(insert, body))
            # Before the commit: an item whose job cannot be handed over is not stored.
            await self.redis.execute("XADD", JOBS, "*", "item", item["id"])
        return Response(201, item)

    async def read_item(self, number: int) -> Response:
        async with self.db.acquire(timeout=PATIENCE) as db:
            item = await db.fetchrow("SELECT id, body, word_count FROM items WHERE id = $1", number)
        if item is None:
            raise Refusal(404, "there is no such item")
        return Response(200, dict(item))
