"""A client of Redis in one file: importing a driver was most of what a process cost that lives for seconds."""

import asyncio
from typing import Any
from urllib.parse import unquote, urlsplit

PATIENCE = 3


class RedisError(Exception):
    """Redis refuses, or does not answer."""


class Redis:
    """One connection, which carries one command after the other."""

    def __init__(self, url: str) -> None:
        self.url = urlsplit(url)
        self.turn = asyncio.Lock()
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def execute(self, *words: str | int) -> Any:
        try:
            async with asyncio.timeout(PATIENCE), self.turn:
                if self.streams and self.streams[0].at_eof():
                    self.disconnect()
                try:
                    if not self.streams:
                        await self.connect()
                    return await self.exchange(*words)
                except BaseException:
                    # What arrives on it from now on would be taken for the answer to the next command.
                    self.disconnect()
                    raise
        except (OSError, EOFError) as error:
            raise RedisError("Redis does not answer") from error

    async def connect(self) -> None:
        host, port, tls = self.url.hostname, self.url.port or 6379, self.url.scheme == "rediss"
        self.streams = await asyncio.open_connection(host, port, ssl=tls or None)
        if self.url.password:
            names = [self.url.username] if self.url.username else []
            await self.exchange("AUTH", *map(unquote, [*names, self.url.password]))
        await self.exchange("SELECT", self.url.path.strip("/") or 0)

    def disconnect(self) -> None:
        if self.streams:
            self.streams[1].close()
        self.streams = None

    async def exchange(self, *words: str | int) -> Any:
        reader, writer = self.streams  # type: ignore[misc]  # connected
        encoded = [str(word).encode() for word in words]
        writer.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded))
        return await self.receive(reader)

    async def receive(self, reader: asyncio.StreamReader) -> Any:
        line = (await reader.readuntil(b"\r\n")).decode()
        kind, rest = line[0], line[1:-2]
        match kind:
            case "-":
                raise RedisError(rest)
            case ":":
                return int(rest)
            case "$" | "*" if rest == "-1":
                return None
            case "$":
                return (await reader.readexactly(int(rest) + 2))[:-2].decode()
            case "*":
                return [await self.receive(reader) for _ in range(int(rest))]
        return rest
