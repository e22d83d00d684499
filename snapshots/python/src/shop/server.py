"""The web process: uvicorn, with what it lacks at shutdown."""

import asyncio
import signal
import socket
import sys
from types import FrameType

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .deadline import exit_after
from .fork import fork
from .logs import get_logger
from .settings import Settings
from .web import create_app

log = get_logger(__name__)


class Protocol(H11Protocol):
    """At shutdown uvicorn cuts a request whose head is half sent; here it may still arrive."""

    draining = False

    def shutdown(self) -> None:
        self.draining = True
        received, _ = self.conn.trailing_data
        if not received:
            super().shutdown()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.draining:
            super().shutdown()


class Server(uvicorn.Server):
    def __init__(self, settings: Settings, parent: socket.socket | None) -> None:
        self._app = create_app(settings)
        self._exit_timeout = settings.exit_timeout
        self._parent = parent
        super().__init__(
            uvicorn.Config(
                self._app,
                http=Protocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=settings.drain_timeout,  # type: ignore[arg-type]
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._parent:
            asyncio.get_running_loop().add_reader(self._parent, self._lose_parent, self._parent)

    def _lose_parent(self, parent: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(parent)
        self.handle_exit(signal.SIGTERM, None)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.state.draining = True
        exit_after(self._exit_timeout)
        super().handle_exit(sig, frame)


def serve(settings: Settings) -> None:
    try:
        listener = _listen(settings.port)
    except OSError as error:
        log.error("cannot listen", port=settings.port, error=error.strerror)
        sys.exit(1)
    parent = fork(settings.web_concurrency, listener) if settings.web_concurrency > 1 else None
    Server(settings, parent).run([listener])


def _listen(port: int) -> socket.socket:
    dualstack = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dualstack else socket.AF_INET
    listener = socket.create_server(("", port), family=family, dualstack_ipv6=dualstack)
    # asyncio sets this on sockets that it makes itself; without it answers wait for Nagle's timer.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
