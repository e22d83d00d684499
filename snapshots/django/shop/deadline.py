"""Ends of patience: with a job, with a process that was told to stop."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(BaseException):
    """The process has to stop; no job is to take that for an error of its own."""


def interrupt_after(timeout: float, error: type[BaseException]) -> None:
    """Raise the error in the main thread after the timeout, in place of what was to be raised."""

    def interrupt(*_: object) -> None:
        raise error

    signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, timeout)


@contextmanager
def time_limit(timeout: float) -> Iterator[None]:
    interrupt_after(timeout, TimeoutError)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def exit_after(timeout: float) -> None:
    """Exit after the timeout, whatever still runs, blocks or hangs by then."""
    timer = threading.Timer(timeout, os._exit, [0])
    timer.daemon = True
    timer.start()
