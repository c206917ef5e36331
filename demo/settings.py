"""The configuration files of the demo's programs, written for the ports of one run."""
import json
import re

from cluster import NAMESPACE, TOKEN

GITHUB_SECRET = "demo-webhook-secret"
CORRELATION_SECONDS = 15
SERVICES = ("frontend", "checkout", "payments")

PROMETHEUS = """\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
rule_files: [rules.yml]
scrape_configs:
  - job_name: shop
    static_configs:
{shop}  - job_name: node
    static_configs:
      - targets: ['127.0.0.1:{node_exporter}']
remote_write:
  - url: http://127.0.0.1:{api}/api/v1/write
    queue_config: {{batch_send_deadline: 1s, max_shards: 2}}
alerting:
  alertmanagers:
    - api_version: v2
      static_configs:
        - targets: ['127.0.0.1:{alertmanager}']
"""

RULES = """\
groups:
  - name: shop
    rules:
      - alert: HighErrorRate
        expr: >-
          sum by (service) (rate(http_requests_total{code=~"5.."}[10s]))
          / sum by (service) (rate(http_requests_total[10s])) > 0.1
        for: 3s
        labels: {severity: critical}
        annotations:
          summary: '{{ $labels.service }} fails {{ $value | humanizePercentage }} of its requests'
      - alert: HighLatency
        expr: >-
          histogram_quantile(0.9, sum by (service, le)
          (rate(http_request_duration_seconds_bucket[10s]))) > 0.4
        for: 3s
        labels: {severity: warning}
        annotations:
          summary: '{{ $labels.service }} takes {{ $value | humanizeDuration }} (p90)'
"""


def write_prometheus(folder, ports):
    shop = "".join(
        f"      - targets: ['127.0.0.1:{ports[name]}']\n        labels: {{service: {name}}}\n"
        for name in SERVICES)
    (folder / "prometheus.yml").write_text(PROMETHEUS.format(shop=shop, **ports))
    (folder / "rules.yml").write_text(RULES)


def deployment_webhook(number, version):
    """What GitHub sends when version `version` of checkout is being deployed."""
    repository = {"name": "checkout", "full_name": "shop/checkout",
                  "html_url": "https://github.example/shop/checkout"}
    return json.dumps({
        "action": "created",
        "deployment": {
            "id": number, "sha": f"{number:040x}", "ref": f"v{version}", "task": "deploy",
            "environment": "production", "description": f"checkout {version}",
            "payload": {"version": version},
            "creator": {"login": "dana"},
            "created_at": None, "updated_at": None,
            "url": f"https://api.github.example/repos/shop/checkout/deployments/{number}",
        },
        "repository": repository,
        "sender": {"login": "dana"},
    })


# What a site would leave at its defaults is set here only because a demo has no hour to learn
# what is normal, and no ten minutes to watch whether a repair holds.
VIGIE = """\
data: {data}
listen:
  api: 127.0.0.1:{api}
  otlp: 127.0.0.1:{otlp_http}
  alertmanager: 127.0.0.1:{alertmanager}

ingest:
  github:
    secret: {secret}

detect:
  metrics: {{warmup_points: 15, warmup_span: 15s}}
  traces: {{window: 2s, lateness: 1s, requests_min: 10, warmup_windows: 5, warmup_span: 10s,
           odd_windows: 2, latency_seconds_min: 0.2}}
  logs: {{window: 2s, lateness: 1s, warmup_lines: 100, warmup_span: 10s}}
  rules:
    - name: OrdersFail
      metric: http_requests_total
      matchers: ['code=~5??']
      aggregation: rate
      window: 10s
      divide_by: {{metric: http_requests_total, aggregation: rate, window: 10s}}
      group_by: [service]
      compare: '>'
      threshold: 0.1
      for: 3s
      severity: warning
      symptom: errors
      unit: ratio
      summary: 'too many orders fail at {{entity}}'

agent:
  modes:
    - {{action: kubernetes.rollback_deployment, target: '*', mode: approve}}
  diagnose_after: 5s
  correlation_window: {correlation}s
  approval_expiry: 15m
  verify_hold: 5s
  verify_timeout: 60s

runbooks:
  folder: {runbooks}

inventory:
{inventory}
actions:
  kubernetes:
    server: http://127.0.0.1:{kubernetes}
    token: {token}

notify:
  link_prefix: 'http://127.0.0.1:{api}/#/incidents/'
  webhooks:
    - {{name: on-call, url: 'http://127.0.0.1:{on_call}/hook'}}
"""

CALLEES = {"frontend": ["checkout"], "checkout": ["payments"], "payments": []}


def inventory_entry(name):
    callees = "".join(f"service:{callee}" for callee in CALLEES[name])
    return (f"  - entity: service:{name}\n"
            f"    attributes: {{kubernetes.namespace: {NAMESPACE}, "
            f"kubernetes.deployment: {name}}}\n"
            f"    depends_on: [{callees}]\n")


def write_vigie(folder, root, ports):
    """vigie.yaml, and the shipped runbook for rollbacks with a rest as short as the demo."""
    (folder / "runbooks").mkdir()
    name = "rollback-deployment.yaml"
    text = (root / "runbooks" / name).read_text()
    (folder / "runbooks" / name).write_text(
        re.sub(r"^cooldown: .*$", "cooldown: 20s", text, flags=re.MULTILINE))
    (folder / "vigie.yaml").write_text(VIGIE.format(
        data=folder / "data", secret=GITHUB_SECRET, token=TOKEN, runbooks=folder / "runbooks",
        correlation=CORRELATION_SECONDS,
        inventory="".join(map(inventory_entry, SERVICES)), **ports))
