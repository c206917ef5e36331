"""A stand-in for a Kubernetes API server: Deployments, their ReplicaSets and the scale
subresource, with resource versions, generations, revisions and the patch content types of the
real one. The deployment controller works at once, or when told (see README.md)."""

import argparse
import base64
import copy
import hashlib
import json
import os
import re
import sys
import tempfile
import time
import urllib.request

from contract import KubernetesContract, find_contract
from standin import Response, Standin, add_arguments, serve

REVISION = "deployment.kubernetes.io/revision"
TIME = "2026-11-21T10:00:00Z"
PATCH_TYPES = ("application/json-patch+json", "application/merge-patch+json",
               "application/strategic-merge-patch+json")
MERGE_KEYS = ("name", "containerPort", "mountPath", "key")

DEFAULT_STATE = [
    {"namespace": "shop", "name": "frontend", "images": ["shop/frontend:1.3.9",
                                                         "shop/frontend:1.4.0"]},
    {"namespace": "shop", "name": "checkout", "images": ["shop/checkout:1.4.1",
                                                         "shop/checkout:1.4.2"]},
    {"namespace": "shop", "name": "payments", "images": ["shop/payments:2.0.0",
                                                         "shop/payments:2.1.0"]},
]


class ApiError(Exception):
    def __init__(self, code, reason, message):
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


def merge_patch(target, patch):
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_patch(target, patch):
    """As merge_patch, but lists of objects merge by their merge key."""
    if isinstance(patch, list) and isinstance(target, list):
        key = next((k for k in MERGE_KEYS
                    if all(isinstance(i, dict) and k in i for i in patch + target)), None)
        if key is None:
            return copy.deepcopy(patch)
        result = copy.deepcopy(target)
        for item in patch:
            found = next((i for i, old in enumerate(result) if old[key] == item[key]), None)
            if found is None:
                result.append(copy.deepcopy(item))
            else:
                result[found] = strategic_patch(result[found], item)
        return result
    if not isinstance(patch, dict) or not isinstance(target, dict):
        return copy.deepcopy(patch)
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = strategic_patch(result.get(key), value)
    return result


def json_patch(target, operations):
    result = copy.deepcopy(target)
    for operation in operations:
        parts = [p.replace("~1", "/").replace("~0", "~") for p in
                 operation["path"].split("/")[1:]]
        parent = result
        for part in parts[:-1]:
            try:
                parent = parent[int(part)] if isinstance(parent, list) else parent[part]
            except (KeyError, IndexError, ValueError, TypeError):
                raise ApiError(422, "Invalid", f"{operation['path']} does not exist") from None
        _apply_operation(parent, parts[-1], operation)
    return result


def _apply_operation(parent, name, operation):
    kind = operation["op"]
    if isinstance(parent, list):
        name = len(parent) if name == "-" else int(name)
        exists = name < len(parent)
    else:
        exists = name in parent
    if kind in ("replace", "remove", "test") and not exists:
        raise ApiError(422, "Invalid", f"{operation['path']} does not exist")
    if kind == "test":
        if parent[name] != operation["value"]:
            raise ApiError(422, "Invalid", f"testing value {operation['path']} failed")
    elif kind == "remove":
        del parent[name]
    elif kind == "add" and isinstance(parent, list):
        parent.insert(name, operation["value"])
    elif kind in ("add", "replace"):
        parent[name] = operation["value"]
    else:
        raise ApiError(422, "Invalid", f"operation {kind} is not supported here")


def selects(selector, labels):
    """A label selector in query syntax, as far as it is used."""
    for term in re.split(r",(?![^(]*\))", selector):
        term = term.strip()
        if not term:
            continue
        sets = re.fullmatch(r"(\S+) (in|notin) \(([^)]*)\)", term)
        if sets:
            inside = labels.get(sets[1]) in [v.strip() for v in sets[3].split(",")]
            if inside != (sets[2] == "in"):
                return False
        elif "!=" in term:
            name, value = term.split("!=", 1)
            if labels.get(name) == value:
                return False
        elif "=" in term:
            name, value = re.split("==?", term, maxsplit=1)
            if labels.get(name) != value:
                return False
        elif term.startswith("!"):
            if term[1:] in labels:
                return False
        elif term not in labels:
            return False
    return True


