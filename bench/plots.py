"""The plots of a run, as SVG: equal samples make equal files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from samples import Key, Samples

_COLOURS = {"ocinet-1p, no guard": "#74b3e0", "cni-1p, macspoofchk": "#e09a70",
            "ocinet": "#0b6fb8", "cni": "#c4561d", "netavark": "#7a4fa3",
            "docker": "#2f8f5b", "bare": "#8a8a8a"}  # fmt: skip
_OTHERS = ("#a3812b", "#b0417b", "#4a7f86", "#2b4fa3", "#7aa32b")
# Words stay words: they can be searched and read out, and need no font of ours.
_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "ocinet", "font.size": 11,
             "font.family": ["sans-serif"], "axes.spines.top": False,
             "axes.spines.right": False, "figure.facecolor": "white"}  # fmt: skip


def plot(samples: Samples, directory: Path) -> list[Path]:
    """Write the plots for which there are samples; returns their files."""
    with mpl.rc_context(_SETTINGS):
        drawn = {
            "attach.svg": _bars(
                samples, samples.keys("hook", "attach"), "attach of one container, ms"
            ),
            "attach-containers.svg": _lines(
                samples, samples.keys("scale", "attach"), "others attached", "attach"
            ),
            "connections.svg": _lines(
                samples, samples.keys("datapath", "connection"),
                "containers with a published port", "new connection",
            ),
            "connections-ports.svg": _lines(
                samples, samples.keys("datapath", "connection ports"),
                "ports of one container", "new connection",
            ),
            "cluster-times.svg": _lines(
                samples, samples.keys("cluster", "converge"), "hosts", "time", wide=True
            ),
            "cluster-memory.svg": _lines(
                samples, samples.keys("cluster", "memory"), "hosts", "memory at rest", wide=True
            ),
        }  # fmt: skip
        written = []
        for name, figure in drawn.items():
            if figure:
                figure.savefig(directory / name, format="svg", metadata={"Date": None})
                written.append(directory / name)
    return written


def _colours(contestants: Sequence[str]) -> dict[str, str]:
    others = iter(_OTHERS * len(contestants))
    return {name: next((colour for known, colour in _COLOURS.items() if name.startswith(known)),
                       "") or next(others)
            for name in contestants}  # fmt: skip


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.2, height), layout="constrained")
    return figure, figure.add_subplot()


def _bars(samples: Samples, keys: list[Key], title: str) -> Figure | None:
    """Draw a bar for each contestant, to the median, with a line on to the 95th percentile."""
    if not keys:
        return None
    keys = sorted(keys, key=samples.median, reverse=True)
    names = [key.contestant for key in keys]
    medians = [samples.median(key) for key in keys]
    spread = [samples.p95(key) - median for key, median in zip(keys, medians, strict=True)]
    figure, axes = _figure(0.9 + 0.36 * len(keys))
    colours = _colours(names)
    axes.barh(names, medians, color=[colours[name] for name in names], height=0.62)
    nothing = [0.0] * len(keys)
    axes.errorbar(medians, names, xerr=[nothing, spread], fmt="none", ecolor="#444444",
                  elinewidth=1, capsize=3)  # fmt: skip
    for row, (median, more) in enumerate(zip(medians, spread, strict=True)):
        axes.annotate(f"{median:.0f}", (median + more, row), xytext=(6, 0),
                      textcoords="offset points", va="center")  # fmt: skip
    axes.set_xlabel(f"{title} (median, and to the 95th percentile)")
    axes.set_xlim(left=0)
    return figure


def _lines(
    samples: Samples, keys: list[Key], x_label: str, y_label: str, *, wide: bool = False
) -> Figure | None:
    """Draw a line for each contestant through the medians, with a logarithmic y axis.

    Args:
        samples: of all parts.
        keys: what is drawn.
        x_label: of what there is ever more.
        y_label: without the unit.
        wide: whether the x axis is logarithmic, too, as what is there tens or thousands of.
    """
    by_name: dict[str, list[Key]] = {}
    for key in sorted(keys, key=lambda key: key.x):
        by_name.setdefault(key.contestant, []).append(key)
    if len({key.x for key in keys}) < 2:
        return None
    figure, axes = _figure(4.0)
    colours = _colours(list(by_name))
    for name, own in by_name.items():
        axes.plot([key.x for key in own], [samples.median(key) for key in own], marker="o",
                  color=colours[name], label=name)  # fmt: skip
    if wide:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5, 7)))
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="y", which="minor", labelsize=8)
    axes.grid(visible=True, axis="y", which="both", color="#dddddd", linewidth=0.6)
    axes.set_xlabel(x_label)
    axes.set_ylabel(f"{y_label}, {samples.unit(keys[0])}")
    figure.legend(loc="outside upper center", ncols=2 if wide else 4, frameon=False)
    return figure
