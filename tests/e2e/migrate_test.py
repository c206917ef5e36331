#!/usr/bin/env python3
"""An installation with its log in a folder moves to a real Kafka: refused while Vigie runs; killed
amid records and amid state, and then nothing starts on the half; gone on with, and then the same
records, positions and state are on both sides, and a second move is refused; Vigie goes on there.

usage: migrate_test.py VIGIE FOLDER
"""
import json
import pathlib
import subprocess
import sys
import time

import kafka_site
from stage import free_ports

VIGIE = pathlib.Path(sys.argv[1]).resolve()
FOLDER = pathlib.Path(sys.argv[2]).resolve()

CONFIG = """\
data: {folder}/data
listen: {{api: '127.0.0.1:{api}', otlp: '127.0.0.1:{otlp}', alertmanager: '127.0.0.1:{alertmanager}'}}
bus:
  partitions: 2
"""
ON_KAFKA = """\
  kafka: """ + kafka_site.BROKER + """
  topic_prefix: moved.
"""


class Site:
    """One installation, with its log in the folder or on Kafka."""

    def __init__(self, stage, servers):
        self.stage = stage
        self.ports = dict(zip(("api", "otlp", "alertmanager"), free_ports(3)))
        text = CONFIG.format(folder=FOLDER, **self.ports)
        self.embedded = FOLDER / "embedded.yaml"
        self.embedded.write_text(text)
        self.kafka = FOLDER / "kafka.yaml"
        self.kafka.write_text(text + ON_KAFKA.format(servers=servers))

    def serve(self, config):
        """Starts Vigie and waits until it is ready."""
        kafka_site.serve(self.stage, VIGIE, config, self.ports["api"])

    def run(self, *words):
        """One command."""
        return kafka_site.run(VIGIE, *words)

    def refused_on_kafka(self, why):
        """Vigie does not start there, and says why."""
        done = self.run("serve", "--config", self.kafka)
        assert done.returncode != 0 and why in done.stderr + done.stdout, done

    def cut_short(self, told):
        """The move, killed when it has said that."""
        with subprocess.Popen([VIGIE, "migrate", "--to", "kafka", "--config", self.kafka],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True) as move:
            assert any(told in line for line in move.stderr), f"it never said '{told}'"
            move.kill()
        mark = FOLDER / "data" / "migration"
        assert mark.read_text() == "unfinished moved.vigie.*\n", mark.read_text()

    def alert(self, service):
        """Sends one alert."""
        kafka_site.alert(self.ports["alertmanager"], service)

    def metrics(self):
        """Some points of some hosts, so that both partitions of a topic have records."""
        for host in range(8):
            point = {"asDouble": host, "timeUnixNano": str(time.time_ns())}
            body = {"resourceMetrics": [{
                "resource": {"attributes": [{"key": "host.name",
                                             "value": {"stringValue": f"host-{host}"}}]},
                "scopeMetrics": [{"metrics": [{"name": "load", "gauge": {"dataPoints": [point]}}]}]}]}
            kafka_site.post(self.ports["otlp"], "/v1/metrics", body)

    def incidents(self):
        """How many there are."""
        return kafka_site.incidents(self.ports["api"])

    def lags(self, config):
        """How far each reader of the incidents is from their end."""
        done = self.run("topics", "describe", "vigie.incidents", "--json", "--config", config)
        assert done.returncode == 0, done
        return {reader["stage"]: reader["lag"] for reader in json.loads(done.stdout)[0]["stages"]}


def story(stage, servers):
    """The whole of it."""
    site = Site(stage, servers)
    site.serve(site.embedded)
    site.metrics()
    site.alert("shop")
    site.stage.wait_for("the incident is open", 60, lambda: site.incidents() == 1)
    command = ("migrate", "--to", "kafka", "--config", site.kafka)
    busy = site.run(*command)
    assert busy.returncode == 1 and "another process" in busy.stderr, busy
    nowhere = site.run("migrate", "--to", "kafka", "--config", site.embedded)
    assert nowhere.returncode == 1 and "has no bus.kafka" in nowhere.stderr, nowhere
    site.stage.stop("vigie")

    site.refused_on_kafka("has a log that is not on Kafka")
    site.cut_short("copying vigie.metrics/0")
    site.cut_short("stage agent")
    site.refused_on_kafka("was begun and not finished")

    counts = {topic["topic"]: topic["records"] for topic in json.loads(
        site.run("topics", "list", "--json", "--config", site.embedded).stdout)}
    moved = site.run(*command, "--json")
    assert moved.returncode == 0 and "going on with the move" in moved.stderr, moved
    told = json.loads(moved.stdout)
    for topic, count in counts.items():
        parts = [part["records"] for part in told["partitions"] if part["topic"] == topic]
        assert sum(parts) == count, (topic, count, parts)
        assert len(parts) == (2 if topic in ("vigie.metrics", "vigie.logs", "vigie.spans") else 1)
    assert min(part["records"] for part in told["partitions"]
               if part["topic"] == "vigie.metrics") > 0, told
    assert told["positions"] > 10 and told["state_rows"] > 10, told
    again = site.run(*command)
    assert again.returncode == 1 and "has records already" in again.stderr, again
    replayed = site.run("replay", "--config", site.kafka)
    assert replayed.returncode == 0 and "byte for byte" in replayed.stderr, replayed.stderr
    lags = site.lags(site.kafka)
    for stage, lag in site.lags(site.embedded).items():
        # Where records are left, offsets without a record count on Kafka too.
        assert (lags[stage] == 0) == (lag == 0), (stage, lag, lags)

    site.serve(site.kafka)
    site.stage.wait_for("the incident is on Kafka", 60, lambda: site.incidents() == 1)
    log = site.stage.log_of("vigie").read_text()
    assert "snapshot is of no use" not in log, log
    site.alert("bank")
    site.stage.wait_for("a new one opens there", 60, lambda: site.incidents() == 2)
    return (f"{sum(counts.values())} records, {told['positions']} positions and "
            f"{told['state_rows']} rows of state moved")


if __name__ == "__main__":
    sys.exit(kafka_site.tell(story, FOLDER))
