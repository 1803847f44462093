"""Files replaced at once: whole, as they were for others, or not at all."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from ocinet.hooks.replace import replace_file

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("durable", [True, False])
def test_replace_puts_text_and_mode_in_place(tmp_path: Path, durable: bool) -> None:
    """Whatever the umask says, and whether it was there or not."""
    path = tmp_path / "file"
    before = os.umask(0o077)
    try:
        for text in ("first", "zweite größe\r\n"):
            replace_file(str(path), text, mode=0o754, durable=durable)
            assert path.read_bytes() == text.encode()
            assert stat.S_IMODE(path.stat().st_mode) == 0o754
    finally:
        os.umask(before)
    assert os.listdir(tmp_path) == ["file"]


def test_replace_gives_it_to_its_owner(tmp_path: Path) -> None:
    """And the mode is the last word: a change of owner takes set-id bits away."""
    owner = 1234 if os.geteuid() == 0 else os.geteuid()
    replace_file(str(tmp_path / "file"), "x", mode=0o4755, owner=(owner, os.getegid()))
    status = (tmp_path / "file").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (owner, 0o4755)


def test_replace_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """What is in the way is there still, and no temporary file beside it."""
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(str(tmp_path / "file"), "x")
    with pytest.raises(UnicodeEncodeError):
        replace_file(str(tmp_path / "other"), "\ud800")
    assert os.listdir(tmp_path) == ["file"]
    with pytest.raises(FileNotFoundError):
        replace_file(str(tmp_path / "no" / "file"), "x")
