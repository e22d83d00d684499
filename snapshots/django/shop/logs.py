"""The log: every line of every library one JSON object on stdout, and nothing on stderr."""

import logging
import logging.config
import sys
import threading
from datetime import UTC, datetime
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

get_logger = structlog.stdlib.get_logger


def config(level: str) -> dict[str, Any]:
    """Give the settings that logging, Django and gunicorn configure loggers by."""
    passed_on = {"level": "NOTSET", "handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "processors": [
                    _head,
                    structlog.contextvars.merge_contextvars,
                    structlog.processors.format_exc_info,
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.JSONRenderer(default=str),
                ],
            }
        },
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "formatter": "json",
                "stream": "ext://sys.stdout",
            }
        },
        "root": {"level": level.upper(), "handlers": ["stdout"]},
        "loggers": {
            "django": passed_on,
            "django.server": passed_on,
            "gunicorn.error": passed_on,
            # They repeat what problems.py and the line of the request say.
            "django.request": {"level": "CRITICAL"},
            "django.security.RequestDataTooBig": {"level": "CRITICAL"},
        },
    }


def configure(config: dict[str, Any]) -> None:
    logging.config.dictConfig(config)
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    sys.excepthook = lambda _type, error, _traceback: _uncaught(error)
    sys.unraisablehook = lambda unraisable: _uncaught(unraisable.exc_value)
    threading.excepthook = lambda thread: _uncaught(thread.exc_value)


def _uncaught(error: BaseException | None) -> None:
    logging.getLogger(__name__).error("uncaught exception", exc_info=error)


def _head(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    timestamp = datetime.fromtimestamp(record.created, UTC)
    return {
        "timestamp": timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": "error" if record.levelno >= logging.ERROR else record.levelname.lower(),
        "message": event.pop("event"),
        "logger": record.name,
        **event,
    }
