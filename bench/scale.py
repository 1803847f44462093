"""Attach and detach beside others: none, a hundred, up to what a bridge takes.

One contestant after the other fills a bridge step by step, and at each step wires and
unwires one container more, several times. What ocinet takes with none attached is
measured once more in the end, when all have stopped: a machine that grew slower
meanwhile must not look like growth.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from arena import Arena, BenchError, record_cost
from contestants import Bare, Cni, Contestant, Netavark, Ocinet
from samples import Key, Missing, Sample, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from arena import Cost

NAME = "scale"
_ATTACH, _DETACH, _GONE = "attach", "detach", "detach, sandbox gone"
_LEFT = "links left behind"
_OURS = "ocinet-1p"
# A bridge takes 1,023 ports.
_STEPS, _QUICK_STEPS = (0, 100, 500, 1000), (0, 100)
_ROUNDS, _QUICK_ROUNDS = 30, 6
_PEERS_ROUNDS, _QUICK_PEERS_ROUNDS = 10, 3
_AT_ONCE, _FREE, _GONE_S = 4, 1100, 5.0


def _target(what: str, measure: str) -> Target:
    full, empty = Key(NAME, _OURS, measure, _STEPS[-1]), Key(NAME, _OURS, measure)
    return Target(what, lambda samples: samples.ratio(full, empty), 1.5, 1.3)


TARGETS = (
    _target("attach with 1,000 attached / with none", _ATTACH),
    _target("detach of a live sandbox with 1,000 attached / with none", _DETACH),
    _target("poststop, sandbox gone, with 1,000 attached / with none", _GONE),
    Target("links left when 1,000 have stopped",
           lambda samples: samples.most(Key(NAME, _OURS, _LEFT, _STEPS[-1])), 0, None),
)  # fmt: skip


class _Filled:
    """An arena with ever more containers."""

    def __init__(self, arena: Arena, record: Callable[[Sample], None]) -> None:
        self._arena = arena
        self._record = record
        self._attached = 0
        arena.attach(0)  # makes bridge and tables
        arena.detach(0)
        self._links = arena.links()

    def fill(self, step: int) -> None:
        """Wire until so many are attached."""
        if step and not self._attached:
            # netavark has removed its chains, and several at once fail to make them.
            self._arena.attach(0)
            self._attached = 1
        count = step - self._attached
        crowd = self._arena.attach_all(self._attached, count, _AT_ONCE)
        if crowd.failures:
            raise BenchError(f"{crowd.failures} of {count} failed: {crowd.first_error}")
        self._attached = step

    def empty(self) -> None:
        """Stop all that are attached, and count the links that stay behind."""
        crowd = self._arena.detach_all(0, self._attached, _AT_ONCE)
        if crowd.failures:
            raise BenchError(f"{crowd.failures} stops failed: {crowd.first_error}")
        end = time.monotonic() + _GONE_S
        while (left := set(self._arena.links()) - set(self._links)) and time.monotonic() < end:
            time.sleep(0.1)  # the kernel removes namespaces when it has time
        name = self._arena.contestant.name
        self._record(Sample(NAME, name, _LEFT, self._attached, len(left), ""))
        self._attached = 0

    def measure(self, rounds: int) -> None:
        """Wire and unwire one more, so many times."""
        arena, is_ours = self._arena, isinstance(self._arena.contestant, Ocinet)
        for number in range(_FREE, _FREE + rounds):
            self._note(_ATTACH, arena.attach(number))
            self._note(_DETACH, arena.detach(number))
            if is_ours:
                self._note(_ATTACH, arena.attach(number))
                self._note(_GONE, arena.detach_gone(number))
            record_cost(self._record, Key(NAME, Bare.name, _ATTACH, self._attached), Bare().run())

    def _note(self, measure: str, cost: Cost) -> None:
        name = self._arena.contestant.name
        record_cost(self._record, Key(NAME, name, measure, self._attached), cost)


def run(record: Callable[[Sample], None], *, quick: bool) -> None:
    """Record the times of attach and detach; x is how many others are attached.

    Raises:
        Missing: there is no hook.
        BenchError: an operation fails.
    """
    ours = Ocinet(1)
    if not ours.is_here():
        raise Missing("there is no hook in .venv: make venv")
    chosen: list[Contestant] = [ours, Cni(1), Netavark(1)]
    for contestant in chosen:
        if not contestant.is_here():
            continue
        rounds = (_ROUNDS, _QUICK_ROUNDS) if contestant is ours else (
            _PEERS_ROUNDS, _QUICK_PEERS_ROUNDS)  # fmt: skip
        with Arena(contestant) as arena:
            filled = _Filled(arena, record)
            for step in _QUICK_STEPS if quick else _STEPS:
                filled.fill(step)
                filled.measure(rounds[quick])
            if contestant is ours:
                filled.empty()
                filled.measure(rounds[quick])
