#!/usr/bin/env python3
"""The demo's first act as a test, with a real Alertmanager between Prometheus and Vigie, a pipeline
that is told of the rollback, and a look at what is left behind: the incident, the named cause, the
one action, the post-mortem, a replay that gives the same bytes twice, and no secret anywhere.

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
from leaks import (leaks_in, leaks_in_answers, leaks_in_files, leaks_in_log,  # noqa: E402
                   make_secrets)

SECRETS = {"github": settings.GITHUB_SECRET, "kubernetes": settings.TOKEN, **make_secrets(
    "scenario", ("github_old", "alertmanager", "api", "proxmox", "job_url", "job_header", "job_token",
                 "job_body", "slack_url", "pagerduty", "hook", "hook_header"))}

SIGN = "HighErrorRate"

ALERTMANAGER = """\
route: {{receiver: vigie, group_by: [service], group_wait: 1s, group_interval: 2s, repeat_interval: 1m}}
receivers:
  - name: vigie
    webhook_configs:
      - url: http://127.0.0.1:{api}/webhooks/alertmanager
        send_resolved: true
        http_config: {{authorization: {{credentials: {token}}}}}
"""

# Every place where a secret may be configured, and ways out that work, refuse, or are not there.
SECTIONS = {
    "ingest": """
  alertmanager_webhook: {{token_file: {folder}/alertmanager-token}}
""",
    "actions": """
  proxmox: {{server: 'http://127.0.0.1:{ways}', token: {proxmox}}}
  http:
    - name: tell-ci
      url: http://127.0.0.1:{ways}/jobs/{{job}}?key={job_url}
      look_url: http://127.0.0.1:{ways}/jobs/{{job}}?key={job_url}
      headers: {{X-Key: {job_header}}}
      token: {job_token}
      body: '{{"job": "{{job}}", "password": "{job_body}"}}'
      risk: reversible
""",
    "notify": """
  slack: [{{name: chat, url: 'http://127.0.0.1:{ways}/nobody/{slack_url}'}}]
  pagerduty: [{{name: phone, routing_key: {pagerduty}, url: 'http://127.0.0.1:{ways}/v2/enqueue'}}]
""",
}
API = "api: {{token_file: {folder}/api-token}}\n"
STEP = """
  - action: http.request
    parameters: {request: tell-ci, job: "{kubernetes.deployment}"}
