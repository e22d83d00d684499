"""The worker process: counts the words of items, at least once each, whatever happens to it meanwhile."""

import asyncio
import logging
import signal
import time
from contextlib import suppress
from uuid import uuid4

import psycopg
from redis.exceptions import RedisError, ResponseError

from . import stores
from .config import Config

log = logging.getLogger(__name__)

JOBS = "jobs"
GROUP = "workers"
# A job that is taken and not done for so long is another worker's.
LEASE_MS = 5_000
# A job whose item is not there yet waits for the commit, for so long.
COMMIT_MS = 60_000


def work(config: Config) -> None:
    with suppress(asyncio.CancelledError):
        asyncio.run(Worker(config).run())


class Worker:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.redis = stores.redis(config)
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
            except (psycopg.Error, RedisError):
                log.exception("a job waits until this is over")
                await asyncio.sleep(0.5)

    async def take_jobs(self) -> None:
        with suppress(ResponseError):  # the group is there
            await self.redis.xgroup_create(JOBS, GROUP, id="0", mkstream=True)
        while not self.stopping:
            _, jobs, *_ = await self.redis.xautoclaim(JOBS, GROUP, self.name, LEASE_MS, count=1)
            if not jobs:
                read = await self.redis.xreadgroup(GROUP, self.name, {JOBS: ">"}, count=1, block=500)
                jobs = read[0][1] if read else []
            for job, fields in jobs:
                if await self.count_words(int(fields["item"])) or is_old(job):
                    await self.redis.xack(JOBS, GROUP, job)
                    await self.redis.xdel(JOBS, job)

    async def count_words(self, number: int) -> bool:
        """Says whether the item was there. Done once already, it is not done again."""
        async with await stores.database(self.config) as db:
            item = await (await db.execute("SELECT body FROM items WHERE id = %s", [number])).fetchone()
            if item is None:
                return False
            update = "UPDATE items SET word_count = %s WHERE id = %s AND word_count IS NULL"
            await db.execute(update, [len(item["body"].split()), number])
        log.info("counted", extra={"fields": {"item": number}})
        return True


def is_old(job: str) -> bool:
    return time.time() * 1000 - int(job.split("-")[0]) > COMMIT_MS
