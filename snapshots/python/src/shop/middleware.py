"""What surrounds every request: its id, its line in the log, its limit, and its unforeseen end."""

import re
import time
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from .logs import get_logger
from .problems import ProblemResponse

BODY_LIMIT = 1024 * 1024
DISCARD_LIMIT = 16 * BODY_LIMIT
REQUEST_ID = re.compile(r"[\w.:/+=-]{1,128}", re.ASCII)

log = get_logger(__name__)


class RequestMiddleware:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        request_id = _request_id(scope)
        started = time.perf_counter()
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        with bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, _limited(receive), send_with_id)
            except Exception:
                log.exception("unhandled exception")
                if status:
                    raise
                await ProblemResponse(500)(scope, receive, send_with_id)
            finally:
                log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    duration_ms=round((time.perf_counter() - started) * 1000, 1),
                )


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("X-Request-Id", "")
    return given if REQUEST_ID.fullmatch(given) else uuid4().hex


def _limited(receive: Receive) -> Receive:
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > BODY_LIMIT:
            # A client that is still sending when the connection closes may not see the answer.
            while message.get("more_body") and received < DISCARD_LIMIT:
                message = await receive()
                received += len(message.get("body", b""))
            raise HTTPException(413, "the body is larger than 1 MiB")
        return message

    return limited
