"""An interpreter as a runtime starts it for the hook, and what it has to load there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import ocinet.hooks

_TABLE = Path(__file__).parents[2] / "docs/hook-path.md"
# The package's folder goes to the end of the path, as hook.py puts it.
_LIST = """\
import sys
bare = set(sys.modules)
sys.path.append(sys.argv[1])
for name in sys.argv[2:]:
    __import__(name)
import _json
told = ", ".join('"' + name + '"' for name in sorted(set(sys.modules) - bare))
sys.stdout.write("[" + told + "]")
"""


def imported(*modules: str) -> set[str]:
    """Return what importing modules adds to an interpreter started as a runtime starts it."""
    root = next(iter(ocinet.hooks.__path__)).rsplit("/", 2)[0]
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LIST, root, *modules],
        check=True, capture_output=True, text=True, env={},
    )  # fmt: skip
    return set(json.loads(result.stdout))


def hook_budget() -> set[str]:
    """Return the modules of the table under "The budget"."""
    section = _TABLE.read_text().partition("## The budget")[2].partition("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| `")]
    return {row.strip("`") for row in rows}
