"""What the tests of the whole program on a real Kafka share: the broker around a story, starting
Vigie, one alert."""
import json
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "demo"))

from stage import Stage, fetch, fetch_json  # noqa: E402

SKIPPED = 77
READY_SECONDS_MAX = 90
KAFKA = [sys.executable, str(ROOT / "tools/kafka.py")]
# librdkafka's properties for a broker of tests: a member that was killed is given up soon.
BROKER = "{{bootstrap.servers: '{servers}', session.timeout.ms: 6000, heartbeat.interval.ms: 500}}"


def serve(stage, program, config, api_port):
    """Starts Vigie and waits until it is ready; its process."""
    stage.start("vigie", [program, "serve", "--config", config])
    stage.wait_for("vigie is ready", READY_SECONDS_MAX, lambda: fetch(
        f"http://127.0.0.1:{api_port}/-/ready")[0] == 200)
    return stage._processes["vigie"]  # pylint: disable=protected-access


def run(program, *words):
    """One command of Vigie."""
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=200,
                          check=False)


def post(port, path, body):
    """Sends JSON that must be taken."""
    status, text = fetch(f"http://127.0.0.1:{port}{path}", "POST", json.dumps(body).encode(),
                         {"Content-Type": "application/json"})
    assert status == 200, text


def alert(port, service):
    """Sends one alert."""
    post(port, "/api/v2/alerts", [{
        "labels": {"alertname": "Down", "service": service, "severity": "critical"},
        "startsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}])


def incidents(port):
    """How many there are."""
    return len(fetch_json(f"http://127.0.0.1:{port}/api/v1/incidents")["incidents"])


def create_topic(servers, name):
    """A topic of somebody else: CreateTopics of Kafka's protocol, version 2, as no tool is there."""
    host, port = servers.split(",")[0].rsplit(":", 1)

    def text(value):
        return struct.pack(">h", len(value)) + value.encode()
    request = struct.pack(">hhi", 19, 2, 1) + text("test") + struct.pack(">i", 1) + text(name)
    request += struct.pack(">ihiiiB", 1, 1, 0, 0, 10_000, 0)
    with socket.create_connection((host, int(port)), timeout=30) as broker:
        broker.sendall(struct.pack(">i", len(request)) + request)
        answer = broker.recv(4096)
    error = struct.unpack(">h", answer[18 + len(name):20 + len(name)])[0]
    assert error == 0, (name, error, answer)


def tell(story, folder):
    """Runs story(stage, servers) in a new folder beside a broker; says what it returns. The exit
    code of the test: without Kafka it is skipped."""
    if subprocess.run(KAFKA + ["test"], check=False).returncode == SKIPPED:
        return SKIPPED
    shutil.rmtree(folder, ignore_errors=True)
    stage = Stage(folder)
    broker = subprocess.Popen(KAFKA + ["run", "--dir", str(folder / "kafka")], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        print(story(stage, broker.stdout.readline().split()[0]))
    finally:
        stage.stop_all()
        broker.stdin.close()
        broker.wait(30)
    return 0
