"""A stand-in for the receivers of notices and of http.request: Slack incoming webhooks
(/services/…), PagerDuty Events v2 (/v2/enqueue), a signed generic webhook (/hook…), and a plain
job API (/jobs/ID: POST makes it, GET finds it by Idempotency-Key)."""

import argparse
import hashlib
import hmac
import json

from standin import Response, Standin, add_arguments, serve

SEVERITIES = ("critical", "error", "warning", "info")


class Webhooks(Standin):
    def __init__(self, arguments):
        super().__init__(arguments.record)
        self.checked = True
        self.secret = arguments.secret
        self.routing_key = arguments.routing_key
        self.open = {}  # dedup_key -> "triggered" or "acknowledged"
        self.jobs = set()

    def control(self, order):
        return False

    def handle(self, request):
        if request.path.startswith("/jobs/"):
            return self._job(request)
        if request.method != "POST":
            return Response(405, "POST only")
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            self.violation(f"{request.path}: content type {request.headers.get('content-type')}")
            return Response(400, "invalid_payload")
        try:
            value = json.loads(request.body)
        except ValueError as error:
            self.violation(f"{request.path}: {error}")
            return Response(400, "invalid_payload")
        if request.path.startswith("/services/"):
            return self._slack(value)
        if request.path == "/v2/enqueue":
            return self._pagerduty(value)
        if request.path.startswith("/hook"):
            return self._generic(request, value)
        return Response(404, "no_service")

    def _slack(self, value):
        problems = []
        if not isinstance(value.get("text"), str) or not value["text"]:
            problems.append("no text")
        for block in value.get("blocks", []):
            text = block.get("text", {})
            if block.get("type") == "section" and not 1 <= len(text.get("text", "")) <= 3000:
                problems.append("section text length")
            if block.get("type") == "header" and text.get("type") != "plain_text":
                problems.append("header text must be plain_text")
            if block.get("type") == "header" and not 1 <= len(text.get("text", "")) <= 150:
                problems.append("header text length")
        if len(value.get("blocks", [])) > 50:
            problems.append("too many blocks")
        if problems:
            self.violation(f"slack: {problems}")
            return Response(400, "invalid_payload")
        return Response(200, "ok")

    def _pagerduty(self, value):
        problems = []
        action = value.get("event_action")
        if action not in ("trigger", "acknowledge", "resolve"):
            problems.append("event_action is not one of trigger, acknowledge, resolve")
        if not value.get("dedup_key") and action != "trigger":
            problems.append("dedup_key is required")
        if len(value.get("dedup_key", "")) > 255:
            problems.append("dedup_key is too long")
        payload = value.get("payload", {})
        if action == "trigger":
            problems += [f"payload.{k} is missing" for k in ("summary", "source", "severity")
                         if not payload.get(k)]
            if payload.get("severity") not in SEVERITIES:
                problems.append("payload.severity is invalid")
            if len(payload.get("summary", "")) > 1024:
                problems.append("payload.summary is too long")
        if self.routing_key and value.get("routing_key") != self.routing_key:
            return Response.json(400, {"status": "invalid event", "message": "Event object is "
                                       "invalid", "errors": ["Invalid routing key"]})
        if problems:
            self.violation(f"pagerduty: {problems}")
            return Response.json(400, {"status": "invalid event", "message": "Event object is "
                                       "invalid", "errors": problems})
        if action == "resolve":
            self.open.pop(value["dedup_key"], None)
        elif action == "acknowledge":
            if value["dedup_key"] in self.open:
                self.open[value["dedup_key"]] = "acknowledged"
        else:
            self.open.setdefault(value["dedup_key"], "triggered")
        return Response.json(202, {"status": "success", "message": "Event processed",
                                   "dedup_key": value["dedup_key"]})

    def _generic(self, request, value):
        if self.secret:
            wanted = "sha256=" + hmac.new(self.secret.encode(), request.body,
                                          hashlib.sha256).hexdigest()
            given = request.headers.get("x-vigie-signature-256", "")
            if not hmac.compare_digest(wanted, given):
                self.violation("generic: the signature is wrong")
                return Response(401, "wrong signature")
        if not value.get("id"):
            self.violation("generic: no id")
            return Response(400, "no id")
        return Response(204)

    def _job(self, request):
        if request.method == "GET":
            known = request.path.removeprefix("/jobs/") in self.jobs
            return Response.json(200 if known else 404, {})
        self.jobs.add(request.headers.get("idempotency-key", ""))
        return Response.json(201, {})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--secret", help="check the signature of /hook… with it")
    parser.add_argument("--routing-key", help="the only routing key that PagerDuty knows")
    arguments = parser.parse_args()
    serve(Webhooks(arguments), arguments)


if __name__ == "__main__":
    main()
