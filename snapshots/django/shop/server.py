"""The web process: gunicorn, with what it lacks at shutdown."""

import os
import signal
import socket
import sys
import time
from functools import cache, partial
from pathlib import Path
from selectors import EVENT_READ
from types import FrameType
from typing import Any, override

from django.conf import settings
from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import TConn, ThreadWorker

from .deadline import exit_after
from .health import draining
from .logs import get_logger
from .wsgi import application

THREADS = 16
# A heartbeat is a file; here it waits for no disk.
MEMORY = "/dev/shm"  # noqa: S108
# Longer than what stands in front keeps its own connections: it must not find them closed.
KEEP_ALIVE = 75
# How long a stopping server waits for a request that may be on its way.
LINGER = 0.5

log = get_logger(__name__)


class Server(BaseApplication):
    @override
    def load_config(self) -> None:
        config = {
            "bind": f"fd://{_listen(settings.PORT)}",
            "worker_class": Worker,
            "workers": settings.WEB_CONCURRENCY,
            "threads": THREADS,
            "keepalive": KEEP_ALIVE,
            "preload_app": True,
            "graceful_timeout": settings.SHUTDOWN_TIMEOUT,  # a worker ends itself before
            "control_socket_disable": True,
            "worker_tmp_dir": MEMORY if Path(MEMORY).is_dir() else None,
            "loglevel": settings.LOG_LEVEL,
            "logconfig_dict": settings.LOGGING,
        }
        for name, value in config.items():
            self.cfg.set(name, value)

    @override
    def load(self) -> Any:
        return application


class Worker(ThreadWorker):
    @override
    def run(self) -> None:
        super().run()
        # All that is left is to free memory, and to wait for threads whose time is up.
        os._exit(0)

    @override
    def accept(self, listener: socket.socket) -> None:
        """Let a connection take a thread when it says something, not before."""
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        self.nr_conns += 1
        idle = TConn(self.cfg, client, address, listener.getsockname())
        idle.set_timeout()
        self.keepalived_conns.append(idle)
        self.poller.register(client, EVENT_READ, partial(self.on_client_socket_readable, idle))

    @override
    def set_accept_enabled(self, enabled: bool | None) -> None:
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                listener.close()
            for idle in self.keepalived_conns:
                idle.timeout = time.monotonic() + LINGER

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        draining.set()
        super().handle_exit(sig, frame)
        exit_after(settings.DRAIN_TIMEOUT)

    @override
    def is_parent_alive(self) -> bool:
        alive = super().is_parent_alive()
        if not alive:
            self.handle_exit(signal.SIGTERM, None)
        return alive


@cache
def _listen(port: int) -> int:
    """Give the descriptor of a listening socket, the same to a gunicorn that reloads."""
    dualstack = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dualstack else socket.AF_INET
    try:
        listener = socket.create_server(("", port), family=family, dualstack_ipv6=dualstack)
    except OSError as error:
        log.error("cannot listen", port=port, error=error.strerror)
        sys.exit(1)
    return listener.detach()
