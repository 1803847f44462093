"""A hundred attaches, several at a time, as after a reboot.

Each crowd has an arena of its own in which one container is attached already, so that
bridge and tables are there. When all have ended, every sandbox must have an eth0 that
is up, with an address that no other has.
"""

from __future__ import annotations

import random
import sys
import time
from typing import TYPE_CHECKING

from arena import Arena
from contestants import Cni, Contestant, Netavark, Ocinet
from samples import Key, Missing, Sample, Target

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "crowd"
_WALL, _FAILURES = "100 attaches", "failures"
_OURS = "ocinet-1p"
_COUNT, _AT_ONCE, _QUICK_AT_ONCE = 100, (8, 32), (8,)
_REPETITIONS, _QUICK_REPETITIONS = 5, 1
_REST_S = 1.0  # while the kernel removes a hundred namespaces


def _target(at_once: int, peer: str, must: float) -> Target:
    ours, others = (Key(NAME, name, _WALL, at_once) for name in (_OURS, peer))
    what = f"100 attaches, {at_once} at a time: wall / {peer}'s"
    return Target(what, lambda samples: samples.ratio(ours, others), must, None)


def _failures(at_once: int) -> Target:
    key = Key(NAME, _OURS, _FAILURES, at_once)
    return Target(f"100 attaches, {at_once} at a time: failures",
                  lambda samples: sum(samples.values(key)), 0, None)  # fmt: skip


TARGETS = tuple(
    target for at_once in _AT_ONCE for target in (
        _failures(at_once), _target(at_once, "cni-1p", 0.2), _target(at_once, "netavark-1p", 0.35),
    )
)  # fmt: skip


def run(record: Callable[[Sample], None], *, quick: bool) -> None:
    """Record each crowd's time in milliseconds, and failures; x is how many at a time.

    Raises:
        Missing: there is no hook.
        BenchError: an arena can't be made.
    """
    if not Ocinet(1).is_here():
        raise Missing("there is no hook in .venv: make venv")
    everyone: list[Contestant] = [Ocinet(1), Cni(1), Netavark(1)]
    chosen = [one for one in everyone if one.is_here()]
    for _ in range(_QUICK_REPETITIONS if quick else _REPETITIONS):
        for at_once in _QUICK_AT_ONCE if quick else _AT_ONCE:
            for contestant in random.sample(chosen, len(chosen)):
                with Arena(contestant) as arena:
                    arena.attach(0)
                    crowd = arena.attach_all(1, _COUNT, at_once)
                if crowd.failures:
                    print(f"{contestant.name}: {crowd.first_error}", file=sys.stderr)
                name = contestant.name
                record(Sample(NAME, name, _WALL, at_once, crowd.wall_ms, "ms"))
                record(Sample(NAME, name, _FAILURES, at_once, crowd.failures, ""))
                time.sleep(_REST_S)
