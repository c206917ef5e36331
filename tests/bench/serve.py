#!/usr/bin/env python3
"""What a small site feels of `vigie serve`: start, memory, how fast data is taken durably.

VIGIE names the program. Prints one JSON object for each measure; see tools/bench.py.
"""
import http.client
import json
import os
import pathlib
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

SERIES = 1000
WRITE_SECONDS = 10
WRITERS = 4
ALERTS = 200


def varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes([number])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def write_request(writer, at_ms):
    """A remote-write request of SERIES samples: prometheus.WriteRequest in a snappy block."""
    body = bytearray()
    for series in range(SERIES):
        labels = b"".join(
            field(1, field(1, name.encode()) + field(2, value.encode()))
            for name, value in (("__name__", "bench_value"), ("instance", f"host-{writer}"),
                                ("job", "bench"), ("series", str(series))))
        sample = b"\x09" + struct.pack("<d", series + at_ms % 1000) + b"\x10" + varint(at_ms)
        body += field(1, labels + field(2, sample))
    block = bytearray(varint(len(body)))
    for start in range(0, len(body), 65536):  # Literals only: still the format.
        part = body[start:start + 65536]
        block += b"\xf4" + struct.pack("<H", len(part) - 1) + part
    return bytes(block)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for item in sockets:
        item.bind(("127.0.0.1", 0))
    ports = [item.getsockname()[1] for item in sockets]
    for item in sockets:
        item.close()
    return ports


def tell(measure, value, unit, goal=None):
    print(json.dumps({"measure": measure, "value": value, "unit": unit, "goal": goal}), flush=True)


def wait_ready(port, process):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/-/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.01)
    sys.exit("vigie was not ready within 30 s")


def resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    sys.exit("no VmRSS")


def write_samples(port, writer, until, counts):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
               "X-Prometheus-Remote-Write-Version": "0.1.0"}
    at_ms = int(time.time() * 1000) - 1_000_000
    while time.monotonic() < until:
        at_ms += 1000
        connection.request("POST", "/api/v1/write", write_request(writer, at_ms), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status // 100 == 2:
            counts[writer] += SERIES
        elif answer.status == 503:
            time.sleep(0.1)  # Back-pressure is an answer.
        else:
            sys.exit(f"remote write was answered {answer.status}: {text[:200]!r}")


def measure_alerts(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    times = []
    for number in range(ALERTS):
        alert = [{"labels": {"alertname": "Bench", "severity": "info", "instance": f"b-{number}"},
                  "startsAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}]
        started = time.monotonic()
        connection.request("POST", "/api/v2/alerts", json.dumps(alert),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            sys.exit(f"an alert was answered {answer.status}")
        times.append(time.monotonic() - started)
    return times


def main():
    api, otlp, alertmanager = free_ports(3)
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "vigie.yaml"
        config.write_text(f"data: {folder}/data\nlisten:\n  api: 127.0.0.1:{api}\n"
                          f"  otlp: 127.0.0.1:{otlp}\n  alertmanager: 127.0.0.1:{alertmanager}\n")
        started = time.monotonic()
        with open(pathlib.Path(folder) / "log", "wb") as log:
            process = subprocess.Popen([os.environ["VIGIE"], "serve", "--config", str(config)],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_ready(api, process)
            tell("start_to_ready", round(time.monotonic() - started, 3), "s", "<= 2")
            tell("idle_memory", resident_bytes(process.pid), "bytes", "<= 150000000")
            times = measure_alerts(alertmanager)
            tell("alert_durable_p50", round(statistics.median(times) * 1000, 2), "ms")
            tell("alert_durable_p99",
                 round(statistics.quantiles(times, n=100)[98] * 1000, 2), "ms", "<= 100")
            counts, begin = [0] * WRITERS, time.monotonic()
            threads = [threading.Thread(target=write_samples, args=(
                api, writer, begin + WRITE_SECONDS, counts)) for writer in range(WRITERS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            rate = sum(counts) / (time.monotonic() - begin)
            tell("remote_write_rate", round(rate), "samples/s", ">= 20000")
            tell("loaded_memory", resident_bytes(process.pid), "bytes")
            process.terminate()
            begin = time.monotonic()
            code = process.wait(60)
            tell("drain", round(time.monotonic() - begin, 3), "s", "<= 10")
            if code != 0:
                sys.exit(f"vigie ended with {code}")
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
