#!/usr/bin/env python3
"""Unchanged clients of others send to Vigie: OpenTelemetry's SDK for Python over OTLP/HTTP and
OTLP/gRPC, with and without gzip, and HTTP/1.1 on gRPC's port as Proxmox VE does.

usage: clients_test.py VIGIE FOLDER
"""
import gzip
import json
import pathlib
import subprocess
import sys
import time
import unittest

from receiving import FOLDER, ROOT, Receiving

from stage import fetch  # receiving.py says where it is.

PYTHON = ROOT / "build" / "tools" / "clients" / "bin" / "python"
CLIENT = pathlib.Path(__file__).with_name("otel_client.py")


class ClientsTest(Receiving):
    def send(self, protocol, url, compression):
        done = subprocess.run([str(PYTHON), str(CLIENT), protocol, url, compression], timeout=60,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("rror", done.stderr)

    def check(self, source, before, requests):
        after = self.counters()
        accepted = f'vigie_ingest_accepted_requests_total{{source="{source}"}}'
        # Metrics are sent by the flush, and once more by the shutdown or not.
        self.assertGreaterEqual(after.get(accepted, 0) - before.get(accepted, 0), requests)
        refused = [name for name, value in after.items()
                   if "refused" in name and source in name and value != before.get(name, 0)]
        self.assertEqual(refused, [])

    def test_the_sdk_speaks_otlp_http(self):
        for compression in ("none", "gzip"):
            before = self.counters()
            self.send("http", f"http://127.0.0.1:{self.ports['otlp']}", compression)
            self.check("otlp", before, 3)

    def test_the_sdk_speaks_otlp_grpc(self):
        for compression in ("none", "gzip"):
            before = self.counters()
            self.send("grpc", f"http://127.0.0.1:{self.ports['grpc']}", compression)
            self.check("otlp_grpc", before, 3)

    def test_proxmox_posts_http_to_the_port_of_grpc(self):
        url = f"http://127.0.0.1:{self.ports['grpc']}/v1/metrics"
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        resource = {"attributes": [{"key": "proxmox.node", "value": {"stringValue": "pve1"}}]}

        def body(metrics):
            return gzip.compress(json.dumps({"resourceMetrics": [{
                "resource": resource,
                "scopeMetrics": [{"scope": {"name": "proxmox"}, "metrics": metrics}]}]}).encode())
        self.assertEqual(fetch(url, "POST", body([]), headers)[0], 200)
        total = {"name": "netin", "unit": "By", "sum": {
            "isMonotonic": True, "aggregationTemporality": 2,
            "dataPoints": [{"timeUnixNano": time.time_ns(), "asInt": 4711}]}}
        before = self.counters()
        self.assertEqual(fetch(url, "POST", body([total]), headers)[0], 200)
        self.check("otlp", before, 1)


if __name__ == "__main__":
    if not PYTHON.exists():
        print("clients_test: no OpenTelemetry SDK in build/tools/clients ('./dev clients' gets it): "
              "skipped")
        sys.exit(77)
    FOLDER.mkdir(parents=True, exist_ok=True)
    unittest.main(argv=sys.argv[:1], verbosity=2)
