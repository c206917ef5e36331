"""Tells the life of one incident as it happens, from Vigie's own API."""
import collections

from stage import fetch_json

# How many pieces of evidence of each kind are told one by one.
EVIDENCE_SHOWN = {"alert": 2, "change": 1, "anomaly": 2}


def confidence_of(incident):
    confidence = incident["diagnosis"]["confidence"]
    if not confidence["calibrated"]:
        return f"uncalibrated (n={confidence['outcomes']})"
    return f"{confidence['value']:.2f} (n={confidence['outcomes']})"


def cause_of(incident):
    """The best cause, or None while there is none."""
    causes = incident["diagnosis"]["causes"]
    return causes[0] if causes else None


def time_of(text):
    return text[11:19] + "Z"


class Follower:
    """Prints what is new in the incident each time it is looked at."""

    def __init__(self, api, incident_id, terminal):
        self._url = f"{api}/api/v1/incidents/{incident_id}"
        self._terminal = terminal
        self._shown = set()
        self._told = collections.Counter()

    def look(self):
        """The incident as it is now, after telling what is new; None when it is not readable."""
        incident = fetch_json(self._url)
        if incident:
            self._tell(incident)
        return incident

    def _first_time(self, *key):
        if key in self._shown:
            return False
        self._shown.add(key)
        return True

    def _tell(self, incident):
        if self._first_time("opened"):
            self._terminal.step(f"incident {incident['id']} opened: {incident['title']}", "1;33")
        self._tell_evidence(incident)
        for entry in incident["timeline"]:
            if self._first_time("entry", entry["at"], entry["kind"], entry["text"]):
                self._tell_entry(incident, entry["kind"], entry["text"])
        self._tell_symptoms(incident)

    def _tell_entry(self, incident, kind, text):
        if kind == "diagnosis":
            self._tell_cause(incident)
        elif kind == "plan" and incident.get("plan") and not text.startswith("no plan"):
            self._tell_plan(incident)
        elif kind not in ("opened", "evidence") and not text.startswith(("open: ", "inspecting ")):
            # A state says in its reason what another entry has said already.
            state, _, reason = text.partition(": ")
            moved = kind == "state" and reason
            if self._first_time("text", reason if moved else text):
                self._terminal.step(f"{state.replace('_', ' ')}: {reason}" if moved else text)

    def _tell_evidence(self, incident):
        for item in incident["evidence"]:
            if not self._first_time("evidence", item["kind"], item["key"]):
                continue
            self._told[item["kind"]] += 1
            if self._told[item["kind"]] <= EVIDENCE_SHOWN.get(item["kind"], 0):
                self._terminal.step(f"evidence: {item['kind']} at {item['entity']}: {item['text']}")

    def _tell_symptoms(self, incident):
        symptoms = [item for item in incident["evidence"] if item["symptom"]]
        clear = sum(1 for item in symptoms if item.get("cleared_at"))
        if clear and self._first_time("clear", clear, len(symptoms)):
            self._terminal.step(f"symptoms clear: {clear} of {len(symptoms)}")

    def _tell_cause(self, incident):
        cause = cause_of(incident)
        if not cause or not self._first_time("cause", cause["entity"], cause["mechanism"]):
            return
        mechanism = cause["mechanism"].replace("_", " ")
        what = "none of the known causes" if mechanism == "unknown" else \
            f"{mechanism} of {cause['entity']}"
        self._terminal.step(f"most likely cause: {what}", "36")
        self._terminal.more(*(f"  · {reason}" for reason in cause["reasons"]))
        others = [
            f"{other['mechanism'].replace('_', ' ')} of {other['entity']}"
            + (f" ({other['change_key']})" if other["change_key"] else "")
            for other in incident["diagnosis"]["causes"][1:4] if other["mechanism"] != "unknown"]
        if others:
            self._terminal.more(f"  less likely: {'; '.join(others)}")
        self._terminal.more(f"  confidence {confidence_of(incident)}, "
                            f"{len(incident['evidence'])} pieces of evidence so far")

    def _tell_plan(self, incident):
        plan = incident.get("plan")
        if not plan or not plan["gate"] or not self._first_time("plan", plan["id"]):
            return
        self._terminal.step(f"plan {plan['id']}: {plan['title']}", "1;36")
        for step in plan["steps"]:
            self._terminal.more(f"  {step['action']} on {step['target']}",
                                *(f"    {line}" for line in step["diff"]))
            if step["inverse"]:
                self._terminal.more(f"    to undo it: {step['inverse']}")
        self._terminal.more(f"  risk {plan['risk']}, mode {plan['mode']}, "
                            f"confidence {confidence_of(incident)}, "
                            f"expires {time_of(plan['expires_at'])}")
        for check in plan["gate"]:
            if not check["passed"]:
                self._terminal.more(f"  held by {check['name']}: {check['reason']}")
