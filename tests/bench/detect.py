#!/usr/bin/env python3
"""What `vigie detector replay` finds on labelled public data, and how fast it reads files.

VIGIE_BENCH_DATA names the folder that holds detect/: the data and its scorer, score.py, with the
actions `run COMMAND FOLDER` and `score FOLDER --json FILE`. Without it only the speed is measured. What is
printed is described in tools/bench.py.
"""
import json
import math
import os
import pathlib
import random
import resource
import subprocess
import sys
import tempfile

GOALS = {  # Set, path to the number in the scorer's result, and the goal.
    "nab_standard": (("nab", "standard", "best"), ">= 78"),
    "nab_standard_fixed": (("nab", "standard", "fixed"), ">= 72"),
    "nab_low_fp": (("nab", "low_fp", "best"), None),
    "nab_low_fn": (("nab", "low_fn", "best"), None),
    "aiops_event_ap": (("aiops", "event_ap"), ">= 0.52"),
    "aiops_delay_f1": (("aiops", "delay_f1"), ">= 0.87"),
    "aiops_false_alarm_hours": (("aiops", "false_alarm_hours_per_day"), "<= 2.8"),
    "wsd_event_ap": (("wsd", "event_ap"), ">= 0.75"),
    "wsd_delay_f1": (("wsd", "delay_f1"), ">= 0.85"),
    "wsd_false_alarm_hours": (("wsd", "false_alarm_hours_per_day"), "<= 0.2"),
}
ROWS = 200_000


def say(measure, value, unit, goal):
    print(json.dumps({"measure": measure, "value": value, "unit": unit, "goal": goal}), flush=True)


def speed(vigie, folder):
    noise = random.Random(1)
    source = folder / "series.csv"
    with source.open("w") as rows:
        rows.write("timestamp,value\n")
        for i in range(ROWS):
            value = 100 + 40 * math.sin(i * 60 * 2 * math.pi / 86400) + noise.gauss(0, 3)
            rows.write(f"{1_700_000_000 + 60 * i},{value:.6f}\n")
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    before = used()
    with (folder / "judged.csv").open("w") as judged:
        subprocess.run([vigie, "detector", "replay", str(source)], stdout=judged, check=True)
    say("replay_rate", ROWS / (used() - before), "rows/s", None)


def public(vigie, data, folder):
    scorer = [sys.executable, str(data / "score.py")]
    command = f"{vigie} detector replay {{in}}"
    jobs = str(os.cpu_count() or 1)
    subprocess.run([*scorer, "run", command, str(folder / "scores"), "--jobs", jobs], check=True)
    result = folder / "result.json"
    subprocess.run([*scorer, "score", str(folder / "scores"), "--json", str(result)], check=True,
                   stdout=subprocess.DEVNULL)
    figures = json.loads(result.read_text())
    for measure, (path, goal) in GOALS.items():
        value = figures
        for step in path:
            value = value[step]
        say(measure, value, "hours/day" if "hours" in measure else "", goal)
    looks = subprocess.run([*scorer, "lookahead", command, "--jobs", jobs], check=False)
    say("looks_ahead", looks.returncode, "", "<= 0")


def main():
    vigie = os.environ["VIGIE"]
    data = os.environ.get("VIGIE_BENCH_DATA")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        speed(vigie, folder)
        if data:
            public(vigie, pathlib.Path(data) / "detect", folder)
        else:
            print("VIGIE_BENCH_DATA names no folder: nothing was scored on public data")


if __name__ == "__main__":
    main()
