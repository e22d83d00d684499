"""The entry point: what can fail at once does, before the slow imports."""

import os
import signal
import sys
from types import FrameType


def main() -> None:
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, _stop)

    from . import logs

    logs.configure()

    from .settings import InvalidSettingsError, Settings

    try:
        settings = Settings.load()
    except InvalidSettingsError as invalid:
        logs.get_logger(__name__).error("invalid configuration", errors=invalid.errors)
        sys.exit(1)
    logs.configure(settings.log_level)

    from .commands import run

    run(settings)


def _stop(signum: int, _frame: FrameType | None) -> None:
    """End at once: nothing is served yet, or any more. A task that did not finish has failed."""
    serving = sys.argv[1:] in (["web"], ["worker"])
    os._exit(0 if serving else 128 + signum)
