#!/usr/bin/env python3
"""Kills Vigie with SIGKILL at 200 random moments while it tells one story after the other and the
ways to people fail now and then; then looks at the world: one incident for each story, one
rollback, every notice taken by every channel, no secret anywhere.

usage: kill_test.py VIGIE FOLDER [--kills N] [--seed N]
"""
import argparse
import html
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "demo"))

from stage import DemoError, Stage, fetch, fetch_json, free_ports  # noqa: E402
from github import deployment_webhook, signed_headers  # noqa: E402
from leaks import leaks_in, leaks_in_answers, leaks_in_files, leaks_in_log, make_secrets  # noqa: E402

GOOD, BAD = "1.4.2", "1.5.0"
STORIES_MAX = 60
STORY_SECONDS = 90
PORTS = ("kubernetes", "pages", "api", "otlp", "alertmanager")
UNRELIABLE_SHARE = 0.3
SIGN = "HighErrorRate"
SECRETS = make_secrets("kill", (
    "github", "github_old", "alertmanager", "api", "kubernetes", "proxmox", "job_url", "job_header",
    "job_token", "job_body", "slack_url", "pagerduty", "hook_url", "hook_header", "hook"))


def service(number):
    return f"s{number:02}"


def config(folder, ports):
    inventory = "".join(f"""
  - entity: service:{service(n)}
    attributes: {{kubernetes.namespace: shop, kubernetes.deployment: {service(n)}}}"""
                        for n in range(STORIES_MAX))
    return f"""
data: {folder}/data
tick: 100ms
listen:
  api: 127.0.0.1:{ports['api']}
  otlp: 127.0.0.1:{ports['otlp']}
  alertmanager: 127.0.0.1:{ports['alertmanager']}
api: {{token_file: {folder}/api-token}}
ingest:
  github: {{secret: {SECRETS['github']}, secret_old: {SECRETS['github_old']}}}
  alertmanager_webhook: {{token: {SECRETS['alertmanager']}}}
agent:
  modes: [{{mode: approve}}]
  actions_per_hour_max: 1000
  diagnose_after: 1s
  verify_hold: 1s
  verify_timeout: 60s
actions:
  orphan_wait: 1s
  kubernetes: {{server: 'http://127.0.0.1:{ports['kubernetes']}', token: {SECRETS['kubernetes']}}}
  proxmox: {{server: 'http://127.0.0.1:{ports['pages']}', token: {SECRETS['proxmox']}}}
  http:
    - name: job
      url: http://127.0.0.1:{ports['pages']}/jobs/{{job}}?key={SECRETS['job_url']}
      headers: {{X-Key: {SECRETS['job_header']}}}
      token: {SECRETS['job_token']}
      body: '{{"job": "{{job}}", "password": "{SECRETS['job_body']}"}}'
notify:
  retry_wait_min: 50ms
  slack:
    - {{name: chat, url: 'http://127.0.0.1:{ports['pages']}/services/{SECRETS['slack_url']}'}}
  pagerduty:
    - name: phone
      url: http://127.0.0.1:{ports['pages']}/v2/enqueue
      routing_key: {SECRETS['pagerduty']}
  webhooks:
    - name: pager
      url: http://127.0.0.1:{ports['pages']}/hook?key={SECRETS['hook_url']}
      secret: {SECRETS['hook']}
      headers: {{X-Key: {SECRETS['hook_header']}}}
inventory:{inventory}
"""


def deployment(ports, name):
    """A deployment as the cluster has it."""
    url = f"http://127.0.0.1:{ports['kubernetes']}/apis/apps/v1/namespaces/shop/deployments/{name}"
    return json.loads(fetch(url, "GET", None,
                            {"Authorization": f"Bearer {SECRETS['kubernetes']}"})[1])


