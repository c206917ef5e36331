#!/usr/bin/env python3
"""Runs clang-tidy on the product's sources, a few at a time, and only where something changed.

A source is clean as long as it, the repository's headers it includes, .clang-tidy and the
compiler's flags stay as they are; a stamp in build/tidy/clean/ remembers that.
"""
import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import time

from source import ROOT, read

BUILD = ROOT / "build" / "tidy"
STAMPS = BUILD / "clean"
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
NOISE = re.compile(r"^(\d+ warnings? (and \d+ errors? )?generated|Suppressed|Use -)")


def sources():
    """{path from the root: command} of what the tidy preset compiles of the product."""
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    found = {}
    for entry in commands:
        place = pathlib.Path(entry["file"])
        if place.is_relative_to(ROOT) and not place.is_relative_to(ROOT / "build"):
            found[place.relative_to(ROOT).as_posix()] = entry["command"]
    return {path: command for path, command in sorted(found.items())
            if not path.startswith("tests/")}


def included(path, seen):
    """`path` and every file of the repository that it includes, directly or not."""
    if path in seen or not (ROOT / path).is_file():
        return
    seen.add(path)
    for target in INCLUDE.findall(read(path)):
        included(target, seen)


def fingerprint(path, command):
    seen = set()
    included(path, seen)
    digest = hashlib.sha256(command.encode() + read(".clang-tidy").encode())
    for name in sorted(seen):
        digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes())
    return digest.hexdigest()


def run(path, command):
    """(path, seconds, findings); no findings when it is clean."""
    stamp = STAMPS / path.replace("/", "+")
    wanted = fingerprint(path, command)
    if stamp.is_file() and stamp.read_text() == wanted:
        return path, 0.0, ""
    started = time.monotonic()
    done = subprocess.run(
        ["clang-tidy-19", "--quiet", "-p", str(BUILD), path],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )
    seconds = time.monotonic() - started
    if done.returncode == 0:
        stamp.write_text(wanted)
        return path, seconds, ""
    lines = (done.stdout + done.stderr).splitlines()
    text = "\n".join(line for line in lines if not NOISE.match(line))
    return path, seconds, text or f"{path}: clang-tidy ended with {done.returncode}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("files", nargs="*", help="only these, as paths from the root")
    arguments = parser.parse_args()
    chosen = sources()
    if arguments.files:
        chosen = {path: chosen[path] for path in arguments.files if path in chosen}
    STAMPS.mkdir(parents=True, exist_ok=True)
    failed, times = 0, []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for path, seconds, text in pool.map(lambda item: run(*item), chosen.items()):
            times.append((seconds, path))
            if text:
                failed += 1
                print(text, flush=True)
    checked = sum(1 for seconds, _ in times if seconds > 0)
    slowest = ", ".join(f"{path} {seconds:.0f} s" for seconds, path in sorted(times)[:-4:-1])
    print(f"tidy: {failed} of {len(chosen)} sources with findings, {checked} checked now, "
          f"{sum(seconds for seconds, _ in times):.0f} s of work; slowest: {slowest}")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
