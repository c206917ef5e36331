#!/usr/bin/env python3
"""Writes docs/metrics.md from the constants in */metrics.h. --check: only says whether it is so."""
import re
import sys

from source import ROOT, files, read

PAGE = "docs/metrics.md"
CONSTANT = re.compile(r'MetricName\s+k\w+\s*\{\s*"(\w+)"\s*,((?:\s*"(?:\\.|[^"\\])*")+)\s*,?\s*\}')
NAME = re.compile(r'"(vigie_\w+)"')
FORM = re.compile(r"vigie(_[a-z0-9]+)+")

HEADER = """# Metrics

What `GET /metrics` of Vigie tells about Vigie itself. Base units: seconds, bytes, ratios from 0
to 1. Names ending in `_total` are counters; histograms end in `_seconds` and have `_bucket`,
`_sum` and `_count`. This page is written by `./dev fmt` from the `metrics.h` of each folder.
"""


def constants_of(path, text):
    """(name, help) of each constant; ends the program for one that cannot be read."""
    found = [
        (name, "".join(re.findall(r'"((?:\\.|[^"\\])*)"', parts)).replace('\\"', '"'))
        for name, parts in CONSTANT.findall(text)
    ]
    missed = set(NAME.findall(text)) - {name for name, _ in found}
    if missed:
        sys.exit(f"{path}: write {sorted(missed)} as MetricName kName{{\"name\", \"Help.\"}}")
    wrong = [name for name, _ in found if not FORM.fullmatch(name)]
    if wrong:
        sys.exit(f"{path}: {wrong} is not of the form vigie_folder_what_unit")
    return found


def page():
    parts = [HEADER]
    for path in files("/metrics.h"):
        rows = sorted(constants_of(path, read(path)))
        folder = path.removesuffix("/metrics.h")
        if not rows:  # Another kind of metrics.h: the registry, a detector of metrics.
            continue
        parts.append(f"\n## {folder}\n\n| metric | what it says |\n| --- | --- |\n")
        parts.extend(f"| `{name}` | {text.replace('|', chr(92) + '|')} |\n" for name, text in rows)
    return "".join(parts)


def main():
    text = page()
    place = ROOT / PAGE
    if "--check" in sys.argv:
        if not place.exists() or place.read_text() != text:
            print(f"{PAGE}: not what the metrics.h files say; run ./dev fmt")
            return 1
        print("metrics_doc: 0 errors")
        return 0
    place.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
