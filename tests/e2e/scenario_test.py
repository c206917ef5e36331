#!/usr/bin/env python3
"""The demo's first act as a test, with a real Alertmanager between Prometheus and Vigie, and a
look at what is left behind: the incident, the named cause, the one action, the post-mortem, a
replay that gives the same bytes twice, and no secret anywhere.

usage: scenario_test.py VIGIE FOLDER
"""
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "demo"))

import settings  # noqa: E402
from run import Demo, program  # noqa: E402
from stage import DemoError, fetch, fetch_json, free_ports  # noqa: E402

ALERTMANAGER = """\
route: {{receiver: vigie, group_by: [service], group_wait: 1s, group_interval: 2s, repeat_interval: 1m}}
receivers:
  - name: vigie
    webhook_configs: [{{url: 'http://127.0.0.1:{api}/webhooks/alertmanager', send_resolved: true}}]
"""


def alertmanager(*arguments):
    """The command for Debian's Alertmanager, which reads its templates from /usr/share: when it is
    only unpacked, a mount namespace of its own shows them there."""
    words = [str(program("prometheus-alertmanager")), *arguments]
    share = ROOT / "build" / "tools" / "usr" / "share"
    if not share.exists():
        return words
    own = [] if os.geteuid() == 0 else ["--map-root-user"]
    mount = f'mount -t overlay overlay -o lowerdir="{share}":/usr/share /usr/share && exec "$@"'
    return ["unshare", "--mount", *own, "sh", "-c", mount, "sh", *words]


class Scenario(Demo):
    """Prometheus talks to Alertmanager, and Alertmanager to Vigie."""

    def __init__(self, folder, vigie):
        super().__init__(folder, vigie)
        self.between, = free_ports(1)
        self.write_prometheus = settings.write_prometheus
        settings.write_prometheus = self.write_both

    def write_both(self, folder, ports):
        self.write_prometheus(folder, dict(ports, alertmanager=self.between))
        (folder / "alertmanager.yml").write_text(ALERTMANAGER.format(**ports))
        self.stage.start("alertmanager", alertmanager(
            "--config.file=alertmanager.yml", "--storage.path=alertmanager",
            "--cluster.listen-address=", f"--web.listen-address=127.0.0.1:{self.between}"))

    def check_incident(self):
        incident = fetch_json(f"{self.url('api')}/api/v1/incidents/{self.first}")
        alerts = [item for item in incident["evidence"] if item["kind"] == "alert"]
        self.expect(alerts, "Alertmanager's alerts are among the evidence")
        text = incident["postmortem"]
        for words in (self.first, "service:checkout", "kubernetes.rollback_deployment",
                      "uncalibrated", "vigie replay"):
            self.expect(words in text, f"the post-mortem has '{words}'")
        status, page = fetch(f"{self.url('api')}/")
        self.expect(status == 200 and "<html" in page, "the console's page is served")

    def check_telemetry(self):
        _, text = fetch(f"{self.url('api')}/metrics")
        for kind in ("metrics", "logs", "spans"):
            name = f'vigie_app_detect_items_total{{telemetry="{kind}"}}'
            count = next((float(line.split()[1]) for line in text.splitlines()
                          if line.startswith(name)), 0)
            self.expect(count > 100, f"{count:.0f} items of {kind} were judged")
        self.expect('vigie_detectors_tracked_items{family="metrics",partition="0"} 0' not in text
                    and 'vigie_detectors_tracked_items{family="metrics",partition="0"}' in text,
                    "the detectors tell how many series they remember")

    def check_contract(self):
        answer = fetch_json(f"{self.url('kubernetes')}/_violations")
        self.expect(not answer["violations"], "no call broke the Kubernetes contract"
                    + ("" if answer["checked"] else " (schema not present: not checked)"))

    def check_replay(self):
        command = [str(self.vigie), "replay", "--data", str(self.data)]
        runs = [subprocess.run(command, capture_output=True, check=True, timeout=120)
                for _ in range(2)]
        self.expect(runs[0].stdout == runs[1].stdout and runs[0].stdout,
                    f"two replays give the same {len(runs[0].stdout)} bytes")
        said = runs[0].stderr.decode().strip()
        same, recorded = [int(word) for word in said.split("; ")[-1].split() if word.isdigit()]
        self.expect(same == recorded > 0, f"and those that were recorded: {said}")
        events = [json.loads(line) for line in runs[0].stdout.splitlines()]
        self.expect(all(event["specversion"] == "1.0" for event in events), "as CloudEvents")

    def check_secrets(self):
        secrets = [settings.GITHUB_SECRET, settings.TOKEN]
        places = [path for folder in (self.data, self.stage.folder / "logs")
                  for path in folder.rglob("*") if path.is_file()]
        leaks = [str(path) for path in places for secret in secrets
                 if secret.encode() in path.read_bytes()]
        self.expect(not leaks, f"no secret in {len(places)} files of data and logs {leaks or ''}")


def main():
    scenario = Scenario(pathlib.Path(sys.argv[2]).resolve(), pathlib.Path(sys.argv[1]).resolve())
    try:
        scenario.start()
        scenario.baseline()
        scenario.act_one()
        scenario.check_incident()
        scenario.check_telemetry()
        scenario.check_contract()
        scenario.stage.stop("prometheus", "alertmanager", "vigie")
        scenario.check_replay()
        scenario.check_secrets()
        return 0
    except DemoError as error:
        scenario.terminal.bad(f"FAILED: {error}")
        return 1
    finally:
        scenario.stage.stop_all()


if __name__ == "__main__":
    sys.exit(main())