class Killer(threading.Thread):
    """Runs Vigie, kills it after a random while, starts it again; the last run is left alive."""

    def __init__(self, command, folder, kills, seed):
        super().__init__(daemon=True)
        self._command = command
        self._log = open(folder / "logs" / "vigie.log", "ab")  # pylint: disable=R1732
        self._random = random.Random(seed)
        self._kills = kills
        self._enough = threading.Event()
        self.killed = 0
        self.process = None

    def start_vigie(self):
        self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL,
                                        stdout=self._log, stderr=self._log)

    def run(self):
        self.start_vigie()
        while self.killed < self._kills and not self._enough.is_set():
            # Mostly young processes: starting, recovering and settling are where mistakes hide.
            time.sleep(self._random.choice((0.05, 0.2, 0.5, 1.0, 1.5)) * self._random.random()
                       + 0.02)
            if self.process.poll() is not None:
                raise SystemExit(f"vigie ended by itself with {self.process.returncode}")
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.killed += 1
            self.start_vigie()

    def await_last(self):
        """Afterwards the process that lives now is the last one."""
        self._enough.set()
        self.join()

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        return self.process.returncode


class Story:
    """One bad deployment, told by senders that repeat themselves until they are heard."""

    def __init__(self, number, ports):
        self.name = service(number)
        self.number = number
        self.ports = ports
        self.deliveries = {"deployment": str(uuid.uuid4()), "deployment_status": str(uuid.uuid4())}
        self.started = ""

    def url(self, name, path):
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    def until_heard(self, *call):
        deadline = time.monotonic() + STORY_SECONDS
        while True:
            status, text = fetch(*call, timeout=3)
            if 200 <= status < 300:
                return text
            if status not in (0, 404, 503) or time.monotonic() > deadline:
                raise DemoError(f"{call[0]} answered {status}: {text}")
            time.sleep(0.05)

    def image(self):
        template = deployment(self.ports, self.name)["spec"]["template"]
        return template["spec"]["containers"][0]["image"]

    def break_it(self):
        for event, delivery in self.deliveries.items():
            state = "success" if event == "deployment_status" else None
            body = deployment_webhook(self.number + 100, BAD, f"shop/{self.name}", state).encode()
            self.until_heard(self.url("api", "/webhooks/github"), "POST", body,
                             signed_headers(body, SECRETS["github"], delivery, event))
        order = {"set_image": {"deployment": self.name, "image": f"shop/{self.name}:{BAD}"}}
        fetch(self.url("kubernetes", "/_control"), "POST", json.dumps(order).encode())

    def alert(self, firing):
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + (240 if firing else 0)))
        alerts = [{"labels": {"alertname": name, "service": self.name, "severity": "critical"},
                   "annotations": {"summary": f"{self.name}: {name}"},
                   "startsAt": self.started, "endsAt": now}
                  for name in ("HighErrorRate", "HighLatency")]
        self.until_heard(self.url("alertmanager", "/api/v2/alerts"), "POST",
                         json.dumps(alerts).encode(), {"Content-Type": "application/json"})

    def approve(self, incident):
        body = json.dumps({"kind": "approve", "incident": incident["id"],
                           "plan": incident["plan"]["id"], "actor": "test"}).encode()
        self.until_heard(self.url("api", "/api/v1/decisions"), "POST", body,
                         {"Content-Type": "application/json",
                          "Authorization": f"Bearer {SECRETS['api']}"})

    def incident(self):
        """The incident of this story as Vigie shows it, or None while it does not."""
        answer = fetch_json(self.url("api", "/api/v1/incidents?limit=1000"))
        for item in answer["incidents"] if answer else []:
            if self.name in item["title"] or f"service:{self.name}" in item.get("entities", []):
                return fetch_json(self.url("api", f"/api/v1/incidents/{item['id']}"))
        return None

    def tell(self):
        self.break_it()
        time.sleep(1.2)  # Symptoms come after their cause.
        self.started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        approved, deadline, repeated = set(), time.monotonic() + STORY_SECONDS, 0
        while time.monotonic() < deadline:
            sick = self.image().endswith(BAD)
            if time.monotonic() - repeated > 0.7:
                self.alert(sick)
                repeated = time.monotonic()
            incident = self.incident()
            if incident and incident["state"] == "awaiting_approval" \
                    and (incident["plan"]["id"], incident["updated_at"]) not in approved:
                self.approve(incident)
                approved.add((incident["plan"]["id"], incident["updated_at"]))
            if incident and incident["state"] in ("resolved", "reviewed"):
                return
            time.sleep(0.1)
        state = incident["state"] if incident else "no incident"
        raise DemoError(f"story {self.name}: {state} after {STORY_SECONDS} s, runs {self.image()}")


