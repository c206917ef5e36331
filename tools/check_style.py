#!/usr/bin/env python3
"""Checks what a script can of the house rules: lengths, folder pages, links, machine paths."""
import pathlib
import re
import sys

from check_layers import read_rules
from source import ROOT, Findings, code_of, files, read

FUNCTION_LINES_MAX = 70
HEADER_LINES, HEADER_LINES_MAX = 150, 200
SOURCE_LINES, SOURCE_LINES_MAX = 500, 600
PAGE_LINES_MAX = 80

# Written apart so that this file does not find itself.
MACHINE_PATH = re.compile(r"(?<![\w.~*-])/" + r"(?:work|root|home/\w+|tmp/bash_jobs)(?:/|\b(?![-\w]))")
SCOPE = re.compile(r"\b(?:namespace|class|struct|union|enum)\b(?![^{;]*\))|\bextern\s*$")
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)|!\[[^\]\n]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6}\s+(.*)$", re.MULTILINE)


def function_bodies(code):
    """(first line, last line) of each outermost brace block that follows a parameter list."""
    stack, start = [], 0
    for match in re.finditer(r"[{};]", code):
        mark, at = match.group(0), match.start()
        if mark == "{":
            head = code[start:at]
            inside = any(kind == "function" for kind, _ in stack)
            is_function = not inside and ")" in head and not SCOPE.search(head) \
                and not re.search(r"=\s*$", head)
            stack.append(("function" if is_function else "other", code.count("\n", 0, at) + 1))
        elif mark == "}" and stack:
            kind, first = stack.pop()
            if kind == "function":
                yield first, code.count("\n", 0, at) + 1
        start = match.end()


def check_lengths(findings):
    for path in files(".h", ".cc", ".py"):
        text = read(path)
        lines = text.count("\n")
        wanted, most = (HEADER_LINES, HEADER_LINES_MAX) if path.endswith(".h") else (
            SOURCE_LINES, SOURCE_LINES_MAX)
        if lines > most:
            findings.error(path, lines, f"{lines} lines, at most {most}: this is two things")
        elif lines > wanted:
            findings.warn(path, lines, f"{lines} lines, better at most {wanted}")
        if path.endswith(".py"):
            continue
        # Preprocessor lines hold braces of macros.
        code = re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", lambda m: "\n" * m.group(0).count("\n"),
                      code_of(text), flags=re.MULTILINE)
        for first, last in function_bodies(code):
            length = last - first + 1
            if length > FUNCTION_LINES_MAX:
                findings.error(path, first, f"a function of {length} lines, at most "
                                            f"{FUNCTION_LINES_MAX}")


def check_pages(findings):
    """Every folder with a rule and every top folder says what it is for, on one page."""
    layers, _ = read_rules(read("tools/layers.txt"))
    tracked = files()
    tops = {path.split("/")[0] for path in tracked if "/" in path and not path.startswith(".")}
    for folder in sorted(tops | layers.keys()):
        page = f"{folder}/README.md"
        if page not in tracked:
            findings.error(folder, 1, "has no README.md: what it is for, its main types, "
                                      "what it must never do")
        elif read(page).count("\n") > PAGE_LINES_MAX:
            findings.error(page, PAGE_LINES_MAX, "longer than a page")


def slug(heading):
    text = re.sub(r"[`*_]", "", heading.strip().lower())
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def check_links(findings):
    for path in files(".md"):
        text = re.sub(r"```.*?```", lambda m: "\n" * m.group(0).count("\n"), read(path),
                      flags=re.DOTALL)
        for match in LINK.finditer(text):
            target = match.group(1) or match.group(2)
            if re.match(r"[a-z]+:", target):
                continue
            line = text.count("\n", 0, match.start()) + 1
            file, _, anchor = target.partition("#")
            place = (ROOT / path).parent / file if file else ROOT / path
            if not place.exists():
                findings.error(path, line, f"the link '{target}' leads nowhere")
            elif anchor and place.suffix == ".md":
                if anchor not in {slug(h) for h in HEADING.findall(place.read_text())}:
                    findings.error(path, line, f"'{file or path}' has no heading '#{anchor}'")


def check_machine_paths(findings):
    for path in files():
        if pathlib.PurePosixPath(path).suffix in {".bin", ".body", ".gz", ".png"}:
            continue
        if "/corpus/" in path:
            continue
        for number, line in enumerate(read(path).splitlines(), 1):
            if MACHINE_PATH.search(line):
                findings.error(path, number, "names a path of one machine")


def check_scripts(findings):
    for path in files(".py"):
        text = read(path)
        try:
            compile(text, path, "exec")
        except SyntaxError as error:
            findings.error(path, error.lineno or 1, f"does not compile: {error.msg}")


def main():
    findings = Findings("check_style")
    for check in (check_lengths, check_pages, check_links, check_machine_paths, check_scripts):
        check(findings)
    return findings.exit_code()


if __name__ == "__main__":
    sys.exit(main())
