"""Several web processes on one port: a parent that keeps them running and serves nothing itself."""

import os
import signal
import socket
import sys
import time

from .logs import get_logger

log = get_logger(__name__)


def fork(count: int, listener: socket.socket) -> socket.socket:
    """Return in the children alone, with a socket that ends once the parent stops or dies."""
    parent, lifeline = socket.socketpair()
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True
        listener.close()
        lifeline.close()

    handlers = {signum: signal.signal(signum, stop) for signum in (signal.SIGTERM, signal.SIGINT)}
    running = 0
    while running or not stopping:
        if running < count and not stopping:
            if os.fork() == 0:
                lifeline.close()
                for signum, handler in handlers.items():
                    signal.signal(signum, handler)
                return parent
            running += 1
        else:
            pid, status = os.wait()
            running -= 1
            if not stopping:
                log.error("web process died", pid=pid, status=os.waitstatus_to_exitcode(status))
                time.sleep(1)
    sys.exit(0)
