import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from shop import jobs
from shop.jobs import Jobs
from shop.services import Services

type Done = asyncio.Queue[int]


async def succeed(done: Done, number: int) -> None:
    await done.put(number)


async def fail(done: Done, number: int) -> None:
    await done.put(number)
    raise RuntimeError


async def hang(done: Done, number: int) -> None:
    await done.put(number)
    await asyncio.Event().wait()


@asynccontextmanager
async def worker(queue: Jobs, done: Done) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    task = asyncio.create_task(queue.work([succeed, fail, hang], done, stop))
    async with asyncio.timeout(10):
        yield task
        stop.set()
        await asyncio.wait([task])


@pytest.fixture
def done() -> Done:
    return asyncio.Queue()


@pytest.fixture
async def queue(services: Services) -> AsyncIterator[Jobs]:
    stream = f"test:{uuid4()}"
    yield Jobs(services.redis, stream=stream)
    await services.redis.delete(stream)


async def test_every_job_is_done_once(queue: Jobs, done: Done) -> None:
    for number in range(3):
        await queue.put(succeed, number)
    async with worker(queue, done):
        assert [await done.get() for _ in range(3)] == [0, 1, 2]
    assert done.empty()


async def test_failed_job_is_tried_again(
    queue: Jobs, done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LEASE_MS", 100)
    await queue.put(fail, 1)
    async with worker(queue, done):
        assert [await done.get() for _ in range(2)] == [1, 1]


async def test_failed_job_is_given_up_in_the_end(
    queue: Jobs, done: Done, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "GIVE_UP_AFTER", 0)
    monkeypatch.setattr(jobs, "LEASE_MS", 100)
    await queue.put(fail, 1)
    await queue.put(succeed, 2)
    async with worker(queue, done):
        assert [await done.get() for _ in range(2)] == [1, 2]
        await asyncio.sleep(0.5)
    assert done.empty()


async def test_interrupted_job_is_given_back(queue: Jobs, done: Done) -> None:
    await queue.put(hang, 1)
    for _ in range(2):
        async with worker(queue, done) as task:
            assert await done.get() == 1
            task.cancel()