def rollbacks(ports, name):
    """How often Vigie changed a deployment: its first generation and the bad one are not ours."""
    return deployment(ports, name)["metadata"]["generation"] - 2


class Receivers:
    """What the stand-in for Slack, PagerDuty and a webhook took, and what it turned away."""

    def __init__(self, ports):
        self.url = f"http://127.0.0.1:{ports['pages']}"
        requests = fetch_json(f"{self.url}/_requests")
        self.tries = len(requests)
        self.bodies = [request["body"] for request in requests]
        taken = [request for request in requests if 200 <= request.get("taken", 0) < 300]
        self.taken = len(taken)

        def bodies(path):
            return [json.loads(item["body"]) for item in taken if item["target"].startswith(path)]
        self.chat, self.phone, self.pager = map(bodies, ("/services/", "/v2/enqueue", "/hook"))

    def missing(self, notice, incident):
        """The channels that never took the notice."""
        text = html.escape(notice["text"], quote=False)
        in_chat = any(incident in json.dumps(body) and body["text"].startswith(f"*{notice['kind']}:")
                      and text[:1000] in body["text"] for body in self.chat)
        kinds = {"page": "trigger", "approval": "trigger", "resolved": "resolve"}
        by_phone = notice["kind"] not in kinds or any(
            body["dedup_key"] == incident and body["event_action"] == kinds[notice["kind"]]
            and (notice["kind"] == "resolved"
                 or body["payload"]["custom_details"]["notice"] == notice["id"])
            for body in self.phone)
        on_pager = any(body["id"] == notice["id"] for body in self.pager)
        heard = {"chat": in_chat, "phone": by_phone, "pager": on_pager}
        return [name for name, good in heard.items() if not good]

    def over(self, told):
        """Whether each channel has heard of so many incidents that they are resolved."""
        return all(len(ids) >= told for ids in (
            {body["dedup_key"] for body in self.phone if body["event_action"] == "resolve"},
            {body["incident"]["id"] for body in self.pager if body["kind"] == "resolved"},
            {body["blocks"][1]["elements"][0]["text"].split()[0] for body in self.chat
             if body["text"].startswith("*resolved:")}))


def pending(ports):
    """How many notices are not delivered everywhere, as the notifier tells it."""
    _, text = fetch(f"http://127.0.0.1:{ports['api']}/metrics")
    found = [line.split()[-1] for line in text.splitlines()
             if line.startswith("vigie_notify_pending_items")]
    return float(found[0]) if found else None


def await_notices(ports, told, seconds=90):
    """The ways to people work again: what is still to be said arrives, or is missed later."""
    order = json.dumps({"unreliable": {"share": 0}}).encode()
    fetch(f"http://127.0.0.1:{ports['pages']}/_control", "POST", order)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if Receivers(ports).over(told) and pending(ports) == 0:
            return
        time.sleep(0.2)


def check_world(told, ports, replayed):
    """What is wrong with the world, one sentence each."""
    wrong = []
    events = [json.loads(line) for line in replayed.splitlines()]
    incidents = [event for event in events if event["type"] == "io.vigie.incident.v1"]
    for number in range(told):
        name = service(number)
        ids = {event["data"]["incident"]["id"] for event in incidents
               if f"service:{name}" in event["data"]["incident"]["entities"]}
        if len(ids) != 1:
            wrong.append(f"{name} has {len(ids)} incidents")
        if (count := rollbacks(ports, name)) != 1:
            wrong.append(f"{name} was rolled back {count} times")
    receivers = Receivers(ports)
    notices = [(notice, event["data"]["incident"]["id"]) for event in incidents
               for notice in event["data"].get("notices", [])]
    for notice, incident in notices:
        wrong += [f"{channel} never took {notice['id']} {notice['kind']} {notice['text'][:60]}"
                  for channel in receivers.missing(notice, incident)]
    if len([notice for notice, _ in notices if notice["kind"] == "page"]) < told:
        wrong.append(f"{told} stories, but fewer pages")
    if receivers.tries - receivers.taken < told:
        wrong.append(f"only {receivers.tries - receivers.taken} of {receivers.tries} sends failed")
    for name in ("kubernetes", "pages"):
        wrong += fetch_json(f"http://127.0.0.1:{ports[name]}/_violations")["violations"]
    print(f"{len(notices)} notices for three channels; {receivers.tries} sends, of which "
          f"{receivers.tries - receivers.taken} failed")
    return wrong


