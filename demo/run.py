#!/usr/bin/env python3
"""The whole loop on real input, in two acts: a bad deployment that Vigie rolls back once it is
approved, and the same again in shadow mode, where it only says what it would have done.

Ends with 0 only when everything happened as told.
"""
import argparse
import hashlib
import hmac
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.parse
import uuid

import settings
from cluster import Cluster
from follow import Follower, cause_of, confidence_of
from stage import DemoError, Stage, Terminal, fetch, fetch_json, free_ports

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUSPECT = "checkout"
GOOD, BAD = "1.4.2", "1.5.0"
BASELINE_SECONDS = 25
ENDED = ("resolved", "reviewed")
PORTS = ("frontend", "checkout", "payments", "kubernetes", "prometheus", "node_exporter",
         "api", "otlp_http", "alertmanager", "on_call")


def program(name):
    """A program of Prometheus, unpacked by `./dev deps` or installed."""
    unpacked = ROOT / "build" / "tools" / "usr" / "bin" / name
    return unpacked if unpacked.exists() else name


class Demo:
    def __init__(self, folder, vigie):
        self.terminal = Terminal()
        self.stage = Stage(folder)
        self.vigie = vigie
        self.ports = dict(zip(PORTS, free_ports(len(PORTS))))
        self.config = self.stage.folder / "vigie.yaml"
        self.data = self.stage.folder / "data"
        self.cluster = Cluster(self.stage, ROOT, self.ports["kubernetes"])

    def url(self, name):
        return f"http://127.0.0.1:{self.ports[name]}"

    # --- the world ---------------------------------------------------------------------------

    def start(self):
        settings.write_prometheus(self.stage.folder, self.ports)
        settings.write_vigie(self.stage.folder, ROOT, self.ports)
        self.cluster.start()
        self.stage.start("on-call", [sys.executable, ROOT / "tests/standins/webhooks.py",
                                     "--port", self.ports["on_call"]])
        self.start_shop()
        self.stage.start("vigie", [self.vigie, "serve", "--config", self.config])
        self.stage.wait_for_url("vigie", f"{self.url('api')}/-/ready")
        self.stage.start("node-exporter", [
            program("prometheus-node-exporter"),
            f"--web.listen-address=127.0.0.1:{self.ports['node_exporter']}"])
        self.stage.start("prometheus", [
            program("prometheus"), "--config.file=prometheus.yml",
            "--storage.tsdb.path=prometheus", "--rules.alert.resend-delay=2s",
            f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}"])
        self.stage.wait_for_url("prometheus", f"{self.url('prometheus')}/-/ready")

    def start_shop(self):
        following = {"frontend": "checkout", "checkout": "payments"}
        for name in reversed(settings.SERVICES):
            command = [sys.executable, ROOT / "demo/shop.py", name, "--port", self.ports[name],
                       "--state", self.cluster.state]
            if name in following:
                command += ["--next", self.url(following[name]), "--next-name", following[name]]
            if name == "frontend":
                command += ["--otlp", self.url("otlp_http")]
            self.stage.start(name, command)
        for name in settings.SERVICES:
            self.stage.wait_for_url(name, f"{self.url(name)}/healthz")
        self.stage.start("customers", [sys.executable, ROOT / "demo/shop.py", "load",
                                       "--url", f"{self.url('frontend')}/order"])

    def query(self, expression):
        """A number from Prometheus; 0 when it has none."""
        answer = fetch_json(f"{self.url('prometheus')}/api/v1/query?query="
                            + urllib.parse.quote(expression))
        result = answer["data"]["result"] if answer else []
        return float(result[0]["value"][1]) if result else 0.0

    def health_of_shop(self):
        errors = self.query('sum(rate(http_requests_total{service="frontend",code=~"5.."}[10s]))'
                            ' / sum(rate(http_requests_total{service="frontend"}[10s]))')
        slow = self.query('histogram_quantile(0.9, sum by (le) (rate('
                          'http_request_duration_seconds_bucket{service="frontend"}[10s])))')
        return f"{errors:.0%} of orders fail, p90 {slow * 1000:.0f} ms"

    def deploy(self, number, version):
        """As a pipeline does: tells GitHub, whose webhook tells Vigie, and changes the image."""
        body = settings.deployment_webhook(number, version).encode()
        signature = hmac.new(settings.GITHUB_SECRET.encode(), body, hashlib.sha256).hexdigest()
        status, text = fetch(f"{self.url('api')}/webhooks/github", "POST", body, {
            "Content-Type": "application/json", "X-GitHub-Event": "deployment",
            "X-GitHub-Delivery": str(uuid.uuid4()), "X-Hub-Signature-256": f"sha256={signature}",
            "User-Agent": "GitHub-Hookshot/demo"})
        if status not in (200, 202):
            raise DemoError(f"the GitHub webhook was answered {status}: {text.strip()}")
        self.cluster.set_image(SUSPECT, version, "pipeline")
        self.terminal.step(f"dana deploys checkout {version} (signed GitHub webhook, then the "
                           "cluster)", "1")

    # --- Vigie -------------------------------------------------------------------------------

    def run_vigie(self, *arguments):
        """Runs a subcommand against our server, shows it, and returns what it printed."""
        self.terminal.step(f"$ vigie {shlex.join(arguments)}", "1;35")
        done = subprocess.run(
            [str(self.vigie), *arguments], capture_output=True, text=True, timeout=60,
            stdin=subprocess.DEVNULL, check=False,
            env=dict(os.environ, VIGIE_SERVER=self.url("api"), USER=os.environ.get("USER", "demo")))
        self.terminal.more(*(f"  {line}" for line in done.stdout.splitlines()))
        if done.returncode != 0:
            raise DemoError(f"vigie {arguments[0]} ended with {done.returncode}: "
                            f"{done.stderr.strip()}")
        return done.stdout

    def incidents(self):
        answer = fetch_json(f"{self.url('api')}/api/v1/incidents")
        return answer["incidents"] if answer else []

    def notices(self, incident_id):
        """The kinds of notices that reached the on-call webhook."""
        bodies = [json.loads(request["body"]) for request in
                  fetch_json(f"{self.url('on_call')}/_requests") if request["method"] == "POST"]
        return {body["kind"] for body in bodies if body["incident"]["id"] == incident_id}

    def wait_for_incident(self, known):
        """A follower of the incident that is active now and was not before."""
        def find():
            return next((item for item in self.incidents()
                         if item["active"] and item["id"] not in known), None)
        found = self.stage.wait_for("an incident opens", 45, find)
        return found["id"], Follower(self.url("api"), found["id"], self.terminal)

    def follow_until(self, follower, what, seconds, reached):
        """The incident once `reached(incident)`; tells everything on the way."""
        def probe():
            incident = follower.look()
            return incident if incident and reached(incident) else None
        return self.stage.wait_for(what, seconds, probe, interval=0.3)

    def expect(self, good, text):
        if not good:
            raise DemoError(f"expected: {text}")
        self.terminal.good(f"as it should be: {text}")

    def expect_cause(self, incident):
        cause = cause_of(incident)
        named = cause and cause["mechanism"] == "bad_change" and cause["entity"].endswith("checkout") \
            and "deployment" in cause["change_key"]
        self.expect(named, f"the first cause is the deployment of checkout ({cause['change_key']})"
                    if cause else "a cause is named")
        self.expect(not incident["diagnosis"]["confidence"]["calibrated"],
                    f"confidence is {confidence_of(incident)}, so autonomous would be refused")

    # --- the acts ----------------------------------------------------------------------------

    def baseline(self):
        self.terminal.step("started: shop (frontend -> checkout -> payments), its customers, a "
                           "Kubernetes API,")
        self.terminal.more("Prometheus, node-exporter, and Vigie on the embedded bus")
        self.terminal.step(f"Vigie learns what is normal for {BASELINE_SECONDS} s")
        self.rest(BASELINE_SECONDS)
        self.terminal.step(f"the shop is well: {self.health_of_shop()}")
        self.expect(not self.incidents(), "no incident while nothing is wrong")

    def rest(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.stage.check_alive()
            time.sleep(0.2)

    def act_one(self):
        self.terminal.title("Act one: mode approve")
        self.deploy(17, BAD)
        incident_id, follower = self.wait_for_incident(set())
        incident = self.follow_until(follower, "a plan awaits approval", 60,
                                     lambda i: i["state"] == "awaiting_approval")
        self.terminal.step(f"meanwhile {self.health_of_shop()}")
        self.expect_cause(incident)
        self.expect(self.cluster.version(SUSPECT) == BAD,
                    "nothing was touched before the approval")
        self.terminal.step("nobody is at this terminal, so the demo answers for you")
        self.run_vigie("approve", incident_id, "--plan", incident["plan"]["id"],
                       "--reason", "the new version is at fault")
        self.follow_until(follower, "the rollback is done", 60,
                          lambda i: i["state"] in ("verifying", *ENDED))
        self.expect(self.cluster.version(SUSPECT) == GOOD, f"checkout runs {GOOD} again")
        incident = self.follow_until(follower, "the incident resolves", 75,
                                     lambda i: i["state"] in ENDED and i["postmortem"])
        self.terminal.step(f"the shop is well: {self.health_of_shop()}")
        self.expect(len(self.incidents()) == 1, "it was one incident")
        self.expect(self.cluster.changes_by_vigie() == 1, "it was one change, made once")
        self.stage.wait_for("on-call hears that it is over", 10,
                            lambda: "resolved" in self.notices(incident_id))
        self.expect({"page", "approval"} <= self.notices(incident_id),
                    "on-call was told: a page, the question, and that it is over")
        self.postmortem = self.data / "postmortems" / f"{incident_id}.md"
        self.stage.wait_for("the post-mortem is a file", 10, self.postmortem.exists)
        self.expect(self.postmortem.read_text() == incident["postmortem"],
                    f"the post-mortem is in {os.path.relpath(self.postmortem)}")
        self.first = incident_id

    def act_two(self):
        self.terminal.title("Act two: the same in mode shadow")
        self.terminal.step("the same symptoms within the correlation window would reopen the "
                           "incident: it passes")
        self.rest(settings.CORRELATION_SECONDS + 2)
        self.run_vigie("mode", "shadow", "--reason", "watch only")
        before = self.cluster.changes_by_vigie()
        self.deploy(18, BAD)
        _, follower = self.wait_for_incident({self.first})
        incident = self.follow_until(
            follower, "a plan that is only recorded", 60,
            lambda i: i.get("plan") and i["plan"]["gate"])
        self.expect_cause(incident)
        self.expect(incident["plan"]["mode"] == "shadow" and incident["plan"]["steps"]
                    and all(step["status"] == "would_run" for step in incident["plan"]["steps"]),
                    "the plan only says what would have been run")
        self.rest(5)
        self.expect(self.cluster.version(SUSPECT) == BAD
                    and self.cluster.changes_by_vigie() == before, "Vigie touched nothing")
        self.cluster.set_image(SUSPECT, GOOD, "dana")
        self.terminal.step(f"dana puts checkout back to {GOOD} herself", "1")
        self.follow_until(follower, "every symptom clears", 60, lambda i: all(
            item.get("cleared_at") for item in i["evidence"] if item["symptom"]))
        self.terminal.step(f"the shop is well: {self.health_of_shop()}")
        self.expect(self.cluster.changes_by_vigie() == before, "Vigie touched nothing until the end")
        checked, broken = self.cluster.broken_contracts()
        self.expect(not broken, "every request to the cluster was one it understands"
                    + (" (checked against Kubernetes' own schema)" if checked else ""))

    def replay(self):
        done = subprocess.run([str(self.vigie), "replay", "--data", str(self.data)],
                              capture_output=True, text=True, timeout=120, check=False,
                              stdin=subprocess.DEVNULL)
        found = re.search(r"(\d+) of (\d+) recorded transitions", done.stderr)
        self.expect(done.returncode == 0 and found and found.group(1) == found.group(2) != "0",
                    "replayed from its log, Vigie decides the same again, byte for byte: "
                    + (found.group(0) if found else done.stderr.strip()))

    def farewell(self, keep):
        self.terminal.title(f"Done in {self.terminal.elapsed():.0f} s. Everything happened.")
        where = os.path.relpath(self.vigie)
        print(f"  post-mortem   {os.path.relpath(self.postmortem)}")
        print(f"  data          {os.path.relpath(self.data)}")
        if not keep:
            print(f"\nAll programs of the demo are stopped. To look around, start Vigie again on "
                  f"its data:\n\n  {where} serve --config {os.path.relpath(self.config)}\n")
        print(f"  console       {self.url('api')}/\n\n  export VIGIE_SERVER={self.url('api')}")
        for words in ("get incidents", f"describe {self.first}", f"explain {self.first}"):
            print(f"  {where} {words}")
        print(f"  {where} replay --data {os.path.relpath(self.data)}")

    def run(self, keep):
        self.start()
        self.baseline()
        self.act_one()
        self.act_two()
        if not keep:
            self.stage.stop_all()
            self.replay()
        self.farewell(keep)
        if keep:
            print("\nEverything keeps running; Ctrl-C ends it.", flush=True)
            while True:
                self.rest(3600)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--keep", action="store_true", help="keep everything running at the end")
    parser.add_argument("--vigie", default=ROOT / "build/release/vigie", type=pathlib.Path)
    parser.add_argument("--folder", default=ROOT / "build/demo", type=pathlib.Path)
    arguments = parser.parse_args()

    def interrupt(*_):
        raise KeyboardInterrupt
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    demo = Demo(arguments.folder.resolve(), arguments.vigie.resolve())
    try:
        demo.run(arguments.keep)
        return 0
    except DemoError as error:
        demo.terminal.bad(f"FAILED: {error}")
        return 1
    except KeyboardInterrupt:
        demo.terminal.step("stopped")
        return 130
    except BrokenPipeError:  # Nobody reads what happens any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        demo.stage.stop_all()


if __name__ == "__main__":
    sys.exit(main())
