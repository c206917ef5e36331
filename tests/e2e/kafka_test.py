#!/usr/bin/env python3
"""The real program with its log on a real Kafka: an alert becomes an incident; it is there again
after a stop, and after a kill with another data folder beside it. In between the commands that
look at the log and mend it do so on Kafka.

usage: kafka_test.py VIGIE FOLDER
"""
import json
import pathlib
import signal
import struct
import subprocess
import sys
import time

import kafka_site
from kafka_site import fetch
from stage import free_ports

VIGIE = pathlib.Path(sys.argv[1]).resolve()
FOLDER = pathlib.Path(sys.argv[2]).resolve()

CONFIG = """\
data: {data}
bus:
  kafka: """ + kafka_site.BROKER + """
  topic_prefix: site.
  instance: one
  standby: true
listen: {{api: '127.0.0.1:{api}', otlp: 'off', alertmanager: '127.0.0.1:{alertmanager}'}}
ingest:
  cloudevents: {{types: [{{type: com.shop.*, change: {{entity: /subject, version: /data/version}}}}]}}
  kafka:
    - {{topic: shop.deploys, change: {{entity: /service, version: /version, key: /run}}}}
    - {{topic: shop.events, format: cloudevents}}
    - {{topic: shop.lines, format: json_lines}}
"""
FOREIGN = ("shop.deploys", "shop.events", "shop.lines")


def serve(stage, servers, data, ports):
    """Starts Vigie with this data folder."""
    config = stage.folder / "vigie.yaml"
    config.write_text(CONFIG.format(data=stage.folder / data, servers=servers, **ports))
    return kafka_site.serve(stage, VIGIE, config, ports["api"])


def vigie(stage, *words):
    """One command on the log that the configuration names."""
    return kafka_site.run(VIGIE, *words, "--config", stage.folder / "vigie.yaml")


def done(stage, *words, code=0):
    """What a command prints that must end with this code."""
    ran = vigie(stage, *words)
    assert ran.returncode == code, (words, ran)
    return ran.stdout


def letters(stage):
    """The dead letters, as they are listed."""
    return json.loads(done(stage, "deadletter", "list", "--json"))


def field(number, value):
    """A protobuf field: bytes behind their length (all that is used here is shorter than 128), or
    eight bytes."""
    if isinstance(value, float):
        return bytes([number << 3 | 1]) + struct.pack("<d", value)
    if isinstance(value, int):
        return bytes([number << 3 | 1]) + struct.pack("<Q", value)
    return bytes([number << 3 | 2, len(value)]) + value


def collector(stage, servers, api):
    """What an OpenTelemetry Collector's Kafka exporter sends: OTLP without any header."""
    point = field(3, int(time.time()) * 10**9) + field(4, 1.5)
    metric = field(1, b"queue.length") + field(5, field(1, point))
    service = field(1, b"service.name") + field(2, field(1, b"shop"))
    body = field(1, field(1, field(1, service)) + field(2, field(2, metric)))
    (stage.folder / "export.bin").write_bytes(body)
    subprocess.run(["kcat", "-P", "-b", servers, "-t", "site.vigie.metrics",
                    str(stage.folder / "export.bin")], check=True, timeout=60)
    counted = 'vigie_app_detect_items_total{telemetry="metrics"} 1'
    stage.wait_for("the Collector's metrics are judged", 60, lambda: counted in fetch(
        f"http://127.0.0.1:{api}/metrics")[1])
    got = subprocess.run(["kcat", "-C", "-e", "-q", "-D", "", "-b", servers, "-t",
                          "site.vigie.metrics", "-f", "%h|%s\n"],
                         capture_output=True, check=True, timeout=60).stdout
    assert b"|" + body in got, got


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


def produce(servers, topic, *values, headers=()):
    """Records of another program, by kcat."""
    more = [word for header in headers for word in ("-H", header)]
    subprocess.run(["kcat", "-P", "-b", servers, "-t", topic, *more], input="\n".join(values),
                   text=True, check=True, timeout=60)


def foreign(stage, servers):
    """Topics of others become changes and log lines, each record once."""
    produce(servers, "shop.deploys", '{"service": "cart", "version": "2.1", "run": 7}', "no JSON")
    event = {"specversion": "1.0", "id": "1", "source": "/ci", "type": "com.shop.deployed",
             "subject": "checkout", "data": {"version": "1.5"}}
    produce(servers, "shop.events", json.dumps(event),
            headers=["content-type=application/cloudevents+json"])
    produce(servers, "shop.events", '{"version": "1.6"}', headers=[
        "ce_specversion=1.0", "ce_id=2", "ce_source=/ci", "ce_type=com.shop.deployed",
        "ce_subject=checkout", "content-type=application/json"])
    produce(servers, "shop.lines", '{"msg": "a line of theirs", "service": "cart"}')

    def arrived():
        changes = done(stage, "topics", "read", "vigie.changes")
        return all(text in changes for text in ("2.1", "1.5", "1.6"))
    stage.wait_for("their records are changes of ours", 60, arrived)
    stage.wait_for("their lines are lines of ours", 60, lambda: (
        "a line of theirs" in (lines := done(stage, "topics", "read", "vigie.logs")) or
        "a line of theirs".encode().hex() in lines))
    stage.wait_for("what is no JSON is a dead letter", 60, lambda: any(
        letter["refused_by"] == "stage foreign" for letter in letters(stage)))
    assert done(stage, "topics", "read", "vigie.changes").count("io.vigie.change.v1") == 3


def story(stage, servers):
    """The story of one incident."""
    for topic in FOREIGN:
        kafka_site.create_topic(servers, topic)
    ports = dict(zip(("api", "alertmanager"), free_ports(2)))

    def opened():
        return kafka_site.incidents(ports["api"]) == 1

    process = serve(stage, servers, "data", ports)
    kafka_site.alert(ports["alertmanager"], "shop")
    stage.wait_for("the incident is open", 60, opened)
    collector(stage, servers, ports["api"])
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
    foreign(stage, servers)
    return "1 incident, 3 starts, all there"


if __name__ == "__main__":
    sys.exit(kafka_site.tell(story, FOLDER))
