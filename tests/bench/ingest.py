#!/usr/bin/env python3
"""What it costs to take metrics in, beside the programs that usually do: processor seconds of the
server process for the same bytes of the same sender, until it is at rest again; of Vigie that is until
everything is on its log and was judged by the detectors.

Series are past their warm-up before anything is measured, and known to every server.

VIGIE names the program. Prints one JSON object for each measure; see tools/bench.py. VIGIE_BENCH_ROUNDS
sets how often each measurement is repeated (5), VIGIE_BENCH_PARTS which parts run, by comma.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from _processes import (TOOLS, cpu_seconds, helper, metric, start_prometheus, start_victoria_metrics,
                        start_vigie, wait_quiet)
from serve import tell

ROUNDS = int(os.environ.get("VIGIE_BENCH_ROUNDS", "5"))
SERIES = 100_000
SAMPLES_A_REQUEST = 2_000
CONNECTIONS = 4
STEP_SECONDS = 60
WARM = 62         # Rounds of samples before it counts: an hour, as detectors ask for.
EACH = 8          # Rounds of samples in one measurement.
MANY_SERIES = 1_000_000
PATH = "/api/v1/write"


def write(port, series, rounds, begin_millis):
    """Sends the rounds [from, to); returns how many samples were taken."""
    done = subprocess.run(
        [helper("_write_sender"), str(port), PATH, str(CONNECTIONS), str(series),
         str(SAMPLES_A_REQUEST), str(rounds[0]), str(rounds[1]), str(begin_millis)],
        capture_output=True, text=True, timeout=900, check=False)
    if done.returncode != 0:
        sys.exit(f"the sender failed: {done.stdout} {done.stderr}")
    said = json.loads(done.stdout)
    if said["samples"] != series * (rounds[1] - rounds[0]):
        sys.exit(f"not all samples were taken: {said}")
    return said


def write_in_parts(port, series, rounds, begin_millis, most=20):
    """As write(), a few rounds at a time: the sender keeps them in memory."""
    for first in range(rounds[0], rounds[1], most):
        write(port, series, (first, min(first + most, rounds[1])), begin_millis)


def nothing_left(server):
    """Of Vigie: every request was read by the detectors."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if metric(server.api, "vigie_streams_input_lag_records{stage=\"detect-metrics\"") == 0:
            return
        time.sleep(0.2)
    sys.exit("the detectors did not come to the end of the log")


def remote_write(folder, others):
    """The product's nanoseconds a sample, for what comes later; that of the others if wanted."""
    begin = int(time.time() * 1000) - (WARM + (ROUNDS + 1) * EACH) * STEP_SECONDS * 1000
    nanos = {}
    for start in (start_vigie, *((start_victoria_metrics, start_prometheus) if others else ())):
        server = start(folder)
        port = server.api or server.port
        try:
            # Rounds are judged by what a server makes of them an hour later, so all get the hour.
            write_in_parts(port, SERIES, (0, WARM), begin)
            wait_quiet(server.pid)
            costs = []
            for number in range(ROUNDS):
                first = WARM + number * EACH
                before = cpu_seconds(server.pid)
                write(port, SERIES, (first, first + EACH), begin)
                wait_quiet(server.pid)
                if server.api:
                    nothing_left(server)
                costs.append((cpu_seconds(server.pid) - before) * 1e9 / (SERIES * EACH))
            nanos[server.name] = statistics.median(costs)
            tell(f"remote_write_{server.name}", round(nanos[server.name]), "cpu ns/sample")
            tell(f"remote_write_{server.name}_rate", round(1e9 / nanos[server.name]),
                 "samples/core-second")
            tell(f"remote_write_{server.name}_memory", round(server.resident() / 1e6), "MB")
        finally:
            server.stop()
    if others:
        tell("remote_write_against_victoria_metrics",
             round(nanos["victoria-metrics"] / nanos["vigie"], 2), "x", ">= 4")
        tell("remote_write_against_prometheus", round(nanos["prometheus"] / nanos["vigie"], 2),
             "x", ">= 20")
    return nanos["vigie"]


def memory(folder):
    server = start_vigie(folder, "many")
    try:
        wait_quiet(server.pid)
        empty = server.resident()
        begin = int(time.time() * 1000) - 4 * STEP_SECONDS * 1000
        write_in_parts(server.api, MANY_SERIES, (0, 3), begin, 1)
        wait_quiet(server.pid)
        nothing_left(server)
        tracked = metric(server.api, 'vigie_detectors_tracked_items{family="metrics"')
        if tracked < MANY_SERIES:
            print(f"only {tracked} series are tracked")
        tell("memory_of_process_with_1m_series", round(server.resident() / 1e6), "MB")
        tell("memory_per_series", round(server.resident() / MANY_SERIES), "B", "<= 700")
        tell("memory_per_series_beyond_empty_process",
             round((server.resident() - empty) / MANY_SERIES), "B")
    finally:
        server.stop()


def run_helper(name, *arguments):
    """The rows that a helper printed, which are passed on."""
    done = subprocess.run([helper(name), *map(str, arguments)], stdout=subprocess.PIPE, text=True,
                          timeout=600, check=True)
    rows = {}
    for line in done.stdout.splitlines():
        row = json.loads(line)
        tell(row["measure"], row["value"], row["unit"], row["goal"])
        rows[row["measure"]] = row["value"]
    return rows


def parts(folder, whole):
    rows = run_helper("_ingest_parts", f"{folder}/parts", SERIES, SAMPLES_A_REQUEST)
    bare = sum(rows[name] for name in ("part_decode", "part_append", "part_detect"))
    tell("whole_path", round(whole), "cpu ns/sample")
    tell("whole_path_against_its_parts", round(whole / bare, 2), "x", "<= 2")


def http_floor():
    program = helper("_http_floor")
    requests, micros = 100_000, {}
    for mode in ("vigie", "epoll"):
        server = subprocess.Popen([program, mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True)
        try:
            port = server.stdout.readline().strip()
            costs = []
            for _ in range(ROUNDS):
                before = cpu_seconds(server.pid)
                subprocess.run([program, "send", port, str(CONNECTIONS), str(requests), "2048"],
                               check=True, stdout=subprocess.DEVNULL, timeout=300)
                costs.append((cpu_seconds(server.pid) - before) * 1e6 / requests)
            micros[mode] = statistics.median(costs)
        finally:
            server.kill()
            server.wait()
        tell(f"http_post_2k_{mode}", round(micros[mode], 2), "cpu us/request")
    tell("http_post_2k_against_epoll", round(micros["vigie"] / micros["epoll"], 2), "x", "<= 2")


def main():
    wanted = os.environ.get("VIGIE_BENCH_PARTS", "write,parts,memory,otlp,http,delay").split(",")
    if "write" in wanted and not (TOOLS / "victoria-metrics").exists():
        sys.exit("no victoria-metrics in build/tools: run `./dev bench ingest`, which fetches it")
    with tempfile.TemporaryDirectory() as folder:
        if "otlp" in wanted:
            run_helper("_otlp_decode")
        if "http" in wanted:
            http_floor()
        if "delay" in wanted:
            run_helper("_detect_delay", f"{folder}/delay", SERIES, SAMPLES_A_REQUEST, 200_000, 20)
        if "memory" in wanted:
            memory(folder)
        if "write" in wanted or "parts" in wanted:
            whole = remote_write(folder, "write" in wanted)
            if "parts" in wanted:
                parts(folder, whole)


if __name__ == "__main__":
    main()
