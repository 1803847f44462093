"""What was measured, and what it is to show.

A part of the bench records `Sample`s, one per operation or reading. They go to a
CSV file as they are; all that is said about them, in the report and the plots, is
read from `Samples`.
"""

from __future__ import annotations

import csv
import math
import statistics
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path


class Missing(Exception):
    """A part can't run here; the argument says what there has to be, and its package."""


class Sample(NamedTuple):
    """One operation, or one reading.

    Attributes:
        part: the module of the bench that took it, as its `NAME` says.
        contestant: whose it is: "ocinet-1p".
        measure: what was measured: "attach", "attach cpu".
        x: what it depends on: others attached, ports, containers at once; 0 if nothing.
        value: in units of `unit`.
        unit: "ms", "us", "1/s", "MB", "" for a number of things.
    """

    part: str
    contestant: str
    measure: str
    x: int
    value: float
    unit: str


class Key(NamedTuple):
    """What samples of one kind have in common.

    Attributes:
        part: as in `Sample`, like the others.
        contestant: whose.
        measure: of what.
        x: at which point.
    """

    part: str
    contestant: str
    measure: str
    x: int = 0


class Target(NamedTuple):
    """One figure that has to be reached.

    Attributes:
        what: the words of the report's row.
        reading: the figure. NaN, a KeyError, IndexError or ValueError mean that it
            was not measured.
        must: the bound that must hold.
        aim: the one that we would like to hold, None if there is none.
        at_least: whether the bounds are lower ones.
        unit: of all three, "" for a ratio or a number of things.
    """

    what: str
    reading: Callable[[Samples], float]
    must: float
    aim: float | None
    at_least: bool = False
    unit: str = ""


class Samples:
    """Samples by their keys, in the order in which they were recorded.

    Args:
        samples: of any parts.
    """

    def __init__(self, samples: Iterable[Sample] = ()) -> None:
        self._values: dict[Key, list[float]] = {}
        self._units: dict[Key, str] = {}
        for sample in samples:
            self.record(sample)

    def record(self, sample: Sample) -> None:
        """Add one.

        Raises:
            ValueError: there are samples of the same key with another unit.
        """
        key = Key(*sample[:4])
        if self._units.setdefault(key, sample.unit) != sample.unit:
            raise ValueError(f"{key} is in {self._units[key]}, not in {sample.unit}")
        self._values.setdefault(key, []).append(sample.value)

    def __iter__(self) -> Iterator[Sample]:
        """Yield each sample, those of one key together."""
        for key, values in self._values.items():
            for value in values:
                yield Sample(*key, value, self._units[key])

    def keys(self, part: str = "", measure: str = "") -> list[Key]:
        """Return the keys that have samples, in the order of their first ones.

        Args:
            part: only those of this part.
            measure: only those of this measure.
        """
        return [key for key in self._values
                if part in ("", key.part) and measure in ("", key.measure)]  # fmt: skip

    def values(self, key: Key) -> list[float]:
        """Return what was measured, in order.

        Raises:
            KeyError: nothing was.
        """
        return self._values[key]

    def unit(self, key: Key) -> str:
        """Return what the values of a key are counted in.

        Raises:
            KeyError: there are none.
        """
        return self._units[key]

    def median(self, key: Key) -> float:
        """Return the median.

        Raises:
            KeyError: nothing was measured.
        """
        return statistics.median(self._values[key])

    def p95(self, key: Key) -> float:
        """Return the value that 95 of 100 do not exceed, interpolated.

        Raises:
            KeyError: nothing was measured.
        """
        values = sorted(self._values[key])
        place = 0.95 * (len(values) - 1)
        low = values[math.floor(place)]
        return low + (values[math.ceil(place)] - low) * (place % 1)

    def least(self, key: Key) -> float:
        """Return the smallest.

        Raises:
            KeyError: nothing was measured.
        """
        return min(self._values[key])

    def most(self, key: Key) -> float:
        """Return the largest.

        Raises:
            KeyError: nothing was measured.
        """
        return max(self._values[key])

    def ratio(self, key: Key, other: Key) -> float:
        """Return the ratio of two medians; NaN if the other is 0.

        Raises:
            KeyError: one of them was not measured.
        """
        divisor = self.median(other)
        return self.median(key) / divisor if divisor else math.nan

    def paired_ratio(self, key: Key, other: Key) -> float:
        """Return the median of the ratios of each round.

        The n-th sample of either key is of the same round: what slowed the
        machine down for a while is in both. A round that was broken off has no pair.

        Raises:
            KeyError: one of them was not measured.
        """
        pairs = zip(self._values[key], self._values[other], strict=False)
        return statistics.median(one / two for one, two in pairs)

    def paired_difference(self, key: Key, other: Key) -> float:
        """Return the median of the differences of each round, as `paired_ratio` has them.

        Raises:
            KeyError: one of them was not measured.
        """
        pairs = zip(self._values[key], self._values[other], strict=False)
        return statistics.median(one - two for one, two in pairs)


def write_csv(path: Path, samples: Samples) -> None:
    """Write each sample as a line, with a header."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Sample._fields)
        writer.writerows(samples)


def read_csv(path: Path) -> Samples:
    """Return what `write_csv` wrote.

    Raises:
        ValueError: another header, or a field that is none.
    """
    with path.open(newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if header != list(Sample._fields):
            raise ValueError(f"{path}: not samples: {header}")
        return Samples(
            Sample(part, contestant, measure, int(x), float(value), unit)
            for part, contestant, measure, x, value, unit in reader
        )
