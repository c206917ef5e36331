"""The configuration files of the demo's programs, written for the ports of one run."""
import json

GITHUB_SECRET = "demo-webhook-secret"
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
