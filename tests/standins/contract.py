"""Checks requests and responses against the machine-readable descriptions of the Kubernetes and
Proxmox APIs, where those files are at hand. What is wrong is returned as a list of sentences."""

import gzip
import json
import os
import re

MISSING = "MISSING"


def find_contract(name, given=None):
    """The path of a contract file: as given, else in $VIGIE_CONTRACTS, else ../shared/contracts
    beside the repository. None when there is none: then nothing is checked."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    folders = [os.environ.get("VIGIE_CONTRACTS"),
               os.path.join(os.path.dirname(root), "shared", "contracts")]
    candidates = [given] + [os.path.join(f, name) for f in folders if f]
    for path in candidates:
        if path and os.path.isfile(path):
            return path
    return None


def _path_pattern(template):
    return re.compile("^" + re.sub(r"\\\{[^/]+?\\\}", "([^/]+)", re.escape(template)) + "$")


def _path_names(template):
    return re.findall(r"\{([^/}]+)\}", template)


class KubernetesContract:
    def __init__(self, path):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            self.api = json.load(file)
        self.paths = [(_path_pattern(t), t, ops) for t, ops in self.api["paths"].items()]

    def _operation(self, method, path):
        for pattern, template, operations in self.paths:
            if pattern.match(path) and method.lower() in operations:
                return template, operations, operations[method.lower()]
        return None, None, None

    def check_request(self, request):
        template, operations, operation = self._operation(request.method, request.path)
        if operation is None:
            return [f"no operation {request.method} {request.path}"]
        parameters = {(p["in"], p["name"]): p
                      for p in operations.get("parameters", []) + operation.get("parameters", [])}
        problems = []
        for name, value in request.query:
            parameter = parameters.get(("query", name))
            if parameter is None:
                problems.append(f"{template}: unknown query parameter {name}")
            elif parameter["type"] == "integer" and not re.fullmatch(r"-?\d+", value):
                problems.append(f"{template}: {name} is not an integer")
            elif parameter["type"] == "boolean" and value not in ("true", "false"):
                problems.append(f"{template}: {name} is not a boolean")
        body = parameters.get(("body", "body"))
        if body is None:
            if request.body:
                problems.append(f"{template}: a body where none belongs")
            return problems
        if not request.body:
            return problems + ([f"{template}: the body is missing"] if body.get("required") else [])
        return problems + self._check_body(request, template, operation, body["schema"])

    def _check_body(self, request, template, operation, schema):
        content = request.headers.get("content-type", "").split(";")[0].strip()
        if "*/*" not in operation["consumes"] and content not in operation["consumes"]:
            return [f"{template}: content type {content!r} is not one of {operation['consumes']}"]
        try:
            value = json.loads(request.body)
        except ValueError as error:
            return [f"{template}: the body is not JSON: {error}"]
        if content == "application/json-patch+json":
            if not isinstance(value, list):
                return [f"{template}: a JSON patch is a list"]
            return [f"{template}: bad patch operation {op}" for op in value
                    if not isinstance(op, dict) or not str(op.get("path", "")).startswith("/")
                    or op.get("op") not in ("add", "remove", "replace", "test", "move", "copy")
                    or (op["op"] in ("add", "replace", "test") and "value" not in op)]
        if request.method == "PATCH":
            # A merge patch is a part of the object.
            schema = operation["responses"]["200"]["schema"]
            return self._check(value, schema, template, partial=True)
        return self._check(value, schema, template, partial=False)

    def check_response(self, request, status, body):
        template, _, operation = self._operation(request.method, request.path)
        if operation is None or status >= 400:
            return []
        answer = operation["responses"].get(str(status))
        if answer is None:
            return [f"{template}: status {status} is not described"]
        try:
            value = json.loads(body)
        except ValueError as error:
            return [f"{template}: the answer is not JSON: {error}"]
        return self._check(value, answer["schema"], f"{template} answer", partial=False)

    def check_object(self, value, definition):
        return self._check(value, {"$ref": f"#/definitions/{definition}"}, definition, False)

    def _check(self, value, schema, where, partial):
        if value is None:
            return []
        if "$ref" in schema:
            schema = self.api["definitions"][schema["$ref"].rsplit("/", 1)[1]]
        kind = schema.get("type")
        if schema.get("format") == "int-or-string":
            return [] if isinstance(value, (str, int)) else [f"{where}: not an int or string"]
        types = {"string": str, "boolean": bool, "array": list, "object": dict}
        if kind in types and not isinstance(value, types[kind]):
            return [f"{where}: not of type {kind}"]
        if kind == "integer" and (isinstance(value, bool) or not isinstance(value, int)):
            return [f"{where}: not an integer"]
        if kind == "number" and (isinstance(value, bool) or not isinstance(value, (int, float))):
            return [f"{where}: not a number"]
        problems = []
        if isinstance(value, list) and "items" in schema:
            for index, item in enumerate(value):
                problems += self._check(item, schema["items"], f"{where}[{index}]", partial)
        if isinstance(value, dict) and "properties" in schema:
            for name in schema.get("required", []):
                if not partial and name not in value:
                    problems.append(f"{where}.{name}: missing")
            for name, item in value.items():
                if name in schema["properties"]:
                    problems += self._check(item, schema["properties"][name], f"{where}.{name}",
                                            partial)
                else:
                    problems.append(f"{where}.{name}: unknown field")
        elif isinstance(value, dict) and isinstance(schema.get("additionalProperties"), dict):
            for name, item in value.items():
                problems += self._check(item, schema["additionalProperties"], f"{where}.{name}",
                                        partial)
        return problems


class ProxmoxContract:
    def __init__(self, path):
        with gzip.open(path, "rt", encoding="utf-8") as file:
            tree = json.load(file)
        self.paths = []
        self._flatten(tree)

    def _flatten(self, nodes):
        for node in nodes:
            self.paths.append((_path_pattern(node["path"]), node["path"], node.get("info", {})))
            self._flatten(node.get("children", []))

    def _operation(self, method, path):
        for pattern, template, info in self.paths:
            match = pattern.match(path)
            if match and method in info:
                return template, info[method], dict(zip(_path_names(template), match.groups()))
        return None, None, None

    def check_request(self, method, path, fields):
        """`path` without /api2/json; `fields` are query and form values together, a list."""
        template, operation, values = self._operation(method, path)
        if operation is None:
            return [f"no operation {method} {path}"]
        schema = operation.get("parameters", {})
        properties = schema.get("properties", {})
        problems = []
        for name, value in fields:
            if name in values:
                problems.append(f"{template}: {name} is given twice")
            values[name] = value
        for name, value in values.items():
            if name in properties:
                problems += self._check_text(value, properties[name], f"{template}: {name}")
            elif not self._numbered(name, properties):
                problems.append(f"{template}: unknown parameter {name}")
        for name, parameter in properties.items():
            if not parameter.get("optional") and name not in values:
                problems.append(f"{template}: parameter {name} is missing")
        return problems

    @staticmethod
    def _numbered(name, properties):
        # "net[n]" describes net0, net1, …
        return re.sub(r"\d+$", "[n]", name) in properties

    @staticmethod
    def _check_text(value, schema, where):
        kind = schema.get("type", "string")
        if kind == "boolean":
            return [] if value in ("0", "1") else [f"{where} is not 0 or 1"]
        if kind in ("integer", "number"):
            if not re.fullmatch(r"-?\d+(\.\d+)?" if kind == "number" else r"-?\d+", value):
                return [f"{where} is not of type {kind}"]
            low, high = schema.get("minimum"), schema.get("maximum")
            if low is not None and float(value) < low or high is not None and float(value) > high:
                return [f"{where} is out of range"]
            return []
        if "enum" in schema and value not in schema["enum"]:
            return [f"{where} is not one of {schema['enum']}"]
        if len(value) > schema.get("maxLength", 1 << 30):
            return [f"{where} is too long"]
        if isinstance(schema.get("format"), dict):
            return ProxmoxContract._check_properties(value, schema["format"], where)
        pattern = schema.get("pattern")
        if pattern and "(?^" not in pattern and not re.fullmatch(pattern, value):
            return [f"{where} does not match {pattern}"]
        return []

    @staticmethod
    def _check_properties(value, parts, where):
        # "[current=]4096,other=1": the default key's name may be left out.
        default = next((n for n, p in parts.items() if p.get("default_key")), None)
        problems = []
        for part in value.split(","):
            name, _, text = part.rpartition("=")
            name = name or default
            if name not in parts:
                problems.append(f"{where}: unknown part {part}")
            else:
                problems += ProxmoxContract._check_text(text, parts[name], f"{where}.{name}")
        return problems

    def check_response(self, method, path, status, data):
        template, operation, _ = self._operation(method, path)
        if operation is None or status >= 400:
            return []
        return self._check_value(data, operation.get("returns", {}), f"{template} answer")

    def _check_value(self, value, schema, where):
        kind = schema.get("type")
        if value is None:
            return [] if kind in (None, "null") or schema.get("optional") else [f"{where}: null"]
        if kind == "null":
            return [f"{where}: should be null"]
        if kind == "boolean":
            return [] if value in (0, 1) else [f"{where}: not 0 or 1"]
        types = {"string": str, "array": list, "object": dict, "integer": int,
                 "number": (int, float)}
        if kind in types and not isinstance(value, types[kind]):
            return [f"{where}: not of type {kind}"]
        if "enum" in schema and value not in schema["enum"]:
            return [f"{where}: not one of {schema['enum']}"]
        problems = []
        if kind == "array":
            for index, item in enumerate(value):
                problems += self._check_value(item, schema.get("items", {}), f"{where}[{index}]")
        if kind == "object":
            for name, part in schema.get("properties", {}).items():
                if name in value:
                    problems += self._check_value(value[name], part, f"{where}.{name}")
                elif not part.get("optional"):
                    problems.append(f"{where}.{name}: missing")
        return problems
