#!/usr/bin/env python3
"""What amtool does with an Alertmanager it does with Vigie, unchanged: alerts, silences, status,
routes. A silence set there is the agent's, and one set with `vigie silence` is seen there.

usage: amtool_test.py VIGIE FOLDER
"""
import json
import os
import pathlib
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "demo"))

from stage import Stage, fetch, fetch_json, free_ports  # noqa: E402

VIGIE = pathlib.Path(sys.argv[1]).resolve()
FOLDER = pathlib.Path(sys.argv[2]).resolve()
AMTOOL = ROOT / "build" / "tools" / "usr" / "bin" / "amtool"
TOKEN = "amtool-test-token"


class AmtoolTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(FOLDER)
        cls.addClassCleanup(cls.stage.stop_all)
        cls.api, otlp, cls.port = free_ports(3)
        config = FOLDER / "vigie.yaml"
        config.write_text(
            f"data: {FOLDER}/data\nlisten: {{api: '127.0.0.1:{cls.api}', "
            f"otlp: '127.0.0.1:{otlp}', alertmanager: '127.0.0.1:{cls.port}'}}\n"
            f"api: {{token: {TOKEN}}}\n")
        cls.http = FOLDER / "http.yml"
        cls.http.write_text(f"basic_auth: {{username: ann, password: {TOKEN}}}\n")
        cls.stage.start("vigie", [VIGIE, "serve", "--config", config])
        cls.stage.wait_for_url("vigie", f"http://127.0.0.1:{cls.api}/-/ready")

    def amtool(self, *words, code=0, token=True):
        command = [str(AMTOOL), f"--alertmanager.url=http://127.0.0.1:{self.port}"]
        if token:
            command.append(f"--http.config.file={self.http}")
        done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL, check=False,
                              env={"HOME": str(FOLDER), "PATH": os.environ["PATH"]})
        self.assertEqual(done.returncode, code, f"{words}: {done.stdout} {done.stderr}")
        return done.stdout + done.stderr

    def alerts(self, *words):
        return json.loads(self.amtool("alert", "query", "-o", "json", *words))

    def test_alerts_and_silences(self):
        self.amtool("alert", "add", "Down", "service=checkout", "severity=critical",
                    "--annotation=summary=it is down", token=False)
        self.amtool("alert", "add", "Slow", "service=cart")
        self.assertEqual(len(self.alerts()), 2)
        self.assertEqual([a["labels"]["service"] for a in self.alerts("alertname=Down")],
                         ["checkout"])
        self.assertEqual(len(self.alerts("service=~c.*")), 2)
        self.assertIn("it is down", self.amtool("alert", "query", "Down", "-o", "extended"))

        # Without the token nothing is silenced.
        self.amtool("silence", "add", "alertname=Down", "--author=ann", "--comment=x", code=1,
                    token=False)
        silence = self.amtool("silence", "add", "alertname=Down", "--author=ann", "--comment=fix",
                              "--duration=1h").strip()
        self.assertEqual([a["status"]["silencedBy"] for a in self.alerts("-s")], [[silence]])
        self.assertEqual(len(self.alerts()), 1)
        self.assertIn(silence, self.amtool("silence", "query", "alertname=Down"))
        self.assertNotIn(silence, self.amtool("silence", "query", "alertname=Other"))
        # The agent has it: the incident is suppressed.
        incidents = f"http://127.0.0.1:{self.api}/api/v1/incidents"
        self.stage.wait_for("the incident is suppressed", 15, lambda: any(
            i["state"] == "suppressed" for i in fetch_json(incidents)["incidents"]))

        updated = self.amtool("silence", "update", silence, "--duration=2h", "--comment=longer")
        self.assertIn(silence, updated)
        self.amtool("silence", "expire", silence)
        self.assertEqual(len(self.alerts()), 2)
        self.assertIn(silence, self.amtool("silence", "query", "--expired", "--within=1h"))
        self.amtool("silence", "expire", silence, code=1)
        self.amtool("silence", "expire", "00000000-0000-4000-a000-000000000000", code=1)
        self.stage.wait_for("the incident is open again", 15, lambda: not any(
            i["state"] == "suppressed" for i in fetch_json(incidents)["incidents"]))

        # The other way round: a silence of the command line.
        environment = dict(os.environ, VIGIE_SERVER=f"http://127.0.0.1:{self.api}",
                           VIGIE_TOKEN_FILE=str(FOLDER / "token"))
        (FOLDER / "token").write_text(TOKEN)
        subprocess.run([str(VIGIE), "silence", "service:cart", "--for", "1h"], check=True,
                       capture_output=True, env=environment, timeout=60)
        self.assertIn("vigie_entity", self.amtool("silence", "query", "-o", "extended"))
        self.assertEqual([a["labels"]["alertname"] for a in self.alerts()], ["Down"])

        self.stage.stop("vigie")
        self.stage.start("vigie", [VIGIE, "serve", "--config", FOLDER / "vigie.yaml"])
        self.stage.wait_for_url("vigie", f"http://127.0.0.1:{self.api}/-/ready")
        self.assertEqual([a["labels"]["alertname"] for a in self.alerts()], ["Down"])

    def test_status_and_routes(self):
        self.assertIn("vigie", self.amtool("config", "show"))
        self.assertIn("receiver: vigie", self.amtool("config", "routes"))
        self.assertIn("vigie", self.amtool("config", "routes", "test", "a=b"))
        self.assertIn("disabled", self.amtool("cluster", "show"))
        for path in ("/api/v2/status", "/api/v2/receivers", "/-/healthy", "/-/ready"):
            self.assertEqual(fetch(f"http://127.0.0.1:{self.port}{path}")[0], 200, path)


if __name__ == "__main__":
    if not AMTOOL.exists():
        print(f"SKIPPED: no {AMTOOL}: ./dev deps fetches it")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
