#!/usr/bin/env python3
"""A small shop of three services for the demo: frontend -> checkout -> payments.

One program, started once for each service, with nothing but the standard library. Which version
of itself a service runs it learns from the deployment's image in the state file of the
Kubernetes stand-in, as a pod would by being replaced. Version 1.5.0 of checkout is the bad one.
"""
import argparse
import bisect
import http.client
import http.server
import json
import pathlib
import queue
import random
import re
import signal
import sys
import threading
import time
import urllib.parse

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
OWN_SECONDS = {"frontend": 0.004, "checkout": 0.020, "payments": 0.012}
# (service, version) -> (seconds added to each request, share of requests that fail)
BAD_VERSIONS = {("checkout", "1.5.0"): (0.600, 0.30)}
DOWNSTREAM_TIMEOUT_SECONDS = 5
EXPORT_INTERVAL_SECONDS = 1
EXPORT_QUEUE_MAX = 5000


class Version:
    """The version that is deployed, read again when the state file changes."""

    def __init__(self, state_file, deployment):
        self._file, self._deployment = pathlib.Path(state_file), deployment
        self._lock = threading.Lock()
        self._read_at, self._stamp, self._value = 0.0, None, "unknown"

    def get(self):
        with self._lock:
            now = time.monotonic()
            if now - self._read_at >= 0.1:
                self._read_at = now
                self._refresh()
            return self._value

    def _refresh(self):
        try:
            stat = self._file.stat()
            stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if stamp == self._stamp:
                return
            deployed = json.loads(self._file.read_text())[self._deployment]
            self._stamp, self._value = stamp, deployed["version"]
        except (OSError, ValueError, KeyError):
            pass  # Being written just now: the next request looks again.


class Metrics:
    """Requests by code and how long they took, in Prometheus' text format."""

    def __init__(self):
        self._lock = threading.Lock()
        self._codes = {"200": 0}
        self._buckets = [0] * (len(BUCKETS) + 1)
        self._sum = 0.0
        self._in_flight = 0

    def begin(self):
        with self._lock:
            self._in_flight += 1

    def end(self, code, seconds):
        with self._lock:
            self._in_flight -= 1
            self._codes[str(code)] = self._codes.get(str(code), 0) + 1
            self._buckets[bisect.bisect_left(BUCKETS, seconds)] += 1
            self._sum += seconds

    def expose(self, version):
        with self._lock:
            codes, buckets = dict(self._codes), list(self._buckets)
            total, in_flight = self._sum, self._in_flight
        lines = [
            "# HELP http_requests_total Requests answered, by status code.",
            "# TYPE http_requests_total counter",
            *(f'http_requests_total{{code="{code}"}} {n}' for code, n in sorted(codes.items())),
            "# HELP http_request_duration_seconds How long requests took.",
            "# TYPE http_request_duration_seconds histogram",
        ]
        count = 0
        for bound, n in zip((*BUCKETS, "+Inf"), buckets):
            count += n
            lines.append(f'http_request_duration_seconds_bucket{{le="{bound}"}} {count}')
        lines += [
            f"http_request_duration_seconds_sum {total:.6f}",
            f"http_request_duration_seconds_count {count}",
            "# HELP http_requests_in_flight Requests being answered now.",
            "# TYPE http_requests_in_flight gauge",
            f"http_requests_in_flight {in_flight}",
            "# HELP shop_build_info Which version runs.",
            "# TYPE shop_build_info gauge",
            f'shop_build_info{{version="{version}"}} 1',
        ]
        return "\n".join(lines) + "\n"


def attributes(values):
    """OTLP's form of {name: text or number}."""
    def value(item):
        if isinstance(item, int):
            return {"intValue": str(item)}
        return {"stringValue": str(item)}
    return [{"key": key, "value": value(item)} for key, item in values.items()]


