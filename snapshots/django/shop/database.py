"""The database: PostgreSQL or MySQL, whichever DATABASE_URL names."""

from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote

POSTGRES: dict[str, Any] = {
    "ENGINE": "django.db.backends.postgresql",
    "OPTIONS": {"connect_timeout": 5},
}
MYSQL: dict[str, Any] = {
    "ENGINE": "django.db.backends.mysql",
    "OPTIONS": {
        "connect_timeout": 5,
        # PyMySQL reconnects by itself when Django asks after the connection's health, and then does
        # this again; what Django sets for an isolation level would be lost.
        "init_command": "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "isolation_level": None,
    },
}


def connect_by(url: SplitResult) -> dict[str, Any]:
    engine = MYSQL if url.scheme == "mysql" else POSTGRES
    return engine | {
        "HOST": url.hostname,
        "PORT": url.port or "",
        "USER": unquote(url.username or ""),
        "PASSWORD": unquote(url.password or ""),
        "NAME": unquote(url.path.removeprefix("/")),
        "OPTIONS": engine["OPTIONS"] | dict(parse_qsl(url.query)),
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }
