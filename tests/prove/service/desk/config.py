"""What the environment says, read once. Whatever is wrong with it is said in one go, and no value is shown."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

LEVELS = ("debug", "info", "warning", "error")


class ConfigError(Exception):
    pass


@dataclass(frozen=True)
class Config:
    database_url: str
    redis_url: str
    app_secret: str
    port: int
    log_level: str
    shutdown_timeout: int
    release: str

    @classmethod
    def read(cls) -> "Config":
        problems: list[str] = []

        def take[T](name: str, parse: Callable[[str], T | None], wanted: str, default: str = "") -> T:
            text = os.environ.get(name) or default
            value = parse(text) if text else None
            if value is None:
                problems.append(f"{name} must be {wanted}" if text else f"{name} is missing")
            return value  # type: ignore[return-value]  # None goes no further than `problems`

        config = cls(
            database_url=take("DATABASE_URL", url("postgres", "postgresql"), "a postgres:// URL"),
            redis_url=take("REDIS_URL", url("redis", "rediss"), "a redis:// URL"),
            app_secret=take("APP_SECRET", lambda s: s if len(s) >= 32 else None, "32 characters or more"),
            port=take("PORT", whole(1, 65535), "a number from 1 to 65535", "8000"),
            log_level=take("LOG_LEVEL", lambda s: s if s in LEVELS else None, "one of " + ", ".join(LEVELS), "info"),
            shutdown_timeout=take("SHUTDOWN_TIMEOUT", whole(1, 3600), "a number of seconds", "10"),
            release=take("RELEASE", str, "a name", "dev"),
        )
        if problems:
            raise ConfigError("; ".join(problems))
        return config


def whole(lowest: int, highest: int) -> Callable[[str], int | None]:
    def parse(text: str) -> int | None:
        return int(text) if text.isdecimal() and lowest <= int(text) <= highest else None

    return parse


def url(*schemes: str) -> Callable[[str], str | None]:
    def parse(text: str) -> str | None:
        try:
            parts = urlsplit(text)
            return text if parts.scheme in schemes and parts.hostname and parts.port != 0 else None
        except ValueError:
            return None

    return parse
