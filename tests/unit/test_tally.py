"""Counts of the event log: all of it, nothing twice, however often the log is begun anew."""

from __future__ import annotations

import ast
import json
import os
import threading
from pathlib import Path

import pytest

from ocinet.base import errors
from ocinet.base.errors import OcinetError
from ocinet.base.events import NAME, EventLog
from ocinet.engine.plan.repair_kinds import OTHER
from ocinet.picture.counts import BOUNDS_S, CAUSES, EVENTS, Counts
from ocinet.picture.tally import tally

_ROOT = Path(__file__).parents[2]
_FILLING = "x" * 900


def _attach(log: EventLog, count: int = 1, **fields: object) -> None:
    for _ in range(count):
        log.append("attached", door="hook", took_ms=12.5, **fields)


def _attached(counts: Counts) -> int:
    return counts.operations.get(("attach", "hook", "ok"), 0)


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    """Return a log, and the place for locks beside it."""
    (tmp_path / "locks").mkdir()
    return EventLog(str(tmp_path))


def test_tally_of_nothing_is_nothing(tmp_path: Path) -> None:
    """Before the first event of a boot, there is no log."""
    assert tally(str(tmp_path)).encode() == Counts().encode()


def test_tally_counts_each_event_once(tmp_path: Path, log: EventLog) -> None:
    """Whoever asks next goes on from there, in another process as well: the file has it."""
    _attach(log, 3)
    assert _attached(tally(str(tmp_path))) == 3
    assert _attached(tally(str(tmp_path))) == 3
    _attach(log, 2)
    counts = tally(str(tmp_path))
    assert _attached(counts) == 5
    assert counts.durations["attach", "hook"].counts[2] == 5  # of 10 to 25 ms
    assert counts.durations["attach", "hook"].total_s == pytest.approx(5 * 0.0125)


def test_tally_goes_on_when_the_log_is_begun_anew(tmp_path: Path, log: EventLog) -> None:
    """It only grows, whether it is asked before, after, or only the log's next time but one."""
    written = before = 0
    for asked in (True, False, True, False, True):
        for _ in range(450):
            _attach(log, addresses=_FILLING)
            written += 1
        if asked:
            counts = tally(str(tmp_path))
            assert before < _attached(counts) == written
            before = written
    assert (tmp_path / f"{NAME}.1").exists()
    assert counts.gaps == 0


def test_events_that_are_gone_are_told_as_a_gap(tmp_path: Path, log: EventLog) -> None:
    """Two whole logs between two counts are lost: it says so, and counts what there is."""
    _attach(log)
    tally(str(tmp_path))
    _attach(log, 4000, addresses=_FILLING)
    counts = tally(str(tmp_path))
    assert counts.gaps == 1
    assert 1000 < _attached(counts) < 4001
    assert tally(str(tmp_path)).gaps == 1


def test_log_with_the_inode_of_another_one_is_another_one(tmp_path: Path, log: EventLog) -> None:
    """Numbers of files come again, as on ext4: what it begins with tells it."""
    _attach(log, 5, name="before")
    tally(str(tmp_path))
    (tmp_path / NAME).write_text("")  # the same file, with another content
    _attach(log, 9, name="after")
    counts = tally(str(tmp_path))
    assert (_attached(counts), counts.gaps) == (14, 1)


@pytest.mark.parametrize("is_removed", [False, True])
def test_log_that_is_emptied_by_hand_counts_none_before_it_again(
    tmp_path: Path, log: EventLog, *, is_removed: bool
) -> None:
    """What was told since the last count is a gap; what the file before it has is counted."""
    _attach(log, 1500, addresses=_FILLING)
    assert (tmp_path / f"{NAME}.1").exists()
    assert _attached(tally(str(tmp_path))) == 1500
    if is_removed:
        (tmp_path / NAME).unlink()
    else:
        os.truncate(tmp_path / NAME, 0)
    _attach(log, 7)
    for _ in range(2):
        counts = tally(str(tmp_path))
        assert (_attached(counts), counts.gaps) == (1507, 1)


