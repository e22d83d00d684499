import signal
from typing import cast

from django.conf import settings
from django.core.management.base import BaseCommand
from django.tasks import task_backends

from ...deadline import Interrupted, exit_after, interrupt_after
from ...jobs import RedisStream
from ...logs import get_logger

log = get_logger(__name__)


class Command(BaseCommand):
    help = "Does the jobs that web hands over."
    requires_system_checks = []

    def handle(self, *_args: object, **_options: object) -> None:
        jobs = cast("RedisStream", task_backends["default"])

        def drain(*_: object) -> None:
            jobs.stop()
            interrupt_after(settings.DRAIN_TIMEOUT, Interrupted)
            exit_after(settings.EXIT_TIMEOUT)

        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, drain)
        log.info("worker started", release=settings.RELEASE)
        try:
            jobs.work()
        except Interrupted:
            log.warning("worker stopped at the deadline")
        else:
            log.info("worker stopped")
        finally:
            # The interpreter, when it ends, gives signals back the meaning that is a death.
            for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
                signal.signal(signum, signal.SIG_IGN)
