"""What a room says of itself is so: every module is listed, and stands on those above it."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

# Rooms whose docstring promises an order in which each module imports only what stands above.
ROOMS = (
    "ocinet.base",
    "ocinet.ipam",
    "ocinet.engine.firewall",
    "ocinet.engine.kernel",
    "ocinet.engine.model",
    "ocinet.engine.netlink",
    "ocinet.engine.plan",
    "ocinet.engine.ruleset",
    "ocinet.picture",
)


def listed(room: str) -> list[str]:
    """Return the modules that a room's docstring lists, in its order: the indented lines."""
    text = importlib.import_module(room).__doc__ or ""
    lines = text.splitlines()
    return [line.split()[0] for line in lines if line.startswith("    ") and line[4:5].strip()]


def imported(path: Path, room: str) -> set[str]:
    """Return the modules of its own room that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == room:
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{room}."):
            found.add(str(node.module).removeprefix(f"{room}."))
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_room_lists_its_modules_each_above_those_that_import_it(room: str) -> None:
    """Whoever reads in that order never meets what has not been read yet."""
    folder = Path(next(iter(importlib.import_module(room).__path__)))
    names = listed(room)

    assert sorted(names) == sorted(path.stem for path in folder.glob("*.py") if path.stem[0] != "_")
    for index, name in enumerate(names):
        below = imported(folder / f"{name}.py", room) - set(names[:index])
        assert not below, f"{name} imports {sorted(below)}, which stands below it"
