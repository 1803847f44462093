"""Who owns what, driven at random against what must hold, with an etcd in memory.

`tests/cluster/test_ownership.py` has the same machine run with a real one.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from fakes.ownership import OwnershipMachine


def test_ownership_is_never_two_hosts() -> None:
    """Whatever is lost, cut off, killed, wiped or forgotten, and in whatever order."""
    run_state_machine_as_test(
        OwnershipMachine,
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
