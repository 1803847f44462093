"""What others change on a host: who repairs it, and how fast. See keep.py.

bench/repair.py SAMPLES.CSV     prints the rows of docs/repair.md
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from arena import BenchError
from faults import FAULTS, FAULTS_OF_IPV6
from machine import OCINET, Machine
from samples import Key, Missing, Sample, Samples, Target, read_csv

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "repair"
_MANY, _EVENTS = 1000, 10_000
_SIZES = {"idle": 60, "foreign": _EVENTS, "many": _MANY, "faults": 20, "doors": 20}
_QUICK_SIZES = {"idle": 5, "foreign": _EVENTS, "many": 50, "faults": 2, "doors": 1}
_LONGEST_S = 7200
_DOORS = ("watcher", "check --repair", "network reload", "gc", "attach again", "next attach")
_TEST = "tests/netns/test_keeper.py::test_keeper_repairs_in_time"


def run(record: Callable[[Sample], None], *, quick: bool) -> None:
    """Record how long each fault lasts, by who repairs it.

    Raises:
        Missing: there is no ocinet.
        BenchError: something is not repaired.
    """
    if not OCINET.exists():
        raise Missing("there is no ocinet in .venv: make venv")
    sizes = _QUICK_SIZES if quick else _SIZES
    errors = []
    for what, number in sizes.items():
        try:
            _measure(what, number, record)
        except BenchError as error:  # the others can still be measured
            errors.append(f"{what}: {error}")
    if errors:
        raise BenchError("; ".join(errors))


def _measure(what: str, number: int, record: Callable[[Sample], None]) -> None:
    script = str(Path(__file__).with_name("keep.py"))
    with Machine() as machine:
        told = machine.run(sys.executable, script, str(OCINET), what, str(number),
                           timeout_s=_LONGEST_S)  # fmt: skip
    for line in told.splitlines():
        who, measure, containers, value, unit = line.split("\t")
        record(Sample(NAME, who, measure, int(containers), float(value), unit))


def _slowest(samples: Samples) -> float:
    """Return the worst time that a fault took a watcher to repair."""
    return max(
        max(samples.values(key))
        for key in samples.keys(NAME)
        if key.contestant == "watcher" and key.measure in {**FAULTS, **FAULTS_OF_IPV6}
    )


def _of_many(measure: str) -> Callable[[Samples], float]:
    return lambda samples: samples.median(Key(NAME, "watcher", measure, _MANY))


TARGETS = (
    Target("watcher: the longest that any fault lasted", _slowest, 2000, 500, unit="ms"),
    Target("1,000 containers, ruleset flushed: CPU time of the repair",
           _of_many("ruleset flushed, cpu"), 1, 0.5, unit="s"),
    Target("1,000 containers, ruleset flushed: until all are reached",
           _of_many("ruleset flushed, all reached"), 2, 1, unit="s"),
    Target("10,000 link events of others: CPU time of the watcher",
           lambda samples: samples.median(
               Key(NAME, "watcher", "foreign link events, cpu", _EVENTS)), 3000, 500, unit="ms"),
)  # fmt: skip


def rows(samples: Samples) -> str:
    """Return the table: a fault, and by whom it is repaired, in how many ms."""
    known = samples.keys(NAME)
    counts = {who: max((len(samples.values(key)) for key in known if key.contestant == who),
                       default=0) for who in _DOORS}  # fmt: skip
    heads = [f"{who}, of {counts[who]}" for who in _DOORS]
    lines = [f"| fault | {' | '.join(heads)} |", f"|---|{'---|' * len(_DOORS)}"]
    for fault in {**FAULTS, **FAULTS_OF_IPV6}:
        cells = []
        for who in _DOORS:
            key = Key(NAME, who, fault, 1)
            values = samples.values(key) if key in known else []
            if values and len(values) == counts[who]:
                cells.append(f"{statistics.median(values):.0f}, {max(values):.0f}")
            else:  # who repairs it now and then does not
                cells.append("no")
        lines.append(f"| {fault} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(rows(read_csv(Path(sys.argv[1]))))
