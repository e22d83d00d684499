"""`python -m desk web|worker|release|recount`."""

import logging
import sys

from . import admin, logs, web, worker
from .config import Config, ConfigError

COMMANDS = {
    "web": web.serve,
    "worker": worker.work,
    "release": admin.release,
    "recount": admin.recount,
}


def main(command: str) -> int:
    logs.configure()
    try:
        config = Config.read()
        logs.configure(config.log_level)
        COMMANDS[command](config)
    except ConfigError as error:
        logging.critical("%s", error)
        return 1
    except Exception:
        logging.critical("%s failed", command, exc_info=True)
        return 1
    return 0


sys.exit(main(sys.argv[1]))
