"""The hook's imports are a budget: what it may import is a table in the documentation."""

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


def _imported(*modules: str) -> set[str]:
    """Return what importing modules adds to an interpreter started as a runtime starts it."""
    root = next(iter(ocinet.hooks.__path__)).rsplit("/", 2)[0]
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LIST, root, *modules],
        check=True, capture_output=True, text=True, env={},
    )  # fmt: skip
    return set(json.loads(result.stdout))


def _budget() -> set[str]:
    """Return the modules of the table under "The budget"."""
    section = _TABLE.read_text().partition("## The budget")[2].partition("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| `")]
    return {row.strip("`") for row in rows}


def test_hook_imports_nothing_beyond_the_budget() -> None:
    """An attach or detach costs what the table says, and every line of it is needed."""
    imported = _imported("ocinet.hooks.entry.stage", "ocinet.engine.engine")
    foreign = {name for name in imported if name.partition(".")[0] != "ocinet"}
    assert foreign <= _budget(), f"beyond the budget: {sorted(foreign - _budget())}"
    assert _budget() <= foreign, f"no longer needed: {sorted(_budget() - foreign)}"


def test_hook_that_has_nothing_to_do_leaves_the_engine_out() -> None:
    """Who asks for nothing does not wait for the engine's modules."""
    imported = _imported("ocinet.hooks.entry.stage")
    assert "ocinet.engine.engine" not in imported
    assert "ocinet.engine.plan" not in imported
    assert "_struct" not in imported
