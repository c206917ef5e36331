"""Checks the golden events against schemas/*.json with a validator that is not ours.

usage: golden_schema_test.py SOURCE_DIR
"""

import json
import pathlib
import sys

from jsonschema import Draft202012Validator

# What each check must refuse: otherwise the schema or the validator checks nothing.
BROKEN = {
    "specversion": "0.3",
    "id": "",
    "time": 5,
    "data": [],
}


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def main():
    root = pathlib.Path(sys.argv[1])
    schemas = {path.name: load(path) for path in sorted((root / "schemas").glob("*.json"))}
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    envelope = Draft202012Validator(schemas["event.v1.json"])

    seen = {"event.v1.json"}
    for path in sorted((root / "tests/schemas/golden").glob("*.json")):
        event = load(path)
        envelope.validate(event)
        assert event["type"].startswith("io.vigie."), path
        name = event["type"].removeprefix("io.vigie.") + ".json"
        data = Draft202012Validator(schemas[name])
        data.validate(event["data"])
        seen.add(name)
        for field, value in BROKEN.items():
            assert not envelope.is_valid({**event, field: value}), (path, field)
        for field in schemas[name].get("required", []):
            without = {key: value for key, value in event["data"].items() if key != field}
            assert not data.is_valid(without), (path, field)
        print(f"{path.name}: matches {name}")

    missing = set(schemas) - seen
    assert not missing, f"no golden event for {sorted(missing)}"


if __name__ == "__main__":
    main()
