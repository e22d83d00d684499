"""Errors as application/problem+json (RFC 9457)."""

import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus

from django.core.exceptions import BadRequest, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.forms.utils import ErrorDict
from django.http import HttpRequest, HttpResponseNotAllowed, JsonResponse
from django.http.response import HttpResponseBase
from redis.exceptions import RedisError

from .logs import get_logger

log = get_logger(__name__)


class ProblemResponse(JsonResponse):
    def __init__(
        self,
        status: int,
        detail: str | None = None,
        errors: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        problem = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": status,
            "detail": detail,
            "errors": errors,
        }
        super().__init__(
            {name: value for name, value in problem.items() if value is not None},
            status=status,
            content_type="application/problem+json",
            headers=dict(headers or {}),
        )


def invalid(where: str, errors: ErrorDict) -> ProblemResponse:
    return ProblemResponse(
        422,
        errors=[
            {"field": f"{where}.{field}", "detail": str(detail)}
            for field, details in errors.items()
            for detail in details
        ],
    )


def bad_request(_: HttpRequest, exception: Exception) -> ProblemResponse:
    if isinstance(exception, RequestDataTooBig):
        return ProblemResponse(413, "the body is larger than 1 MiB")
    return ProblemResponse(400, str(exception) if isinstance(exception, BadRequest) else None)


def forbidden(_: HttpRequest, exception: Exception) -> ProblemResponse:
    return ProblemResponse(403, str(exception) or None)


def csrf_failure(_: HttpRequest, reason: str) -> ProblemResponse:
    return ProblemResponse(403, reason)


def not_found(_: HttpRequest, exception: Exception) -> ProblemResponse:
    match exception.args:
        case [str(detail)]:
            return ProblemResponse(404, detail)
    return ProblemResponse(404)


type GetResponse = Callable[[HttpRequest], HttpResponseBase]


def explain_not_allowed(get_response: GetResponse) -> GetResponse:
    """Django answers a wrong method without a body."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if isinstance(response, HttpResponseNotAllowed):
            return ProblemResponse(405, headers={"Allow": response["Allow"]})
        return response

    return middleware


def server_error(_: HttpRequest) -> ProblemResponse:
    match error := sys.exception():
        case OperationalError() | InterfaceError() | RedisError():
            log.warning("a backing service does not answer", error=str(error))
            return ProblemResponse(503, "a backing service does not answer")
    log.error("unhandled exception", exc_info=error)
    return ProblemResponse(500)
