"""A small HTTP/1.1 server that knows how to leave: it finishes what was begun and lets go of what is idle."""

import asyncio
import json
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from uuid import uuid4

log = logging.getLogger(__name__)

BODY_LIMIT = 1024 * 1024


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""

    def json(self) -> dict:
        try:
            value = json.loads(self.body)
        except ValueError:
            raise Refusal(400, "the body is not JSON") from None
        if not isinstance(value, dict):
            raise Refusal(422, "the body is not an object")
        return value


@dataclass
class Response:
    status: int
    data: object = None
    headers: dict[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        body = b"" if self.status == 204 else json.dumps(self.data).encode()
        head = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        head += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.status != 204:
            head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([*head, "", ""]).encode("latin-1") + body


class Refusal(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Server:
    def __init__(self, answer: Callable[[Request], Awaitable[Response]]) -> None:
        self.answer = answer
        self.idle: set[asyncio.StreamWriter] = set()
        self.draining = False

    async def run(self, port: int, shutdown_timeout: float) -> None:
        listener = await asyncio.start_server(self.converse, port=port)
        log.info("listening on port %s", port)
        told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, told.set)
        await told.wait()
        log.info("draining")
        self.draining = True
        # asyncio forgets whom it has just accepted when it closes at once, and they would wait for us in vain.
        for socket in listener.sockets:
            asyncio.get_running_loop().remove_reader(socket)
        await asyncio.sleep(0.01)
        listener.close()
        for writer in self.idle:
            writer.close()
        try:
            # A little less than what whoever stops us has patience for.
            async with asyncio.timeout(shutdown_timeout * 0.9):
                await listener.wait_closed()
        except TimeoutError:
            log.warning("cutting the requests that are not answered by now")
            listener.abort_clients()
            await asyncio.sleep(0)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self.exchange(reader, writer):
                pass
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request. Says whether another may follow on this connection."""
        if self.draining:
            return False
        self.idle.add(writer)
        try:
            first = await reader.readexactly(1)
        finally:
            self.idle.discard(writer)
        request = Request("?", "?", {})
        try:
            await self.receive(first, reader, request)
            response = await self.answer(request)
        except Refusal as refusal:
            response = Response(refusal.status, {"error": str(refusal)})
        except (ConnectionError, asyncio.IncompleteReadError):
            raise
        except Exception:
            log.exception("nobody foresaw this")
            response = Response(500, {"error": "this is our fault"})
        request_id = request.headers.get("x-request-id") or uuid4().hex
        stays = not self.draining and request.headers.get("connection", "").lower() != "close" and request.method != "?"
        response.headers |= {"X-Request-Id": request_id, "Connection": "keep-alive" if stays else "close"}
        what = {"method": request.method, "path": request.path, "status": response.status, "request_id": request_id}
        log.info("request", extra={"fields": what})
        writer.write(response.to_bytes())
        await writer.drain()
        return stays

    async def receive(self, first: bytes, reader: asyncio.StreamReader, request: Request) -> None:
        try:
            head = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.LimitOverrunError:
            raise Refusal(431, "the head is too long") from None
        line, *lines = head.rstrip("\r\n").split("\r\n")
        words = line.split(" ")
        if len(words) != 3 or words[2] not in ("HTTP/1.1", "HTTP/1.0"):
            raise Refusal(400, "this is not HTTP/1.1")
        for each in lines:
            name, _, value = each.partition(":")
            request.headers[name.lower()] = value.strip()
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or "transfer-encoding" in request.headers:
            raise Refusal(411, "a body needs a Content-Length")
        if int(length) > BODY_LIMIT:
            raise Refusal(413, "the body is too long")
        request.body = await reader.readexactly(int(length))
        request.method, request.path = words[0], words[1].partition("?")[0]
