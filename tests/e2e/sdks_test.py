#!/usr/bin/env python3
"""OpenTelemetry's SDKs for JavaScript (http/json, http/protobuf, grpc) and Go (http/protobuf, grpc) send
to Vigie, with and without gzip; what they sent is read back from the log.

usage: sdks_test.py VIGIE FOLDER
"""
import json
import pathlib
import subprocess
import sys
import unittest

from receiving import FOLDER, ROOT, VIGIE, Receiving

HERE = pathlib.Path(__file__).resolve().parent
# `./dev clients` puts them there.
JAVASCRIPT = ROOT / "build" / "clients" / "javascript"
GO = ROOT / "build" / "clients" / "go" / "otelclient"


class SdksTest(Receiving):
    def keys(self, topic):
        done = subprocess.run([VIGIE, "topics", "read", topic, "--data", FOLDER / "data", "--max",
                               "10000"], capture_output=True, text=True, timeout=60, check=True)
        return [json.loads(line).get("key") for line in done.stdout.splitlines()]

    def check(self, command, service, source):
        before = self.counters()
        done = subprocess.run([str(word) for word in command], timeout=60, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        after = self.counters()
        accepted = f'vigie_ingest_accepted_requests_total{{source="{source}"}}'
        self.assertGreaterEqual(after.get(accepted, 0) - before.get(accepted, 0), 3)
        refused = {name: value for name, value in after.items()
                   if "refused" in name and value != before.get(name, 0)}
        self.assertEqual(refused, {})
        for topic in ("vigie.metrics", "vigie.logs", "vigie.spans"):
            self.assertIn(f"service:{service}", self.keys(topic), topic)

    def test_javascript(self):
        if not (JAVASCRIPT / "node_modules").is_dir():
            self.skipTest(f"SKIPPED: no {JAVASCRIPT} ('./dev clients' gets it, with npm)")
        for encoding in ("json", "proto", "grpc"):
            port = self.ports["grpc" if encoding == "grpc" else "otlp"]
            for compression in ("none", "gzip"):
                with self.subTest(encoding=encoding, compression=compression):
                    self.check(["node", JAVASCRIPT / "client.js", encoding,
                                f"http://127.0.0.1:{port}", compression],
                               f"javascript-{encoding}-{compression}",
                               "otlp_grpc" if encoding == "grpc" else "otlp")

    def test_go(self):
        if not GO.exists():
            self.skipTest(f"SKIPPED: no {GO} ('./dev clients' builds it, with Go 1.22 or later)")
        for protocol in ("http", "grpc"):
            port = self.ports["grpc" if protocol == "grpc" else "otlp"]
            for compression in ("none", "gzip"):
                with self.subTest(protocol=protocol, compression=compression):
                    self.check([GO, protocol, f"127.0.0.1:{port}", compression],
                               f"go-{protocol}-{compression}",
                               "otlp_grpc" if protocol == "grpc" else "otlp")


if __name__ == "__main__":
    if not (JAVASCRIPT / "node_modules").is_dir() and not GO.exists():
        print("sdks_test: no SDK for JavaScript or Go in build/clients ('./dev clients' gets them): "
              "skipped")
        sys.exit(77)
    FOLDER.mkdir(parents=True, exist_ok=True)
    unittest.main(argv=sys.argv[:1], verbosity=2)
