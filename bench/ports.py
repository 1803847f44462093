"""One container that publishes a thousand ports, beside one that publishes one.

They are asked for one by one, and as one range. CNI's plugins and netavark take most
of a minute for one attach of that kind, so they do it once, and not in a quick run.
What connections to published ports cost is in `datapath`.
"""

from __future__ import annotations

import random
from contextlib import ExitStack
from typing import TYPE_CHECKING

from arena import Arena, record_cost
from contestants import Cni, Contestant, Netavark, Ocinet
from samples import Key, Missing, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from arena import Cost
    from samples import Sample

NAME = "ports"
_ATTACH, _GONE = "attach", "detach, sandbox gone"
_MANY = 1000
_ONE, _LISTED, _RANGE = Ocinet(1), Ocinet(_MANY), Ocinet(_MANY, is_range=True)
_ROUNDS, _QUICK_ROUNDS = 30, 6


def _target(what: str, contestant: Contestant) -> Target:
    many, one = Key(NAME, contestant.name, _ATTACH), Key(NAME, _ONE.name, _ATTACH)
    return Target(what, lambda samples: samples.ratio(many, one), 1.6, 1.35)


TARGETS = (
    _target("attach of one container with 1,000 ports, as a range / with 1", _RANGE),
    _target("attach of one container with 1,000 ports, one by one / with 1", _LISTED),
)


def run(record: Callable[[Sample], None], *, quick: bool) -> None:
    """Record the times of attach and detach, in milliseconds.

    Raises:
        Missing: there is no hook.
        BenchError: an operation fails.
    """
    if not _ONE.is_here():
        raise Missing("there is no hook in .venv: make venv")
    with ExitStack() as stack:
        arenas = [stack.enter_context(Arena(one)) for one in (_ONE, _LISTED, _RANGE)]
        for arena in arenas:  # the first attach makes bridge and tables
            arena.attach(0)
            arena.detach(0)
        for number in range(1, 1 + (_QUICK_ROUNDS if quick else _ROUNDS)):
            for arena in random.sample(arenas, len(arenas)):
                _note(record, arena, _ATTACH, arena.attach(number))
                _note(record, arena, _GONE, arena.detach_gone(number))
    peers: list[Contestant] = [] if quick else [Cni(_MANY), Netavark(_MANY)]
    for peer in peers:
        if peer.is_here():
            with Arena(peer) as arena:
                _note(record, arena, _ATTACH, arena.attach(0))


def _note(record: Callable[[Sample], None], arena: Arena, measure: str, cost: Cost) -> None:
    record_cost(record, Key(NAME, arena.contestant.name, measure), cost)
