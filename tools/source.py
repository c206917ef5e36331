"""What the checks share: the files of the tree, and C++ text without comments and strings."""
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent

_TOKENS = re.compile(
    r"""//[^\n]*
      | /\*.*?\*/
      | R"(?P<mark>[^(\s]{0,16})\(.*?\)(?P=mark)"
      | "(?:\\.|[^"\\\n])*"
      | (?<![0-9A-Za-z_])'(?:\\.[^'\n]*|[^'\\\n])'
    """,
    re.VERBOSE | re.DOTALL,
)


def files(*suffixes):
    """Paths from the root, sorted, of what git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")
    return sorted(
        path for path in set(listed)
        if path and (ROOT / path).is_file() and (not suffixes or path.endswith(suffixes))
    )


def read(path):
    return (ROOT / path).read_text(encoding="utf-8", errors="replace")


def code_of(text):
    """The text with comments and literals blanked; line numbers stay as they are."""
    return _TOKENS.sub(lambda match: re.sub(r"[^\n]", " ", match.group(0)), text)


class Findings:
    """Prints as they come, and knows whether the check passed."""

    def __init__(self, check):
        self.check, self.errors, self.warnings = check, 0, 0

    def error(self, path, line, text):
        self.errors += 1
        print(f"{path}:{line}: {text}")

    def warn(self, path, line, text):
        self.warnings += 1
        print(f"{path}:{line}: warning: {text}")

    def exit_code(self):
        extra = f", {self.warnings} warnings" if self.warnings else ""
        print(f"{self.check}: {self.errors} errors{extra}")
        return 1 if self.errors else 0
