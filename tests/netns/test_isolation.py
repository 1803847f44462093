"""What runs a test in namespaces of its own leaves nothing of it behind."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from hosts.namespace.isolation import in_namespaces

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType


class OutOfTimeError(Exception):
    """As pytest-timeout raises one, from a signal's handler."""


def _raise(_number: int, _frame: FrameType | None) -> None:
    raise OutOfTimeError


@in_namespaces
def _sleep(told: Path) -> None:
    told.write_text(str(os.getpid()))
    os.kill(os.getppid(), signal.SIGUSR1)
    time.sleep(30)


def test_out_of_time_ends_the_child(tmp_path: Path) -> None:
    """A test that its time-out ends does not go on in the child, as a second pytest."""
    told = tmp_path / "pid"
    former = signal.signal(signal.SIGUSR1, _raise)
    try:
        with pytest.raises(OutOfTimeError):
            _sleep(told)
    finally:
        signal.signal(signal.SIGUSR1, former)
    assert not os.path.exists(f"/proc/{told.read_text()}")
