#!/usr/bin/env python3
"""Writes, for `make awake`, hooks/awake.txt anew: what usual starts and stops call.

Functions that are in there already stay if they are still there, so that it can be run under one
Python after another; `--anew` begins with none.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hosts.namespace.isolation import in_namespaces
from hosts.namespace.rehearsal import functions_of, installed, rehearse
from ocinet.base.atomic import replace_file
from ocinet.hooks.asleep import LIST, read_awake
from ocinet.hooks.preload import PARTS

FOLDER = Path(__file__).parents[1] / "hooks"


@in_namespaces
def write(path: str) -> None:
    """Rehearse, and write the list."""
    script = installed(Path("/run/at"))
    awake = rehearse(script).awake
    there = {part: functions_of(script, part) for part in PARTS}
    former = {} if "--anew" in sys.argv else read_awake(str(FOLDER))
    for (part, module), functions in former.items():
        kept = functions & there.get(part, {}).get(module, set())
        if kept:
            awake.setdefault((part, module), set()).update(kept)
    lines = [" ".join((*place, *sorted(functions))) for place, functions in sorted(awake.items())]
    replace_file(path, "".join(f"{line}\n" for line in lines).encode())


if __name__ == "__main__":
    write(str(FOLDER / LIST))
