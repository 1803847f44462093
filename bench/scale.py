"""Attach and detach beside others: none, a hundred, up to what a bridge takes.

One contestant after the other fills a bridge step by step, and at each step wires and
unwires one container more, several times. Those that differ by their guard alone do so
beside each other, in turns. What ocinet takes with none attached is measured once more in
the end, when all have stopped: a machine that grew slower meanwhile must not look like
growth.
"""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from arena import Arena, BenchError, record_cost
from contestants import Bare, Cni, Contestant, Netavark, Ocinet
from samples import Key, Missing, Sample, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arena import Cost

NAME = "scale"
_ATTACH, _DETACH, _GONE = "attach", "detach", "detach, sandbox gone"
_LEFT = "links left behind"
_OURS, _UNGUARDED = "ocinet-1p", "ocinet-1p, no guard"
# A bridge takes 1,023 ports.
_STEPS, _QUICK_STEPS = (0, 100, 500, 1000), (0, 100)
_ROUNDS, _QUICK_ROUNDS = 30, 6
_PEERS_ROUNDS, _QUICK_PEERS_ROUNDS = 10, 3
_AT_ONCE, _FREE, _GONE_S = 4, 1100, 5.0


def _target(what: str, measure: str) -> Target:
    full, empty = Key(NAME, _OURS, measure, _STEPS[-1]), Key(NAME, _OURS, measure)
    return Target(what, lambda samples: samples.ratio(full, empty), 1.5, 1.3)


def _guard(measure: str, must_ms: float, *, beside: int) -> Target:
    ours, others = (Key(NAME, name, measure, beside) for name in (_OURS, _UNGUARDED))
    what = f"{measure} with {beside:,} attached: guarded less unguarded (median of the rounds)"
    return Target(what, lambda samples: samples.paired_difference(ours, others), must_ms, None,
                  unit="ms")  # fmt: skip


TARGETS = (
    _target("attach with 1,000 attached / with none", _ATTACH),
    _target("detach of a live sandbox with 1,000 attached / with none", _DETACH),
    _target("poststop, sandbox gone, with 1,000 attached / with none", _GONE),
    Target("links left when 1,000 have stopped",
           lambda samples: samples.most(Key(NAME, _OURS, _LEFT, _STEPS[-1])), 0, None),
    *(_guard(measure, 0.3, beside=beside)
      for measure in (_ATTACH, f"{_ATTACH} cpu") for beside in (_STEPS[0], _STEPS[-1])),
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

    def measure(self, number: int) -> None:
        """Wire and unwire one more."""
        arena, is_ours = self._arena, isinstance(self._arena.contestant, Ocinet)
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
    if not Ocinet(1).is_here():
        raise Missing("there is no hook in .venv: make venv")
    steps = _QUICK_STEPS if quick else _STEPS
    _compare(record, (Ocinet(1), Ocinet(1, guard=False)), steps, (_ROUNDS, _QUICK_ROUNDS)[quick],
             empty=True)  # fmt: skip
    peers: tuple[tuple[Contestant, ...], ...] = ((Cni(1), Cni(1, guard=True)), (Netavark(1),))
    for alike in peers:
        if alike[0].is_here():
            _compare(record, alike, steps, (_PEERS_ROUNDS, _QUICK_PEERS_ROUNDS)[quick])


def _compare(
    record: Callable[[Sample], None],
    contestants: Sequence[Contestant],
    steps: Sequence[int],
    rounds: int,
    *,
    empty: bool = False,
) -> None:
    """Fill an arena for each, in steps, and let them take turns at each step."""
    with ExitStack() as stack:
        filled = [_Filled(stack.enter_context(Arena(one)), record) for one in contestants]
        for step in steps:
            for one in filled:
                one.fill(step)
            _take_turns(filled, rounds)
        if empty:
            for one in filled:
                one.empty()
            _take_turns(filled, rounds)


def _take_turns(filled: Sequence[_Filled], rounds: int) -> None:
    for number in range(_FREE, _FREE + rounds):
        for one in random.sample(filled, len(filled)):
            one.measure(number)
