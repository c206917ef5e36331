#!/usr/bin/env python3
"""Sources that can be compiled as one, because most of a compiler's time goes into headers: a few
of one folder, where nothing in an anonymous namespace has a name that another one uses.

usage: units.py PATH...   prints a line for each unit: its paths, with semicolons between
"""
import functools
import re
import sys

from source import ROOT, code_of, read

UNIT_MAX = 5
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
# What starts at the left margin, and is neither directive nor brace, declares the name behind its
# keyword, or else the one that stands in front of the first of these signs.
DECLARED = re.compile(r"(?:class|struct|enum class|enum) (\w+)"
                      r"|(?!using (?:namespace |std::)|namespace|TEST_CASE|public:|private:)[A-Za-z]"
                      r".*?([A-Za-z_][\w:~]*)\s*(?:[({=;\[]|\s:\s|$)")
PRIVATE = re.compile(r"^namespace \{$(.*?)^\}  // namespace$", re.MULTILINE | re.DOTALL)


def included(path):
    """`path` and every file of the repository that it includes, directly or not."""
    seen, left = set(), [path]
    while left:
        path = left.pop()
        if path not in seen and (ROOT / path).is_file():
            seen.add(path)
            left += INCLUDE.findall(read(path))
    return seen


def names_in(text):
    """What it declares."""
    found = (DECLARED.match(line) for line in text.splitlines())
    return {match.group(1) or match.group(2) for match in found if match}


@functools.cache
def names_of(path):
    return names_in(code_of(read(path)))


def private_names(path):
    """What no other source sees, if they are compiled apart."""
    # The end of a namespace is told by its comment, which code_of() takes away.
    return set().union(*(names_in(code_of(part)) for part in PRIVATE.findall(read(path))))


def units_of(paths):
    """The paths in lists of at most UNIT_MAX."""
    units = []
    for path in paths:
        folder, private = path.rpartition("/")[0], private_names(path)
        visible = set().union(*map(names_of, included(path)))
        for unit in units:
            if (unit["folder"] == folder and len(unit["paths"]) < UNIT_MAX
                    and not private & unit["visible"] and not unit["private"] & visible):
                break
        else:
            unit = {"folder": folder, "paths": [], "private": set(), "visible": set()}
            units.append(unit)
        unit["paths"].append(path)
        unit["private"] |= private
        unit["visible"] |= visible
    return [unit["paths"] for unit in units]


if __name__ == "__main__":
    print("\n".join(";".join(unit) for unit in units_of(sys.argv[1:])))