def test_half_a_line_is_counted_when_it_is_whole(tmp_path: Path, log: EventLog) -> None:
    """A full disk, or a reader between two writes."""
    _attach(log)
    line = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(line + line[:20])
    assert _attached(tally(str(tmp_path))) == 1
    (tmp_path / NAME).write_bytes(line + line)
    assert _attached(tally(str(tmp_path))) == 2


@pytest.mark.parametrize("content", ["", "{}", '{"place": [1, 2, 3]}', "[]", '{"bounds_s": [1]}'])
def test_tally_that_can_not_be_read_begins_anew(
    tmp_path: Path, log: EventLog, content: str
) -> None:
    """Of another version, or damaged: Prometheus knows a counter that begins anew."""
    _attach(log, 2)
    (tmp_path / "tally.json").write_text(content)
    assert _attached(tally(str(tmp_path))) == 2
    assert _attached(tally(str(tmp_path))) == 2


def test_two_who_count_at_once_count_each_event_once(tmp_path: Path, log: EventLog) -> None:
    """The watcher, and a timer's command beside it."""
    done = threading.Event()

    def count() -> None:
        while not done.is_set():
            tally(str(tmp_path))

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    _attach(log, 2500, addresses=_FILLING)
    done.set()
    for thread in threads:
        thread.join()
    counts = tally(str(tmp_path))
    assert (_attached(counts), counts.gaps) == (2500, 0)


def test_failures_that_were_not_told_count_as_well(tmp_path: Path) -> None:
    """Of one that comes again and again the log has five, and then how many not."""
    (tmp_path / "locks").mkdir()
    at_s = [1000.0]
    log = EventLog(str(tmp_path), lambda: at_s[0])
    for _ in range(12):
        log.append("attach failed", container="c", door="watcher", cause="busy", error="e")
    at_s[0] += 100
    log.append("attach failed", container="c", door="watcher", cause="busy", error="e")
    counts = tally(str(tmp_path))
    assert counts.failures == {("attach", "watcher", "busy"): 13}
    assert counts.operations == {("attach", "watcher", "failed"): 13}


def test_words_of_others_make_no_series_of_their_own() -> None:
    """Whatever stands in a line, the labels' values are of a few."""
    counts = Counts()
    for number in range(100):
        name = f"name-{number}"
        counts.add([
            {"event": name},
            {"event": "attached", "door": name, "took_ms": name},
            {"event": "attach failed", "door": {"a": name}, "cause": name, "suppressed": "many"},
            {"event": "repaired", "kinds": [name, {"x": 1}]},
        ])  # fmt: skip
    assert counts.events == {
        (OTHER,): 100, ("attached",): 100, ("attach failed",): 100, ("repaired",): 100,
    }  # fmt: skip
    assert counts.failures == {("attach", OTHER, OTHER): 100}
    assert counts.repairs == {(OTHER,): 200}
    assert not counts.durations


def test_counts_come_back_from_their_file() -> None:
    """All of them."""
    counts = Counts()
    counts.add([
        {"event": "attached", "door": "cli", "took_ms": 25_000},
        {"event": "detach failed", "cause": "kernel"},
        {"event": "repaired", "kinds": ["table", "port"]},
    ])  # fmt: skip
    counts.gaps = 3
    read = Counts.decode(json.loads(json.dumps(counts.encode())))
    assert read.encode() == counts.encode()
    assert read.durations["attach", "cli"].counts == (*[0] * len(BOUNDS_S), 1)


def _errors(parent: type[OcinetError]) -> set[str]:
    return {parent.cause}.union(*map(_errors, parent.__subclasses__()))


def test_every_cause_of_an_error_has_its_word() -> None:
    """One that is new would be counted among the others."""
    assert errors.OcinetError is OcinetError
    assert _errors(OcinetError) <= {*CAUSES}


def test_every_event_that_is_told_has_its_word() -> None:
    """The phrases stand where they are told; one that is new would be counted among the others."""
    told: set[str] = set()
    rooms = ("base", "engine", "hooks", "ipam", "picture", "request", "watcher", "cli")
    for path in (path for room in rooms for path in (_ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            first = node.args[0] if node.args else None
            is_log = "log" in ast.unparse(node.func.value).lower()
            if node.func.attr == "append" and is_log and isinstance(first, ast.Constant):
                told.add(str(first.value))
    assert len(told) > 15
    assert told <= {*EVENTS}
