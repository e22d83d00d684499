#!/usr/bin/env python3
"""`dozen check` beside `rg` on 50,000 files, of one service and of 500 apps: the same files, for one pattern of equal extent.

The pattern is the words by which `check` decides which files it parses, so both search for the same. Each is run in
turns; the medians and their ratio are printed. The bar is 2, for one service.
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
TREES = {"one service": 1, "500 apps": 500}
ENDS = ["py", "js", "ts", "rs"]
LINES = {
    "py": "def handler_{n}(request, value):\n    total = value * {n}\n    return render(request, total, 'page_{n}')\n\n",
    "js": "function handler{n}(request, value) {{\n  const total = value * {n};\n  return render(request, total, 'page{n}');\n}}\n\n",
    "ts": "export function handler{n}(request: Request, value: number): string {{\n  return render(request, value * {n});\n}}\n\n",
    "rs": "pub fn handler_{n}(request: &Request, value: u64) -> String {{\n    render(request, value * {n})\n}}\n\n",
}


IMPORTS = {
    "py": "from flask import request\nfrom .m{near} import handler\nimport shared.values\n\n",
    "js": "import express from 'express';\nimport {{ handler }} from './m{near}.js';\n\n",
    "ts": "import express from 'express';\nimport {{ handler }} from './m{near}';\n\n",
    "rs": "use axum::Router;\n\n",
}


def write_tree(root, apps):
    """Files as large services have them: a few read the environment or open a file, most do not."""
    random.seed(12)
    for app in range(apps):
        home = root / f"apps/a{app}" if apps > 1 else root
        home.mkdir(parents=True, exist_ok=True)
        start = f"node src/f{app * (FILES // apps) // 100}/m{app * (FILES // apps) + 1}.js"
        for name, text in {
            "package.json": json.dumps(
                {"name": f"large{app}", "dependencies": {"express": "5"}, "scripts": {"start": start}}
            ),
            "requirements.txt": "flask==3.0.0\n",
            "Cargo.toml": f'[package]\nname = "large{app}"\n[dependencies]\naxum = "0.8"\n',
        }.items():
            (home / name).write_text(text)
    for number in range(FILES):
        end = ENDS[number % 4]
        home = root / f"apps/a{number * apps // FILES}" if apps > 1 else root
        folder = home / "src" / f"f{number // 100}"
        folder.mkdir(parents=True, exist_ok=True)
        # A file of the same language, in the same folder.
        text = IMPORTS[end].format(near=number // 100 * 100 + (number + 4) % 100)
        text += "".join(LINES[end].format(n=random.randrange(10_000)) for _ in range(random.randrange(5, 40)))
        if number % 50 == 0:
            text += {"py": "import os\nDEBUG = os.environ['A']\n", "js": "const a = process.env.A;\n",
                     "ts": "const a = process.env.A;\n", "rs": "fn f() { std::env::var(\"A\"); }\n"}[end]
        (folder / f"m{number}.{end}").write_text(text)


# Of a list of YAML on one line: a word in double quotes, in single ones, or in none.
WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|([^,\s][^,]*)')


def words():
    """Every word that a rule of syntax asks for."""
    found = set()
    for path in (HERE / "src/check/rules").rglob("*.yaml"):
        line = re.search(r"^words: \[(.*)\]$", path.read_text(), re.M)
        for double, single, plain in WORD.findall(line[1]) if line else []:
            found.add(json.loads(f'"{double}"') if double else single or plain.strip())
    return sorted(found)


def compare(name, root):
    list_of_words = root.parent / f"{root.name}-words"
    list_of_words.write_text("\n".join(words()))
    commands = {
        "rg": ["rg", "--no-config", "-F", "-c", "-f", str(list_of_words), str(root)],
        "dozen check": [DOZEN, "check", "--json", "--fail-on", "never", str(root)],
    }
    times = {command: [] for command in commands}
    for _ in range(ROUNDS + 1):
        for command, words_of_it in commands.items():
            start = time.perf_counter()
            subprocess.run(words_of_it, stdout=subprocess.DEVNULL, check=False)
            times[command].append(time.perf_counter() - start)
    list_of_words.unlink()
    medians = {command: statistics.median(values[1:]) for command, values in times.items()}
    print(f"{FILES} files, {name}")
    for command, median in medians.items():
        print(f"  {command:<12} {median * 1000:8.0f} ms  x {median / medians['rg']:.2f}")


def main():
    if not DOZEN.exists():
        sys.exit(f"{DOZEN} is not there: cargo build --release")
    if not shutil.which("rg"):
        sys.exit("rg (ripgrep) is not on the PATH")
    for name, apps in TREES.items():
        with tempfile.TemporaryDirectory() as folder:
            write_tree(pathlib.Path(folder), apps)
            compare(name, pathlib.Path(folder))


main()
