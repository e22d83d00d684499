"""Shows that the contract's trials can fail: breaks copies of a service, one fault each, and runs the trial
that has to catch it. The faults of a stack are data, in stacks/<stack>-faults.toml.

    python3 tests/contract/faults.py [FAULT …]
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NAME = "my-shop"


def break_copy(original: Path, folder: Path, fault: dict) -> None:
    git = ["git", "-c", "user.name=faults", "-c", "user.email=faults@localhost"]
    subprocess.run([*git, "clone", "--quiet", original, folder], check=True)
    (path,) = (folder / "src").glob(f"*/{fault['file']}")
    text = path.read_text()
    for old, new in fault["edits"]:
        if old not in text:
            sys.exit(f"{fault['name']}: {fault['file']} has no `{old}` any more")
        text = text.replace(old, new)
    path.write_text(text)
    subprocess.run([*git, "commit", "--quiet", "--all", "--message", "Break it"], cwd=folder, check=True)


def passes(project: Path, stack: str, trial: str) -> bool:
    command = ["cargo", "test", "--features", "contract", "--test", "contract", "--"]
    result = subprocess.run(
        [*command, trial, "--skip", f"{stack}/mysql"],
        cwd=ROOT,
        env=os.environ
        | {"CI": "1", "DOZEN_CONTRACT_PROJECT": str(project), "DOZEN_CONTRACT_STACK": stack},
        capture_output=True,
        text=True,
    )
    if " 0 passed; 0 failed" in result.stdout or "test result" not in result.stdout:
        sys.exit(f"no trial ran for `{trial}`:\n{result.stdout}{result.stderr}")
    return result.returncode == 0


def try_faults(stack: str, faults: list[dict], folder: Path) -> int:
    """Print each fault's outcome. Returns how many went unnoticed."""
    original = folder / "original" / NAME
    dozen = ["cargo", "run", "--quiet", "--", "new", NAME, "--stack", stack, "--yes"]
    subprocess.run([*dozen, "--into", original], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    for trial in sorted({fault["trial"] for fault in faults}):
        if not passes(original, stack, trial):
            sys.exit(f"`{trial}` fails on the service as it is: mend that first")
    missed = 0
    for fault in faults:
        broken = folder / fault["name"] / NAME
        break_copy(original, broken, fault)
        caught = not passes(broken, stack, fault["trial"])
        missed += not caught
        print(f"{'caught' if caught else 'MISSED'}  {stack}  {fault['name']}", flush=True)
    return missed


def main() -> None:
    chosen = sys.argv[1:]
    missed = 0
    for data in sorted((HERE / "stacks").glob("*-faults.toml")):
        faults = tomllib.loads(data.read_text())["fault"]
        faults = [fault for fault in faults if not chosen or fault["name"] in chosen]
        with tempfile.TemporaryDirectory() as folder:
            missed += try_faults(data.name.removesuffix("-faults.toml"), faults, Path(folder))
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
