"""Errors as application/problem+json (RFC 9457)."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from redis.exceptions import RedisError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from .logs import get_logger

log = get_logger(__name__)

type Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]


class Invalid(BaseModel):
    field: str
    detail: str


class Problem(BaseModel):
    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    errors: Sequence[Invalid] | None = None


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"

    def __init__(
        self,
        status: int,
        detail: str | None = None,
        errors: Sequence[Invalid] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        title = HTTPStatus(status).phrase
        # Starlette repeats it where it has nothing to add.
        detail = None if detail == title else detail
        problem = Problem(title=title, status=status, detail=detail, errors=errors)
        super().__init__(problem.model_dump(exclude_none=True), status, headers)


async def _http(_: Request, error: HTTPException) -> ProblemResponse:
    return ProblemResponse(error.status_code, error.detail, headers=error.headers)


async def _invalid(_: Request, error: RequestValidationError) -> ProblemResponse:
    errors = error.errors()
    if any(each["type"] == "json_invalid" for each in errors):
        return ProblemResponse(400, "the body is not JSON")
    return ProblemResponse(
        422,
        errors=[
            Invalid(field=".".join(map(str, each["loc"])), detail=each["msg"]) for each in errors
        ],
    )


async def _unavailable(_: Request, error: Exception) -> ProblemResponse:
    log.warning("a backing service does not answer", error=str(error))
    return ProblemResponse(503, "a backing service does not answer")


HANDLERS: dict[int | type[Exception], Handler] = {
    HTTPException: _http,
    RequestValidationError: _invalid,
    RedisError: _unavailable,
    OperationalError: _unavailable,
    InterfaceError: _unavailable,
    PoolTimeoutError: _unavailable,
}
