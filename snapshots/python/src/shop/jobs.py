"""Jobs: a Redis stream that hands each of them to one worker, again if that worker dies.

A job that a worker has taken is leased to it, and the worker renews the lease for as long as it
lives. A job whose lease ran out, because its worker died or because it failed, goes to the next
worker that asks. So a job may run more than once: it must not matter.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Concatenate

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from structlog.contextvars import bound_contextvars

from .logs import get_logger

GROUP = "workers"
CONSUMER = "worker"  # one for all of them: to Redis a lease is a time, not an owner
POLL_MS = 1_000
LEASE_MS = 20_000
TIMEOUT = 300
GIVE_UP_AFTER = 24 * 60 * 60

type Job[**P] = Callable[Concatenate[Any, P], Awaitable[None]]

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    id: str
    job: dict[str, str]

    @property
    def age(self) -> float:
        return time.time() - int(self.id.partition("-")[0]) / 1000


class Jobs:
    def __init__(self, redis: Redis, *, stream: str) -> None:
        self._redis = redis
        self._stream = stream

    async def put[**P](self, job: Job[P], *args: P.args, **kwargs: P.kwargs) -> None:
        arguments = json.dumps([args, kwargs])
        await self._redis.xadd(self._stream, {"name": job.__name__, "arguments": arguments})

    async def work(self, jobs: Iterable[Job[...]], context: object, stop: asyncio.Event) -> None:
        """Do one job at a time, with the context as its first argument, until told to stop."""
        handlers = {job.__name__: job for job in jobs}
        while not stop.is_set():
            try:
                await self._create_group()
                while not stop.is_set():
                    if delivery := await self._take():
                        await self._do(delivery, handlers, context)
            except RedisError as error:
                log.warning("redis does not answer", error=str(error))
                await asyncio.sleep(1)

    async def _create_group(self) -> None:
        with suppress(ResponseError):
            await self._redis.xgroup_create(self._stream, GROUP, id="0", mkstream=True)

    async def _take(self) -> Delivery | None:
        lost: Any = await self._redis.xautoclaim(
            self._stream, GROUP, CONSUMER, min_idle_time=LEASE_MS, count=1
        )
        match lost:
            case [_next, [(delivery_id, job)], *_deleted]:
                return Delivery(delivery_id, job)
        new: Any = await self._redis.xreadgroup(
            GROUP, CONSUMER, {self._stream: ">"}, count=1, block=POLL_MS
        )
        match new:
            case [[_stream, [(delivery_id, job)]]]:
                return Delivery(delivery_id, job)
        return None

    async def _do(self, delivery: Delivery, handlers: dict[str, Job[...]], context: object) -> None:
        with bound_contextvars(job=delivery.job.get("name"), job_id=delivery.id):
            try:
                async with self._renewed(delivery), asyncio.timeout(TIMEOUT):
                    args, kwargs = json.loads(delivery.job["arguments"])
                    await handlers[delivery.job["name"]](context, *args, **kwargs)
            except asyncio.CancelledError:
                log.warning("job interrupted, given back")
                await self._lease(delivery, idle=LEASE_MS)
                raise
            except Exception:
                if delivery.age < GIVE_UP_AFTER:
                    log.exception("job failed, to be tried again")
                    return
                log.exception("job failed, given up")
            else:
                log.info("job done")
            await self._finish(delivery)

    @asynccontextmanager
    async def _renewed(self, delivery: Delivery) -> AsyncIterator[None]:
        async def renew() -> None:
            while True:
                await asyncio.sleep(LEASE_MS / 1000 / 4)
                with suppress(RedisError):
                    await self._lease(delivery, idle=0)

        renewal = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewal.cancel()

    async def _lease(self, delivery: Delivery, *, idle: int) -> None:
        await self._redis.xclaim(
            self._stream, GROUP, CONSUMER, 0, [delivery.id], idle=idle, justid=True
        )

    async def _finish(self, delivery: Delivery) -> None:
        async with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.xack(self._stream, GROUP, delivery.id)
            pipeline.xdel(self._stream, delivery.id)
            await pipeline.execute()
