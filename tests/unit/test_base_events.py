"""The event log: whole lines, bounded, and never in the way."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from ocinet.base.events import NAME, EventLog

if TYPE_CHECKING:
    from pathlib import Path


def lines(run: Path) -> list[dict[str, Any]]:
    """Return what is in the log."""
    return [json.loads(line) for line in (run / NAME).read_text().splitlines()]


def test_append_writes_one_json_line(tmp_path: Path) -> None:
    """Time, phrase and fields; what is empty is left out; the file is private."""
    log = EventLog(f"{tmp_path}/run")

    log.append("attached", container="c0", error="", ports=0, none=None)
    log.append("detached", container="c0")

    first, second = lines(tmp_path / "run")
    assert list(first) == ["time", "event", "container", "ports"]
    assert (first["event"], first["ports"], second["event"]) == ("attached", 0, "detached")
    assert os.stat(tmp_path / "run" / NAME).st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["x" * 100_000, "\n" * 5000, "ü" * 5000, "\U0001f600" * 5000])
def test_append_of_a_long_text_cuts_it(tmp_path: Path, text: str) -> None:
    """A line has at most 4 KiB, so that the kernel keeps it whole; the start is still there."""
    EventLog(str(tmp_path)).append("failed", container="c0", **dict.fromkeys("abcde", text))

    (line,) = lines(tmp_path)
    assert os.stat(tmp_path / NAME).st_size <= 4096
    assert line["container"] == "c0"
    assert line["a"][:10] == text[:10]


def test_append_of_far_too_much_says_that_it_was_cut(tmp_path: Path) -> None:
    """Even then there is a line."""
    EventLog(str(tmp_path)).append("failed", ids=["x" * 100] * 100)

    (line,) = lines(tmp_path)
    assert line["cut"] > 10_000


def test_append_past_a_mebibyte_starts_anew(tmp_path: Path) -> None:
    """The full log is kept once, as `.1`."""
    (tmp_path / NAME).write_bytes(b"x" * ((1 << 20) - 1) + b"\n")
    log = EventLog(str(tmp_path))

    log.append("one")
    log.append("two")

    assert [line["event"] for line in lines(tmp_path)] == ["two"]
    assert (tmp_path / f"{NAME}.1").stat().st_size > 1 << 20


@pytest.mark.parametrize("kind", ["directory", "link", "file above"])
def test_append_that_can_not_be_written_is_no_error(tmp_path: Path, kind: str) -> None:
    """A container starts all the same, and no link is followed."""
    run = tmp_path / "run"
    if kind == "file above":
        run.write_text("x")
    else:
        run.mkdir()
        if kind == "link":
            (run / NAME).symlink_to(tmp_path / "elsewhere")
        else:
            (run / NAME).mkdir()

    EventLog(str(run)).append("attached")

    assert not (tmp_path / "elsewhere").exists()
