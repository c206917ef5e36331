#!/usr/bin/env python3
"""What an operator does with the program itself: wrong use, a wrong configuration, a reload with a
bad file, a drain, a second process on the same data, the kill switch, no configuration at all.

usage: program_test.py VIGIE FOLDER
"""
import csv
import http.client
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "demo"))

from stage import Stage, fetch, fetch_json, free_ports  # noqa: E402

VIGIE = pathlib.Path(sys.argv[1]).resolve()
FOLDER = pathlib.Path(sys.argv[2]).resolve()
TOKEN = "program-test-token"

CONFIG = """\
data: {data}
listen: {{api: '127.0.0.1:{api}', otlp: '127.0.0.1:{otlp}', alertmanager: '127.0.0.1:{alertmanager}'}}
api: {{token: {token}}}
{more}
"""


def run(*words, **options):
    return subprocess.run([str(VIGIE), *words], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, check=False, **options)


class ProgramTest(unittest.TestCase):
    def setUp(self):
        self.folder = FOLDER / self.id().rsplit(".", 1)[-1]
        self.stage = Stage(self.folder)
        self.addCleanup(self.stage.stop_all)
        self.ports = dict(zip(("api", "otlp", "alertmanager"), free_ports(3)))
        self.config = self.folder / "vigie.yaml"
        self.write("")

    def write(self, more):
        self.config.write_text(CONFIG.format(data=self.folder / "data", token=TOKEN, more=more,
                                             **self.ports))

    def url(self, path):
        return f"http://127.0.0.1:{self.ports['api']}{path}"

    def serve(self):
        self.stage.start("vigie", [VIGIE, "serve", "--config", self.config])
        self.stage.wait_for_url("vigie", self.url("/-/ready"))
        return self.stage._processes["vigie"]  # pylint: disable=protected-access

    def log(self):
        return self.stage.log_of("vigie").read_text()

    def client(self, *words):
        token = self.folder / "token"
        token.write_text(TOKEN + "\n")
        return run(*words, env=dict(os.environ, VIGIE_SERVER=self.url(""),
                                    VIGIE_TOKEN_FILE=str(token)))

    def test_wrong_use_is_exit_2_and_says_how(self):
        for words in ((), ("serve", "--colour"), ("approve",), ("kill", "maybe"), ("dance",)):
            done = run(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertTrue(done.stderr.strip(), words)
        self.assertIn("vigie 0", run("version").stdout)
        self.assertIn("vigie 0", run("--version").stdout)
        self.assertIn("there is no command 'dance'", run("dance").stderr)
        self.assertEqual(run("--help").returncode, 0)

    def test_templates_of_a_file_of_log_lines(self):
        place = self.folder / "lines.log"
        lines = [f"user{i} took \"{i}\", of {i}" for i in range(3)] + ["", "b\xe9 \x00, end\r"]
        lines += [f"peer {name} was lost" for name in ("ann", "bob", "eve", "joe", "kim")]
        place.write_bytes("\n".join(lines).encode("latin-1") + b"\n" + b"x" * 200_000)
        for words, last in (((), 11), (("--settled",), 7)):
            done = run("detector", "logs", str(place), *words)
            self.assertEqual(done.returncode, 0, done.stderr)
            rows = list(csv.reader(io.StringIO(done.stdout)))
            self.assertEqual(rows[0], ["LineId", "ClusterId", "Template"])
            self.assertEqual([row[0] for row in rows[1:]], [str(i) for i in range(1, 12)])
            self.assertEqual(rows[1][1:], ["1", "<*> took \"<*>\", of <*>"])
            self.assertEqual({row[1] for row in rows[1:4]}, {"1"})
            self.assertEqual(rows[5][2], "b\ufffd , end")
            self.assertEqual({row[2] for row in rows[6:11]}, {"peer <*> was lost"})
            self.assertEqual(len({row[1] for row in rows[6:11]}), 1 if words else 4)
            self.assertEqual(rows[11][2], "<*>")
            self.assertIn("1 lines cut at", done.stderr)
            self.assertLessEqual(int(rows[11][1]), last + 2)

    def test_alerts_of_a_recorded_stream_of_log_lines(self):
        place = self.folder / "stream.log"
        start = 1_700_000_000
        rows = [f"{start + i}.5\tshop\torder {i} is kept" for i in range(2000)]
        rows += [f"{start + 2000 + i}\tshop\tERROR order {i} is lost, \"again\"" for i in range(40)]
        place.write_text("\n".join(rows) + "\n")
        done = run("detector", "logs", "--alerts", str(place))
        self.assertEqual(done.returncode, 0, done.stderr)
        found = list(csv.DictReader(io.StringIO(done.stdout)))
        self.assertEqual([(row["service"], row["detector"]) for row in found],
                         [("shop", "logs.new"), ("shop", "logs.errors")][:len(found)])
        self.assertTrue(found and start + 2000 < float(found[0]["time"]) < start + 2040)
        place.write_text(rows[0] + "\n1e999\tshop\tx\n")
        done = run("detector", "logs", "--alerts", str(place))
        self.assertEqual(done.returncode, 1)
        self.assertIn("line 2: '1e999' is no time", done.stderr)
        for words, says in (((str(self.folder),), "is a folder"), (("/no/such",), "cannot read")):
            done = run("detector", "logs", *words)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(says, done.stderr)

    def test_a_wrong_configuration_is_refused_with_every_place(self):
        self.write("agent:\n  modus: approve\n  confidence_min: 7\nlog: {level: loud}\n"
                   "ingest: {body_max: 1GiB}\n"
                   "detect: {rules: [{name: x, metric: up, threshold: a lot}]}\n")
        more = self.folder / "more.yaml"
        more.write_text("listen: {tls: {certificate_file: /nowhere.pem, key_file: /nowhere.key}}\n"
                        "agent: {modes: [{action: kubernetes.rolback_deployment}]}\n"
                        "bus: {kafka: {bootstrap.servers: x, ssl.kestore: y}}\n")
        also = run("check-config", str(more)).stderr
        self.assertIn("/nowhere.pem", also)
        self.assertIn("no runbook has an action 'kubernetes.rolback_deployment'", also)
        self.assertIn("bus.kafka: kafka property ssl.kestore: No such configuration", also)
        done = run("check-config", str(self.config))
        self.assertEqual(done.returncode, 1)
        for part in ("vigie.yaml:5:3: agent.modus: unknown option", "agent.confidence_min",
                     "log.level", "threshold", "ingest.body_max"):
            self.assertIn(part, done.stderr)
        self.assertEqual(run("serve", "--config", str(self.config)).returncode, 1)
        self.assertEqual(run("check-config", "/nowhere.yaml").returncode, 1)

    def test_a_bad_reload_keeps_the_old_configuration(self):
        process = self.serve()
        self.write("agent: {modus: approve, colour: red}\n")
        process.send_signal(signal.SIGHUP)
        self.stage.wait_for("the refusal is logged", 10,
                            lambda: "the old one stays" in self.log())
        status, text = fetch(self.url("/-/reload"), "POST", b"{}", {
            "Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"})
        self.assertEqual(status, 500)
        reasons = json.loads(text)["error"].split("\n")
        self.assertEqual(len(reasons), 2, reasons)
        self.assertIn("agent.modus", reasons[0])
        self.assertIn("agent.colour", reasons[1])
        self.assertEqual(fetch(self.url("/-/ready"))[0], 200)
        self.write("agent: {modes: [{mode: suggest}]}\n")
        process.send_signal(signal.SIGHUP)
        self.stage.wait_for("the reload is logged", 10,
                            lambda: "configuration reloaded" in self.log())

    def test_a_broken_file_of_targets_keeps_nobody_from_starting(self):
        targets = self.folder / "targets.json"
        targets.write_text('[{"targets": ["127.0.0.1:1"')
        self.write("scrape_configs: [{job_name: shop, file_sd_configs: [{files: ['%s']}]}]\n"
                   % targets)
        checked = run("check-config", str(self.config))
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertIn("warning: job 'shop' goes without these targets: ", checked.stderr)
        self.serve()
        self.stage.wait_for("the file is warned of", 10,
                            lambda: "targets cannot be read" in self.log())

    def test_sigterm_drains_and_the_data_is_there_again(self):
        process = self.serve()
        alert = [{"labels": {"alertname": "Down", "service": "shop", "severity": "critical"},
                  "startsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}]
        status, text = fetch(f"http://127.0.0.1:{self.ports['alertmanager']}/api/v2/alerts", "POST",
                             json.dumps(alert).encode(), {"Content-Type": "application/json"})
        self.assertEqual(status, 200, text)
        process.terminate()
        self.assertEqual(process.wait(20), 0)
        self.assertIn("vigie has stopped", self.log())
        self.serve()
        self.stage.wait_for("the incident is there again", 20, lambda: fetch_json(
            self.url("/api/v1/incidents"))["incidents"])
        done = self.client("get", "incidents")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("inc-", done.stdout)
        for form in ("json", "yaml"):
            self.assertIn("service:shop", self.client("get", "incidents", "-o", form).stdout)
        incident = next(word for word in done.stdout.split() if word.startswith("inc-"))
        self.assertIn("Down", self.client("describe", incident).stdout)
        self.assertIn("no open incident", self.client("explain", incident).stdout)
        self.assertEqual(self.client("ack", incident).returncode, 0)
        refused = self.client("approve", incident, "--plan", "plan-0")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("is not the plan", refused.stderr)
        self.assertEqual(self.client("approve", incident).returncode, 1)
        self.assertEqual(self.client("describe", "inc-nowhere").returncode, 1)
        self.stage.wait_for("the owner is known", 10, lambda: fetch_json(
            self.url(f"/api/v1/incidents/{incident}"))["owner"])
        said = self.client("silence", "service:other", "--for", "2h")
        self.assertEqual(said.returncode, 0, said.stderr)
        self.assertEqual(self.client("silence", "service:other", "--for", "soon").returncode, 1)
        decision = next(word.strip("'") for word in said.stdout.split() if "decision-" in word)
        self.stage.wait_for("what came of it is known", 10, lambda: self.client(
            "explain", decision).returncode == 0)
        self.assertEqual(self.client("resolve", incident, "--reason", "a test").returncode, 0)
        self.stage.wait_for("a person resolved it", 10, lambda: fetch_json(
            self.url(f"/api/v1/incidents/{incident}"))["state"] == "resolved")
        self.assertEqual(self.client("ack", incident).returncode, 1)
        self.assertEqual(self.client("verdict", incident, "right").returncode, 0)

    def test_a_second_process_on_the_same_data_is_refused(self):
        self.serve()
        other = self.folder / "other.yaml"
        ports = dict(zip(("api", "otlp", "alertmanager"), free_ports(3)))
        other.write_text(CONFIG.format(data=self.folder / "data", token=TOKEN, more="", **ports))
        done = run("serve", "--config", str(other))
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot start", done.stderr)
        # Reading beside the server is fine.
        self.assertEqual(run("replay", "--data", str(self.folder / "data")).returncode, 0)

    def test_the_kill_switch_is_a_file_and_a_command(self):
        self.serve()
        switch = self.folder / "data" / "kill-switch"
        self.assertEqual(switch.read_text().strip(), "off")
        self.assertEqual(self.client("kill", "on").returncode, 0)
        self.stage.wait_for("the switch is on", 10, lambda: switch.read_text().strip() == "on")
        self.assertEqual(self.client("kill", "off").returncode, 0)
        self.stage.wait_for("the switch is off", 10, lambda: switch.read_text().strip() == "off")
        self.stage.stop("vigie")
        done = self.client("kill", "on", "--data", str(self.folder / "data"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(switch.read_text().strip(), "on")
        wrong = self.client("kill", "on", "--data", str(self.folder))
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("is not a data folder", wrong.stderr)
        self.assertFalse((self.folder / "kill-switch").exists())
        # A switch that disappeared is on, also for the next process.
        switch.unlink()
        self.serve()
        self.assertEqual(switch.read_text().strip(), "on")
        self.assertIn("the kill switch was missing", self.log())

    def test_a_mode_can_be_set_and_taken_back(self):
        self.serve()
        for mode in ("suggest", "policy"):
            done = self.client("mode", mode)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_who_has_no_token_decides_nothing(self):
        self.serve()
        done = run("mode", "autonomous", env=dict(os.environ, VIGIE_SERVER=self.url("")))
        self.assertEqual(done.returncode, 1)
        self.assertIn("401", done.stderr)
        self.assertNotIn(TOKEN, self.log())

    def test_what_became_of_a_request(self):
        self.write("ingest: {sources: [{name: team-a, token: a, rate: {requests: 0.1, burst: 10s}}]}")
        self.serve()

        def post(token):
            connection = http.client.HTTPConnection("127.0.0.1", self.ports["api"], timeout=10)
            self.addCleanup(connection.close)
            connection.request("POST", "/api/v1/logs", '{"service": "a", "message": "m"}',
                               {"Content-Type": "application/json",
                                "Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            answer.read()
            return answer.status, answer.headers["X-Request-Id"], answer.headers["Retry-After"]
        status, request, _ = post("a")
        self.assertEqual(status, 204)
        for words in (("ingest", request), (request,)):
            done = self.client("explain", *words)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"{request}  accepted", done.stdout)
            self.assertIn("(team-a)", done.stdout)
            self.assertIn("items: 1 accepted, 0 refused", done.stdout)
            self.assertRegex(done.stdout, r"vigie\.logs/0@\d+")
        status, request, wait = post("a")
        self.assertEqual((status, wait), (429, "10"))
        self.assertIn("rate: 'team-a' may send", self.client("explain", "ingest", request).stdout)
        status, request, _ = post("b")
        self.assertEqual(status, 401)
        answer = json.loads(self.client("explain", "ingest", request, "--json").stdout)
        self.assertEqual((answer["outcome"], answer["records"]), ("token", []))
        unknown = self.client("explain", "ingest", "req-000000000000-0000-000000")
        self.assertEqual(unknown.returncode, 1)
        self.assertIn("nothing is known of request", unknown.stderr)
        self.assertEqual(self.client("explain", "egress", request).returncode, 2)
        self.assertEqual(self.client("explain", "ingest").returncode, 2)

    def test_the_log_can_be_looked_at_and_moved(self):
        self.serve()
        data = str(self.folder / "data")
        status, _ = fetch(f"http://127.0.0.1:{self.ports['otlp']}/v1/metrics", "POST",
                          b"\xff not protobuf", {"Content-Type": "application/x-protobuf"})
        self.assertEqual(status, 400)
        # Beside the server.
        self.stage.wait_for("the letter is on the log", 10, lambda: "otlp" in run(
            "deadletter", "list", "--data", data).stdout)
        fetch(f"http://127.0.0.1:{self.ports['otlp']}/v1/metrics", "POST", b"\xff neither",
              {"Content-Type": "application/x-protobuf"})
        self.stage.wait_for("the rest is counted", 10, lambda: "1 more follow: --from 1," in run(
            "deadletter", "list", "--max", "1", "--data", data).stderr)
        self.assertEqual(run("deadletter", "list", "--data", data).stderr, "")
        some = run("topics", "read", "vigie.deadletter", "--max", "1", "--data", data)
        self.assertIn("the next at vigie.deadletter/0 offset 1", some.stderr)
        self.assertEqual(run("topics", "read", "vigie.deadletter", "--data", data).stderr, "")
        self.assertIn("vigie.signals", run("topics", "list", "--data", data).stdout)
        letter = subprocess.run([str(VIGIE), "deadletter", "show", "0", "--raw", "--data", data],
                                capture_output=True, check=True, timeout=60)
        self.assertEqual(letter.stdout, b"\xff not protobuf")
        self.assertIn("content-type", run("deadletter", "show", "0", "--data", data).stdout)
        self.assertEqual(run("deadletter", "show", "7", "--data", data).returncode, 1)
        first = json.loads(run("topics", "read", "vigie.alerts", "--ticks", "--max", "1",
                               "--data", data).stdout)
        self.assertEqual(run("topics", "read", "vigie.alerts", "--data", data).stdout, "")
        self.assertEqual((first["topic"], first["offset"]), ("vigie.alerts", 0))
        self.assertEqual(run("topics", "read", "vigie.nothing", "--data", data).returncode, 1)
        reset = ("topics", "reset", "sequence", "vigie.alerts", "--to", "begin", "--data", data)
        asked = run(*reset)
        self.assertEqual(asked.returncode, 1)
        self.assertIn("would move", asked.stdout)
        busy = run(*reset, "--yes")
        self.assertEqual(busy.returncode, 1)
        self.assertIn("another process", busy.stderr)

        self.stage.stop("vigie")
        done = run(*reset, "--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("moved from", done.stdout)
        at = json.loads(run("topics", "describe", "vigie.alerts", "--data", data, "-o",
                            "json").stdout)[0]["stages"][0]
        self.assertEqual((at["stage"], at["at"]), ("sequence", 0))
        kept = run("deadletter", "retry", "all", "--data", data)
        self.assertEqual(kept.returncode, 1)
        self.assertIn("a receiver refused it", kept.stdout)
        self.assertEqual(run("deadletter", "retry", "soon", "--data", data).returncode, 2)
        self.serve()

    def test_no_server_is_said_so(self):
        done = run("get", "incidents", "--server", self.url(""))
        self.assertEqual(done.returncode, 1)
        self.assertIn("is 'vigie serve' running there?", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