class Kubernetes(Standin):
    def __init__(self, arguments):
        super().__init__(arguments.record)
        self.token = arguments.token
        self.state_out = arguments.state_out
        self.on_change = arguments.on_change
        self.paused = False  # The controller, not a deployment
        self.version = 100
        self.deployments = {}
        self.replica_sets = {}
        self.events = []  # (version, event), oldest first
        self.events_from = 0  # Versions before this one are gone
        self.watch_end = 0  # Counts orders to end all watches
        self.bookmarks = 0
        path = find_contract("kubernetes-openapi-1.26.json.gz", arguments.contract)
        self.contract = KubernetesContract(path) if path else None
        self.checked = self.contract is not None
        state = DEFAULT_STATE
        if arguments.state:
            with open(arguments.state, encoding="utf-8") as file:
                state = json.load(file)
        for entry in state:
            self._create(entry)
        self._publish()

    # -- objects

    def _next_version(self):
        self.version += 1
        return str(self.version)

    def _create(self, entry):
        name_space, name = entry["namespace"], entry["name"]
        labels = {"app": name}
        images = entry["images"]
        container = {"name": name, "image": images[0],
                     "env": [{"name": k, "value": v} for k, v in entry.get("env", {}).items()],
                     "imagePullPolicy": "IfNotPresent",
                     "ports": [{"containerPort": 8080, "protocol": "TCP"}],
                     "resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "100m"}},
                     "terminationMessagePath": "/dev/termination-log"}
        replicas = entry.get("replicas", 2)
        uid = hashlib.sha256(f"{name_space}/{name}".encode()).hexdigest()
        self.deployments[name_space, name] = {
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "namespace": name_space, "labels": labels,
                         "uid": f"{uid[:8]}-{uid[8:12]}-4{uid[13:16]}-8{uid[17:20]}-{uid[20:32]}",
                         "resourceVersion": self._next_version(), "generation": 1,
                         "creationTimestamp": TIME, "annotations": {}},
            "spec": {"replicas": replicas, "revisionHistoryLimit": 10,
                     "selector": {"matchLabels": labels},
                     "strategy": {"type": "RollingUpdate", "rollingUpdate": {
                         "maxSurge": "25%", "maxUnavailable": "25%"}},
                     "template": {"metadata": {"creationTimestamp": None, "labels": labels},
                                  "spec": {"containers": [container], "restartPolicy": "Always",
                                           "dnsPolicy": "ClusterFirst"}}},
            "status": {},
        }
        self._control_loop(name_space, name)
        for image in images[1:]:
            self.set_image(name_space, name, image, entry.get("env"))

    def set_image(self, name_space, name, image, env=None):
        deployment = copy.deepcopy(self.deployments[name_space, name])
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        container["image"] = image
        if env is not None:
            container["env"] = [{"name": k, "value": v} for k, v in env.items()]
        self._store(name_space, name, deployment)

    def _store(self, name_space, name, changed):
        """As the API server: counts the resource version, and the generation of the spec."""
        current = self.deployments[name_space, name]
        if changed == current:
            return
        if changed["spec"] != current["spec"]:
            changed["metadata"]["generation"] = current["metadata"]["generation"] + 1
        changed["metadata"]["resourceVersion"] = self._next_version()
        self.deployments[name_space, name] = changed
        if not self.paused:
            self._control_loop(name_space, name)
        self._publish()

    # -- the deployment controller

    def _control_loop(self, name_space, name):
        deployment = self.deployments[name_space, name]
        template = deployment["spec"]["template"]
        owned = {k: rs for k, rs in self.replica_sets.items()
                 if rs["metadata"]["ownerReferences"][0]["uid"] == deployment["metadata"]["uid"]}
        newest = max([int(rs["metadata"]["annotations"][REVISION]) for rs in owned.values()],
                     default=0)
        current = next((rs for rs in owned.values() if self._template_of(rs) == template), None)
        if current is None:
            current = self._make_replica_set(deployment, template)
            current["metadata"]["annotations"][REVISION] = str(newest + 1)
            owned[name_space, current["metadata"]["name"]] = current
        elif int(current["metadata"]["annotations"][REVISION]) < newest:
            current["metadata"]["annotations"][REVISION] = str(newest + 1)
        for replica_set in owned.values():
            replicas = deployment["spec"]["replicas"] if replica_set is current else 0
            replica_set["spec"]["replicas"] = replicas
            replica_set["status"] = {"replicas": replicas, "observedGeneration": 1}
            replica_set["metadata"]["resourceVersion"] = self._next_version()
        deployment["metadata"]["annotations"] = {
            **deployment["metadata"].get("annotations", {}),
            REVISION: current["metadata"]["annotations"][REVISION]}
        replicas = deployment["spec"]["replicas"]
        deployment["status"] = {
            "observedGeneration": deployment["metadata"]["generation"], "replicas": replicas,
            "updatedReplicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
            "conditions": [{"type": "Available", "status": "True", "lastUpdateTime": TIME,
                            "lastTransitionTime": TIME, "reason": "MinimumReplicasAvailable",
                            "message": "Deployment has minimum availability."}]}
        deployment["metadata"]["resourceVersion"] = self._next_version()

    @staticmethod
    def _template_of(replica_set):
        template = copy.deepcopy(replica_set["spec"]["template"])
        del template["metadata"]["labels"]["pod-template-hash"]
        return template

    def _make_replica_set(self, deployment, template):
        text = json.dumps(template, sort_keys=True).encode()
        mark = base64.b32encode(hashlib.sha256(text).digest()).decode().lower()[:9]
        name = f"{deployment['metadata']['name']}-{mark}"
        name_space = deployment["metadata"]["namespace"]
        own = copy.deepcopy(template)
        own["metadata"]["labels"] = {**own["metadata"]["labels"], "pod-template-hash": mark}
        replica_set = {
            "metadata": {"name": name, "namespace": name_space, "labels": own["metadata"]["labels"],
                         "uid": mark, "creationTimestamp": TIME,
                         "annotations": {}, "generation": 1,
                         "ownerReferences": [{
                             "apiVersion": "apps/v1", "kind": "Deployment", "controller": True,
                             "blockOwnerDeletion": True, "name": deployment["metadata"]["name"],
                             "uid": deployment["metadata"]["uid"]}]},
            "spec": {"replicas": 0, "template": own,
                     "selector": {"matchLabels": own["metadata"]["labels"]}},
            "status": {"replicas": 0},
        }
        self.replica_sets[name_space, name] = replica_set
        return replica_set

    # -- telling the world what is deployed

    def _publish(self):
        if not self.state_out and not self.on_change:
            return
        state = {}
        for (name_space, name), deployment in self.deployments.items():
            container = deployment["spec"]["template"]["spec"]["containers"][0]
            state[f"{name_space}/{name}"] = {
                "image": container["image"],
                "version": container["image"].rpartition(":")[2],
                "env": {e["name"]: e.get("value", "") for e in container.get("env", [])},
                "replicas": deployment["spec"]["replicas"],
                "revision": int(deployment["metadata"]["annotations"].get(REVISION, 0)),
                "restarted_at": deployment["spec"]["template"]["metadata"].get(
                    "annotations", {}).get("kubectl.kubernetes.io/restartedAt", ""),
            }
        text = json.dumps(state, indent=2, sort_keys=True) + "\n"
        if self.state_out:
            folder = os.path.dirname(os.path.abspath(self.state_out))
            handle, fresh = tempfile.mkstemp(dir=folder, prefix=".state")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(fresh, self.state_out)
        if self.on_change:
            request = urllib.request.Request(self.on_change, text.encode(), method="POST",
                                             headers={"Content-Type": "application/json"})
            try:
                urllib.request.urlopen(request, timeout=2).close()
            except OSError as error:
                print(f"on-change: {error}", file=sys.stderr, flush=True)

    # -- requests

    def control(self, order):
        if "set_image" in order:
            wanted = order["set_image"]
            self.set_image(wanted.get("namespace", "shop"), wanted["deployment"], wanted["image"],
                           wanted.get("env"))
            return True
        if "touch" in order:  # As a pod that comes or goes: the status changes, the spec does not.
            wanted = order["touch"]
            deployment = self.deployments[wanted.get("namespace", "shop"), wanted["deployment"]]
            deployment["metadata"]["resourceVersion"] = self._next_version()
            return True
        if "pause_deployment" in order:
            wanted = order["pause_deployment"]
            key = wanted.get("namespace", "shop"), wanted["deployment"]
            changed = copy.deepcopy(self.deployments[key])
            changed["spec"]["paused"] = True
            self._store(*key, changed)
            return True
        if "event" in order:
            event = copy.deepcopy(order["event"])
            version = self._next_version()
            metadata = event.setdefault("metadata", {})
            metadata.setdefault("namespace", "shop")
            metadata.setdefault("name", f"event.{version}")
            metadata.setdefault("uid", f"uid-{version}")
            metadata["resourceVersion"] = version
            self.events.append((int(version), event))
            return True
        if "expire_events" in order:  # As when etcd was compacted
            self.events_from = int(self._next_version())
            self.watch_end += 1
            return True
        if "end_watches" in order:
            self.watch_end += 1
            return True
        if "bookmark" in order:
            self._next_version()
            self.bookmarks += 1
            return True
        if "pause_controller" in order:
            self.paused = bool(order["pause_controller"])
            if not self.paused:
                for name_space, name in list(self.deployments):
                    self._control_loop(name_space, name)
                self._publish()
            return True
        return False

    def handle(self, request):
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return self._failure(ApiError(401, "Unauthorized", "Unauthorized"))
        if self.contract:
            problems = self.contract.check_request(request)
            content = request.headers.get("content-type", "")
            for problem in problems:
                self.violation(problem)
            if problems and request.method == "PATCH" and content not in PATCH_TYPES:
                return self._failure(ApiError(
                    415, "UnsupportedMediaType",
                    f"the body of the request was in an unknown format - accepted media types "
                    f"include: {', '.join(PATCH_TYPES)}"))
            if problems:
                return self._failure(ApiError(400, "BadRequest", "; ".join(problems)))
        if request.method == "GET" and request.path == "/api/v1/events":
            return self._events(request)
        try:
            status, value = self._route(request)
        except ApiError as error:
            return self._failure(error)
        response = Response.json(status, value)
        if self.contract:
            for problem in self.contract.check_response(request, status, response.body):
                self.violation("our own answer: " + problem)
        return response

    def _failure(self, error):
        return Response.json(error.code, {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": error.message, "reason": error.reason, "code": error.code})

    def _events(self, request):
        if request.query_value("watch") not in ("1", "true"):
            return Response.json(200, {
                "kind": "EventList", "apiVersion": "v1",
                "metadata": {"resourceVersion": str(self.version)},
                "items": [event for _, event in self.events]})
        since = int(request.query_value("resourceVersion", "0"))
        if since < self.events_from:
            return self._failure(ApiError(410, "Expired", "too old resource version"))
        response = Response(200, b"", {"Content-Type": "application/json"})
        response.pieces = self._watch(since, float(request.query_value("timeoutSeconds", "300")))
        return response

    def _watch(self, since, seconds):
        """The lines of a watch, without the lock: it lasts."""
        def line(kind, thing):
            return json.dumps({"type": kind, "object": thing}).encode() + b"\n"

        with self.lock:
            end, bookmarks = self.watch_end, self.bookmarks
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with self.lock:
                fresh = [event for version, event in self.events if version > since]
                gone, ended = since < self.events_from, self.watch_end != end
                marked, version = self.bookmarks != bookmarks, self.version
                bookmarks = self.bookmarks
            if gone:
                yield line("ERROR", {"kind": "Status", "code": 410, "reason": "Expired",
                                     "message": "too old resource version"})
                return
            for event in fresh:
                since = int(event["metadata"]["resourceVersion"])
                yield line("ADDED", event)
            if marked:
                since = version
                yield line("BOOKMARK", {"kind": "Event", "apiVersion": "v1", "metadata": {
                    "resourceVersion": str(version), "creationTimestamp": None}})
            if ended:
                return
            time.sleep(0.02)

    def _route(self, request):
        parts = request.path.strip("/").split("/")
        if parts[:3] != ["apis", "apps", "v1"] or len(parts) < 6 or parts[3] != "namespaces":
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        name_space, kind, rest = parts[4], parts[5], parts[6:]
        if kind == "replicasets" and request.method == "GET" and not rest:
            return 200, self._list("ReplicaSetList", self.replica_sets, name_space, request)
        if kind == "deployments" and request.method == "GET" and not rest:
            return 200, self._list("DeploymentList", self.deployments, name_space, request)
        if kind != "deployments" or not rest:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        key = name_space, rest[0]
        if key not in self.deployments:
            raise ApiError(404, "NotFound", f'deployments.apps "{rest[0]}" not found')
        if request.method == "GET":
            value = self._scale_of(key) if rest[1:] == ["scale"] else self.deployments[key]
            return 200, value
        if request.method == "PATCH" and rest[1:] == ["scale"]:
            return 200, self._write_scale(key, self._patched(request, self._scale_of(key)))
        if request.method == "PUT" and rest[1:] == ["scale"]:
            return 200, self._write_scale(key, json.loads(request.body))
        if request.method == "PATCH" and not rest[1:]:
            return 200, self._write(key, self._patched(request, self.deployments[key]))
        raise ApiError(405, "MethodNotAllowed", "the server does not allow this method")

    def _list(self, kind, objects, name_space, request):
        selector = request.query_value("labelSelector", "")
        return {"kind": kind, "apiVersion": "apps/v1",
                "metadata": {"resourceVersion": str(self.version)},
                "items": [o for (ns, _), o in objects.items() if ns == name_space
                          and selects(selector, o["metadata"].get("labels", {}))]}

    @staticmethod
    def _patched(request, current):
        content = request.headers.get("content-type", "").split(";")[0].strip()
        try:
            patch = json.loads(request.body)
        except ValueError as error:
            raise ApiError(400, "BadRequest", str(error)) from None
        if content == PATCH_TYPES[0]:
            return json_patch(current, patch)
        if content == PATCH_TYPES[1]:
            return merge_patch(current, patch)
        if content == PATCH_TYPES[2]:
            return strategic_patch(current, patch)
        raise ApiError(415, "UnsupportedMediaType",
                       f"the body of the request was in an unknown format - accepted media types "
                       f"include: {', '.join(PATCH_TYPES)}")

    def _check_version(self, key, version):
        if version and version != self.deployments[key]["metadata"]["resourceVersion"]:
            raise ApiError(409, "Conflict",
                           f'Operation cannot be fulfilled on deployments.apps "{key[1]}": the '
                           "object has been modified; please apply your changes to the latest "
                           "version and try again")

    def _write(self, key, changed):
        current = self.deployments[key]
        self._check_version(key, changed["metadata"].get("resourceVersion"))
        if changed["metadata"]["uid"] != current["metadata"]["uid"] or \
                changed["spec"]["selector"] != current["spec"]["selector"]:
            raise ApiError(422, "Invalid", "field is immutable")
        if self.contract:
            problems = self.contract.check_object(changed, "io.k8s.api.apps.v1.Deployment")
            if problems:
                for problem in problems:
                    self.violation(problem)
                raise ApiError(422, "Invalid", "; ".join(problems))
        changed["status"] = current["status"]
        self._store(*key, changed)
        return self.deployments[key]

    def _scale_of(self, key):
        deployment = self.deployments[key]
        meta = deployment["metadata"]
        return {"kind": "Scale", "apiVersion": "autoscaling/v1",
                "metadata": {k: meta[k] for k in
                             ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")},
                "spec": {"replicas": deployment["spec"]["replicas"]},
                "status": {"replicas": deployment["status"].get("replicas", 0),
                           "selector": f"app={key[1]}"}}

    def _write_scale(self, key, scale):
        self._check_version(key, scale["metadata"].get("resourceVersion"))
        replicas = scale.get("spec", {}).get("replicas", 0)
        if not isinstance(replicas, int) or replicas < 0:
            raise ApiError(422, "Invalid", "spec.replicas: must be greater than or equal to 0")
        changed = copy.deepcopy(self.deployments[key])
        changed["spec"]["replicas"] = replicas
        self._store(*key, changed)
        return self._scale_of(key)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--token", help="require this bearer token")
    parser.add_argument("--contract", help="kubernetes-openapi-1.26.json.gz")
    parser.add_argument("--state", help="JSON list of {namespace, name, images, replicas, env}")
    parser.add_argument("--state-out", help="write what is deployed to this file at each change")
    parser.add_argument("--on-change", help="post what is deployed to this URL at each change")
    arguments = parser.parse_args()
    serve(Kubernetes(arguments), arguments)


if __name__ == "__main__":
    main()
