"""What every stand-in server shares: a threaded HTTP server that records each request, injects
faults on demand and reports broken contracts.

Control endpoints, on every stand-in:
  POST /_control     one fault or state change as JSON, see README.md
  GET  /_requests    every request so far, a JSON list
  GET  /_violations  {"checked": bool, "count": n, "violations": [...]}
  POST /_reset       forgets faults, requests and violations
"""

import json
import os
import random
import socket
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY_BYTES_MAX = 16 * 1024 * 1024
# How a request to an unreliable stand-in fails: refused, or dropped before or after it counted.
TROUBLES = ({"status": 503}, {"status": 503, "headers": {"Retry-After": "1"}},
            {"drop": "before"}, {"drop": "after"})


class Request:
    def __init__(self, method, target, headers, body):
        self.method = method
        self.target = target
        split = urllib.parse.urlsplit(target)
        self.raw_path = split.path
        self.path = urllib.parse.unquote(split.path)
        self.query = urllib.parse.parse_qsl(split.query, keep_blank_values=True)
        self.headers = headers  # Names in lower case
        self.body = body

    def query_value(self, name, default=None):
        return dict(self.query).get(name, default)


class Response:
    def __init__(self, status, body=b"", headers=None, reason=None):
        self.status = status
        self.body = body.encode() if isinstance(body, str) else body
        self.headers = dict(headers or {})
        self.reason = reason
        self.pieces = None  # An iterator of bytes: an answer without a length, sent as it comes

    @staticmethod
    def json(status, value, headers=None, reason=None):
        headers = {"Content-Type": "application/json", **(headers or {})}
        return Response(status, json.dumps(value).encode(), headers, reason)


class Standin:
    """Subclasses answer with handle(request), under the lock, and may override control()."""

    def __init__(self, record=None):
        self.lock = threading.RLock()
        self.record_path = record
        self.requests = []
        self.faults = []
        self.unreliable = None  # (random numbers, share of requests that fail), or None
        self.violations = []
        self.checked = False

    def handle(self, request):
        raise NotImplementedError

    def control(self, order):
        """True when the order was understood."""
        return False

    def violation(self, text):
        self.violations.append(text)
        print(f"violation: {text}", file=sys.stderr, flush=True)

    def _take_fault(self, request):
        for fault in self.faults:
            if fault.get("method", request.method) != request.method:
                continue
            if fault.get("path", "") not in request.path:
                continue
            fault["times"] = fault.get("times", 1) - 1
            if fault["times"] <= 0:
                self.faults.remove(fault)
            return fault
        if self.unreliable:
            numbers, share = self.unreliable
            if numbers.random() < share:
                return dict(numbers.choice(TROUBLES))
        return {}

    def _set_unreliable(self, order):
        share = float(order.get("share", 0))
        self.unreliable = (random.Random(order.get("seed", 1)), share) if share > 0 else None

    def _note(self, request):
        entry = {
            "method": request.method,
            "target": request.target,
            "headers": request.headers,
            "body": request.body.decode("utf-8", "replace"),
        }
        self.requests.append(entry)
        if self.record_path:
            with open(self.record_path, "a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        return entry

    def _internal(self, request):
        if request.path == "/_violations":
            return Response.json(200, {
                "checked": self.checked,
                "count": len(self.violations),
                "violations": self.violations,
            })
        if request.path == "/_requests":
            return Response.json(200, self.requests)
        if request.path == "/_reset":
            self.requests, self.faults, self.violations = [], [], []
            self.unreliable = None
            return Response.json(200, {})
        if request.path == "/_control":
            try:
                order = json.loads(request.body)
            except ValueError as error:
                return Response.json(400, {"error": str(error)})
            if self.control(order):
                return Response.json(200, {})
            if "unreliable" in order:
                self._set_unreliable(order["unreliable"])
                return Response.json(200, {})
            if "fail_next" in order:
                order = {"status": order["fail_next"], **order}
            if order.get("drop_after_apply"):
                order["drop"] = "after"
            known = {"status", "delay_ms", "drop", "method", "path", "times", "headers", "body",
                     "fail_next", "drop_after_apply"}
            if not order or set(order) - known:
                return Response.json(400, {"error": f"unknown order {order}"})
            self.faults.append(order)
            return Response.json(200, {})
        return Response.json(404, {"error": "no such control endpoint"})

    def answer(self, request):
        """A response, or None when the connection is to be dropped."""
        if request.path.startswith("/_"):
            with self.lock:
                return self._internal(request)
        with self.lock:
            entry = self._note(request)
            fault = self._take_fault(request)
        if fault.get("delay_ms"):
            time.sleep(fault["delay_ms"] / 1000)
        if fault.get("drop") == "before":
            return None
        if "status" in fault:
            body = fault.get("body", "")
            if not isinstance(body, str):
                body = json.dumps(body)
            return Response(fault["status"], body, fault.get("headers"))
        with self.lock:
            response = self.handle(request)
            entry["taken"] = response.status
        return None if fault.get("drop") == "after" else response


def _make_handler(standin):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "standin"

        def log_message(self, *args):
            pass

        def _serve(self):
            headers = {name.lower(): value for name, value in self.headers.items()}
            if "chunked" in headers.get("transfer-encoding", ""):
                self.send_error(501)
                self.close_connection = True
                return
            length = int(headers.get("content-length") or 0)
            body = self.rfile.read(min(length, BODY_BYTES_MAX))
            response = standin.answer(Request(self.command, self.path, headers, body))
            if response is not None and response.pieces is not None:
                self._stream(response)
                return
            if response is None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            try:
                self.send_response(response.status, response.reason or "")
                for name, value in response.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(response.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(response.body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _stream(self, response):
            """An answer in pieces, for as long as they come."""
            self.close_connection = True
            try:
                self.send_response(response.status)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for piece in response.pieces:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n")
            except (BrokenPipeError, ConnectionResetError):
                pass

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _serve

    return Handler


def add_arguments(parser):
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--record", help="append every request to this file, one JSON a line")
    parser.add_argument("--until-stdin-ends", action="store_true",
                        help="end when stdin does: no server outlives the test that started it")


def _end_with_stdin():
    sys.stdin.buffer.read()
    os._exit(0)


def serve(standin, arguments):
    """Prints `listening PORT` on stdout and serves until the process is ended."""
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), _make_handler(standin))
    server.daemon_threads = True
    if arguments.until_stdin_ends:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    print(f"listening {server.server_address[1]}", flush=True)
    try:
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        pass
