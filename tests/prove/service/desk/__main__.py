"""`python -m desk web|worker|release|recount`."""

import logging
import sys
from collections.abc import Callable

from . import logs
from .config import Config, ConfigError


def find(command: str) -> Callable[[Config], None]:
    """Import what is to run, once it is known that it can: a refusal need not wait for drivers."""
    match command:
        case "web":
            from .web import serve as run
        case "worker":
            from .worker import work as run
        case "release":
            from .admin import release as run
        case _:
            from .admin import recount as run
    return run


def main(command: str) -> int:
    logs.configure()
    try:
        config = Config.read()
        logs.configure(config.log_level)
        find(command)(config)
    except ConfigError as error:
        logging.critical("%s", error)
        return 1
    except Exception:
        logging.critical("%s failed", command, exc_info=True)
        return 1
    return 0


sys.exit(main(sys.argv[1]))
