"""The report of a run, in Markdown: the machine, the targets, what was measured."""

from __future__ import annotations

import math
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from samples import Key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from samples import Samples, Target

NOT_MEASURED = "not measured"
_PACKAGES = ("containernetworking-plugins", "netavark", "docker.io", "podman", "runc", "crun",
             "nftables", "iptables")  # fmt: skip


class Part(NamedTuple):
    """One part of a run.

    Attributes:
        name: as its samples have it.
        targets: what it is to show.
        trouble: why it was left out or broke off, or nothing.
    """

    name: str
    targets: Sequence[Target] = ()
    trouble: str = ""


def report(samples: Samples, parts: Sequence[Part], facts: Iterable[tuple[str, str]]) -> str:
    """Return the report.

    Args:
        samples: of all parts.
        parts: in the order of the report.
        facts: of the machine, by their names.
    """
    lines = ["# What was measured", "", "| | |", "|---|---|"]
    lines += [_row(name, fact) for name, fact in facts]
    lines += ["", "## Targets", "", "| what | must hold | aim | measured | holds |",
              "|---|---|---|---|---|"]  # fmt: skip
    lines += [_target_row(target, samples) for part in parts for target in part.targets]
    for part in parts:
        lines += ["", f"## {part.name}", ""]
        if part.trouble:
            lines += [f"{NOT_MEASURED.capitalize()} to its end: {part.trouble}", ""]
        lines += _part_table(part.name, samples)
    return "\n".join(lines).rstrip() + "\n"


def shown(value: float) -> str:
    """Return a figure with as many digits as it is good for."""
    if math.isnan(value):
        return NOT_MEASURED
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(' '.join(cell.replace('|', '/').split()) for cell in cells)} |"


def _reading(target: Target, samples: Samples) -> float:
    try:
        return target.reading(samples)
    except (KeyError, IndexError, ValueError):  # ValueError: a median of nothing, too
        return math.nan


def _target_row(target: Target, samples: Samples) -> str:
    value = _reading(target, samples)
    unit = f" {target.unit}" if target.unit else ""
    sign = "≥" if target.at_least else "≤"
    bounds = [f"{sign} {bound:,g}{unit}" if bound is not None else ""
              for bound in (target.must, target.aim)]  # fmt: skip
    if math.isnan(value):
        return _row(target.what, *bounds, NOT_MEASURED, "")
    holds = "**no**"
    if _is_within(value, target.must, target):
        is_aim = target.aim is not None and _is_within(value, target.aim, target)
        holds = "yes, and the aim" if is_aim else "yes"
    return _row(target.what, *bounds, shown(value) + unit, holds)


def _is_within(value: float, bound: float, target: Target) -> bool:
    return value >= bound if target.at_least else value <= bound


def _part_table(part: str, samples: Samples) -> list[str]:
    keys = samples.keys(part)
    measures = {key.measure for key in keys}
    keys = [key for key in keys if key.measure.removesuffix(" cpu") not in measures - {key.measure}]
    if not keys:
        return []
    rank = {measure: place for place, measure in enumerate(dict.fromkeys(k.measure for k in keys))}
    keys.sort(key=lambda key: (rank[key.measure], key.x, key.contestant))
    head = ("measure", "at", "contestant", "n", "median", "min", "p95", "CPU", "/ bare")
    return [_row(*head), "|---" * len(head) + "|"] + [_key_row(key, samples) for key in keys]


def _key_row(key: Key, samples: Samples) -> str:
    unit = samples.unit(key)
    cpu, bare = (key._replace(measure=f"{key.measure} cpu"), key._replace(contestant="bare"))
    known = samples.keys(key.part)
    cpu_text = shown(samples.median(cpu)) if cpu in known else ""
    ratio = shown(samples.ratio(key, bare)) if bare in known and bare != key else ""
    return _row(
        f"{key.measure}, {unit}" if unit else key.measure, str(key.x), key.contestant,
        str(len(samples.values(key))), shown(samples.median(key)), shown(samples.least(key)),
        shown(samples.p95(key)),
        cpu_text, ratio,
    )  # fmt: skip


def machine_facts(load_before: float) -> list[tuple[str, str]]:
    """Return what there is to know of this machine.

    Args:
        load_before: of the last minute before the run.
    """
    models = [line.partition(":")[2].strip()
              for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]  # fmt: skip
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    root = Path(__file__).resolve().parent.parent
    facts = [
        ("date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
        ("kernel", platform.release()),
        ("CPUs", f"{os.cpu_count()} ({models[0] if models else platform.machine()})"),
        ("memory", f"{memory:.0f} GiB"),
        ("load", f"{load_before:.2f} before, {os.getloadavg()[0]:.2f} after"),
        ("ocinet", _output(str(root / ".venv/bin/ocinet"), "--version")),
        ("commit", _output("git", "-C", str(root), "describe", "--always", "--dirty")),
        ("interpreter", _output("/usr/bin/python3", "--version")),
    ]
    return facts + [(name, _output("dpkg-query", "--show", "--showformat=${Version}", name))
                    for name in _PACKAGES]  # fmt: skip


def _output(*words: str) -> str:
    try:
        done = subprocess.run(words, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return done.stdout.strip() or "none"
