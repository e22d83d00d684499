#!/usr/bin/env python3
"""What `dozen add all` makes of repositories that a person has read: how many verdicts it turns to better ones.

Usage: add_truth.py CHECKOUTS [TRUTH] [--diffs FOLDER]. CHECKOUTS has a folder `owner__name` for each repository of
TRUTH, as check_truth.py wants them; each is copied, and never changed itself. With --diffs the patch of each
repository is left in FOLDER, for a person to read. Ends with 1 where a run crashes, a file does not parse any more, a
factor is worse, a second run finds something to do, or undo leaves anything else than what stood there.
"""

import argparse
import collections
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))
RANKS = {"met": 0, "not determinable": 1, "partly": 2, "violated": 3}
SHORT = ("partly", "violated")


class Wrong(Exception):
    """Something that must not happen to anybody's repository."""


def find_dozen():
    if given := os.environ.get("DOZEN"):
        return given
    return next((path for profile in ("release", "debug") if (path := TARGET / profile / "dozen").exists()), "dozen")


DOZEN = find_dozen()


def dozen(*arguments, codes=(0,)):
    run = subprocess.run([DOZEN, *arguments], capture_output=True, text=True)
    if run.returncode not in codes:
        raise Wrong(f"`dozen {' '.join(map(str, arguments))}` ended with {run.returncode}:\n{run.stderr}{run.stdout[-2000:]}")
    return run.stdout


def check(folder):
    return json.loads(dozen("check", "--json", "--fail-on", "never", folder))


def add(folder):
    """Adds all factors, with locks by the package managers here; where a file is in conflict, all but that one."""
    return json.loads(dozen("add", "all", "--yes", "--lock", "--on-conflict", "skip", "--json", "--path", folder,
                            codes=(0, 3)))


def read(folder):
    """Every file's bytes and mode, every link and every folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] in (".git", ".dozen"):
            continue
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))
        else:
            found[name] = (path.stat().st_mode, path.read_bytes() if path.is_file() else None)
    return found


def list_verdicts(report):
    return {said["factor"]: said["verdict"] for said in report["factors"]}


def try_on(checkout, copy, diffs):
    """Adds all to a copy; gives the verdicts before and after, and what is left to be done by hand."""
    shutil.copytree(checkout, copy, symlinks=True)
    files, report = read(copy), check(copy)
    before, unread = list_verdicts(report), {said["path"] for said in report["unread"]}
    if diffs:
        (diffs / f"{checkout.name}.diff").write_text(dozen("add", "all", "--lock", "--dry-run", "--diff", "--path", copy, codes=(0, 3)))
    added = add(copy)
    written, report = read(copy), check(copy)
    after = list_verdicts(report)
    if broken := {said["path"] for said in report["unread"]} - unread:
        raise Wrong(f"these cannot be read any more: {', '.join(sorted(broken))}")
    if worse := [name for name, verdict in after.items() if RANKS[verdict] > RANKS[before[name]]]:
        raise Wrong(f"these are worse: {', '.join(worse)}")
    if again := add(copy)["changes"]:
        raise Wrong(f"a second run changes {', '.join(change['path'] for change in again)}")
    if written != files:
        dozen("undo", "--path", copy)
        if left := {name for name, node in read(copy).items() ^ files.items()}:
            raise Wrong(f"undo does not restore {', '.join(map(str, sorted(left)))}")
    told = {left["factor"] for left in added["instructions"] + added["conflicts"]}
    silent = [name for name, verdict in after.items() if verdict in SHORT and name not in told]
    if silent:
        raise Wrong(f"nobody says what to do for {', '.join(silent)}")
    return before, after, added


def share(part, whole):
    return f"{part:3} of {whole:3}" + (f" = {100 * part / whole:3.0f} %" if whole else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", type=pathlib.Path)
    parser.add_argument("truth", type=pathlib.Path, nargs="?", default=HERE / "../shared/check-truth/truth.json")
    parser.add_argument("--diffs", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.diffs:
        arguments.diffs.mkdir(parents=True, exist_ok=True)
    factors, repositories = collections.defaultdict(collections.Counter), {}
    wrong = []
    for name in json.loads(arguments.truth.read_text())["repos"]:
        checkout = arguments.checkouts / name.replace("/", "__")
        if not checkout.is_dir():
            wrong.append(f"{name}: no checkout in {arguments.checkouts}")
            continue
        with tempfile.TemporaryDirectory(prefix="add-truth-") as folder:
            try:
                before, after, added = try_on(checkout, pathlib.Path(folder) / checkout.name, arguments.diffs)
            except Wrong as what:
                wrong.append(f"{name}: {what}")
                continue
        counts = repositories[name] = collections.Counter()
        print(f"== {name}: {len(added['changes'])} files changed, {len(added['conflicts'])} in conflict, "
              f"{len(added['instructions'])} places by hand")
        for factor, verdict in before.items():
            if verdict in SHORT:
                is_better = RANKS[after[factor]] < RANKS[verdict]
                tally = {"short": 1, "better": is_better, "met": after[factor] == "met"}
                counts.update(tally)
                factors[factor].update(tally)
                print(f"  {factor:18} {verdict:9} -> {after[factor]}")
    print()
    total = collections.Counter()
    for rows in (repositories, {slug: factors[slug] for slug in factors}):
        for name, counts in rows.items():
            print(f"{name:50} better {share(counts['better'], counts['short'])}, met {share(counts['met'], counts['short'])}")
        print()
    for counts in repositories.values():
        total.update(counts)
    print(f"short verdicts that are better now: {share(total['better'], total['short'])} (the bar: 60 %)")
    for what in wrong:
        print(f"WRONG: {what}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


main()
