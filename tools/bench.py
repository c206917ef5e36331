#!/usr/bin/env python3
"""Runs benchmarks, prints a table and writes build/bench/NAME.json.

A benchmark is tests/bench/NAME.py or tests/bench/NAME.cc (target bench_NAME of the release
preset). It prints one JSON object on a line for each thing it measured:

    {"measure": "append_rate", "value": 81234, "unit": "records/s", "goal": ">= 50000"}

`goal` is null or a comparison (>=, >, <=, <) with a number. Other lines are passed on. The file
gets the same objects with `met`: true, false, or null without a goal. A miss does not fail the
run: a benchmark that could not measure does.
"""
import argparse
import json
import operator
import os
import re
import subprocess
import sys

from source import ROOT

FOLDER = ROOT / "tests" / "bench"
OUT = ROOT / "build" / "bench"
RELEASE = ROOT / "build" / "release"
COMPARE = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt}
TIME_MAX_SECONDS = 1800


def benchmarks():
    """{name: source} of everything in tests/bench."""
    return {
        place.stem: place
        for place in sorted(FOLDER.glob("*"))
        if place.suffix in (".py", ".cc") and not place.stem.startswith("_")
    }


def met(value, goal):
    if goal is None:
        return None
    match = re.fullmatch(r"(>=|<=|>|<) *(-?[0-9.]+(?:e-?[0-9]+)?)", goal)
    if not match:
        sys.exit(f"bench: '{goal}' is not a comparison with a number")
    return COMPARE[match.group(1)](value, float(match.group(2)))


def command_of(name, source):
    if source.suffix == ".py":
        return [sys.executable, str(source)]
    return [str(RELEASE / "tests" / "bench" / f"bench_{name}")]


def measure(name, source):
    """The measured objects; None when the program failed or measured nothing."""
    environment = dict(os.environ, VIGIE=str(RELEASE / "vigie"),
                       NATS_SERVER=str(ROOT / "build" / "tools" / "usr" / "sbin" / "nats-server"))
    rows = []
    with subprocess.Popen(command_of(name, source), cwd=ROOT, env=environment, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            if not line.startswith("{"):
                print(line, end="", flush=True)
                continue
            row = json.loads(line)
            row = {key: row.get(key) for key in ("measure", "value", "unit", "goal")}
            row["met"] = met(row["value"], row["goal"])
            rows.append(row)
        try:
            code = process.wait(TIME_MAX_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            code = "a timeout"
    if code != 0 or not rows:
        print(f"bench {name}: ended with {code} after {len(rows)} measures")
        return None
    return rows


def table(name, rows):
    says = {True: "met", False: "MISSED", None: ""}
    cells = [(row["measure"], f"{row['value']:,.6g}", row["unit"], row["goal"] or "",
              says[row["met"]]) for row in rows]
    cells.insert(0, (name, "value", "unit", "goal", ""))
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    for line in cells:
        texts = [line[0].ljust(widths[0]), line[1].rjust(widths[1])]
        texts += [line[column].ljust(widths[column]) for column in range(2, 5)]
        print("  ".join(texts).rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", action="store_true", help="only list what must be built")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    known = benchmarks()
    unknown = [name for name in arguments.names if name not in known]
    if unknown:
        sys.exit(f"bench: no {', '.join(unknown)} in tests/bench; there is: {', '.join(known)}")
    chosen = {name: known[name] for name in arguments.names or known}
    if arguments.targets:
        print("\n".join(f"bench_{name}" for name, place in chosen.items() if place.suffix == ".cc"))
        return 0
    OUT.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name, source in chosen.items():
        rows = measure(name, source)
        if rows is None:
            failed += 1
            continue
        table(name, rows)
        (OUT / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
