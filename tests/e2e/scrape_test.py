#!/usr/bin/env python3
"""Vigie asks the real node-exporter for its metrics, found by a file of targets, and tells when it is
gone; Debian's promtool and Prometheus agree with what Vigie shows of itself.

usage: scrape_test.py VIGIE FOLDER
"""
import json
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "demo"))

from stage import Stage, fetch, free_ports  # noqa: E402

VIGIE = pathlib.Path(sys.argv[1]).resolve()
FOLDER = pathlib.Path(sys.argv[2]).resolve()
TOOLS = ROOT / "build" / "tools" / "usr" / "bin"
EXPORTER = TOOLS / "prometheus-node-exporter"
PROMTOOL = TOOLS / "promtool"

DETECTED = "vigie_app_detect_items_total"

CONFIG = """\
data: {folder}/data
listen: {{api: '127.0.0.1:{api}', otlp: 'off', alertmanager: 'off'}}
scrape_configs:
  - job_name: node
    scrape_interval: 500ms
    file_sd_configs: [{{files: ['{folder}/targets-*.json'], refresh_interval: 500ms}}]
  - job_name: vigie
    scrape_interval: 500ms
    static_configs: [{{targets: ['127.0.0.1:{api}'], labels: {{site: here}}}}]
"""


class ScrapeTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(FOLDER)
        cls.addClassCleanup(cls.stage.stop_all)
        cls.ports = dict(zip(("api", "node"), free_ports(2)))
        config = FOLDER / "vigie.yaml"
        config.write_text(CONFIG.format(folder=FOLDER, **cls.ports))
        cls.targets([])
        cls.stage.start("vigie", [VIGIE, "serve", "--config", config])
        cls.url = f"http://127.0.0.1:{cls.ports['api']}"
        cls.stage.wait_for_url("vigie", f"{cls.url}/-/ready")

    @classmethod
    def targets(cls, addresses):
        file = FOLDER / "targets-a.json"
        beside = file.with_suffix(".new")
        beside.write_text(json.dumps([{"targets": addresses, "labels": {"rack": "r1"}}]))
        beside.rename(file)

    def counters(self):
        _, text = fetch(f"{self.url}/metrics")
        return {name: float(value) for name, value in
                re.findall(r"^(vigie_\S*) (\S+)$", text, re.MULTILINE)}

    def scrapes(self, job):
        return self.counters().get(f'vigie_ingest_scrapes_total{{job="{job}"}}', 0)

    def test_node_exporter_comes_and_goes(self):
        address = f"127.0.0.1:{self.ports['node']}"
        self.stage.start("node", [EXPORTER, f"--web.listen-address={address}",
                                  "--collector.disable-defaults", "--collector.loadavg",
                                  "--collector.meminfo", "--collector.cpu"])
        self.stage.wait_for_url("node-exporter", f"http://{address}/metrics")
        self.targets([address])
        self.stage.wait_for("three scrapes", 20, lambda: self.scrapes("node") >= 3)
        after = self.counters()
        failed = {name: value for name, value in after.items()
                  if "failed_scrapes" in name and "late" not in name}
        self.assertEqual(failed, {})
        self.assertEqual(after["vigie_ingest_scrape_targets"], 2)
        # The detectors read them: they are remote write like any other.
        accepted = 'vigie_ingest_accepted_items_total{source="scrape"}'
        detected = f'{DETECTED}{{telemetry="metrics"}}'
        self.assertGreater(after[accepted], 100)
        self.stage.wait_for("all are detected", 20,
                            lambda: self.counters().get(detected, 0) >= after[accepted])
        self.stage.stop("node")
        failures = 'vigie_ingest_failed_scrapes_total{reason="unavailable"}'
        self.stage.wait_for("it is down", 20, lambda: self.counters().get(failures, 0) >= 1)
        self.targets([])
        self.stage.wait_for("it is gone", 20,
                            lambda: self.counters()["vigie_ingest_scrape_targets"] == 1)
        letters = subprocess.run([VIGIE, "deadletter", "list", "--data", FOLDER / "data", "--json"],
                                 capture_output=True, text=True, timeout=60, check=True)
        self.assertEqual(json.loads(letters.stdout), [])

    def test_vigie_reads_its_own_page(self):
        self.stage.wait_for("a scrape", 20, lambda: self.scrapes("vigie") >= 1)

    def test_promtool_finds_the_page_of_vigie_right(self):
        if not PROMTOOL.exists():
            self.skipTest(f"SKIPPED: no {PROMTOOL}: ./dev deps fetches it")
        self.stage.wait_for("a scrape", 20, lambda: self.scrapes("vigie") >= 1)
        _, text = fetch(f"{self.url}/metrics")
        done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)


if __name__ == "__main__":
    if not EXPORTER.exists():
        print(f"scrape_test: no {EXPORTER} ('./dev deps' gets it): skipped")
        sys.exit(77)
    FOLDER.mkdir(parents=True, exist_ok=True)
    unittest.main(argv=sys.argv[:1], verbosity=2)
