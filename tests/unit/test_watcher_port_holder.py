"""The thread that holds published ports: when it looks, what it tells, and how it ends."""

from __future__ import annotations

import io
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hosts.waiting import wait_until
from ocinet.base.errors import SystemFailure
from ocinet.engine.held_ports import NotHeld
from ocinet.watcher.logs import make_log
from ocinet.watcher.port_holder import PortHolder

if TYPE_CHECKING:
    from collections.abc import Iterator

_TAKEN = NotHeld("0.0.0.0:80/tcp", "process 7 (nginx) listens on 0.0.0.0:80/tcp", "move it")


class _Holding:
    """Counts looks, and fails where it is told to."""

    def __init__(self) -> None:
        self.looks: list[bool] = []
        self.is_waiting = False
        self.answer: tuple[NotHeld, ...] | Exception = ()
        self.closed = False
        self._told, self._tell = os.pipe()

    def fileno(self) -> int:
        return self._told

    def record_comes(self) -> None:
        os.write(self._tell, b"x")

    def follow(self, *, everything: bool = False) -> tuple[NotHeld, ...]:
        if not everything and not self.is_waiting:
            os.read(self._told, 1)
        self.looks.append(everything)
        answer, self.answer = self.answer, ()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed = True
        os.close(self._told)
        os.close(self._tell)


class _World:
    """A holder's thread, with what it works on."""

    def __init__(self) -> None:
        self.begun: list[_Holding] = []
        self.wanted = True
        self.refusal: Exception | None = None
        self.failures: list[BaseException] = []
        self.log = io.StringIO()
        self.holder = PortHolder(
            self._begin, lambda: self.wanted, make_log("info", "json", self.log),
            self.failures.append,
        )  # fmt: skip

    def _begin(self) -> _Holding:
        if self.refusal:
            raise self.refusal
        self.begun.append(_Holding())
        return self.begun[-1]

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@contextmanager
def world() -> Iterator[_World]:
    """Return a world whose thread has looked once, and is stopped at the end."""
    made = _World()
    made.holder.start()
    wait_until(lambda: made.begun and made.begun[0].looks, "the first look")
    try:
        yield made
    finally:
        made.holder.stop()
        made.holder.join(5)
    assert not made.holder.alive
    assert all(holding.closed for holding in made.begun)


def test_holder_reads_all_at_first_and_what_came_after_that() -> None:
    """A record that comes wakes it, and a look that is asked for reads all once more."""
    with world() as it:
        [holding] = it.begun
        holding.record_comes()
        wait_until(lambda: len(holding.looks) == 2, "a look")
        it.holder.look()
        wait_until(lambda: len(holding.looks) == 3, "a look")
        assert holding.looks == [True, False, True]
        assert not it.failures


def test_holder_tells_what_is_not_held_and_tries_it_again_by_itself() -> None:
    """Nobody says that a port has become free."""
    with world() as it:
        [holding] = it.begun
        holding.answer = (_TAKEN,)
        holding.is_waiting = True
        it.holder.look()
        wait_until(lambda: len(holding.looks) >= 4, "another try", timeout_s=10)
        [told] = it.told()
        assert (told["event"], told["what"], told["hint"]) == (
            "port not held", _TAKEN.what, "move it",
        )  # fmt: skip


def test_holder_goes_on_after_errors_of_both_kinds() -> None:
    """What the machine refuses is logged, anything else is reported."""
    with world() as it:
        [holding] = it.begun
        holding.answer = SystemFailure("cannot read it", "no room")
        it.holder.look()
        wait_until(it.told, "the warning")
        assert it.told()[0]["event"] == "published ports not looked at"
        holding.answer = ValueError("unforeseen")
        it.holder.look()
        wait_until(lambda: it.failures, "the report")
        it.holder.look()
        wait_until(lambda: len(holding.looks) >= 4, "another look", timeout_s=10)


def test_holder_follows_the_setting() -> None:
    """Switched off it lets all go; on again it begins anew; what can't begin is told."""
    with world() as it:
        it.wanted = False
        it.holder.look()
        wait_until(lambda: it.begun[0].closed, "all is let go")
        it.wanted, it.refusal = True, SystemFailure("cannot watch what is attached", "too many")
        it.holder.look()
        wait_until(it.told, "the warning")
        assert it.told()[0]["event"] == "published ports are not held"
        it.refusal = None
        it.holder.look()
        wait_until(lambda: len(it.begun) == 2 and it.begun[1].looks, "another look")
