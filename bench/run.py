"""Measures ocinet beside its peers, and writes what was measured.

    bench/run.py [PART…] [--quick] [--out DIR]

Each part works in namespaces of its own and leaves nothing behind, also when it is
interrupted. DIR gets samples.csv with every single reading, report.md with the targets
and the medians, and plots. A part that can't run here is left out, and the report
says why.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from report import Part, machine_facts, report
from samples import Missing, Samples, write_csv

PARTS = ("hook", "scale", "crowd", "ports", "addresses", "startup", "datapath", "engines",
         "watcher", "early", "repair", "names", "overlay", "cluster")  # fmt: skip


def run_part(name: str, samples: Samples, *, quick: bool) -> Part:
    """Run one part; returns what it was to show, and why it did not if it did not."""
    began = time.monotonic()
    print(f"{name}: ", end="", flush=True)
    part = Part(name)
    try:
        module = importlib.import_module(name)
        part = Part(name, module.TARGETS)
        module.run(samples.record, quick=quick)
    except Missing as missing:
        part = part._replace(trouble=str(missing))
    except Exception as error:  # noqa: BLE001  # the other parts can still be measured
        traceback.print_exc()
        part = part._replace(trouble=f"{type(error).__name__}: {error}"[:1000])
    print(part.trouble or f"{time.monotonic() - began:.0f} s", flush=True)
    return part


def draw(samples: Samples, directory: Path) -> None:
    """Write the plots, if there is what draws them."""
    try:
        from plots import plot
    except ImportError as error:
        print(f"no plots: {error}; pip install ocinet[bench]", file=sys.stderr)
        return
    plot(samples, directory)


def main() -> int:
    """Run the parts; returns 1 if one of them was not measured to its end."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[[], *PARTS],
                        help=f"of {', '.join(PARTS)} (default: all)")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="few rounds: a couple of minutes")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), metavar="DIR",
                        help="where the results go (default: build/bench)")  # fmt: skip
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    load = os.getloadavg()[0]
    arguments.out.mkdir(parents=True, exist_ok=True)
    samples, parts = Samples(), []
    try:
        for name in arguments.parts or PARTS:
            parts.append(run_part(name, samples, quick=arguments.quick))
            write_csv(arguments.out / "samples.csv", samples)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    text = report(samples, parts, machine_facts(load))
    (arguments.out / "report.md").write_text(text)
    print(f"\n{text}")
    draw(samples, arguments.out)
    return int(any(part.trouble for part in parts))


if __name__ == "__main__":
    sys.exit(main())
