"""The configuration: environment variables and nothing else, the same for every process."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit


class InvalidError(Exception):
    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


def _url(schemes: set[str], path: str) -> Callable[[str], SplitResult]:
    def parse(text: str) -> SplitResult:
        url = urlsplit(text)
        _ = url.port  # raises where it is none
        if url.scheme not in schemes or not url.hostname or not re.fullmatch(path, url.path):
            raise ValueError
        return url

    return parse


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError
        return int(text)

    return parse


def _text(pattern: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text, re.DOTALL):
            raise ValueError
        return text

    return parse


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError
    return text == "true"


def _variable(parse: Callable[[str], Any], rule: str, default: str | None = None) -> Any:  # noqa: ANN401
    return field(repr=False, metadata={"parse": parse, "rule": rule, "default": default})


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A rule says what a value must be: it is what somebody reads whose value is not."""

    database_url: SplitResult = _variable(
        _url({"postgres", "postgresql", "mysql"}, "/[^/]+"),
        "must be a postgres:// or mysql:// URL with a host and a database",
    )
    redis_url: SplitResult = _variable(
        _url({"redis", "rediss"}, r"(/\d*)?"), "must be a redis:// or rediss:// URL with a host"
    )
    session_secret: str = _variable(_text(".{32,}"), "must have at least 32 characters")
    https: bool = _variable(_flag, "must be true or false", "false")
    port: int = _variable(_whole(1, 65535), "must be a whole number from 1 to 65535", "8000")
    log_level: str = _variable(
        _text("debug|info|warning|error"), "must be debug, info, warning or error", "info"
    )
    shutdown_timeout: int = _variable(
        _whole(1, 3600), "must be a whole number of seconds from 1 to 3600", "10"
    )
    web_concurrency: int = _variable(_whole(1, 1000), "must be a whole number from 1 to 1000", "1")
    release: str = _variable(str, "", "dev")

    @classmethod
    def load(cls, variables: Mapping[str, str]) -> Self:
        values: dict[str, Any] = {}
        errors = []
        for variable in fields(cls):
            name = variable.name.upper()
            text = variables.get(name) or variable.metadata["default"]
            if text is None:
                errors.append(f"{name}: is required")
                continue
            try:
                values[variable.name] = variable.metadata["parse"](text)
            except ValueError:
                errors.append(f"{name}: {variable.metadata['rule']}")
        if errors:
            raise InvalidError(errors)
        return cls(**values)
