"""Measures the four rendered services beside each other, in one run, and prints a table.

Each is rendered, installed from its lock and run on this machine's PostgreSQL and Redis, one process of `web`:
how long it takes from its start to the first 200 of /readyz (median), how much memory its processes keep for
themselves at rest (PSS), and how many `GET /notes/{id}` it answers a second.

    python3 benches/services.py [STACK …]

Needs what `tests/run` installs, and wrk (Debian's package of that name).
"""

import contextlib
import http.client
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOZEN = ROOT / "target" / "release" / "dozen"
NAME = "benchshop"
STARTS = 7
CONNECTIONS = 16
SECONDS = 10
# Where the locked installs put programs, relative to a project; cargo may have been told another place.
BINS = [".venv/bin", "node_modules/.bin", os.environ.get("CARGO_TARGET_DIR", "target") + "/release"]
LOG = subprocess.DEVNULL


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> None:
    subprocess.run(list(map(str, command)), cwd=cwd, check=True, stdout=LOG, env=os.environ | environment)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(port: int, path: str) -> int | None:
    """The status of an answer, or nothing where nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


@contextlib.contextmanager
def running(command: list[str | Path], **options: object) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(
        list(map(str, command)), stdout=LOG, stderr=LOG, start_new_session=True, **options
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT if "postgres" in str(command[0]) else signal.SIGTERM)
        process.wait(timeout=30)


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Yield the URL of an empty server."""
    (programs,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
    # PostgreSQL does not run as root.
    user = ["runuser", "--user", "postgres", "--"] if os.geteuid() == 0 else []
    data, port = folder / "postgres", free_port()
    data.mkdir()
    if user:
        shutil.chown(data, "postgres")
        folder.chmod(0o755)
    run(*user, programs / "initdb", "--auth=trust", "--username=shop", "--encoding=UTF8", "-D", data, cwd=folder)
    server = [*user, programs / "postgres", "-D", data, "-p", str(port), "-k", "", "-c", "listen_addresses=127.0.0.1"]
    with running(server, cwd=folder):
        ready = [programs / "pg_isready", "--quiet", "--host=127.0.0.1", f"--port={port}"]
        while subprocess.run(ready, check=False).returncode:
            time.sleep(0.1)
        yield f"postgres://shop:shop@127.0.0.1:{port}"


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str]:
    port = free_port()
    with running(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]):
        yield f"redis://127.0.0.1:{port}"


def tree_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in tree_of(int(child)))]


def memory(pid: int) -> float:
    """MiB that a process and its children keep, what is shared counted once."""
    rollups = (Path(f"/proc/{member}/smaps_rollup").read_text() for member in tree_of(pid))
    return sum(int(re.search(r"^Pss: +(\d+)", rollup, re.MULTILINE)[1]) for rollup in rollups) / 1024


def post_note(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("POST", "/notes", json.dumps({"body": "three little words"}), {"content-type": "application/json"})
    return json.load(connection.getresponse())["id"]


def load(port: int, path: str) -> float:
    """Answers a second; any other than 200 is an error."""
    url = f"http://127.0.0.1:{port}{path}"
    wrk = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{SECONDS}s", url]
    said = subprocess.check_output(wrk, text=True)
    if "Non-2xx" in said or "Socket errors" in said:
        sys.exit(f"{url}:\n{said}")
    return float(re.search(r"Requests/sec: +([\d.]+)", said)[1])


def measure(stack: str, folder: Path, database: str, broker: str) -> list[str]:
    project = folder / stack / NAME
    run(DOZEN, "new", NAME, "--stack", stack, "--yes", "--into", project)
    run("make", "install", cwd=project)
    if (project / "Cargo.toml").exists():
        # What `make` builds is for development.
        run("cargo", "build", "--release", "--locked", cwd=project)
    run(database_tool(), f"{database}/postgres", "--quiet", "--command", f"CREATE DATABASE {stack}")
    port = free_port()
    bins = ":".join(str(project / folder) for folder in BINS)
    environment = {
        "PATH": f"{bins}:{os.environ['PATH']}",
        "DATABASE_URL": f"{database}/{stack}",
        "REDIS_URL": f"{broker}/{sorted(stacks()).index(stack)}",
        "SESSION_SECRET": secrets.token_hex(32),
        "PORT": str(port),
    }
    lines = dict(line.split(": ", 1) for line in (project / "Procfile").read_text().splitlines())
    commands = {name: shlex.split(line) for name, line in lines.items()}
    subprocess.run(commands["release"], cwd=project, env=environment, check=True, stdout=LOG)

    starts = []
    for _ in range(STARTS + 1):
        begin = time.perf_counter()
        with running(commands["web"], cwd=project, env=environment):
            while get(port, "/readyz") != 200:
                time.sleep(0.005)
            starts.append(time.perf_counter() - begin)
    with (
        running(commands["web"], cwd=project, env=environment) as web,
        running(commands["worker"], cwd=project, env=environment) as worker,
    ):
        while get(port, "/readyz") != 200:
            time.sleep(0.05)
        path = f"/notes/{post_note(port)}"
        time.sleep(5)
        resting = memory(web.pid), memory(worker.pid)
        load(port, path)  # warms up
        rate = load(port, path)
    # The first start fills an interpreter's caches, as a build of the image does.
    ready = statistics.median(starts[1:]) * 1000
    return [stack, f"{ready:,.0f}", f"{resting[0]:,.0f}", f"{resting[1]:,.0f}", f"{rate:,.0f}"]


def database_tool() -> str:
    return shutil.which("psql") or sys.exit("psql is missing: tests/run installs it")


def stacks() -> list[str]:
    return [path.parent.name for path in (ROOT / "templates").glob("*/stack.toml")]


def main() -> None:
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")
    run("cargo", "build", "--release", "--quiet", CARGO_TARGET_DIR=str(ROOT / "target"))
    print("| | ready after, ms | web at rest, MiB | worker at rest, MiB | `GET /notes/{id}` a second |")
    print("|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as name, postgres(Path(name)) as database, redis(Path(name)) as broker:
        for stack in sys.argv[1:] or sorted(stacks()):
            print(f"| {' | '.join(measure(stack, Path(name), database, broker))} |", flush=True)


if __name__ == "__main__":
    main()
