"""What GitHub sends, signed as GitHub signs it."""
import hashlib
import hmac
import json


def deployment_webhook(number, version, full_name, state=None):
    """A `deployment` event: `version` of the repository `full_name` is being deployed. With a
    `state` ("success", "failure", …) it is the `deployment_status` event that tells of it."""
    owner, name = full_name.split("/")
    api = f"https://api.github.example/repos/{full_name}"
    status = {} if state is None else {"deployment_status": {
        "id": number, "state": state, "environment": "production", "description": "",
        "created_at": None, "updated_at": None, "creator": {"login": "dana"}}}
    return json.dumps({
        "action": "created",
        **status,
        "deployment": {
            "id": number, "sha": f"{number:040x}", "ref": f"v{version}", "task": "deploy",
            "environment": "production", "description": f"{name} {version}",
            "payload": {"version": version},
            "creator": {"login": "dana"},
            "created_at": None, "updated_at": None,
            "url": f"{api}/deployments/{number}",
        },
        "repository": {"name": name, "full_name": full_name, "owner": {"login": owner},
                       "html_url": f"https://github.example/{full_name}"},
        "sender": {"login": "dana"},
    })


def signed_headers(body, secret, delivery, event="deployment"):
    """https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries"""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery, "X-Hub-Signature-256": f"sha256={signature}",
            "User-Agent": "GitHub-Hookshot/demo"}
