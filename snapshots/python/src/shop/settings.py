"""The configuration: environment variables and nothing else, the same for every process."""

import re
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AnyUrl,
    Field,
    Secret,
    SecretStr,
    UrlConstraints,
    ValidationError,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict


class InvalidSettingsError(Exception):
    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


def _path(pattern: str) -> AfterValidator:
    def check(url: AnyUrl) -> AnyUrl:
        if not re.fullmatch(pattern, url.path or ""):
            raise ValueError
        return url

    return AfterValidator(check)


DatabaseUrl = Annotated[
    AnyUrl,
    UrlConstraints(allowed_schemes=["postgres", "postgresql", "mysql"], host_required=True),
    _path("/[^/]+"),
]
RedisUrl = Annotated[
    AnyUrl,
    UrlConstraints(allowed_schemes=["redis", "rediss"], host_required=True),
    _path(r"(/\d*)?"),
]


class Settings(BaseSettings):
    """A description says what a value must be: it is what somebody reads whose value is not."""

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True, hide_input_in_errors=True)

    database_url: Secret[DatabaseUrl] = Field(
        description="must be a postgres:// or mysql:// URL with a host and a database"
    )
    redis_url: Secret[RedisUrl] = Field(
        description="must be a redis:// or rediss:// URL with a host"
    )
    session_secret: SecretStr = Field(description="must have at least 32 characters", min_length=32)
    port: int = Field(8000, description="must be a whole number from 1 to 65535", ge=1, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="must be debug, info, warning or error"
    )
    shutdown_timeout: int = Field(
        10, description="must be a whole number of seconds from 1 to 3600", ge=1, le=3600
    )
    web_concurrency: int = Field(
        1, description="must be a whole number from 1 to 1000", ge=1, le=1000
    )
    release: str = "dev"

    @property
    def drain_timeout(self) -> float:
        """How long work in progress may go on once a process is told to stop."""
        return max(self.shutdown_timeout - 1.5, self.shutdown_timeout / 2)

    @property
    def exit_timeout(self) -> float:
        """When a process is ended that has not ended by then."""
        return (self.drain_timeout + self.shutdown_timeout) / 2

    @classmethod
    def load(cls) -> Self:
        try:
            return cls()
        except ValidationError as invalid:
            errors = [cls._explain(error) for error in invalid.errors()]
            raise InvalidSettingsError(errors) from None

    @classmethod
    def _explain(cls, error: ErrorDetails) -> str:
        name = str(error["loc"][0])
        missing = error["type"] == "missing"
        rule = "is required" if missing else cls.model_fields[name].description
        return f"{name.upper()}: {rule}"
