"""What sleeps in the preload: usual starts and stops of containers do without it."""

from __future__ import annotations

from pathlib import Path

from hosts.namespace.isolation import in_namespaces
from hosts.namespace.rehearsal import installed, rehearse


@in_namespaces
def _rehearse(told: Path) -> None:
    rehearsal = rehearse(installed(Path("/run/at")))
    assert ("attach", "ocinet.engine.attach") in rehearsal.awake
    told.write_text("".join(f"{module} {function}\n" for module, function in rehearsal.woken))


def test_usual_starts_and_stops_wake_nobody(tmp_path: Path) -> None:
    """By hook and by wrapper; where this fails, `make awake` writes the list anew.

    Who is woken once, and not another time, is one whom a busy machine needs: who waits for
    a link, or finds a lock held.
    """
    woken = None
    for number in range(3):
        _rehearse(tmp_path / str(number))
        now = set((tmp_path / str(number)).read_text().splitlines())
        woken = now if woken is None else woken & now
        if not woken:
            return
    raise AssertionError(f"make awake: {woken}")


@in_namespaces
def test_starts_and_stops_by_functions_that_all_slept_do_the_same() -> None:
    """Each is woken as it is called: what a container gets, and what is left, is as it was."""
    assert len(rehearse(installed(Path("/run/at"), awake="")).woken) > 50
