#!/usr/bin/env python3
"""Runs real Apache Kafka (KRaft, no ZooKeeper) on free loopback ports, for tests and for trying out.

  kafka.py fetch               its jars from Maven Central into build/kafka/libs
  kafka.py up [--nodes N]      start in the background; says the bootstrap servers
  kafka.py down                end what `up` started
  kafka.py run --dir DIR       for test programs: in the foreground, ends with its stdin
  kafka.py test [PROGRAM]      says why no test can run here and ends with 77, or becomes PROGRAM

`run` takes one command in each line of stdin and answers with one line: `kill I` (as a power
cut), `start I`, `pause I`, `resume I`, `scram I` (makes the user scram). Nodes count from 0.
Listeners, in the order in which `run` says them:
- PLAINTEXT, where everybody may do everything;
- SASL_PLAINTEXT: PLAIN with admin/admin (all) and limited/limited (nothing unless an ACL says so),
  SCRAM-SHA-256 with scram/scram (all), OAUTHBEARER with unsecured tokens of the principal token
  and the scope vigie (all);
- SSL: as the first, with a certificate that DIR/ca.pem signed, and DIR/stranger.pem did not.
"""
import argparse
import ctypes
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOME = ROOT / "build" / "kafka"
LIBS = HOME / "libs"
SKIPPED = 77  # What CTest is told to take for skipped.
CLUSTER_ID = "dmlnaWUtdGVzdC1rYWZrYQ"
START_SECONDS_MAX = 90
STOP_SECONDS_MAX = 20

CONFIG = """\
process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},SASL_PLAINTEXT://127.0.0.1:{sasl_port},SSL://127.0.0.1:{ssl_port},CONTROLLER://127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,OAUTHBEARER
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_admin="admin" user_limited="limited";
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker" unsecuredValidatorRequiredScope="vigie";
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:admin;User:scram;User:token
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor={replicas}
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={isr}
default.replication.factor={replicas}
min.insync.replicas={isr}
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
log.cleaner.backoff.ms=1000
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=1000
num.network.threads=2
num.io.threads=2
background.threads=2
log.cleaner.dedupe.buffer.size=4194304
broker.heartbeat.interval.ms=500
broker.session.timeout.ms={session}
"""


class Failed(Exception):
    """With one line for the person at the terminal."""


def free_ports(count):
    """Ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def answers(port):
    """True when a broker answers an ApiVersions request."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            body = struct.pack(">hhih", 18, 0, 1, -1)
            connection.sendall(struct.pack(">i", len(body)) + body)
            head = connection.recv(10)
            return len(head) == 10 and struct.unpack(">iih", head)[2] == 0
    except OSError:
        return False