tests:
"""


def more_config(text, values):
    """The demo's vigie.yaml with all of the above in it."""
    for section, more in SECTIONS.items():
        if f"\n{section}:\n" not in text:
            raise DemoError(f"the demo's configuration has no section {section}")
        text = text.replace(f"\n{section}:\n", f"\n{section}:" + more.format(**values), 1)
    text = text.replace(
        "  modes:\n", "  modes:\n    - {action: http.request, mode: approve}\n", 1)
    hook = "{name: on-call, "
    return API.format(**values) + text.replace(
        hook, f"{hook}secret: {values['hook']}, headers: {{X-Key: {values['hook_header']}}}, ", 1)


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
        self.between, self.ports["ways"] = free_ports(2)
        self.write_prometheus = settings.write_prometheus
        settings.write_prometheus = self.write_both
        self.write_vigie = settings.write_vigie
        settings.write_vigie = self.write_more
        self.token_file = self.stage.folder / "api-token"
        os.environ["VIGIE_TOKEN_FILE"] = str(self.token_file)

    def write_both(self, folder, ports):
        self.write_prometheus(folder, dict(ports, alertmanager=self.between))
        (folder / "alertmanager.yml").write_text(ALERTMANAGER.format(
            token=SECRETS["alertmanager"], **ports))
        self.stage.start("alertmanager", alertmanager(
            "--config.file=alertmanager.yml", "--storage.path=alertmanager",
            "--cluster.listen-address=", f"--web.listen-address=127.0.0.1:{self.between}"))

    def write_more(self, folder, root, ports):
        self.write_vigie(folder, root, ports)
        self.token_file.write_text(SECRETS["api"] + "\n")
        (folder / "alertmanager-token").write_text(SECRETS["alertmanager"])
        values = dict(SECRETS, folder=folder, ways=ports["ways"])
        self.config.write_text(more_config(self.config.read_text(), values))
        runbook = folder / "runbooks" / "rollback-deployment.yaml"
        text = runbook.read_text()
        runbook.write_text(text.replace("\ntests:\n", STEP, 1))
        self.stage.start("ways", [sys.executable, ROOT / "tests/standins/webhooks.py", "--port",
                                  ports["ways"], "--routing-key", SECRETS["pagerduty"]])
        self.stage.wait_for_url("ways", f"{self.url('ways')}/_requests")

    def check_ways_out(self):
        requests = fetch_json(f"{self.url('ways')}/_requests")
        jobs = [request for request in requests if request["target"].startswith("/jobs/checkout")]
        self.expect(len(jobs) == 1 and jobs[0]["method"] == "POST" and jobs[0]["taken"] == 201,
                    "the pipeline was told of the rollback, once")
        headers, body = jobs[0]["headers"], json.loads(jobs[0]["body"])
        self.expect(headers["authorization"] == f"Bearer {SECRETS['job_token']}"
                    and headers["x-key"] == SECRETS["job_header"]
                    and body == {"job": "checkout", "password": SECRETS["job_body"]}
                    and jobs[0]["target"].endswith(SECRETS["job_url"]), "with all of its secrets")
        hooks = [request["headers"] for request in fetch_json(f"{self.url('on_call')}/_requests")]
        self.expect(all(headers["x-key"] == SECRETS["hook_header"]
                        and "x-vigie-signature-256" in headers for headers in hooks),
                    "on-call got its header and a signature")
        refused = [request for request in requests if request["target"].startswith("/nobody/")]
        self.expect(refused and all(request["taken"] == 404 for request in refused),
                    "one channel refused what it was sent")

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
        command = [str(self.vigie), "replay", "--json", "--data", str(self.data)]
        runs = [subprocess.run(command, capture_output=True, check=True, timeout=120)
                for _ in range(2)]
        self.expect(runs[0].stdout == runs[1].stdout and runs[0].stdout,
                    f"two replays give the same {len(runs[0].stdout)} bytes")
        said = runs[0].stderr.decode().strip()
        same, recorded = [int(word) for word in said.split("; ")[-1].split() if word.isdigit()]
        self.expect(same == recorded > 0, f"and those that were recorded: {said}")
        events = [json.loads(line) for line in runs[0].stdout.splitlines()]
        self.expect(all(event["specversion"] == "1.0" for event in events), "as CloudEvents")

    def check_answers(self):
        count, leaks = leaks_in_answers(SECRETS, SIGN, self.url("api"), self.vigie,
                                        dict(os.environ, VIGIE_SERVER=self.url("api")))
        self.expect(not leaks, f"no secret in {count} answers of the API and the command line "
                    f"{leaks or ''}")
        bodies = [request["body"] for name in ("on_call", "ways")
                  for request in fetch_json(f"{self.url(name)}/_requests")
                  if not request["target"].startswith("/jobs/")]
        own = {name: secret for name, secret in SECRETS.items() if name != "pagerduty"}
        leaks = [leak for body in bodies for leak in leaks_in(own, "a notice", body)]
        self.expect(bodies and not leaks, f"nor in {len(bodies)} notices {leaks or ''}")

    def check_complaints(self):
        """What is wrong with a configuration is said without what is secret in it."""
        wrong = self.stage.folder / "wrong.yaml"
        wrong.write_text(self.config.read_text().replace("http://", "htp://").replace(
            "X-Key", "'X Key'") + "odd: 1\n")
        done = subprocess.run([str(self.vigie), "check-config", str(wrong)], capture_output=True,
                              check=False, timeout=60)
        said = done.stdout + done.stderr
        leaks = leaks_in(SECRETS, "a complaint", said)
        self.expect(done.returncode == 1 and b"odd" in said and b"URL" in said and not leaks,
                    f"complaints about the configuration hold no secret {leaks or ''}")

    def check_secrets(self):
        count, leaks = leaks_in_files(SECRETS, SIGN, (self.data, self.stage.folder / "logs"))
        self.expect(not leaks, f"no secret in {count} files of data and logs {leaks or ''}")
        count, leaks = leaks_in_log(SECRETS, SIGN, self.vigie, self.data)
        self.expect(not leaks, f"nor in the records of {count} topics {leaks or ''}")


def main():
    scenario = Scenario(pathlib.Path(sys.argv[2]).resolve(), pathlib.Path(sys.argv[1]).resolve())
    try:
        scenario.start()
        scenario.baseline()
        scenario.act_one()
        scenario.check_incident()
        scenario.check_telemetry()
        scenario.check_contract()
        scenario.check_ways_out()
        scenario.check_answers()
        scenario.check_complaints()
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
