"""The worker process."""

import asyncio
import signal

from .deadline import exit_after
from .features import JOBS
from .logs import get_logger
from .services import open_services
from .settings import Settings

log = get_logger(__name__)


def work(settings: Settings) -> None:
    try:
        asyncio.run(_work(settings))
    except TimeoutError:
        log.warning("worker stopped at the deadline")
    else:
        log.info("worker stopped")


async def _work(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    async with open_services(settings) as services, asyncio.timeout(None) as deadline:

        def drain() -> None:
            stop.set()
            deadline.reschedule(loop.time() + settings.drain_timeout)
            exit_after(settings.exit_timeout)

        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, drain)
        log.info("worker started", release=settings.release)
        await services.jobs.work(JOBS, services, stop)