def end_with_parent():
    """In a child before its program: the kernel kills it when this program dies in any way."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Node:
    """One broker: its folder, its configuration, its process."""

    def __init__(self, folder, index, ports, voters, nodes):
        self.folder, self.index = folder, index
        self.port, self.sasl_port, self.ssl_port = ports[0], ports[1], ports[3]
        self.process = None
        data = folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        if not (data / "meta.properties").exists():
            (data / "meta.properties").write_text(
                f"version=1\ncluster.id={CLUSTER_ID}\nnode.id={index + 1}\n", encoding="utf-8")
        (folder / "server.properties").write_text(CONFIG.format(
            id=index + 1, voters=voters, port=ports[0], sasl_port=ports[1],
            controller_port=ports[2], ssl_port=ports[3], keystore=folder.parent / "keystore.pem",
            data=data, replicas=min(nodes, 3),
            # One that dies is soon replaced; one alone must not be given up while it is slow.
            session=3000 if nodes >= 3 else 6000,
            isr=2 if nodes >= 3 else 1), encoding="utf-8")

    def start(self, die_with_us=False):
        """Starts it as a child, in a session of its own; its output is in broker.log."""
        with open(self.folder / "broker.log", "ab") as log:
            self.process = subprocess.Popen(
                ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                 "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                 "-Dorg.slf4j.simpleLogger.showDateTime=true",
                 "-cp", f"{LIBS}/*", "kafka.Kafka", str(self.folder / "server.properties")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=end_with_parent if die_with_us else None)
        (self.folder / "pid").write_text(str(self.process.pid), encoding="utf-8")

    def wait(self):
        """Until it answers."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while not answers(self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                log = self.folder / "broker.log"
                tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise Failed(f"broker {self.index} did not start; {log} ends with:\n{tail}")
            time.sleep(0.05)

    def kill(self):
        """As a power cut does."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def certificates(folder):
    """ca.pem, keystore.pem with a key and what that CA signed for 127.0.0.1, and stranger.pem."""
    folder.mkdir(parents=True, exist_ok=True)

    def make(name, subject, *more):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", f"/CN={subject}", "-keyout", folder / f"{name}.key",
             "-out", folder / f"{name}.pem", *more],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)

    make("ca", "kafka-test-ca")
    make("stranger", "another-ca")
    make("broker", "127.0.0.1", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
         "-addext", "subjectAltName=IP:127.0.0.1")
    parts = [(folder / name).read_text(encoding="ascii")
             for name in ("broker.key", "broker.pem", "ca.pem")]
    (folder / "keystore.pem").write_text("".join(parts), encoding="ascii")


def add_scram_user(node):
    """The user scram with the password scram: it lies in the cluster, not in its configuration."""
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{LIBS}/*", "kafka.admin.ConfigCommand",
         "--bootstrap-server", f"127.0.0.1:{node.port}", "--alter", "--entity-type", "users",
         "--entity-name", "scram", "--add-config", "SCRAM-SHA-256=[iterations=4096,password=scram]"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"no user scram: {done.stdout} {done.stderr}")


def make_nodes(folder, count):
    """The nodes of a cluster in an empty folder."""
    certificates(folder)
    flat = free_ports(4 * count)
    ports = [flat[4 * i:4 * i + 4] for i in range(count)]
    voters = ",".join(f"{i + 1}@127.0.0.1:{ports[i][2]}" for i in range(count))
    return [Node(folder / f"node{i}", i, ports[i], voters, count) for i in range(count)]


def missing():
    """Why it cannot run here, or nothing."""
    if shutil.which("java") is None:
        return "java is missing: install the packages of the tier kafka (./dev deps kafka)"
    if not (LIBS / "kafka_2.13-3.9.1.jar").exists():
        return "Kafka's jars are missing: ./dev kafka fetch"
    return ""


def fetch():
    """Kafka's jars, once."""
    if (LIBS / "kafka_2.13-3.9.1.jar").exists():
        return
    if shutil.which("mvn") is None:
        raise Failed("mvn is missing: install the packages of the tier kafka (./dev deps kafka)")
    HOME.mkdir(parents=True, exist_ok=True)
    loading = HOME / "loading"
    shutil.rmtree(loading, ignore_errors=True)
    with open(HOME / "mvn.log", "wb") as log:
        done = subprocess.run(
            ["mvn", "-q", "-B", "-f", str(ROOT / "tools/kafka/pom.xml"),
             "dependency:copy-dependencies", "-DincludeScope=runtime",
             f"-DoutputDirectory={loading}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            check=False)
    if done.returncode != 0:
        raise Failed(f"Maven could not fetch Kafka; its output is {HOME / 'mvn.log'}")
    # Only whole: half of the jars would look like all of them.
    shutil.rmtree(LIBS, ignore_errors=True)
    loading.rename(LIBS)


def is_ours(pid, folder):
    """True when the process is the broker of this folder and not a later one of that number."""
    try:
        return str(folder).encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def up(folder, count):
    """Starts a cluster that stays after this program; prints where it is."""
    state = folder / "cluster.json"
    if state.exists():
        raise Failed(f"a cluster runs in {folder}, or did: ./dev kafka down")
    shutil.rmtree(folder, ignore_errors=True)
    nodes = make_nodes(folder, count)
    servers = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    state.write_text(json.dumps({"nodes": count, "bootstrap.servers": servers}), encoding="utf-8")
    for node in nodes:
        node.start()
    for node in nodes:
        node.wait()
    print(f"bootstrap.servers: {servers}")


def down(folder):
    """Ends what up() started, by its ids."""
    state = folder / "cluster.json"
    if not state.exists():
        print("nothing runs")
        return
    pids = [int((folder / f"node{i}" / "pid").read_text())
            for i in range(json.loads(state.read_text(encoding="utf-8"))["nodes"])
            if (folder / f"node{i}" / "pid").exists()]
    for pid in pids:
        if is_ours(pid, folder):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS_MAX
    while any(is_ours(pid, folder) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in pids:
        if is_ours(pid, folder):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)
    print("down")


def obey(nodes, line):
    """One command of a test program."""
    verb, index = line.split()
    node = nodes[int(index)]
    if verb == "kill":
        node.kill()
    elif verb == "start":
        node.start(die_with_us=True)
        node.wait()
    elif verb in ("pause", "resume"):
        node.process.send_signal(signal.SIGSTOP if verb == "pause" else signal.SIGCONT)
    elif verb == "scram":
        add_scram_user(node)
    else:
        raise Failed(f"no such command: {line}")


def run(folder, count):
    """Serves commands until stdin ends, which it also does when the test program dies."""
    nodes = make_nodes(folder, count)
    try:
        for node in nodes:
            node.start(die_with_us=True)
        for node in nodes:
            node.wait()
        print(",".join(f"127.0.0.1:{node.port}" for node in nodes),
              ",".join(f"127.0.0.1:{node.sasl_port}" for node in nodes),
              ",".join(f"127.0.0.1:{node.ssl_port}" for node in nodes), flush=True)
        for line in sys.stdin:
            obey(nodes, line)
            print("done", flush=True)
    finally:
        for node in nodes:
            node.kill()


def main():
    """The command line; see the top of the file."""
    parser = argparse.ArgumentParser(prog="./dev kafka")
    parser.add_argument("command", choices=["fetch", "up", "down", "run", "test"])
    parser.add_argument("program", nargs="?", help="of test: what needs Kafka")
    parser.add_argument("--nodes", type=int, default=1, choices=[1, 3])
    parser.add_argument("--dir", type=pathlib.Path, default=HOME / "cluster")
    arguments = parser.parse_args()
    folder = arguments.dir.absolute()
    try:
        if arguments.command == "fetch":
            fetch()
        elif arguments.command == "down":
            down(folder)
        elif arguments.command == "test":
            if missing():
                print(f"SKIPPED, no test against Kafka was run: {missing()}")
                return SKIPPED
            if arguments.program:
                os.execv(arguments.program, [arguments.program])
        else:
            if missing():
                raise Failed(missing())
            (up if arguments.command == "up" else run)(folder, arguments.nodes)
    except Failed as error:
        print(f"kafka: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