class Exporter:
    """Sends spans and log lines to an OTLP/HTTP endpoint as JSON, in batches.

    A full queue drops, a failed request is repeated once: telemetry must not stop the shop.
    """

    def __init__(self, endpoint, service, version):
        self._url = urllib.parse.urlsplit(endpoint)
        self._service, self._version = service, version
        self._spans, self._logs = queue.Queue(EXPORT_QUEUE_MAX), queue.Queue(EXPORT_QUEUE_MAX)
        threading.Thread(target=self._run, daemon=True).start()

    def span(self, span):
        self._put(self._spans, span)

    def log(self, severity, body, trace_id, span_id):
        number = {"INFO": 9, "WARN": 13, "ERROR": 17}[severity]
        now = str(time.time_ns())
        self._put(self._logs, {
            "timeUnixNano": now, "observedTimeUnixNano": now, "severityNumber": number,
            "severityText": severity, "body": {"stringValue": body},
            "traceId": trace_id, "spanId": span_id,
        })

    @staticmethod
    def _put(items, item):
        try:
            items.put_nowait(item)
        except queue.Full:
            pass

    @staticmethod
    def _take(items):
        taken = []
        while len(taken) < EXPORT_QUEUE_MAX:
            try:
                taken.append(items.get_nowait())
            except queue.Empty:
                break
        return taken

    def _run(self):
        while True:
            time.sleep(EXPORT_INTERVAL_SECONDS)
            resource = {"attributes": attributes({
                "service.name": self._service, "service.version": self._version.get(),
                "service.namespace": "shop",
            })}
            scope = {"name": "shop", "version": "1"}
            if spans := self._take(self._spans):
                self._post("/v1/traces", {"resourceSpans": [
                    {"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}]})
            if logs := self._take(self._logs):
                self._post("/v1/logs", {"resourceLogs": [
                    {"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": logs}]}]})

    def _post(self, path, body):
        for _ in range(2):
            try:
                connection = http.client.HTTPConnection(self._url.netloc, timeout=5)
                connection.request("POST", path, json.dumps(body),
                                   {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                connection.close()
                if answer.status < 500:
                    return
            except OSError:
                pass
            time.sleep(0.2)


class Call:
    """One request being answered, and its place in a trace."""

    def __init__(self, traceparent):
        known = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", traceparent or "")
        self.trace_id = known.group(1) if known else f"{random.getrandbits(128):032x}"
        self.parent_id = known.group(2) if known else ""
        self.span_id = f"{random.getrandbits(64):016x}"
        self.started = time.time_ns()


def span(call, span_id, parent_id, name, kind, started, error, extra):
    return {
        "traceId": call.trace_id, "spanId": span_id, "parentSpanId": parent_id, "name": name,
        "kind": kind, "startTimeUnixNano": str(started), "endTimeUnixNano": str(time.time_ns()),
        "attributes": attributes(extra), "status": {"code": 2 if error else 1},
    }


class Service:
    SERVER, CLIENT = 2, 3  # SpanKind of OTLP

    def __init__(self, arguments):
        self.name = arguments.service
        self.version = Version(arguments.state, f"shop/{arguments.service}")
        self.metrics = Metrics()
        self._next = arguments.next
        self._next_name = arguments.next_name
        self._exporter = (Exporter(arguments.otlp, self.name, self.version)
                          if arguments.otlp else None)

    def answer(self, path, traceparent):
        """(status, text) of one request."""
        call = Call(traceparent)
        self.metrics.begin()
        status, text = self._work(path, call)
        seconds = (time.time_ns() - call.started) / 1e9
        self.metrics.end(status, seconds)
        if self._exporter:
            self._tell(call, path, status, text, seconds)
        return status, text

    def _work(self, path, call):
        slow_seconds, failing_share = BAD_VERSIONS.get((self.name, self.version.get()), (0, 0))
        time.sleep(OWN_SECONDS[self.name] * random.uniform(0.7, 1.6)
                   + slow_seconds * random.uniform(0.9, 1.2))
        if random.random() < failing_share:
            return 500, "session of the basket not found"
        if not self._next:
            return 200, "ok"
        status, text = self._call_next(path, call)
        return (200, "ok") if status == 200 else (502, f"{self._next_name}: {status} {text}")

    def _call_next(self, path, call):
        span_id, started = f"{random.getrandbits(64):016x}", time.time_ns()
        try:
            url = urllib.parse.urlsplit(self._next)
            connection = http.client.HTTPConnection(url.netloc, timeout=DOWNSTREAM_TIMEOUT_SECONDS)
            connection.request("GET", path,
                               headers={"traceparent": f"00-{call.trace_id}-{span_id}-01"})
            answer = connection.getresponse()
            status, text = answer.status, answer.read().decode()
            connection.close()
        except OSError as error:
            status, text = 503, f"not reached ({type(error).__name__})"
        if self._exporter:
            self._exporter.span(span(
                call, span_id, call.span_id, f"GET {path}", self.CLIENT, started, status >= 500,
                {"peer.service": self._next_name, "http.request.method": "GET",
                 "http.response.status_code": status}))
        return status, text

    def _tell(self, call, path, status, text, seconds):
        self._exporter.span(span(
            call, call.span_id, call.parent_id, f"GET {path}", self.SERVER, call.started,
            status >= 500, {"http.request.method": "GET", "url.path": path,
                            "http.response.status_code": status}))
        order = random.randrange(10_000, 99_999)
        if status == 200:
            line = f"order {order} placed in {seconds * 1000:.0f} ms"
            self._exporter.log("INFO", line, call.trace_id, call.span_id)
        else:
            line = f"order {order} failed: upstream {text}"
            self._exporter.log("ERROR", line, call.trace_id, call.span_id)


def handler_of(service):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if self.path == "/metrics":
                self._send(200, service.metrics.expose(service.version.get()),
                           "text/plain; version=0.0.4")
            elif self.path == "/healthz":
                self._send(200, f"{service.name} {service.version.get()}\n")
            else:
                self._send(*service.answer(self.path, self.headers.get("traceparent")))

        def _send(self, status, text, content_type="text/plain"):
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


def generate_load(url, rate, workers=48):
    """Asks for `rate` orders a second until stopped, however long each takes."""
    target, due = urllib.parse.urlsplit(url), queue.Queue(workers * 4)

    def work():
        while True:
            due.get()
            try:
                connection = http.client.HTTPConnection(target.netloc, timeout=10)
                connection.request("GET", target.path or "/order")
                connection.getresponse().read()
                connection.close()
            except OSError:
                pass

    for _ in range(workers):
        threading.Thread(target=work, daemon=True).start()
    at = time.monotonic()
    while True:
        at += random.expovariate(rate)
        time.sleep(max(0.0, at - time.monotonic()))
        try:
            due.put_nowait(None)
        except queue.Full:
            pass  # Customers who do not wait.


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], OSError):  # A client that went away is no news.
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("service", choices=[*OWN_SECONDS, "load"])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", help="state file of the Kubernetes stand-in")
    parser.add_argument("--next", help="URL of the service to call")
    parser.add_argument("--next-name", default="")
    parser.add_argument("--otlp", help="URL of an OTLP/HTTP endpoint for logs and spans")
    parser.add_argument("--url", help="load: where to order")
    parser.add_argument("--rate", type=float, default=15, help="load: orders a second")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if arguments.service == "load":
        generate_load(arguments.url, arguments.rate)
        return
    server = Server(("127.0.0.1", arguments.port), handler_of(Service(arguments)))
    server.serve_forever()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
