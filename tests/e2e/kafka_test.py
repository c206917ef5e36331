#!/usr/bin/env python3
"""The real program with its log on a real Kafka: an alert becomes an incident; it is there again
after a stop, and after a kill with another data folder beside it. In between the commands that
look at the log and mend it do so on Kafka.

usage: kafka_test.py VIGIE FOLDER
"""
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "demo"))

from stage import Stage, fetch, fetch_json, free_ports  # noqa: E402

SKIPPED = 77
VIGIE = pathlib.Path(sys.argv[1]).resolve()
FOLDER = pathlib.Path(sys.argv[2]).resolve()
KAFKA = [sys.executable, str(ROOT / "tools/kafka.py")]
READY_SECONDS_MAX = 90

CONFIG = """\
data: {data}
bus:
  kafka: {{bootstrap.servers: '{servers}', session.timeout.ms: 6000, heartbeat.interval.ms: 500}}
  topic_prefix: site.
  instance: one
listen: {{api: '127.0.0.1:{api}', otlp: 'off', alertmanager: '127.0.0.1:{alertmanager}'}}
"""


def serve(stage, servers, data, ports):
    """Starts Vigie and waits until it is ready."""
    config = stage.folder / "vigie.yaml"
    config.write_text(CONFIG.format(data=stage.folder / data, servers=servers, **ports))
    stage.start("vigie", [VIGIE, "serve", "--config", config])
    stage.wait_for("vigie is ready", READY_SECONDS_MAX, lambda: fetch(
        f"http://127.0.0.1:{ports['api']}/-/ready")[0] == 200)
    return stage._processes["vigie"]  # pylint: disable=protected-access


def vigie(stage, *words):
    """One command on the log that the configuration names."""
    return subprocess.run([VIGIE, *words, "--config", stage.folder / "vigie.yaml"],
                          capture_output=True, text=True, timeout=120, check=False)


def done(stage, *words, code=0):
    """What a command prints that must end with this code."""
    ran = vigie(stage, *words)
    assert ran.returncode == code, (words, ran)
    return ran.stdout


def letters(stage):
    """The dead letters, as they are listed."""
    return json.loads(done(stage, "deadletter", "list", "--json"))


def look(stage, servers, url):
    """The commands beside the Vigie that runs."""
    subprocess.run(["kcat", "-P", "-b", servers, "-t", "site.vigie.alerts", "-k", "default"],
                   input="no event", text=True, check=True, timeout=60)
    status, _ = fetch(url, "POST", b"no alert", {"Content-Type": "application/json"})
    assert status == 400, status
    stage.wait_for("both are dead letters", 60, lambda: len(letters(stage)) == 2)
    by = {letter["refused_by"]: letter["offset"] for letter in letters(stage)}
    assert "stage sequence" in by, by
    shown = done(stage, "deadletter", "show", str(by["stage sequence"]), "--raw")
    assert shown == "no event", shown
    topics = {topic["topic"]: topic for topic in json.loads(done(stage, "topics", "list", "--json"))}
    assert topics["vigie.signals"]["records"] > 0 and topics["vigie.signals"]["partitions"] == 1
    assert "no event" in done(stage, "topics", "read", "vigie.alerts")
    assert "vigie.nothing" in vigie(stage, "topics", "read", "vigie.nothing").stderr
    busy = vigie(stage, "topics", "reset", "postmortem", "vigie.incidents", "--to", "begin", "--yes")
    assert busy.returncode == 1 and "stage postmortem runs" in busy.stderr, busy


def mend(stage):
    """The commands that need Vigie to be stopped, and the replay."""
    replayed = vigie(stage, "replay")
    assert replayed.returncode == 0 and "byte for byte" in replayed.stderr, replayed.stderr
    assert replayed.stdout.count("\n") >= 1
    reset = ("topics", "reset", "postmortem", "vigie.incidents", "--to", "begin")
    assert "would move" in done(stage, *reset, code=1)
    # Its members have a name: they stay for session.timeout.ms.
    stage.wait_for("the stage is given up", 60,
                   lambda: "moved from" in vigie(stage, *reset, "--yes").stdout)
    described = json.loads(done(stage, "topics", "describe", "vigie.incidents", "--json"))
    at = {reader["stage"]: reader["at"] for reader in described[0]["stages"]}
    assert at["postmortem"] == 0, at
    kept = done(stage, "deadletter", "retry", "all", code=1)
    assert "put back on vigie.alerts" in kept and "a receiver refused it" in kept, kept
    assert done(stage, "topics", "read", "vigie.alerts").count("no event") == 2


def main():
    """The story of one incident."""
    missing = subprocess.run(KAFKA + ["missing"], capture_output=True, text=True, check=True).stdout
    if missing.strip():
        print("SKIPPED, Vigie was not run on Kafka:", missing.strip())
        return SKIPPED
    shutil.rmtree(FOLDER, ignore_errors=True)
    stage = Stage(FOLDER)
    broker = subprocess.Popen(KAFKA + ["run", "--dir", str(FOLDER / "kafka")], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        servers = broker.stdout.readline().split()[0]
        ports = dict(zip(("api", "alertmanager"), free_ports(2)))
        incidents = f"http://127.0.0.1:{ports['api']}/api/v1/incidents"

        def opened():
            return len(fetch_json(incidents)["incidents"]) == 1

        process = serve(stage, servers, "data", ports)
        alert = [{"labels": {"alertname": "Down", "service": "shop", "severity": "critical"},
                  "startsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}]
        status, text = fetch(f"http://127.0.0.1:{ports['alertmanager']}/api/v2/alerts", "POST",
                             json.dumps(alert).encode(), {"Content-Type": "application/json"})
        assert status == 200, text
        stage.wait_for("the incident is open", 60, opened)
        look(stage, servers, f"http://127.0.0.1:{ports['alertmanager']}/api/v2/alerts")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert "vigie has stopped" in stage.log_of("vigie").read_text()
        assert (FOLDER / "data/kill-switch").read_text() == "off\n"

        stage.stop("vigie")
        mend(stage)
        process = serve(stage, servers, "data", ports)
        stage.wait_for("the incident is there again", 30, opened)
        process.kill()
        process.wait(10)
        serve(stage, servers, "other", ports)
        stage.wait_for("the incident is there for another data folder", 30, opened)
        # Whether the switch was on is not known there.
        assert (FOLDER / "other/kill-switch").read_text() == "on\n"
        topics = subprocess.run(["kcat", "-L", "-J", "-b", servers], capture_output=True, text=True,
                                check=True).stdout
        names = {topic["topic"] for topic in json.loads(topics)["topics"]}
        assert {"site.vigie.signals", "site.vigie.state.agent"} <= names, names
        stage.wait_for("the letter that was put back is refused again", 30,
                       lambda: len(letters(stage)) == 3)
        print("1 incident, 3 starts, all there")
    finally:
        stage.stop_all()
        broker.stdin.close()
        broker.wait(30)
    return 0


if __name__ == "__main__":
    sys.exit(main())
