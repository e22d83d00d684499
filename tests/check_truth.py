#!/usr/bin/env python3
"""How far `dozen check` agrees with repositories that a person has read: three figures, and every disagreement.

Usage: check_truth.py CHECKOUTS [TRUTH]. CHECKOUTS has a folder `owner__name` for each repository of TRUTH, at its
commit; TRUTH is ../shared/check-truth/truth.json where it is not given.
"""

import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE / "target"))


def check(folder):
    for profile in ("release", "debug"):
        dozen = TARGET / profile / "dozen"
        if dozen.exists():
            break
    dozen = os.environ.get("DOZEN", dozen)
    run = subprocess.run([dozen, "check", "--json", "--fail-on", "never", folder], capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{folder}: {run.stderr}")
    return json.loads(run.stdout)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    checkouts = pathlib.Path(sys.argv[1])
    truth_file = sys.argv[2] if len(sys.argv) > 2 else HERE / "../shared/check-truth/truth.json"
    truth = json.loads(pathlib.Path(truth_file).read_text())
    agreed = cells = found = lines = right = at_line = reported = 0
    for name, repository in truth["repos"].items():
        folder = checkouts / name.replace("/", "__")
        if not folder.is_dir():
            print(f"no checkout of {name} in {checkouts}", file=sys.stderr)
            continue
        report = check(folder)
        print(f"== {name}")
        for said in report["factors"]:
            known = repository["factors"][said["factor"]]
            is_disputed = known["debatable"]
            wanted = {e["at"] for e in known["evidence"] if e["polarity"] == "-"}
            told = [f"{e['path']}:{e['line']}" for e in said["evidence"] if e["polarity"] == "-"]
            rules = {f"{e['path']}:{e['line']}": e["rule"] for e in said["evidence"] if e["polarity"] == "-"}
            lines += len(wanted)
            found += len(wanted & set(told))
            # A line counts as right where the reader saw the factor broken, and exactly right where he named it.
            reported += len(told)
            right += len(told) if known["verdict"] in ("partly", "violated") else 0
            at_line += len(wanted & set(told))
            if not is_disputed:
                cells += 1
                agreed += said["verdict"] == known["verdict"]
            if said["verdict"] != known["verdict"]:
                print(f"  {said['factor']}: {said['verdict']} ({said['reason']}), the reader: {known['verdict']}"
                      f"{' (disputed)' if is_disputed else ''} ({known['note']})")
            if missed := sorted(wanted - set(told)):
                print(f"  {said['factor']}: missed {', '.join(missed)}")
            if known["verdict"] not in ("partly", "violated"):
                for line in told:
                    print(f"  {said['factor']}: reported {line} ({rules[line]}), which the reader does not hold against it")
    if not cells:
        sys.exit("nothing to compare")
    share = lambda part, whole: f"{part}/{whole} = {100 * part / max(whole, 1):.1f} %"
    print(f"\nverdicts that agree, of those not disputed: {share(agreed, cells)} (the bar: 85 %)")
    print(f"lines of violations that are found:         {share(found, lines)} (the bar: 70 %)")
    print(f"lines reported that are right:              {share(right, reported)} (the bar: 90 %; "
          f"named by the reader himself: {share(at_line, reported)})")


main()
