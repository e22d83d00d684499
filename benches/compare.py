"""Renders the same work with dozen, four other generators and `cp -r`, in turns, and prints medians.

Each tool gets a local template with the same files and the service's name in the same places, and writes
into a new folder every time, without git. The tools are installed below target/bench on the first run.

    python3 benches/compare.py [ROUNDS]
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "target" / "bench"
BIN = HOME / "bin"
WORK = HOME / "work"
DOZEN = ROOT / "target" / "release" / "dozen"
NAME = "benchshop"  # occurs nowhere else, so that it can be replaced by a placeholder
ENVIRONMENT = {"PATH": f"{BIN}:{HOME / 'venv' / 'bin'}:{os.environ['PATH']}", "HOME": str(WORK), "USER": "bench"}
# The newest that Rust 1.95 builds from its lock.
RUST_TOOLS = {
    "kickstart": ["kickstart", "--features", "cli"],
    "cargo-generate": ["cargo-generate@0.23.8"],
}

Prepare = Callable[[Path, Path], list[str]]


def run(*command: str | Path, **options: object) -> None:
    subprocess.run(list(map(str, command)), check=True, **options)


def install() -> None:
    run("cargo", "build", "--release", "--quiet", cwd=ROOT)
    for tool, crate in RUST_TOOLS.items():
        if not (BIN / tool).exists():
            run("cargo", "install", "--locked", "--quiet", "--root", HOME, *crate)
    if not (HOME / "venv" / "bin" / "copier").exists():
        run(sys.executable, "-m", "venv", HOME / "venv")
        run(HOME / "venv" / "bin" / "pip", "install", "--quiet", "copier", "cookiecutter")


def copy_as_template(tree: Path, template: Path, name: str, open_tag: str) -> None:
    """Copy a tree with a placeholder for the name, in paths and contents, and the engine's own tags escaped."""
    for source in tree.rglob("*"):
        target = template / str(source.relative_to(tree)).replace(NAME, name)
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text()
        for tag in ["{{", "{%", "{#"]:
            text = text.replace(tag, open_tag.replace("TAG", tag))
        target.write_text(text.replace(NAME, name))


def prepare_dozen(_tree: Path, _template: Path) -> list[str]:
    return [str(DOZEN), "new", NAME, "--stack", "python", "--yes", "--no-git", "--into", "OUT"]


def prepare_cp(tree: Path, _template: Path) -> list[str]:
    return ["cp", "-r", str(tree), "OUT"]


def prepare_kickstart(tree: Path, template: Path) -> list[str]:
    copy_as_template(tree, template / "{{ name }}", "{{ name }}", '{{ "TAG" }}')
    (template / "template.toml").write_text(
        'name = "bench"\nkickstart_version = 1\n'
        f'[[variables]]\nname = "name"\nprompt = "name"\ndefault = "{NAME}"\n'
    )
    return ["kickstart", str(template), "--no-input", "--output-dir", "OUT"]


def prepare_cargo_generate(tree: Path, template: Path) -> list[str]:
    copy_as_template(tree, template, "{{ service }}", '{{ "TAG" }}')
    (template / "cargo-generate.toml").write_text(
        f'[placeholders.service]\ntype = "string"\nprompt = "name"\ndefault = "{NAME}"\n'
    )
    return [
        "cargo-generate", "generate", "--path", str(template), "--name", NAME, "--vcs", "none",
        "--define", f"service={NAME}", "--silent", "--destination", "PARENT",
    ]  # fmt: skip


def prepare_copier(tree: Path, template: Path) -> list[str]:
    copy_as_template(tree, template / "template", "{{ name }}", "{{ 'TAG' }}")
    (template / "copier.yml").write_text(
        f"_subdirectory: template\n_templates_suffix: ''\nname:\n  type: str\n  default: {NAME}\n"
    )
    return ["copier", "copy", "--quiet", "--defaults", str(template), "OUT"]


def prepare_cookiecutter(tree: Path, template: Path) -> list[str]:
    copy_as_template(
        tree, template / "{{cookiecutter.name}}", "{{cookiecutter.name}}", "{{ 'TAG' }}"
    )
    (template / "cookiecutter.json").write_text(f'{{"name": "{NAME}"}}')
    return ["cookiecutter", "--no-input", "--output-dir", "OUT", str(template)]


TOOLS: dict[str, Prepare] = {
    "cp -r": prepare_cp,
    "dozen": prepare_dozen,
    "kickstart": prepare_kickstart,
    "cargo-generate": prepare_cargo_generate,
    "cookiecutter": prepare_cookiecutter,
    "copier": prepare_copier,
}


def measure(command: list[str], out: Path) -> float:
    """Milliseconds of one run, which must leave as many files as the tree has."""
    parent = out.parent
    shutil.rmtree(parent, ignore_errors=True)
    parent.mkdir(parents=True)
    filled = [part.replace("OUT", str(out)).replace("PARENT", str(parent)) for part in command]
    start = time.perf_counter()
    subprocess.run(
        filled, check=True, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    return (time.perf_counter() - start) * 1000


def count_files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    install()
    shutil.rmtree(WORK, ignore_errors=True)
    tree = WORK / "tree"
    run(DOZEN, "new", NAME, "--stack", "python", "--yes", "--no-git", "--into", tree, stdout=subprocess.DEVNULL)
    files = count_files(tree)

    commands = {}
    for tool, prepare in TOOLS.items():
        template = WORK / "templates" / tool.replace(" ", "")
        template.mkdir(parents=True)
        commands[tool] = prepare(tree, template)

    times: dict[str, list[float]] = {tool: [] for tool in TOOLS}
    starts: list[float] = []
    for number in range(rounds + 1):
        for tool, command in commands.items():
            out = WORK / "out" / "repository"
            took = measure(command, out)
            made = count_files(out.parent)
            if made < files:
                sys.exit(f"{tool} made {made} of {files} files")
            if number:  # the first round warms the caches
                times[tool].append(took)
        starts.append(measure([str(DOZEN), "--version"], WORK / "out" / "none"))

    medians = {tool: statistics.median(taken) for tool, taken in times.items()}
    print(f"{files} files, {rounds} rounds, medians\n")
    print(f"{'':16}{'ms':>8}{'x cp -r':>10}{'x dozen':>10}")
    for tool, median in medians.items():
        print(f"{tool:16}{median:8.1f}{median / medians['cp -r']:10.1f}{median / medians['dozen']:10.1f}")
    print(f"\ndozen --version: {statistics.median(starts):.1f} ms")


if __name__ == "__main__":
    main()
