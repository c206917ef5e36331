#!/usr/bin/env python3
"""Checks every #include and every banned word of the C++ sources against tools/layers.txt."""
import pathlib
import re
import sys

from source import ROOT, Findings, code_of, files, read

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.MULTILINE)
# Headers of the C library and of fmt come in folders too; every folder may have them.
SYSTEM_FOLDERS = {"arpa", "fmt", "net", "netinet", "sys"}
JSON_DOOR = "schemas/json.h"


class Layer:
    def __init__(self, may_include, libraries):
        self.may_include, self.libraries = may_include, libraries


def words(text):
    return {word for word in text.split() if word != "-"}


def read_rules(text):
    """(layers by folder, bans as (word, places)); ends the program on a rule without sense."""
    layers, bans = {}, []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        if line.startswith("ban:"):
            word, found, places = line.removeprefix("ban:").partition(" only ")
            if not found:
                sys.exit(f"tools/layers.txt:{number}: a ban needs ' only PLACES'")
            bans.append((word.strip(), sorted(words(places))))
            continue
        folder, _, rest = line.partition(":")
        ours, _, theirs = rest.partition("|")
        below = words(ours) - layers.keys()
        if below:
            sys.exit(f"tools/layers.txt:{number}: {folder} names {sorted(below)}, not above it")
        layers[folder] = Layer(words(ours), words(theirs))
    return layers, bans


def layer_of(path, layers):
    """The innermost folder of `path` that has a rule, or None."""
    parents = (str(parent) for parent in pathlib.PurePosixPath(path).parents)
    return next((parent for parent in parents if parent in layers), None)


def fault_of_ours(path, target, layers):
    """Why `path` must not include the repository's `target`; None when it may."""
    own, other = layer_of(path, layers), layer_of(target, layers)
    beside = own is None and ((ROOT / path).parent / target).is_file()
    if not beside and not (ROOT / target).is_file():
        return f'"{target}" is not a file from the repository root'
    if own is None:
        return None  # Tests may include everything.
    if other is None:
        return f'"{target}" is not part of the product'
    if other != own and other not in layers[own].may_include:
        return f"{own}/ must not include {other}/"
    hidden = own != "schemas" and "nlohmann" not in layers[own].libraries
    if target == JSON_DOOR and hidden and path.endswith(".h"):
        return f"{JSON_DOOR} is for .cc files: headers pass values and strings"
    return None


def fault_of_theirs(path, target, layers):
    own, head = layer_of(path, layers), target.split("/")[0]
    owners = [folder for folder, layer in layers.items() if {head, target} & layer.libraries]
    if own is None:
        return None
    if owners and own not in owners:
        return f"only {', '.join(owners)} may include <{target}>"
    if not owners and "/" in target and head not in SYSTEM_FOLDERS:
        return f"<{target}> is of a library that tools/layers.txt does not know"
    return None


def check_file(path, layers, bans, findings):
    text = read(path)
    if layer_of(path, layers) is None and not path.startswith("tests/"):
        findings.error(path, 1, "this folder is not in tools/layers.txt")
    for match in INCLUDE.finditer(text):
        fault = fault_of_ours if match.group(1) == '"' else fault_of_theirs
        message = fault(path, match.group(2), layers)
        if message:
            findings.error(path, text.count("\n", 0, match.start()) + 1, message)
    code = code_of(text)
    for word, places in bans:
        if any(path == place or place.endswith("/") and path.startswith(place) for place in places):
            continue
        for match in re.finditer(rf"(?<![\w:]){re.escape(word)}\b", code):
            line = code.count("\n", 0, match.start()) + 1
            findings.error(path, line, f"{word} is not allowed here")


def main():
    layers, bans = read_rules(read("tools/layers.txt"))
    findings = Findings("check_layers")
    for path in files(".h", ".cc"):
        check_file(path, layers, bans, findings)
    return findings.exit_code()


if __name__ == "__main__":
    sys.exit(main())
