#!/usr/bin/env python3
"""Twice as many alerts as Vigie can take: it keeps taking as many as it can, says 503 to the others,
grows no further than its bound, and has everything that it acknowledged on its log.

usage: overload_test.py VIGIE SENDER FOLDER [--seconds N]
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "demo"))

from stage import Stage, free_ports  # noqa: E402

CONFIG = """\
data: {folder}/data
log: {{level: error}}
listen: {{api: '127.0.0.1:{api}', otlp: 'off', alertmanager: '127.0.0.1:{port}'}}
ingest: {{body_max: 16KiB, in_flight_max: 64KiB}}
"""
CONNECTIONS = 300  # Each has one request under way: three times what in_flight_max lets in.
FITTING = 64  # Connections that are never turned away.
MEMORY_BYTES_MAX = 600 << 20
TIMES_MIN = 0.8


def send(sender, port, connections, requests, rate=0, seconds=0, accepted=""):
    words = [sender, port, connections, 1, requests, rate, accepted or "", seconds]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          timeout=300, check=False)
    said = json.loads(done.stdout)
    said["rate"] = said["ok"] / said["seconds"]
    return said


class Memory:
    """The most memory of a process while this is used."""

    def __init__(self, pid):
        self.pid, self.peak, self.over = pid, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self):
        while not self.over.wait(0.1):
            text = pathlib.Path(f"/proc/{self.pid}/status").read_text()
            self.peak = max(self.peak, int(re.search(r"VmRSS:\s+(\d+)", text)[1]) * 1024)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("vigie", type=pathlib.Path)
    parser.add_argument("sender", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seconds", type=int, default=10)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    stage = Stage(folder)
    try:
        api, port = free_ports(2)
        config = folder / "vigie.yaml"
        config.write_text(CONFIG.format(folder=folder, api=api, port=port))
        stage.start("vigie", [arguments.vigie.resolve(), "serve", "--config", config])
        stage.wait_for_url("vigie", f"http://127.0.0.1:{api}/-/ready")
        process = stage._processes["vigie"]  # pylint: disable=protected-access
        sender = arguments.sender.resolve()
        with Memory(process.pid) as memory:
            # As many connections as fit: what is taken when nobody is turned away.
            # For as long as the storm lasts: in its first second nobody has begun to read them.
            usual = send(sender, port, FITTING, 0, 0, arguments.seconds, folder / "usual")
            accepted = folder / "accepted"
            storm = send(sender, port, CONNECTIONS, 0, 2 * usual["rate"], arguments.seconds,
                         accepted)
        assert usual["busy"] == usual["failed"] == 0, usual
        print(f"usual {usual['rate']:.0f}/s; storm {storm}, {memory.peak >> 20} MiB")
        assert storm["failed"] == 0, storm
        assert storm["busy"] > 0, storm
        assert memory.peak < MEMORY_BYTES_MAX, memory.peak
        assert storm["rate"] > TIMES_MIN * usual["rate"], (usual, storm)
        wanted = set(accepted.read_text().split())
        assert len(wanted) == storm["ok"]
        began = time.monotonic()
        with subprocess.Popen([arguments.vigie.resolve(), "topics", "read", "vigie.alerts", "--data",
                               folder / "data", "--max", "10000000"], text=True,
                              stdout=subprocess.PIPE) as reader:
            for line in reader.stdout:
                wanted.difference_update(re.findall(r'request\\?":\\?"(r\d+)', line))
        assert not wanted, f"{len(wanted)} acknowledged alerts are not on the log: {list(wanted)[:5]}"
        print(f"all of them are on the log, read in {time.monotonic() - began:.1f} s")
    finally:
        stage.stop_all()
    return 0


if __name__ == "__main__":
    sys.exit(main())
