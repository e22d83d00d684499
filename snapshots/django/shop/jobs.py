"""Jobs: Django's tasks on a Redis stream that hands each to one worker, again if that worker dies.

A job that a worker has taken is leased to it, and the worker renews the lease for as long as it
lives. A job whose lease ran out, because its worker died or because it failed, goes to the next
worker that asks. So a job may run more than once: it must not matter.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, override

from django.db import close_old_connections
from django.tasks import Task, TaskResult, TaskResultStatus
from django.tasks.backends.base import BaseTaskBackend
from django.tasks.signals import task_enqueued
from django.utils import timezone
from django.utils.module_loading import import_string
from redis import Redis
from redis.exceptions import RedisError, ResponseError
from structlog.contextvars import bound_contextvars

from . import NAME
from .deadline import Interrupted, time_limit
from .logs import get_logger
from .services import get_redis

GROUP = "workers"
CONSUMER = "worker"  # one for all of them: to Redis a lease is a time, not an owner
POLL_MS = 1_000
LEASE_MS = 20_000
TIMEOUT = 300
GIVE_UP_AFTER = 24 * 60 * 60

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    id: str
    job: dict[str, str]

    @property
    def name(self) -> str:
        return self.job.get("name", "").rpartition(".")[2]

    @property
    def age(self) -> float:
        return time.time() - int(self.id.partition("-")[0]) / 1000


class RedisStream(BaseTaskBackend):
    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self._stream = self.options.get("stream", f"{NAME}:jobs")
        self._stopping = False

    @property
    def _redis(self) -> Redis:
        return get_redis()

    @override
    def enqueue[**P, R](
        self, task: "Task[P, R]", args: list[Any], kwargs: dict[str, Any]
    ) -> "TaskResult[P, R]":
        self.validate_task(task)
        arguments = json.dumps([args, kwargs])
        job_id = self._redis.xadd(self._stream, {"name": task.module_path, "arguments": arguments})
        result: TaskResult[P, R] = TaskResult(
            task=task,
            id=str(job_id),
            status=TaskResultStatus.READY,
            enqueued_at=timezone.now(),
            started_at=None,
            finished_at=None,
            last_attempted_at=None,
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
        task_enqueued.send(type(self), task_result=result)
        return result

    def stop(self) -> None:
        """Take no more jobs. A signal's handler may call this: there is no lock in it."""
        self._stopping = True

    def work(self) -> None:
        """Do one job at a time until told to stop."""
        while not self._stopping:
            try:
                self._create_group()
                while not self._stopping:
                    if delivery := self._take():
                        self._do(delivery)
            except RedisError as error:
                log.warning("redis does not answer", error=str(error))
                time.sleep(1)

    def _create_group(self) -> None:
        with suppress(ResponseError):
            self._redis.xgroup_create(self._stream, GROUP, id="0", mkstream=True)

    def _take(self) -> Delivery | None:
        lost: Any = self._redis.xautoclaim(
            self._stream, GROUP, CONSUMER, min_idle_time=LEASE_MS, count=1
        )
        match lost:
            case [_next, [(delivery_id, job)], *_deleted]:
                return Delivery(delivery_id, job)
        new: Any = self._redis.xreadgroup(
            GROUP, CONSUMER, {self._stream: ">"}, count=1, block=POLL_MS
        )
        match new:
            case [[_stream, [(delivery_id, job)]]]:
                return Delivery(delivery_id, job)
        return None

    def _do(self, delivery: Delivery) -> None:
        with bound_contextvars(job=delivery.name, job_id=delivery.id):
            try:
                with self._renewed(delivery), time_limit(TIMEOUT):
                    _run(delivery.job)
            except Interrupted:
                log.warning("job interrupted, given back")
                self._lease(delivery, idle=LEASE_MS)
                raise
            except Exception:
                if delivery.age < GIVE_UP_AFTER:
                    log.exception("job failed, to be tried again")
                    return
                log.exception("job failed, given up")
            else:
                log.info("job done")
            self._finish(delivery)

    @contextmanager
    def _renewed(self, delivery: Delivery) -> Iterator[None]:
        done = threading.Event()

        def renew() -> None:
            while not done.wait(LEASE_MS / 1000 / 4):
                with suppress(RedisError):
                    self._lease(delivery, idle=0)

        threading.Thread(target=renew, daemon=True).start()
        try:
            yield
        finally:
            done.set()

    def _lease(self, delivery: Delivery, *, idle: int) -> None:
        self._redis.xclaim(self._stream, GROUP, CONSUMER, 0, [delivery.id], idle=idle, justid=True)

    def _finish(self, delivery: Delivery) -> None:
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.xack(self._stream, GROUP, delivery.id)
            pipeline.xdel(self._stream, delivery.id)
            pipeline.execute()


def _run(job: dict[str, str]) -> None:
    close_old_connections()
    task: Task[..., Any] = import_string(job["name"])
    args, kwargs = json.loads(job["arguments"])
    task.call(*args, **kwargs)
