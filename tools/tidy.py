#!/usr/bin/env python3
"""Runs clang-tidy on the product's sources, and only where something changed.

A source is clean as long as it, the repository's headers it includes, .clang-tidy and the
compiler's flags stay as they are; a stamp in build/tidy/clean/ remembers that.

Most of the time goes into headers, so sources are read in units (units.py). A unit with findings is
read again source by source: what counts is said of sources.
"""
import argparse
import concurrent.futures
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

from source import ROOT, read
from units import included, units_of

BUILD = ROOT / "build" / "tidy"
STAMPS = BUILD / "clean"
UNITS = BUILD / "units"
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


def fingerprint(path, command):
    digest = hashlib.sha256(command.encode() + read(".clang-tidy").encode())
    for name in sorted(included(path)):
        digest.update(name.encode() + b"\0" + (ROOT / name).read_bytes())
    return digest.hexdigest()


def write_units(units, commands):
    """A source for each list, beside a copy of its folder's own .clang-tidy. {first path: source}."""
    shutil.rmtree(UNITS, ignore_errors=True)
    entries, sources_of = [], {}
    for paths in units:
        if len(paths) == 1:
            continue
        source = UNITS / paths[0]
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text("".join(f'#include "{ROOT / path}"\n' for path in paths))
        own = (ROOT / paths[0]).parent / ".clang-tidy"
        if own.is_file():
            shutil.copy(own, source.parent)
        command = commands[paths[0]].replace(str(ROOT / paths[0]), str(source))
        entries.append({"directory": str(BUILD), "file": str(source), "command": command})
        sources_of[paths[0]] = source
    UNITS.mkdir(parents=True, exist_ok=True)
    (UNITS / "compile_commands.json").write_text(json.dumps(entries))
    return sources_of


def clang_tidy(*arguments):
    """What it finds; empty when that is nothing."""
    done = subprocess.run(["clang-tidy-19", "--quiet", *arguments],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    lines = (done.stdout + done.stderr).splitlines()
    return "\n".join(line for line in lines if not NOISE.match(line)) or \
        f"clang-tidy ended with {done.returncode}"


def run(paths, unit):
    """(paths, seconds, {path: findings} where there are any)."""
    started = time.monotonic()
    found = {}
    if unit is None or clang_tidy("-p", str(UNITS), "--checks=-bugprone-suspicious-include",
                                  f"--header-filter=^{re.escape(str(ROOT))}/[a-z]", str(unit)):
        found = {path: clang_tidy("-p", str(BUILD), path) for path in paths}
    return paths, time.monotonic() - started, {path: text for path, text in found.items() if text}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("files", nargs="*", help="only these, as paths from the root")
    arguments = parser.parse_args()
    chosen = sources()
    if arguments.files:
        chosen = {path: chosen[path] for path in arguments.files if path in chosen}
    STAMPS.mkdir(parents=True, exist_ok=True)
    stamps = {path: STAMPS / path.replace("/", "+") for path in chosen}
    wanted = {path: fingerprint(path, command) for path, command in chosen.items()}
    changed = [path for path in chosen
               if not stamps[path].is_file() or stamps[path].read_text() != wanted[path]]
    units = units_of(changed)
    sources_of = write_units(units, chosen)
    failed, times = 0, []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for paths, seconds, found in pool.map(
                lambda paths: run(paths, sources_of.get(paths[0])), units):
            times.append((seconds, paths[0]))
            for path in paths:
                if path in found:
                    failed += 1
                    print(found[path], flush=True)
                else:
                    stamps[path].write_text(wanted[path])
    slowest = ", ".join(f"{path} {seconds:.0f} s" for seconds, path in sorted(times)[:-4:-1])
    print(f"tidy: {failed} of {len(chosen)} sources with findings, {len(changed)} checked now in "
          f"{len(units)} units, {sum(seconds for seconds, _ in times):.0f} s of work; "
          f"slowest: {slowest}")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
