import threading
import time
from collections.abc import Iterator
from queue import Queue
from uuid import uuid4

import pytest
from django.tasks import task, task_backends
from pytest_django import Settings

from shop import jobs
from shop.deadline import Interrupted, interrupt_after
from shop.jobs import RedisStream
from shop.services import get_redis

pytestmark = pytest.mark.django_db

done: Queue[int] = Queue()


def current_queue() -> RedisStream:
    backend = task_backends["default"]
    assert isinstance(backend, RedisStream)
    return backend


@task
def succeed(number: int, *, last: bool = False) -> None:
    done.put(number)
    if last:
        current_queue().stop()


@task
def fail(number: int) -> None:
    done.put(number)
    raise RuntimeError


@task
def sleep(number: int) -> None:
    done.put(number)
    time.sleep(10)


@task
def hang(number: int) -> None:
    done.put(number)
    interrupt_after(0.1, Interrupted)
    time.sleep(10)


@pytest.fixture
def queue(settings: Settings) -> Iterator[RedisStream]:
    stream = f"test:{uuid4()}"
    settings.TASKS = {
        "default": {
            "BACKEND": "shop.jobs.RedisStream",
            "OPTIONS": {"stream": stream},
        },
    }
    backend = current_queue()
    enough = threading.Timer(10, backend.stop)
    enough.start()
    yield backend
    enough.cancel()
    get_redis().delete(stream)
    assert done.empty()


def test_every_job_is_done_once(queue: RedisStream) -> None:
    for number in range(3):
        succeed.enqueue(number, last=number == 2)
    queue.work()
    assert [done.get_nowait() for _ in range(3)] == [0, 1, 2]


def test_failed_job_is_tried_again(queue: RedisStream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LEASE_MS", 100)
    fail.enqueue(1)
    threading.Timer(2, queue.stop).start()
    queue.work()
    assert [done.get_nowait() for _ in range(2)] == [1, 1]
    while not done.empty():
        assert done.get() == 1


def test_failed_job_is_given_up_in_the_end(
    queue: RedisStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "GIVE_UP_AFTER", 0)
    monkeypatch.setattr(jobs, "LEASE_MS", 100)
    fail.enqueue(1)
    threading.Timer(1, succeed.enqueue, [2], {"last": True}).start()
    queue.work()
    assert [done.get_nowait() for _ in range(2)] == [1, 2]


def test_job_that_takes_too_long_has_failed(
    queue: RedisStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "TIMEOUT", 0.1)
    monkeypatch.setattr(jobs, "GIVE_UP_AFTER", 0)
    sleep.enqueue(1)
    succeed.enqueue(2, last=True)
    queue.work()
    assert [done.get_nowait() for _ in range(2)] == [1, 2]


def test_interrupted_job_is_given_back(queue: RedisStream) -> None:
    hang.enqueue(1)
    for _ in range(2):
        with pytest.raises(Interrupted):
            queue.work()
        assert done.get_nowait() == 1
