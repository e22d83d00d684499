"""The worker process: counts the words of items, at least once each, whatever happens to it meanwhile."""

import asyncio
import logging
import signal
import time
from contextlib import suppress
from uuid import uuid4

from asyncpg import Pool

from . import database
from .config import Config
from .database import PATIENCE, DatabaseError
from .redis import Redis, RedisError

log = logging.getLogger(__name__)

JOBS = "jobs"
GROUP = "workers"
# A job that is taken and not done for so long is another worker's.
LEASE_MS = 5_000
# A job whose item is not there yet waits for the commit, for so long.
COMMIT_MS = 60_000


def work(config: Config) -> None:
    with suppress(asyncio.CancelledError):
        asyncio.run(run(config))


async def run(config: Config) -> None:
    async with database.pool(config) as db:
        await Worker(config, db).run()


class Worker:
    def __init__(self, config: Config, db: Pool) -> None:
        self.config = config
        self.db = db
        self.redis = Redis(config.redis_url)
        self.name = uuid4().hex
        self.stopping = False

    async def run(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def stop() -> None:
            log.info("stopping")
            self.stopping = True
            # What is not done by then is left to another worker.
            loop.call_later(self.config.shutdown_timeout * 0.9, task.cancel)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        log.info("waiting for jobs")
        while not self.stopping:
            try:
                await self.take_jobs()
            except (*DatabaseError, RedisError):
                log.exception("a job waits until this is over")
                await asyncio.sleep(0.5)

    async def take_jobs(self) -> None:
        with suppress(RedisError):  # the group is there
            await self.redis.execute("XGROUP", "CREATE", JOBS, GROUP, 0, "MKSTREAM")
        while not self.stopping:
            _, jobs, *_ = await self.redis.execute("XAUTOCLAIM", JOBS, GROUP, self.name, LEASE_MS, 0, "COUNT", 1)
            if not jobs:
                options = ["COUNT", 1, "BLOCK", 500, "STREAMS", JOBS, ">"]
                read = await self.redis.execute("XREADGROUP", "GROUP", GROUP, self.name, *options)
                jobs = read[0][1] if read else []
            for job, (_, item) in jobs:
                if await self.count_words(int(item)) or is_old(job):
                    await self.redis.execute("XACK", JOBS, GROUP, job)
                    await self.redis.execute("XDEL", JOBS, job)

    async def count_words(self, number: int) -> bool:
        """Says whether the item was there. Done once already, it is not done again."""
        async with self.db.acquire(timeout=PATIENCE) as db:
            select = "SELECT body FROM items WHERE id = $1"
            body = await db.fetchval(select, number)
            if body is None:
                # Its commit comes a moment after its job.
                await asyncio.sleep(0.1)
                body = await db.fetchval(select, number)
            if body is None:
                return False
            update = "UPDATE items SET word_count = $1 WHERE id = $2 AND word_count IS NULL"
            await db.execute(update, len(body.split()), number)
        log.info("counted", extra={"fields": {"item": number}})
        return True


def is_old(job: str) -> bool:
    return time.time() * 1000 - int(job.split("-")[0]) > COMMIT_MS
