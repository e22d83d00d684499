"""Builds the image of each rendered service, and prints its size and how long a build takes: without a layer from
before, and after a change of one line of its source.

    python3 benches/images.py [STACK …]
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOZEN = ROOT / "target" / "release" / "dozen"
NAME = "benchshop"
COMMENTS = {".py": "#", ".ts": "//", ".rs": "//"}


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return done.stdout


def build(project: Path, *options: str) -> float:
    """Seconds of a build."""
    start = time.perf_counter()
    run("docker", "build", "--tag", NAME, *options, ".", cwd=project)
    return time.perf_counter() - start


def change_a_line(project: Path) -> None:
    files = (project / name for name in run("git", "ls-files", cwd=project).split())
    sources = (file for file in files if file.suffix in COMMENTS and "tests" not in file.parts)
    source = next(sources)
    source.write_text(f"{source.read_text()}{COMMENTS[source.suffix]} changed\n")


def measure(stack: str, folder: Path) -> list[str]:
    project = folder / stack
    run(DOZEN, "new", NAME, "--stack", stack, "--yes", "--into", project)
    cold = build(project, "--no-cache")
    change_a_line(project)
    warm = build(project)
    size = json.loads(run("docker", "image", "inspect", NAME))[0]["Size"]
    run("docker", "image", "rm", "--force", NAME)
    return [stack, f"{size / 1_000_000:.0f}", f"{cold:.0f}", f"{warm:.1f}"]


def main() -> None:
    run("cargo", "build", "--release", "--quiet")
    known = sorted(path.parent.name for path in (ROOT / "templates").glob("*/stack.toml"))
    print("| | image, MB | first build, s | after a change, s |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for stack in sys.argv[1:] or known:
            print(f"| {' | '.join(measure(stack, Path(folder)))} |", flush=True)


if __name__ == "__main__":
    main()
