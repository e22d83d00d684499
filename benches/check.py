#!/usr/bin/env python3
"""`dozen check` beside `rg` on a tree of 50,000 files: the same files, for one pattern of equal extent.

The pattern is the words by which `check` decides which files it parses, so both search for the same. Each is run in
turns; the medians and their ratio are printed. The bar is 2.
"""

import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
DOZEN = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target")) / "release" / "dozen"
FILES = int(os.environ.get("FILES", 50_000))
ROUNDS = int(os.environ.get("ROUNDS", 5))
ENDS = ["py", "js", "ts", "rs"]
LINES = {
    "py": "def handler_{n}(request, value):\n    total = value * {n}\n    return render(request, total, 'page_{n}')\n\n",
    "js": "function handler{n}(request, value) {{\n  const total = value * {n};\n  return render(request, total, 'page{n}');\n}}\n\n",
    "ts": "export function handler{n}(request: Request, value: number): string {{\n  return render(request, value * {n});\n}}\n\n",
    "rs": "pub fn handler_{n}(request: &Request, value: u64) -> String {{\n    render(request, value * {n})\n}}\n\n",
}


def write_tree(root):
    """Files as a large service has them: a few read the environment or open a file, most do not."""
    random.seed(12)
    for name, text in {
        "package.json": '{"name": "large", "dependencies": {"express": "5"}, "scripts": {"start": "node src/f0/m1.js"}}',
        "requirements.txt": "flask==3.0.0\n",
        "Cargo.toml": '[package]\nname = "large"\n[dependencies]\naxum = "0.8"\n',
    }.items():
        (root / name).write_text(text)
    for number in range(FILES):
        end = ENDS[number % 4]
        folder = root / "src" / f"f{number // 100}"
        folder.mkdir(parents=True, exist_ok=True)
        text = "".join(LINES[end].format(n=random.randrange(10_000)) for _ in range(random.randrange(5, 40)))
        if number % 50 == 0:
            text += {"py": "import os\nDEBUG = os.environ['A']\n", "js": "const a = process.env.A;\n",
                     "ts": "const a = process.env.A;\n", "rs": "fn f() { std::env::var(\"A\"); }\n"}[end]
        (folder / f"m{number}.{end}").write_text(text)


def words():
    """Every word that a rule of syntax asks for."""
    found = set()
    for path in (HERE / "src/check/rules").rglob("*.yaml"):
        line = re.search(r"^words: \[(.*)\]$", path.read_text(), re.M)
        if line:
            # A list of YAML is one of JSON where every word is quoted.
            quoted = json.loads(f"[{line[1]}]") if line[1].startswith('"') and line[1].endswith('"') else None
            found.update(quoted or [word.strip().strip("\"'") for word in line[1].split(",")])
    return sorted(found)


def main():
    if not DOZEN.exists():
        sys.exit(f"{DOZEN} is not there: cargo build --release")
    if not shutil.which("rg"):
        sys.exit("rg (ripgrep) is not on the PATH")
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        write_tree(root)
        list_of_words = root.parent / f"{root.name}-words"
        list_of_words.write_text("\n".join(words()))
        commands = {
            "rg": ["rg", "--no-config", "-F", "-c", "-f", str(list_of_words), str(root)],
            "dozen check": [DOZEN, "check", "--json", "--fail-on", "never", str(root)],
        }
        times = {name: [] for name in commands}
        for _ in range(ROUNDS + 1):
            for name, command in commands.items():
                start = time.perf_counter()
                subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
                times[name].append(time.perf_counter() - start)
        list_of_words.unlink()
        medians = {name: statistics.median(values[1:]) for name, values in times.items()}
        for name, median in medians.items():
            print(f"{name:<12} {median * 1000:8.0f} ms  x {median / medians['rg']:.2f}")


main()
