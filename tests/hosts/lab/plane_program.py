"""Drives a host's data plane, as an agent would: run as a program in that host's namespaces.

On stdin what to do (`apply`, `look`, `remove` or `key`), the host and its peers, pickled, in
base64.
On stdout one line of JSON: what was done or found, and how many milliseconds it took.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import sys
import time

from ocinet.base.paths import Paths
from ocinet.cluster.plane.planes import plane_of


def main() -> None:
    """Do what stdin says."""
    act, mine, peers = pickle.loads(base64.b64decode(sys.stdin.read()))  # noqa: S301  the test's own
    plane = plane_of(mine.cluster, Paths.from_environment(os.environ))
    start, cpu = time.perf_counter(), os.times()
    told: dict[str, object] = {}
    if act == "key":
        told["key"] = plane.public_key()
    elif act == "look":
        told["flaws"] = plane.look(mine, peers)
    else:
        changes = plane.remove() if act == "remove" else plane.apply(mine, peers)
        told |= {"made": changes.made, "removed": changes.removed}
    told["ms"] = (time.perf_counter() - start) * 1000
    told["cpu_ms"] = (sum(os.times()[:4]) - sum(cpu[:4])) * 1000
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
