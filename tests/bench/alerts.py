#!/usr/bin/env python3
"""What POST /api/v2/alerts costs the server, beside Debian's Alertmanager 0.25 in the same run: the
processor seconds of each server process for the same requests of the same sender, which re-sends a
thousand alerts with later and later ends, as Prometheus does. Of Vigie what receives and what makes
durable counts (the threads of HTTP, of the log and of RocksDB; they also write what its agent makes of
the alerts), and, as a second measure, the whole process until its agent has read everything too.

VIGIE names the program. Prints one JSON object for each measure; see tools/bench.py.
"""
import json
import os
import statistics
import subprocess
import sys
import tempfile

from _processes import (cpu_seconds, cpu_seconds_of_threads, helper, start_alertmanager,
                        start_vigie, wait_quiet)
from serve import tell

CONNECTIONS = 4
ROUNDS = int(os.environ.get("VIGIE_BENCH_ROUNDS", "5"))
REQUESTS = {1: 10_000, 10: 2_000}
GOALS = {1: ">= 6", 10: ">= 10"}


def send(port, alerts, requests):
    done = subprocess.run([helper("_alert_sender"), str(port), str(CONNECTIONS), str(alerts),
                           str(requests)], capture_output=True, text=True, timeout=300, check=False)
    said = json.loads(done.stdout)
    if said["ok"] != requests:
        sys.exit(f"of {requests} requests only so many were accepted: {said}")
    return said["seconds"]


# The threads of Vigie that an alert passes until it is durable; "vigie" are those of HTTP.
DURABLE = ("vigie", "log-committer", "rocksdb")


def measure(server, alerts):
    """(processor seconds until durable, of everything until at rest, wall seconds) of a round."""
    wait_quiet(server.pid)
    before = cpu_seconds(server.pid)
    durable = cpu_seconds_of_threads(server.pid, DURABLE)
    wall = send(server.port, alerts, REQUESTS[alerts])
    durable = cpu_seconds_of_threads(server.pid, DURABLE) - durable
    wait_quiet(server.pid)
    return durable, cpu_seconds(server.pid) - before, wall


def main():
    with tempfile.TemporaryDirectory() as folder:
        started = []
        try:
            vigie = start_vigie(folder)
            started.append(vigie)
            other = start_alertmanager(folder)
            started.append(other)
            for alerts, goal in GOALS.items():
                rows = {"vigie": [], "alertmanager": []}
                for _ in range(ROUNDS):
                    rows["vigie"].append(measure(vigie, alerts))
                    rows["alertmanager"].append(measure(other, alerts))
                count = REQUESTS[alerts]
                micros = {name: [statistics.median(row[i] for row in some) * 1e6 / count
                                 for i in range(3)] for name, some in rows.items()}
                name = f"alerts_{alerts}_a_request"
                tell(f"{name}_alertmanager", round(micros["alertmanager"][1], 1), "cpu us/request")
                tell(f"{name}_vigie_durable", round(micros["vigie"][0], 1), "cpu us/request")
                tell(f"{name}_vigie_and_agent", round(micros["vigie"][1], 1), "cpu us/request")
                tell(f"{name}_vigie_rate", round(1e6 / micros["vigie"][2]), "requests/s")
                tell(f"{name}_ratio_durable",
                     round(micros["alertmanager"][1] / micros["vigie"][0], 2), "x", goal)
                tell(f"{name}_ratio_with_agent",
                     round(micros["alertmanager"][1] / micros["vigie"][1], 2), "x")
        finally:
            for server in started:
                server.stop()


if __name__ == "__main__":
    main()
