#!/usr/bin/env python3
"""Real senders of events and log lines against the real program: `logger` and rsyslog, GitHub's own
example payloads, a cron job's curl. Each is seen on Vigie's log as what it should become.

usage: senders_test.py VIGIE FOLDER
"""
import collections
import hashlib
import hmac
import http.client
import json
import pathlib
import shutil
import socket
import ssl
import subprocess
import sys
import tarfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "demo"))

from stage import Stage, free_ports  # noqa: E402

VIGIE = pathlib.Path(sys.argv[1]).resolve()
FOLDER = pathlib.Path(sys.argv[2]).resolve()
TOOLS = ROOT / "build" / "tools"
RSYSLOGD = TOOLS / "usr" / "sbin" / "rsyslogd"
LIBRARIES = TOOLS / "usr" / "lib" / "x86_64-linux-gnu"
SECRET = "It's a Secret to Everybody"
EXAMPLES = "@octokit/webhooks-examples@7.6.1"
USED = ("push", "pull_request", "workflow_run", "workflow_job", "check_run", "deployment",
        "deployment_status", "release")


class SendersTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stage = Stage(FOLDER)
        cls.addClassCleanup(cls.stage.stop_all)
        names = ("api", "otlp", "alertmanager", "syslog_tcp", "syslog_tls")
        cls.ports = dict(zip(names, free_ports(len(names))))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind(("127.0.0.1", 0))
            cls.ports["syslog_udp"] = udp.getsockname()[1]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext",
                        "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", FOLDER / "key.pem",
                        "-out", FOLDER / "cert.pem"], check=True, capture_output=True)
        listen = ", ".join(f"{name}: '127.0.0.1:{port}'" for name, port in cls.ports.items())
        config = FOLDER / "vigie.yaml"
        (FOLDER / "github-secret").write_text(SECRET)
        config.write_text(
            f"data: {FOLDER}/data\nlisten: {{{listen}, tls: {{certificate_file: {FOLDER}/cert.pem, "
            f"key_file: {FOLDER}/key.pem}}}}\n"
            f"ingest: {{github: {{secret_file: {FOLDER}/github-secret}}}}\n")
        cls.trust = ssl.create_default_context(cafile=FOLDER / "cert.pem")
        cls.stage.start("vigie", [VIGIE, "serve", "--config", config])
        cls.stage.wait_for("vigie is ready", 30, lambda: cls.call("GET", "/-/ready")[0] == 200)

    @classmethod
    def call(cls, method, path, body=None, headers=None):
        connection = http.client.HTTPSConnection("127.0.0.1", cls.ports["api"], timeout=20,
                                                 context=cls.trust)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def read(self, topic):
        done = subprocess.run([VIGIE, "topics", "read", topic, "--data", FOLDER / "data", "--max",
                               "10000"], capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    def wait_line(self, text):
        """A log line arrived: in OTLP its text stands in the record as it is."""
        mark = text.encode().hex()
        self.stage.wait_for(f"'{text}' is on the log", 15, lambda: any(
            part in self.read("vigie.logs") for part in (text, mark)))

    def test_logger_over_udp_and_tcp(self):
        udp, tcp = str(self.ports["syslog_udp"]), str(self.ports["syslog_tcp"])
        base = ["logger", "--server", "127.0.0.1", "-t", "checkout", "-p", "local0.err"]
        for name, more in (("udp5424", ["--udp", "--port", udp, "--rfc5424"]),
                           ("udp3164", ["--udp", "--port", udp, "--rfc3164"]),
                           ("tcp5424", ["--tcp", "--port", tcp, "--rfc5424"]),
                           ("counted", ["--tcp", "--port", tcp, "--rfc5424", "--octet-count"])):
            subprocess.run([*base, *more, f"logger says {name}"], check=True, timeout=20)
            self.wait_line(f"logger says {name}")

    def test_syslog_over_tls(self):
        with socket.create_connection(("127.0.0.1", self.ports["syslog_tls"])) as plain:
            with self.trust.wrap_socket(plain, server_hostname="localhost") as secure:
                secure.sendall(b"<13>1 - web-1 app - - - over TLS\n")
        self.wait_line("over TLS")
        # Who speaks no TLS gets nowhere, and no harm comes of it.
        with socket.create_connection(("127.0.0.1", self.ports["syslog_tls"])) as plain:
            plain.sendall(b"<13>1 - web-1 app - - - in clear\n")
        self.test_logger_over_udp_and_tcp()
        self.assertNotIn("in clear", self.read("vigie.logs"))

    def test_rsyslog_forwards(self):
        if not RSYSLOGD.exists():
            self.skipTest(f"SKIPPED: no {RSYSLOGD}: ./dev deps fetches it")
        modules = LIBRARIES / "rsyslog"
        config = FOLDER / "rsyslog.conf"
        (port,) = free_ports(1)
        config.write_text(
            f'module(load="imtcp")\ninput(type="imtcp" address="127.0.0.1" port="{port}")\n'
            f'action(type="omfwd" target="127.0.0.1" port="{self.ports["syslog_tcp"]}" '
            'protocol="tcp" template="RSYSLOG_SyslogProtocol23Format" '
            'TCP_Framing="octet-counted")\n'
            f'action(type="omfwd" target="127.0.0.1" port="{self.ports["syslog_udp"]}" '
            'protocol="udp" template="RSYSLOG_TraditionalForwardFormat")\n')
        self.stage.start("rsyslog", ["env", f"LD_LIBRARY_PATH={LIBRARIES}", RSYSLOGD, "-n", "-f",
                                     config, "-i", FOLDER / "rsyslog.pid", "-M", modules])
        line = b"<13>Nov 21 05:30:00 web-1 cron[7]: forwarded by rsyslog\n"

        def sent():
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=2) as to:
                    to.sendall(line)
                return True
            except OSError:
                return False
        self.stage.wait_for("rsyslog listens", 20, sent)
        self.wait_line("forwarded by rsyslog")
        self.stage.stop("rsyslog")

    def test_githubs_own_examples(self):
        npm = shutil.which("npm")
        if npm is None:
            self.skipTest("SKIPPED: no npm")
        done = subprocess.run([npm, "pack", "--silent", EXAMPLES], cwd=FOLDER, timeout=90,
                              capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            self.skipTest(f"SKIPPED: npm cannot fetch {EXAMPLES}: {done.stderr[-200:]}")
        with tarfile.open(next(FOLDER.glob("octokit-webhooks-examples-*.tgz"))) as archive:
            examples = json.load(archive.extractfile("package/api.github.com/index.json"))
        answers = collections.defaultdict(collections.Counter)
        number = 0
        for event in examples:
            for payload in event["examples"]:
                number += 1
                body = json.dumps(payload).encode()
                signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
                status, text = self.call("POST", "/webhooks/github", body, {
                    "Content-Type": "application/json", "X-GitHub-Event": event["name"],
                    "X-GitHub-Delivery": f"example-{number}",
                    "X-Hub-Signature-256": f"sha256={signature}"})
                self.assertIn(status, (200, 202), f"{event['name']}: {text}")
                answers[event["name"]][status] += 1
        for name in USED:
            self.assertGreater(answers[name][200], 0, f"{name} became no change: {answers[name]}")
        self.assertEqual(answers["star"][200], 0)
        count = sum(counter[200] for name, counter in answers.items() if name != "ping")
        changes = [line for line in self.read("vigie.changes").splitlines() if "github-example" in line]
        self.assertEqual(len(changes), count)

    def test_a_heartbeat_that_stops_is_an_incident(self):
        self.assertEqual(self.call("GET", "/heartbeat/backup?every=1s&grace=1s")[0], 200)

        def missed():
            status, text = self.call("GET", "/api/v1/incidents")
            return status == 200 and any("backup" in " ".join(i["entities"])
                                         for i in json.loads(text)["incidents"])
        self.stage.wait_for("its silence opens an incident", 20, missed)
        self.assertEqual(self.call("DELETE", "/heartbeat/backup")[0], 200)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
