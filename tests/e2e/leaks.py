"""Secrets that can be recognised, and all places where one could show that should not.

A search for what is not there passes when it looks at nothing. So each is also given a `sign`, a word
that the places do hold, and not to find it is as bad as a leak.
"""
import hashlib
import json
import subprocess

from stage import fetch


def make_secrets(seed, names):
    """For each name a word that nothing else contains and that no compression takes apart."""
    return {name: hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()[:24] for name in names}


def leaks_in(secrets, place, text):
    """One sentence for each secret that `text` (bytes or str) of `place` holds."""
    data = text if isinstance(text, bytes) else text.encode()
    return [f"{place} holds the secret '{name}'" for name, secret in secrets.items()
            if secret.encode() in data]


def _search(secrets, sign, texts):
    """(how many places there are, the leaks) of a dictionary from place to bytes or str."""
    leaks = [leak for place, text in texts.items() for leak in leaks_in(secrets, place, text)]
    if not any(leaks_in({"sign": sign}, place, text) for place, text in texts.items()):
        leaks.append(f"not even '{sign}' is in any of {len(texts)} places")
    return len(texts), leaks


def leaks_in_files(secrets, sign, folders):
    """(how many files there are, the leaks)."""
    return _search(secrets, sign, {path: path.read_bytes() for folder in folders
                                   for path in folder.rglob("*") if path.is_file()})


def _ids_of(incident):
    ids = [incident["id"]] + [item["event"] for item in incident.get("evidence", [])]
    if plan := incident.get("plan"):
        ids += [plan["id"], *(step["action_id"] for step in plan["steps"])]
    return ids


def leaks_in_answers(secrets, sign, api, vigie, environment):
    """Asks a running Vigie what people and programs may ask it, over the API and with the command
    line. (how many answers there were, the leaks)."""
    answers = {}

    def ask(path):
        status, text = fetch(f"{api}{path}")
        answers[f"GET {path}"] = text
        return text if status == 200 else "{}"

    def tell(*words):
        done = subprocess.run([str(vigie), *words], capture_output=True, timeout=60, check=False,
                              stdin=subprocess.DEVNULL, env=environment)
        answers[f"vigie {' '.join(words)}"] = done.stdout + done.stderr

    for path in ("/", "/metrics", "/-/ready", "/api/v1/nothing"):
        ask(path)
    for output in ("table", "json", "yaml"):
        tell("get", "incidents", "-o", output)
    for summary in json.loads(ask("/api/v1/incidents?limit=1000")).get("incidents", []):
        incident = json.loads(ask(f"/api/v1/incidents/{summary['id']}"))
        ask(f"/api/v1/postmortems/{summary['id']}")
        tell("describe", summary["id"])
        tell("describe", summary["id"], "-o", "json")
        for thing in _ids_of(incident):
            ask(f"/api/v1/explain/{thing}")
        tell("explain", summary["id"])
        tell("explain", summary["id"], "-o", "json")
    return _search(secrets, sign, answers)


def leaks_in_log(secrets, sign, vigie, data):
    """Reads every record as `vigie topics read` shows it: in the files they are compressed. (how many
    topics there are, the leaks)."""
    def ask(*words):
        return subprocess.run([str(vigie), "topics", *words, "--data", str(data)],
                              capture_output=True, check=True, timeout=120).stdout
    names = [topic["topic"] for topic in json.loads(ask("list", "-o", "json"))]
    return _search(secrets, sign, {f"topic {name}": ask("read", name, "--max", "1000000")
                                   for name in names})
