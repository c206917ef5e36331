#!/usr/bin/env python3
"""The template miner and the log detector on public, labelled logs: accuracy, speed beside Drain3 in
the same run, memory, and injected incidents.

VIGIE names the program, VIGIE_BENCH_DATA the folder whose logs/ holds the sets and their scripts
(score_logs.py, make_big.py, incidents.py); without it nothing can be measured. Drain3 comes from PyPI
into build/bench/drain3. Prints one JSON object for each measure; see tools/bench.py.
"""
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
VIGIE = os.environ.get("VIGIE", str(ROOT / "build" / "release" / "vigie"))
BIG_LINES = 1_000_000
DRAIN3_LINES = 50_000
RUNS = 5
TEMPLATES = 100_000
SEEDS = (101, 202)

DRAIN3 = """
import sys, time
from drain3 import TemplateMiner
lines = open(sys.argv[1], encoding="utf-8").read().split("\\n")[:int(sys.argv[2])]
miner = TemplateMiner()
start = time.process_time()
for line in lines:
    miner.add_log_message(line)
print(len(lines) / (time.process_time() - start))
"""


def tell(measure, value, unit, goal=None):
    print(json.dumps({"measure": measure, "value": value, "unit": unit, "goal": goal}), flush=True)


def run(command, out=subprocess.DEVNULL):
    """CPU seconds and peak memory in bytes of a program that must succeed."""
    with subprocess.Popen([str(word) for word in command], stdout=out, stdin=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as process:
        said = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command[0]} {command[1]}: {said}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, said


def script(folder, name, *words):
    run([sys.executable, folder / name, *words])


def accuracy(folder, work):
    for kind in ("online", "settled"):
        answers = work / kind
        answers.mkdir()
        for place in sorted((folder / "data").glob("*.raw.log")):
            name = place.name.removesuffix(".raw.log")
            with open(answers / f"{name}.csv", "w", encoding="utf-8") as out:
                run([VIGIE, "detector", "logs", folder / "data" / f"{name}.log",
                     *(["--settled"] if kind == "settled" else [])], out)
        script(folder, "score_logs.py", answers, "--json", work / "score.json")
        score = json.loads((work / "score.json").read_text())
        corrected, original = score["corrected"]["average"], score["original"]["average"]
        tell(f"ga_{kind}_corrected", corrected["GA"], "share",
             ">= 0.95" if kind == "settled" else ">= 0.92")
        tell(f"ga_{kind}_original", original["GA"], "share")
        tell(f"fga_{kind}_corrected", corrected["FGA"], "share", ">= 0.92")
        tell(f"fga_{kind}_original", original["FGA"], "share")
    tell("pa_corrected", corrected["PA"], "share", ">= 0.75")
    tell("pa_original", original["PA"], "share")


def drain3_rates(lines):
    """Lines a second of CPU, or None when PyPI is out of reach."""
    place = ROOT / "build" / "bench" / "drain3"
    python = place / "bin" / "python3"
    try:
        if not python.exists():
            venv.create(place, with_pip=True)
        subprocess.run([python, "-m", "pip", "-q", "install", "drain3"], check=True,
                       capture_output=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        print(f"Drain3 cannot be installed, so there is no ratio: {error}")
        return None
    return [float(subprocess.run([python, "-c", DRAIN3, lines, str(DRAIN3_LINES)], check=True,
                                 capture_output=True, text=True).stdout) for _ in range(3)]


def speed(folder, work):
    script(folder, "make_big.py", work / "big", "--lines", BIG_LINES)
    lines = work / "big" / "ALL.log"
    rates, whole = [], []
    for _ in range(RUNS):
        cpu, _, said = run([VIGIE, "detector", "logs", lines])
        whole.append(BIG_LINES / cpu)
        rates.append(float(said.split(" mined in ")[1].split()[0]))
    rate = BIG_LINES / statistics.median(rates)
    tell("miner_rate", rate, "lines/s of CPU", ">= 1000000")
    tell("whole_program_rate", statistics.median(whole), "lines/s of CPU")
    others = drain3_rates(lines)
    if others:
        tell("drain3_rate", statistics.median(others), "lines/s of CPU")
        tell("times_drain3", rate / statistics.median(others), "times", ">= 15")


def memory(work):
    rnd = random.Random(1)
    words = ["".join(rnd.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(5000)]
    place = work / "many.log"
    with open(place, "w", encoding="utf-8") as out:
        for _ in range(TEMPLATES):
            out.write(" ".join(rnd.choices(words, k=10)) + f" took {rnd.randrange(1000)} ms\n")
    _, peak, said = run([VIGIE, "detector", "logs", place, "--templates-max", TEMPLATES])
    if f" {TEMPLATES} templates" not in said:
        sys.exit(f"not as many templates as meant: {said}")
    tell("memory_100000_templates", peak / 1e6, "MB", "<= 200")


def incidents(folder, work):
    for seed in SEEDS:
        place = work / f"incidents{seed}"
        script(folder, "incidents.py", "make", place, "--seed", seed)
        with open(work / "alerts.csv", "w", encoding="utf-8") as out:
            run([VIGIE, "detector", "logs", "--alerts", place / "stream.log"], out)
        script(folder, "incidents.py", "score", work / "alerts.csv", "--truth",
               place / "incidents.csv", "--json", work / "incidents.json")
        score = json.loads((work / "incidents.json").read_text())
        tell(f"incidents_found_seed_{seed}", score["found"], f"of {score['incidents']}", ">= 27")
        tell(f"false_alerts_seed_{seed}", score["false_per_service_day"],
             "a service and day", "<= 0.1")
        tell(f"delay_median_seed_{seed}", score["median_delay_s"], "s")


def main():
    data = os.environ.get("VIGIE_BENCH_DATA")
    folder = pathlib.Path(data or "") / "logs"
    if not data or not (folder / "score_logs.py").exists():
        sys.exit("bench logs: VIGIE_BENCH_DATA must name a folder with logs/score_logs.py")
    with tempfile.TemporaryDirectory(prefix="vigie-bench-logs-") as work:
        work = pathlib.Path(work)
        accuracy(folder, work)
        memory(work)
        speed(folder, work)
        incidents(folder, work)


if __name__ == "__main__":
    main()
