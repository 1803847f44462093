"""Names of sandboxes: links that are moved in one step, and never lie about."""

from __future__ import annotations

import os
import posix
from typing import TYPE_CHECKING

import pytest

from ocinet.base.clock import Process
from ocinet.base.errors import SystemFailure
from ocinet.base.paths import Paths
from ocinet.engine.kernel.netns_names import NetnsNames

if TYPE_CHECKING:
    from pathlib import Path

BEFORE, AFTER = Process(812, 1), Process(813, 1)


@pytest.fixture
def names(tmp_path: Path) -> NetnsNames:
    """Return a directory of names with one in it."""
    names = NetnsNames(Paths(netns=str(tmp_path)))
    names.add("web", BEFORE)
    return names


def test_move_shows_the_other_process_and_leaves_nothing_beside(
    names: NetnsNames, tmp_path: Path
) -> None:
    """Whoever lists the directory sees one name, before and after."""
    names.move("web", BEFORE, AFTER)

    assert os.readlink(tmp_path / "web") == "/proc/813/ns/net"
    assert os.listdir(tmp_path) == ["web"]


def test_move_of_what_is_no_longer_ours_leaves_it(names: NetnsNames, tmp_path: Path) -> None:
    """Somebody else has the name by now."""
    names.move("web", AFTER, BEFORE)

    assert os.readlink(tmp_path / "web") == "/proc/812/ns/net"


def test_move_that_fails_leaves_the_old_name_alone(
    names: NetnsNames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No half-moved link stays, so that the next one by the same process goes through."""

    def rename(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(posix, "rename", rename)
        with pytest.raises(SystemFailure, match=r"cannot name .*/web: No space left on device"):
            names.move("web", BEFORE, AFTER)

    assert os.listdir(tmp_path) == ["web"]
    names.move("web", BEFORE, AFTER)
    assert os.readlink(tmp_path / "web") == "/proc/813/ns/net"
