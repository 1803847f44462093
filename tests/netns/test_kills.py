"""Acts that write, killed and refused at system calls that are chosen by chance.

A few of what `make kills` does at every call: see docs/reliability.md.
"""

from __future__ import annotations

import os

import pytest

from hosts.namespace.isolation import in_namespaces
from kill_acts import ACTS
from kill_lab import Lab
from kills import ERRNOS, Choice, Outcome, rounds, show

SEED = int(os.environ.get("OCINET_KILLS_SEED", "1"))
EACH = {"attach": 2, "poststop": 1, "network rm": 2, "hooks add": 1, "gc": 1}


@pytest.mark.needs("strace")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("faults", [("KILL",), ERRNOS], ids=["killed", "refused"])
@in_namespaces
def test_acts_that_are_cut_short_leave_nothing_for_good(faults: tuple[str, ...]) -> None:
    """Nothing is torn, no address is given twice, and gc or a second try leaves nothing."""
    outcomes: list[Outcome] = []
    with Lab() as lab:
        for name, most in EACH.items():
            acts = [act for act in ACTS if act.name == name]
            outcomes += rounds(lab, acts, Choice(faults, slice(most), SEED))
    bad = [outcome for outcome in outcomes if set(outcome.findings) - {"not undone", "in Python"}]
    assert not bad, f"{show(outcomes)}\n{bad}"
    assert sum(outcome.hit for outcome in outcomes) > len(outcomes) // 2
