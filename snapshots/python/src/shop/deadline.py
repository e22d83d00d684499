import os
import threading


def exit_after(timeout: float) -> None:
    """Exit after the timeout, whatever still runs, blocks or hangs by then."""
    timer = threading.Timer(timeout, os._exit, [0])
    timer.daemon = True
    timer.start()
