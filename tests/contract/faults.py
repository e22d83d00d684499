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


def is_caught(project: Path, stack: str, trial: str) -> bool:
    command = ["cargo", "test", "--quiet", "--features", "contract", "--test", "contract", "--"]
    result = subprocess.run(
        [*command, trial, "--skip", f"{stack}/mysql"],
        cwd=ROOT,
        env=os.environ | {"DOZEN_CONTRACT_PROJECT": str(project), "DOZEN_CONTRACT_STACK": stack},
        capture_output=True,
        text=True,
    )
    return "... FAILED" in result.stdout


def main() -> None:
    chosen = sys.argv[1:]
    missed = 0
    for data in sorted((HERE / "stacks").glob("*-faults.toml")):
        stack = data.name.removesuffix("-faults.toml")
        faults = tomllib.loads(data.read_text())["fault"]
        with tempfile.TemporaryDirectory() as temporary:
            original = Path(temporary, NAME)
            dozen = ["cargo", "run", "--quiet", "--", "new", NAME, "--stack", stack, "--yes"]
            subprocess.run(
                [*dozen, "--into", original], cwd=ROOT, check=True, stdout=subprocess.DEVNULL
            )
            for fault in faults:
                if chosen and fault["name"] not in chosen:
                    continue
                broken = Path(temporary, fault["name"], NAME)
                break_copy(original, broken, fault)
                caught = is_caught(broken, stack, fault["trial"])
                missed += not caught
                print(f"{'caught' if caught else 'MISSED'}  {stack}  {fault['name']}", flush=True)
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
