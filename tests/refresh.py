"""Brings the dependencies of every template, and their locks, to the newest versions.

Each stack is rendered, upgraded by its own package manager, and what changed is written back as templates.
`just refresh` also blesses the snapshots and runs every test.

    python3 tests/refresh.py [STACK …]
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "target" / "refresh"
SLUG, PACKAGE = "my-shop", "my_shop"  # in no dependency's name, so that they can be replaced


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    path = f"{TOOLS / 'bin'}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path}
    subprocess.run(list(map(str, command)), cwd=cwd, check=True, env=environment, stdout=sys.stderr)


def upgrade_uv(project: Path) -> None:
    """uv moves the lock; the lower bounds are raised to it, so that they say what was tested."""
    run("uv", "lock", "--upgrade", cwd=project)
    packages = tomllib.loads((project / "uv.lock").read_text())["package"]
    versions = {package["name"]: package["version"] for package in packages if "version" in package}
    manifest = project / "pyproject.toml"
    raised = re.sub(
        r'"([a-z0-9-]+)(\[[a-z,]+\])?>=[0-9.]+"',
        lambda bound: f'"{bound[1]}{bound[2] or ""}>={versions[bound[1]]}"',
        manifest.read_text(),
    )
    manifest.write_text(raised)
    run("uv", "lock", cwd=project)


def upgrade_npm(project: Path) -> None:
    """A release of which a platform's part is not in the registry (yet) is left for another day."""
    lock = project / "package-lock.json"
    held = {"@types/node"}  # of the oldest Node that will do, not of the newest
    while True:
        run("npx", "--yes", "npm-check-updates", "--upgrade", "--reject", ",".join(held), cwd=project)
        run("npm", "install", "--package-lock-only", cwd=project)
        incomplete = find_incomplete(lock)
        if not incomplete:
            break
        held |= incomplete
        run("git", "checkout", "--quiet", ".", cwd=project)
    complete = lock.read_bytes()
    run("npm", "update", "--package-lock-only", cwd=project)
    if find_incomplete(lock):
        lock.write_bytes(complete)


def find_incomplete(lock: Path) -> set[str]:
    """The packages that name optional ones which the lock does not have."""
    packages = json.loads(lock.read_text())["packages"]
    names = {path.rpartition("node_modules/")[2]: package for path, package in packages.items()}
    return {
        name
        for name, package in names.items()
        if not package.get("optionalDependencies", {}).keys() <= names.keys()
    }


def upgrade_cargo(project: Path) -> None:
    if not (TOOLS / "bin" / "cargo-upgrade").exists():
        run("cargo", "install", "--locked", "--root", TOOLS, "cargo-edit")
    run("cargo", "upgrade", "--incompatible", "allow", "--pinned", "allow", cwd=project)
    run("cargo", "update", cwd=project)


UPGRADES = {"uv.lock": upgrade_uv, "package-lock.json": upgrade_npm, "Cargo.lock": upgrade_cargo}


def render(stack: str, project: Path) -> Path:
    run("cargo", "run", "--quiet", "--", "new", SLUG, "--stack", stack, "--yes", "--into", project)
    return project


def make_template(path: str, text: str) -> str:
    text = text.replace(PACKAGE, "[= package =]").replace(SLUG, "[= slug =]")
    if path == "Cargo.lock":
        # The service's own package goes where its name belongs.
        head, packages = text.split("[[package]]", 1)
        text = f"{head}<% filter sort_packages %>[[package]]{packages.rstrip()}<% endfilter %>\n"
    return text


def write_back(stack: str, project: Path) -> list[str]:
    """Turn what changed in a project into templates again. Returns the paths."""
    listing = subprocess.check_output(["git", "diff", "--name-only"], cwd=project, text=True)
    for path in listing.split():
        template = ROOT / "templates" / stack / "app" / f"{path}.tera"
        if not template.exists():
            sys.exit(f"{stack}: {path} was changed, and {template} is no template")
        template.write_text(make_template(path, (project / path).read_text()))
    return listing.split()


def refresh(stack: str, folder: Path) -> None:
    project = render(stack, folder / "old")
    for lock, upgrade in UPGRADES.items():
        if (project / lock).exists():
            upgrade(project)
    changed = write_back(stack, project)
    upgraded = {path: (project / path).read_bytes() for path in changed}
    project = render(stack, folder / "new")
    for path, content in upgraded.items():
        if (project / path).read_bytes() != content:
            sys.exit(f"{stack}: {path} renders to something else than what was upgraded")
    print(f"{stack}: {', '.join(changed) or 'all is current'}")


def main() -> None:
    known = sorted(path.parent.name for path in (ROOT / "templates").glob("*/stack.toml"))
    for stack in sys.argv[1:] or known:
        # Outside of any repository: in dozen's own, `new` would make none.
        with tempfile.TemporaryDirectory() as folder:
            refresh(stack, Path(folder))


if __name__ == "__main__":
    main()
