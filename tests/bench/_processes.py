"""Servers that benchmarks start beside each other, and what they cost."""
import http.client
import os
import pathlib
import subprocess
import sys
import time

from serve import free_ports, resident_bytes, wait_ready

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOLS = ROOT / "build" / "tools" / "usr" / "bin"
HELPERS = ROOT / "build" / "release" / "tests" / "bench"


def helper(name):
    """tests/bench/NAME.cc as a program; built when it is not there."""
    program = HELPERS / f"bench_{name}"
    if not program.exists():
        subprocess.run(["cmake", "--build", "--preset", "release", "--target", program.name],
                       cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return program


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_seconds_of_threads(pid, names):
    """Of the threads whose names begin with one of these."""
    ticks = 0
    for thread in pathlib.Path(f"/proc/{pid}/task").iterdir():
        head, rest = (thread / "stat").read_text().rsplit(")", 1)
        if head.split("(", 1)[1].startswith(tuple(names)):
            fields = rest.split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def metric(port, name):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/metrics")
    total = 0.0
    for line in connection.getresponse().read().decode().splitlines():
        if line.startswith(name):
            total += float(line.rsplit(" ", 1)[1])
    return total


def wait_quiet(pid):
    """Until the process has hardly worked for a while; gives up after two minutes."""
    last, quiet = cpu_seconds(pid), 0
    for _ in range(1200):
        time.sleep(0.1)
        now = cpu_seconds(pid)
        quiet = quiet + 1 if now - last <= 0.01 else 0
        last = now
        if quiet >= 5:
            return
    sys.exit("the server does not come to rest")


class Server:
    """A program that runs; `pid`, `port` and, of Vigie, `api`."""

    def __init__(self, name, command, folder, port, ready_port=None, api=None):
        self.name, self.port, self.api = name, port, api
        with open(pathlib.Path(folder) / f"{name}.log", "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        self.pid = self.process.pid
        try:
            wait_ready(ready_port or port, self.process)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        self.process.kill()
        self.process.wait()

    def resident(self):
        return resident_bytes(self.pid)


def start_vigie(folder, name="vigie", extra=""):
    """Its `port` is the one of Alertmanager's API, `api` that of remote write."""
    api, otlp, alertmanager = free_ports(3)
    config = pathlib.Path(folder) / f"{name}.yaml"
    config.write_text(f"data: {folder}/{name}\nlisten:\n  api: 127.0.0.1:{api}\n"
                      f"  otlp: 127.0.0.1:{otlp}\n  alertmanager: 127.0.0.1:{alertmanager}\n"
                      + extra)
    return Server(name, [os.environ["VIGIE"], "serve", "--config", str(config)], folder,
                  alertmanager, api, api)


def with_share(words):
    """Debian's Alertmanager reads its templates from /usr/share: when it is only unpacked, a mount
    namespace of its own shows them there."""
    share = ROOT / "build" / "tools" / "usr" / "share"
    own = [] if os.geteuid() == 0 else ["--map-root-user"]
    mount = f'mount -t overlay overlay -o lowerdir="{share}":/usr/share /usr/share && exec "$@"'
    return ["unshare", "--mount", *own, "sh", "-c", mount, "sh", *words]


def start_alertmanager(folder):
    (port,) = free_ports(1)
    config = pathlib.Path(folder) / "alertmanager.yml"
    config.write_text("route: {receiver: none, group_by: [alertname]}\nreceivers: [{name: none}]\n")
    return Server("alertmanager",
                  with_share([TOOLS / "prometheus-alertmanager", f"--config.file={config}",
                              f"--storage.path={folder}/alertmanager",
                              f"--web.listen-address=127.0.0.1:{port}",
                              "--cluster.listen-address="]),
                  folder, port)


def start_prometheus(folder):
    (port,) = free_ports(1)
    config = pathlib.Path(folder) / "prometheus.yml"
    config.write_text("scrape_configs: []\n")
    return Server("prometheus",
                  [TOOLS / "prometheus", f"--config.file={config}",
                   f"--storage.tsdb.path={folder}/prometheus",
                   f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver"],
                  folder, port)


def start_victoria_metrics(folder):
    (port,) = free_ports(1)
    return Server("victoria-metrics",
                  [TOOLS / "victoria-metrics", f"-storageDataPath={folder}/victoria",
                   f"-httpListenAddr=127.0.0.1:{port}"], folder, port)
