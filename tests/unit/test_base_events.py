"""The event log: whole lines, bounded, and never in the way."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from ocinet.base.events import ENDED_UNSERVED, NAME, NOT_SERVED, EventLog
from ocinet.picture.event_lines import parse, read_lines
from ocinet.picture.failures import last_failures

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


def fail(log: EventLog, container: str, error: str = "no address", event: str = NOT_SERVED) -> None:
    """Tell of a failure."""
    log.append(event, container=container, name=f"name-of-{container}", error=error)


def test_append_of_the_same_failure_again_and_again_is_told_five_times(tmp_path: Path) -> None:
    """As of a container that is started for ever; another one, or another reason, is told."""
    log = EventLog(str(tmp_path))
    for _ in range(1000):
        fail(log, "c0")
    fail(log, "c1")
    fail(log, "c0", "no port")
    told = [(line["container"], line["error"]) for line in lines(tmp_path)]
    assert told == [("c0", "no address")] * 5 + [("c1", "no address"), ("c0", "no port")]


def test_append_after_a_flood_says_how_many_were_not_told(tmp_path: Path) -> None:
    """A minute later the same failure is told once more, with their number."""
    clock = iter([*[100.0] * 12, 159.9, 160.1, 160.2])
    log = EventLog(str(tmp_path), lambda: next(clock))
    for _ in range(15):
        fail(log, "c0")
    assert [line.get("suppressed") for line in lines(tmp_path)] == [*[None] * 5, 8, None]


def test_append_counts_anew_after_a_boot_that_kept_the_run_directory(tmp_path: Path) -> None:
    """The seconds since the boot are fewer then: they would stay in that minute for days."""
    for uptime_s in (1e6, 50.0):
        log = EventLog(str(tmp_path), lambda uptime_s=uptime_s: uptime_s)  # type: ignore[misc]  # mypy knows no defaults of lambdas
        for _ in range(7):
            fail(log, "c0")
    assert [line.get("suppressed") for line in lines(tmp_path)] == [*[None] * 5, 2, *[None] * 4]


def test_append_of_many_different_failures_keeps_a_bounded_count_of_them(tmp_path: Path) -> None:
    """Names are their users' choice: what is counted in does not grow with them."""
    log = EventLog(str(tmp_path))
    for number in range(300):
        fail(log, f"c{number}")
    assert len(lines(tmp_path)) == 300
    assert len(os.listdir(tmp_path / "locks")) <= 64


def test_rotation_keeps_the_last_failure_of_each_container(tmp_path: Path) -> None:
    """A flood of other events pushes none out, but who was attached since, or ended, is over."""
    log = EventLog(str(tmp_path))
    for container in ("lost", "hook", "cured", "gone"):
        fail(log, container, "first")
        fail(log, container, "last", "hook failed" if container == "hook" else NOT_SERVED)
    log.append("attached", container="cured")
    log.append(ENDED_UNSERVED, container="gone")
    for _ in range(4 * 350):
        log.append("repaired", what="x" * 1000, why="y" * 1000, how="z" * 1000)

    standing = last_failures(parse(read_lines(str(tmp_path))))

    assert {name: failure.error for name, failure in standing.items()} == {
        "lost": "last", "hook": "last",
    }  # fmt: skip
    assert sum(path.stat().st_size for path in tmp_path.glob(f"{NAME}*")) < 3 << 20
    assert (tmp_path / f"{NAME}.kept").stat().st_mode & 0o777 == 0o600


def test_rotation_of_a_cured_container_forgets_it(tmp_path: Path) -> None:
    """What was kept is judged again each time."""
    log = EventLog(str(tmp_path))
    fail(log, "lost")
    for round_ in range(2):
        for _ in range(4 * 350):
            log.append("repaired", what="x" * 1000, why="y" * 1000, how="z" * 1000)
        assert list(last_failures(parse(read_lines(str(tmp_path))))) == ["lost"][round_:]
        log.append("attached", container="lost")
    for _ in range(4 * 350):
        log.append("repaired", what="x" * 1000, why="y" * 1000, how="z" * 1000)
    assert b"lost" not in b"".join(path.read_bytes() for path in tmp_path.glob(f"{NAME}*"))
