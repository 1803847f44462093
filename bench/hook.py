"""One attach and one detach of each contestant, in turn.

In every round each contestant wires a sandbox and unwires it, in random order, and a
bare interpreter runs beside them. One more contestant has no preload. There are two
ends of a container:

    detach                the namespace is kept open, as CNI and netavark need it to be,
                          so the link has to be deleted, and the kernel to be waited for
    detach, sandbox gone  the namespace went with the process, a moment before: what a
                          runtime does ahead of poststop
"""

from __future__ import annotations

import random
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from arena import Arena, record_cost
from contestants import Bare, Cni, Contestant, LanCni, LanOcinet, Netavark, Ocinet, PlainOcinet
from samples import Key, Missing, Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from samples import Sample

NAME = "hook"
_ATTACH, _DETACH, _GONE = "attach", "detach", "detach, sandbox gone"
_BESIDE = "netavark-1p beside one"
_ROUNDS, _QUICK_ROUNDS = 60, 8


def _key(contestant: str, measure: str) -> Key:
    return Key(NAME, contestant, measure)


def _target(what: str, measure: str, pair: tuple[str, str], must: float, aim: float) -> Target:
    one, other = (_key(contestant, measure) for contestant in pair)
    return Target(what, lambda samples: samples.ratio(one, other), must, aim)


TARGETS = (
    _target("hook attach, 1 published port / bare interpreter",
            _ATTACH, ("ocinet-1p", "bare"), 2.5, 2.0),
    _target("hook attach, 1 published port / CNI bridge+masq+portmap",
            _ATTACH, ("ocinet-1p", "cni-1p"), 0.35, 0.3),
    _target("hook attach, 1 published port / netavark",
            _ATTACH, ("ocinet-1p", "netavark-1p"), 0.4, 0.35),
    Target("hook attach, 10 ports / 1 port (median of the rounds' ratios)",
           lambda samples: samples.paired_ratio(_key("ocinet-10p", _ATTACH),
                                                _key("ocinet-1p", _ATTACH)), 1.1, 1.0),
    _target("hook attach, 1 published port / the same without the preload",
            f"{_ATTACH} cpu", ("ocinet-1p", "ocinet-1p no preload"), 0.85, 0.8),
    _target("hook attach on the LAN by macvlan / on a bridge, no port",
            _ATTACH, ("ocinet-macvlan", "ocinet-0p"), 2.0, 1.0),  # it asks the LAN, for 10 ms
    _target("poststop, sandbox gone, no published port / bare interpreter",
            _GONE, ("ocinet-0p", "bare"), 2.2, 1.8),
    _target("poststop, sandbox gone, 1 port (one RCU wait) / bare interpreter",
            _GONE, ("ocinet-1p", "bare"), 4, 3.5),
    _target("detach of a live sandbox, 1 port / CNI's",
            _DETACH, ("ocinet-1p", "cni-1p"), 0.25, 0.2),
    _target("detach of a live sandbox, 1 port / netavark's",
            _DETACH, ("ocinet-1p", "netavark-1p"), 0.3, 0.2),
)  # fmt: skip


def contestants() -> list[Contestant]:
    """Return who is measured, of those that are installed.

    Raises:
        Missing: ocinet is not.
    """
    if not Ocinet(0).is_here():
        raise Missing("there is no hook in .venv: make venv")
    all_of_them = [Ocinet(0), Ocinet(1), Ocinet(10), PlainOcinet(1), Cni(0), Cni(1), Cni(10),
                   Netavark(1), Netavark(10), LanOcinet(), LanCni()]  # fmt: skip
    # With its last container netavark removes bridge and chains as well.
    beside = Netavark(1)
    beside.name = _BESIDE
    return [one for one in (*all_of_them, beside) if one.is_here()]


def run(record: Callable[[Sample], None], *, quick: bool) -> None:
    """Record wall and CPU time of each attach and detach, in milliseconds.

    Raises:
        Missing: there is no hook.
        BenchError: an operation fails.
    """
    with ExitStack() as stack:
        arenas = [stack.enter_context(Arena(one)) for one in contestants()]
        for arena in arenas:  # the first attach makes bridge and tables
            arena.attach(0)
            if arena.contestant.name != _BESIDE:
                arena.detach(0)
        for number in range(1, 1 + (_QUICK_ROUNDS if quick else _ROUNDS)):
            turns = [partial(_turn, record, arena, number) for arena in arenas]
            turns.append(partial(_bare_turn, record))
            for turn in random.sample(turns, len(turns)):
                turn()


def _turn(record: Callable[[Sample], None], arena: Arena, number: int) -> None:
    name = arena.contestant.name
    record_cost(record, _key(name, _ATTACH), arena.attach(number))
    record_cost(record, _key(name, _DETACH), arena.detach(number))
    if isinstance(arena.contestant, Ocinet):
        record_cost(record, _key(name, _ATTACH), arena.attach(number))
        record_cost(record, _key(name, _GONE), arena.detach_gone(number))


def _bare_turn(record: Callable[[Sample], None]) -> None:
    bare = Bare()
    for measure in (_ATTACH, _DETACH, _GONE):
        record_cost(record, _key(bare.name, measure), bare.run())
