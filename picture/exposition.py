"""Figures as Prometheus reads them: its text format, version 0.0.4.

The grammar: prometheus.io/docs/instrumenting/exposition_formats.
"""

from __future__ import annotations

from ocinet.base.value import Value
from ocinet.picture.spelling import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"
_LONGEST_LABEL = 256  # characters: a name of 4 kB would be in seven lines of each scrape


class Metric(Value):
    """One thing that is counted or measured.

    Attributes:
        name: as Prometheus has it: base units, `_total` for what only grows.
        kind: GAUGE, COUNTER or HISTOGRAM.
        says: what it is, in one line.
        labels: in the order in which a sample gives their values.
    """

    name: str
    kind: str
    says: str
    labels: tuple[str, ...] = ()


class Distribution(Value):
    """How long things took: a sample of a HISTOGRAM.

    Attributes:
        bounds: of the buckets, seconds, ascending; the last one, without a bound, is not told.
        counts: how many fell into each bucket, and into none of the others; one more than bounds.
        total_s: of all of them.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total_s: float


def render(
    families: Iterable[tuple[Metric, Mapping[tuple[str, ...], float | Distribution]]],
) -> str:
    """Return what Prometheus scrapes.

    Args:
        families: each metric once, with its samples by the values of its labels. One without
            samples is left out.
    """
    lines: list[str] = []
    for metric, samples in families:
        if not samples:
            continue
        lines.append(f"# HELP {metric.name} {_escaped_help(metric.says)}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        starts = [f'{label}="' for label in metric.labels]
        for values, sample in samples.items():
            labels = ",".join(
                f'{start}{escaped(value)}"' for start, value in zip(starts, values, strict=True)
            )
            if isinstance(sample, Distribution):
                lines += _distribution(metric.name, labels, sample)
            else:
                lines.append(f"{metric.name}{f'{{{labels}}}' if labels else ''} {number(sample)}")
    return "\n".join([*lines, ""])


def _distribution(name: str, labels: str, sample: Distribution) -> list[str]:
    """Return the lines of a histogram: each bucket has those of the ones before it as well."""
    lines, so_far = [], 0
    before = f"{labels}," if labels else ""
    for bound, count in zip((*sample.bounds, None), sample.counts, strict=True):
        so_far += count
        edge = "+Inf" if bound is None else number(bound)
        lines.append(f'{name}_bucket{{{before}le="{edge}"}} {so_far}')
    own = f"{{{labels}}}" if labels else ""
    return [*lines, f"{name}_sum{own} {number(sample.total_s)}", f"{name}_count{own} {so_far}"]


def number(value: float) -> str:
    """Write a number as Go's ParseFloat reads it."""
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if value == int(value) and abs(value) < 1 << 53 else repr(value)


def escaped(value: str) -> str:
    """Write a label's value, which others chose, as it is shown everywhere."""
    if not value.isprintable() or len(value) > _LONGEST_LABEL:
        value = shown(value, _LONGEST_LABEL)
    return value.replace("\\", r"\\").replace('"', r"\"")


def _escaped_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")