def check_secrets(ports, vigie, folder):
    """Nobody sees a secret that is not theirs: on disk, in the log, in what was sent to people."""
    files, wrong = leaks_in_files(SECRETS, SIGN, (folder / "logs", folder / "data"))
    topics, leaks = leaks_in_log(SECRETS, SIGN, vigie, folder / "data")
    others = {name: secret for name, secret in SECRETS.items() if name != "pagerduty"}
    for body in Receivers(ports).bodies:
        leaks += leaks_in(others, "a notice", body)
    print(f"{files} files and {topics} topics looked at for secrets")
    return wrong + leaks


def set_stage(stage, folder, ports, seed):
    """Everything but Vigie: its files, a cluster that works, and people who are hard to reach."""
    (folder / "vigie.yaml").write_text(config(folder, ports))
    (folder / "api-token").write_text(SECRETS["api"] + "\n")
    (folder / "state.json").write_text(json.dumps(
        [{"namespace": "shop", "name": service(n), "images": [f"shop/{service(n)}:{GOOD}"],
          "replicas": 2} for n in range(STORIES_MAX)]))
    stage.start("kubernetes", [sys.executable, ROOT / "tests/standins/kubernetes.py", "--port",
                               ports["kubernetes"], "--state", folder / "state.json",
                               "--token", SECRETS["kubernetes"]])
    stage.start("pages", [sys.executable, ROOT / "tests/standins/webhooks.py", "--port",
                          ports["pages"], "--secret", SECRETS["hook"], "--routing-key",
                          SECRETS["pagerduty"]])
    stage.wait_for_url("kubernetes", f"http://127.0.0.1:{ports['kubernetes']}/_requests")
    stage.wait_for_url("pages", f"http://127.0.0.1:{ports['pages']}/_requests")
    order = {"unreliable": {"seed": seed, "share": UNRELIABLE_SHARE}}
    fetch(f"http://127.0.0.1:{ports['pages']}/_control", "POST", json.dumps(order).encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vigie", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    vigie = arguments.vigie.resolve()
    stage = Stage(folder)
    ports = dict(zip(PORTS, free_ports(len(PORTS))))
    set_stage(stage, folder, ports, arguments.seed)
    killer = Killer([str(vigie), "serve", "--config", str(folder / "vigie.yaml")], folder,
                    arguments.kills, arguments.seed)
    killer.start()
    told = 0
    try:
        while told < STORIES_MAX and (killer.killed < arguments.kills or told == 0):
            Story(told, ports).tell()
            told += 1
        killer.await_last()
        await_notices(ports, told)
        answers, wrong = leaks_in_answers(
            SECRETS, SIGN, f"http://127.0.0.1:{ports['api']}", vigie,
            dict(os.environ, VIGIE_SERVER=f"http://127.0.0.1:{ports['api']}",
                 VIGIE_TOKEN_FILE=str(folder / "api-token")))
        code = killer.stop()
        replay = subprocess.run([str(vigie), "replay", "--json", "--data", f"{folder}/data"], check=True,
                                capture_output=True, text=True, timeout=120)
        print(f"{killer.killed} kills, {told} stories, seed {arguments.seed}; {answers} answers "
              f"looked at for secrets; {replay.stderr.strip()}")
        wrong += check_world(told, ports, replay.stdout)
        wrong += check_secrets(ports, vigie, folder)
        if killer.killed < arguments.kills:
            wrong.append(f"only {killer.killed} of {arguments.kills} kills")
        if code != 0:
            wrong.append(f"vigie ended with {code}")
    except DemoError as error:
        wrong = [str(error), f"{killer.killed} kills so far; logs are in {folder}/logs"]
    finally:
        if killer.process and killer.process.poll() is None:
            killer.process.kill()
        stage.stop_all()
    for line in wrong:
        print(f"WRONG: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
