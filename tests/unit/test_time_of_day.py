"""Who minds the time of day, which people and NTP set: a few, and none to decide who lives."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
# The command is left out: it shows times, and picks events by them, as people ask for.
ROOMS = ("base", "engine", "hooks", "ipam", "picture", "request", "watcher")
SET_BY_PEOPLE = {"time", "time_ns", "localtime", "gmtime", "strftime", "datetime"}
MAY = {
    "base/clock.py": "says in a record, or the event log, when it was written",
    "engine/doctor.py": "says that it was never set",
    "engine/records/settings.py": "whether a file was written at this moment",
    "watcher/watch.py": "asks an engine for what it told lately; its list tells the rest",
}


def _reads(path: Path) -> bool:
    """Tell whether a module takes something of the time of day from `time` or `datetime`."""
    taken: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime"):
            taken |= {name.name for name in node.names}
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            taken |= {node.attr} if node.value.id in ("time", "datetime") else set()
    return bool(taken & SET_BY_PEOPLE)


def test_time_of_day_is_read_where_it_decides_nothing() -> None:
    """So a clock that jumps changes what is printed, and no more; see also netns/test_clocks."""
    found = {
        path.relative_to(ROOT).as_posix()
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if _reads(path)
    }
    assert found == set(MAY)
