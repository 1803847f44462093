"""Programs that are run: how each end of one is told."""

from __future__ import annotations

import pytest

from ocinet.base.clock import Deadline
from ocinet.base.errors import SystemFailure
from ocinet.engine.firewall import programs


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("kill -9 $$", "sh failed: signal 9 killed it"),
        ("exit 3", "sh failed: exit status 3"),
        ("echo no such table >&2; exit 1", "sh failed: no such table"),
        ("echo half; echo lost >&2; kill -9 $$", "sh failed: lost"),
        ("exec sleep 60", "cannot run sh: it did not end within"),
    ],
)
def test_program_that_comes_to_no_good_end_says_which(script: str, told: str) -> None:
    """Also one that somebody else ends, as the kernel does that is short of memory."""
    deadline = Deadline(1 if "sleep" in script else 30)
    with pytest.raises(SystemFailure, match=told):
        programs.run(("/bin/sh", "-c", script), "", deadline)


def test_program_that_has_no_time_left_is_told_so() -> None:
    """Not that it had less than nothing."""
    with pytest.raises(SystemFailure, match=r"did not end within 0\.0 s"):
        programs.run(("/bin/sh", "-c", "exec sleep 60"), "", Deadline(-5.0))
