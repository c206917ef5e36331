#!/usr/bin/env python3
"""What POST /api/v2/alerts costs the server, beside Debian's Alertmanager 0.25 in the same run: the
processor seconds of each server process for the same requests of the same sender, which re-sends a
thousand alerts with later and later ends, as Prometheus does. Vigie's count until its log holds
everything, and, as a second measure, until its agent has read everything too.

VIGIE names the program. Prints one JSON object for each measure; see tools/bench.py.
"""
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

from serve import free_ports, tell, wait_ready

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALERTMANAGER = ROOT / "build" / "tools" / "usr" / "bin" / "prometheus-alertmanager"
SENDER = ROOT / "build" / "release" / "tests" / "bench" / "bench__alert_sender"
CONNECTIONS = 4
ROUNDS = int(os.environ.get("VIGIE_BENCH_ROUNDS", "5"))
REQUESTS = {1: 20_000, 10: 4_000}
GOALS = {1: ">= 6", 10: ">= 10"}


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def send(port, alerts, requests):
    done = subprocess.run([SENDER, str(port), str(CONNECTIONS), str(alerts), str(requests)],
                          capture_output=True, text=True, timeout=300, check=False)
    said = json.loads(done.stdout)
    if said["ok"] != requests:
        sys.exit(f"of {requests} requests only so many were accepted: {said}")
    return said["seconds"]


def metric(port, name):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/metrics")
    total = 0.0
    for line in connection.getresponse().read().decode().splitlines():
        if line.startswith(name):
            total += float(line.rsplit(" ", 1)[1])
    return total


def wait_quiet(pid):
    """Until the process has hardly worked for a while; gives up after two minutes."""
    last, quiet = cpu_seconds(pid), 0
    for _ in range(1200):
        time.sleep(0.1)
        now = cpu_seconds(pid)
        quiet = quiet + 1 if now - last <= 0.01 else 0
        last = now
        if quiet >= 5:
            return
    sys.exit("the server does not come to rest")


def measure(pid, port, alerts):
    """(processor seconds until answered, until at rest, wall seconds) of a round."""
    wait_quiet(pid)
    before = cpu_seconds(pid)
    wall = send(port, alerts, REQUESTS[alerts])
    answered = cpu_seconds(pid) - before
    wait_quiet(pid)
    return answered, cpu_seconds(pid) - before, wall


def start_vigie(folder):
    api, otlp, alertmanager = free_ports(3)
    config = pathlib.Path(folder) / "vigie.yaml"
    config.write_text(f"data: {folder}/data\nlisten:\n  api: 127.0.0.1:{api}\n"
                      f"  otlp: 127.0.0.1:{otlp}\n  alertmanager: 127.0.0.1:{alertmanager}\n")
    with open(pathlib.Path(folder) / "vigie.log", "wb") as log:
        process = subprocess.Popen([os.environ["VIGIE"], "serve", "--config", str(config)],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    wait_ready(api, process)
    return process, alertmanager


def start_alertmanager(folder):
    (port,) = free_ports(1)
    config = pathlib.Path(folder) / "alertmanager.yml"
    config.write_text("route: {receiver: none, group_by: [alertname]}\nreceivers: [{name: none}]\n")
    with open(pathlib.Path(folder) / "alertmanager.log", "wb") as log:
        process = subprocess.Popen(
            [ALERTMANAGER, f"--config.file={config}", f"--storage.path={folder}/am",
             f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    wait_ready(port, process)
    return process, port


def main():
    if not SENDER.exists():
        subprocess.run(["cmake", "--build", "--preset", "release", "--target",
                        "bench__alert_sender"], cwd=ROOT, check=True,
                       stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory() as folder:
        started = []
        try:
            vigie, vigie_port = start_vigie(folder)
            started.append(vigie)
            other, other_port = start_alertmanager(folder)
            started.append(other)
            for alerts, goal in GOALS.items():
                rows = {"vigie": [], "alertmanager": []}
                for _ in range(ROUNDS):
                    rows["vigie"].append(measure(vigie.pid, vigie_port, alerts))
                    rows["alertmanager"].append(measure(other.pid, other_port, alerts))
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
            for process in started:
                process.kill()
                process.wait()


if __name__ == "__main__":
    main()
