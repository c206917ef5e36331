#!/usr/bin/env python3
"""Kills Vigie with SIGKILL at 200 random moments while it tells one story after the other, and
then looks at the world: one incident for each story, one rollback, every page sent.

usage: kill_test.py VIGIE FOLDER [--kills N] [--seed N]
"""
import argparse
import json
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

GOOD, BAD = "1.4.2", "1.5.0"
STORIES_MAX = 60
STORY_SECONDS = 90
PORTS = ("kubernetes", "pages", "api", "otlp", "alertmanager")
SECRETS = {"github": "kill-test-github-secret", "hook": "kill-test-hook-secret",
           "token": "kill-test-api-token", "kubernetes": "kill-test-cluster-token"}


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
api: {{token: {SECRETS['token']}}}
ingest:
  github: {{secret: {SECRETS['github']}}}
agent:
  modes: [{{mode: approve}}]
  actions_per_hour_max: 1000
  diagnose_after: 1s
  verify_hold: 1s
  verify_timeout: 60s
actions:
  orphan_wait: 1s
  kubernetes: {{server: 'http://127.0.0.1:{ports['kubernetes']}', token: {SECRETS['kubernetes']}}}
notify:
  webhooks:
    - name: pager
      url: http://127.0.0.1:{ports['pages']}/hook
      secret: {SECRETS['hook']}
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
            time.sleep(self._random.choice((0.05, 0.2, 0.5, 1.0, 1.5)) * self._random.random() + 0.02)
            if self.process.poll() is not None:
                raise SystemExit(f"vigie ended by itself with {self.process.returncode}")
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.killed += 1
            self.start_vigie()

    def stop(self):
        self._enough.set()
        self.join()
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
                          "Authorization": f"Bearer {SECRETS['token']}"})

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


def check(told, ports, folder, replayed):
    """What is wrong with the world, one sentence each."""
    wrong = []
    events = [json.loads(line) for line in replayed.splitlines()]
    incidents = [event for event in events if event["type"] == "io.vigie.incident.v1"]
    sent = "\n".join(request["body"] for request in
                     fetch_json(f"http://127.0.0.1:{ports['pages']}/_requests"))
    for number in range(told):
        name = service(number)
        ids = {event["data"]["incident"]["id"] for event in incidents
               if f"service:{name}" in event["data"]["incident"]["entities"]}
        if len(ids) != 1:
            wrong.append(f"{name} has {len(ids)} incidents")
        if (count := rollbacks(ports, name)) != 1:
            wrong.append(f"{name} was rolled back {count} times")
    notices = [notice for event in incidents for notice in event["data"].get("notices", [])]
    wrong += [f"never sent: {n['id']} {n['kind']} {n['text'][:60]}" for n in notices
              if n["id"] not in sent]
    if len([n for n in notices if n["kind"] == "page"]) < told:
        wrong.append(f"{told} stories, but fewer pages")
    for path in list((folder / "logs").iterdir()) + list((folder / "data").rglob("*")):
        text = path.read_bytes() if path.is_file() else b""
        wrong += [f"{path} holds the {what} secret" for what, secret in SECRETS.items()
                  if secret.encode() in text]
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vigie", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    stage = Stage(folder)
    ports = dict(zip(PORTS, free_ports(len(PORTS))))
    (folder / "vigie.yaml").write_text(config(folder, ports))
    (folder / "state.json").write_text(json.dumps(
        [{"namespace": "shop", "name": service(n), "images": [f"shop/{service(n)}:{GOOD}"],
          "replicas": 2} for n in range(STORIES_MAX)]))
    stage.start("kubernetes", [sys.executable, ROOT / "tests/standins/kubernetes.py", "--port",
                               ports["kubernetes"], "--state", folder / "state.json",
                               "--token", SECRETS["kubernetes"]])
    stage.start("pages", [sys.executable, ROOT / "tests/standins/webhooks.py", "--port",
                          ports["pages"]])
    stage.wait_for_url("kubernetes", f"http://127.0.0.1:{ports['kubernetes']}/_requests")
    stage.wait_for_url("pages", f"http://127.0.0.1:{ports['pages']}/_requests")

    command = [str(arguments.vigie.resolve()), "serve", "--config", str(folder / "vigie.yaml")]
    killer = Killer(command, folder, arguments.kills, arguments.seed)
    killer.start()
    told = 0
    try:
        while told < STORIES_MAX and (killer.killed < arguments.kills or told == 0):
            Story(told, ports).tell()
            told += 1
        time.sleep(3)  # The last notices are on their way.
        code = killer.stop()
        replay = subprocess.run([command[0], "replay", "--data", f"{folder}/data"], check=True,
                                capture_output=True, text=True, timeout=120)
        wrong = check(told, ports, folder, replay.stdout)
        if killer.killed < arguments.kills:
            wrong.append(f"only {killer.killed} of {arguments.kills} kills")
        if code != 0:
            wrong.append(f"vigie ended with {code}")
        violations = fetch_json(f"http://127.0.0.1:{ports['kubernetes']}/_violations")
        wrong += violations["violations"]
        print(f"{killer.killed} kills, {told} stories, seed {arguments.seed}; "
              + replay.stderr.strip())
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
