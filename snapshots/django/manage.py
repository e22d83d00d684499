#!/usr/bin/env python
import os
import signal
import sys
from types import FrameType


def main() -> None:
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, stop)
    os.environ.setdefault(
        "DJANGO_SETTINGS_MODULE",
        "shop.settings",
    )
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


def stop(signum: int, _frame: FrameType | None) -> None:
    """End at once: nothing is served yet. A command that did not finish has failed."""
    serving = sys.argv[1:] in (["web"], ["worker"])
    os._exit(0 if serving else 128 + signum)


if __name__ == "__main__":
    main()
