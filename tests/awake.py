#!/usr/bin/env python3
"""Writes, for `make awake`, hooks/awake.txt anew: what usual starts and stops call.

Functions that are in there already stay, so that it can be run under one Python after another;
`--anew` begins with none.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hosts.namespace.isolation import in_namespaces
from hosts.namespace.rehearsal import installed, rehearse
from ocinet.base.atomic import replace_file
from ocinet.hooks.asleep import LIST, read_awake

FOLDER = Path(__file__).parents[1] / "hooks"


@in_namespaces
def write(path: str) -> None:
    """Rehearse, and write the list."""
    awake = rehearse(installed(Path("/run/at"))).awake
    if "--anew" not in sys.argv:
        for place, functions in read_awake(str(FOLDER)).items():
            awake.setdefault(place, set()).update(functions)
    lines = [" ".join((*place, *sorted(functions))) for place, functions in sorted(awake.items())]
    replace_file(path, "".join(f"{line}\n" for line in lines).encode())


if __name__ == "__main__":
    write(str(FOLDER / LIST))
