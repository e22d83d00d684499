import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROCFILE = Path(__file__).parent.parent / "Procfile"
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
COMMANDS = dict(line.split(": ") for line in PROCFILE.read_text().splitlines())

type Process = subprocess.Popen[str]
type Start = Callable[..., Process]


@pytest.fixture
def start() -> Iterator[Start]:
    processes = []

    def start(name: str, **variables: str) -> Process:
        process = subprocess.Popen(
            shlex.split(COMMANDS[name]),
            env=os.environ | {"PATH": PATH, "LOG_LEVEL": "info"} | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


@pytest.fixture
def port() -> int:
    with socket.create_server(("", 0)) as server:
        _, port = server.getsockname()
        return int(port)


def connect(port: int) -> socket.socket:
    deadline = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def logged(process: Process) -> list[str]:
    output, errors = process.communicate(timeout=60)
    assert errors == ""
    lines = [json.loads(line) for line in output.splitlines()]
    assert all(line["timestamp"].endswith("Z") and line["level"] for line in lines)
    return [line["message"] for line in lines]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_process_checks_its_configuration(start: Start, name: str) -> None:
    process = start(name, DATABASE_URL="", PORT="none")
    assert logged(process) == ["invalid configuration"]
    assert process.returncode == 1


def test_migrations_may_run_at_once(start: Start) -> None:
    releases = [start("release") for _ in range(2)]
    for release in releases:
        logged(release)
    assert [release.returncode for release in releases] == [0, 0]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_worker_stops(start: Start, signum: signal.Signals) -> None:
    worker = start("worker")
    assert worker.stdout
    assert "worker started" in worker.stdout.readline()
    worker.send_signal(signum)
    assert logged(worker) == ["worker stopped"]
    assert worker.returncode == 0


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_web_answers_what_was_begun_before_it_stops(
    start: Start, port: int, processes: str, signum: signal.Signals
) -> None:
    web = start("web", PORT=str(port), WEB_CONCURRENCY=processes)
    with connect(port) as idle, connect(port) as begun:
        idle.sendall(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        begun.sendall(b"GET /livez HTTP/1.1\r\n")
        time.sleep(0.5)
        web.send_signal(signum)
        time.sleep(0.5)
        begun.sendall(b"Host: test\r\n\r\n")
        assert begun.recv(4096).startswith(b"HTTP/1.1 200")
    assert "request" in logged(web)
    assert web.returncode == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_children_die_with_their_parent(start: Start, port: int) -> None:
    web = start("web", PORT=str(port), WEB_CONCURRENCY="2")
    with connect(port) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
    web.kill()
    logged(web)


def test_web_names_a_port_in_use(start: Start) -> None:
    with socket.create_server(("", 0)) as server:
        _, port = server.getsockname()
        web = start("web", PORT=str(port))
        assert logged(web) == ["cannot listen"]
    assert web.returncode == 1
