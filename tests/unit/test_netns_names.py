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
from ocinet.engine.records.left_files import LeftFiles

if TYPE_CHECKING:
    from pathlib import Path

BEFORE, AFTER = Process(812, 1), Process(813, 1)


@pytest.fixture
def names(tmp_path: Path) -> NetnsNames:
    """Return a directory of names with one in it."""
    names = NetnsNames(Paths(run=f"{tmp_path}.run", netns=str(tmp_path)))
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


def test_name_of_a_process_that_is_anothers_by_now_goes(names: NetnsNames, tmp_path: Path) -> None:
    """Nobody has told of web's end, and db has its id: web would lead into db."""
    names.add("db", BEFORE)
    assert os.listdir(tmp_path) == ["db"]
    names.add("other", AFTER)
    assert sorted(os.listdir(tmp_path)) == ["db", "other"]


def test_name_that_was_given_to_another_since_stays(names: NetnsNames, tmp_path: Path) -> None:
    """It does not show that process any more."""
    (tmp_path / "web").unlink()
    (tmp_path / "web").symlink_to("/proc/999/ns/net")
    names.add("db", BEFORE)
    assert sorted(os.listdir(tmp_path)) == ["db", "web"]


def test_note_of_a_name_goes_with_it(names: NetnsNames, tmp_path: Path) -> None:
    """And follows it where it is moved."""
    notes = f"{tmp_path}.run/pids"
    assert os.listdir(notes) == ["812"]
    names.move("web", BEFORE, AFTER)
    assert os.listdir(notes) == ["813"]
    names.remove("web", (AFTER,))
    assert os.listdir(notes) == []


def test_note_of_a_name_that_is_gone_is_swept(names: NetnsNames, tmp_path: Path) -> None:
    """Where its removal was killed."""
    names.add("db", AFTER)
    (tmp_path / "web").unlink()
    paths = Paths(f"{tmp_path}.etc", f"{tmp_path}.var", f"{tmp_path}.run", str(tmp_path))
    assert LeftFiles(paths).sweep() == 1
    assert os.listdir(f"{tmp_path}.run/pids") == ["813"]


def test_note_that_can_not_be_looked_at_is_told_and_stays(
    names: NetnsNames, tmp_path: Path
) -> None:
    """Why a name can't be read just now says nothing of the name: here there is no way to it."""
    paths = Paths(f"{tmp_path}.etc", f"{tmp_path}.var", f"{tmp_path}.run", "/proc/self/exe")
    with pytest.raises(SystemFailure, match=r"cannot sweep .*/pids/812: Not a directory"):
        LeftFiles(paths).sweep()
    assert os.listdir(f"{tmp_path}.run/pids") == ["812"]
