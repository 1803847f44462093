"""How long the command takes to start: its help, and the list of containers.

The installed console script, as a user runs it, beside a bare interpreter. The
containers are sleeping processes with namespaces of their own, attached by the
command itself; all of it in namespaces that end with the bench.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from arena import PATH, BenchError, Command, spawn
from samples import Key, Sample, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from samples import Samples

NAME = "startup"
_SCRIPT = str(Path(sys.executable).with_name("ocinet"))
_BARE = ("/usr/bin/python3", "-I", "-S", "-c", "pass")
_CONTAINERS = 100
_ENVIRONMENT = {
    "PATH": PATH,
    "OCINET_RUN_DIR": "/run/ocinet",
    "OCINET_STATE_DIR": "/run/ocinet-state",
    "OCINET_CONFIG_DIR": "/run/ocinet-config",
}
_APART = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def run(record: Callable[[Sample], None], *, quick: bool) -> None:
    """Measure the starts in rounds, with no container and with a hundred.

    Args:
        record: takes each reading; x is how many containers are recorded.
        quick: fewer rounds.

    Raises:
        BenchError: a command failed.
    """
    inner = [*_APART, sys.executable, __file__, "8" if quick else "40"]
    with subprocess.Popen(inner, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        for line in child.stdout:
            record(Sample(*json.loads(line)))
    if child.returncode:
        raise BenchError(f"{' '.join(inner)} ended with {child.returncode}")


def _readings(rounds: int) -> Iterator[Sample]:
    """Yield what is measured, in namespaces of our own."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    yield from _rounds(rounds, 0)
    for number in range(_CONTAINERS):
        pid = _sleeper()
        attach = (_SCRIPT, "attach", f"pid:{pid}", "--name", f"web-{number}")
        spawn(Command(attach, _ENVIRONMENT, ""))
    yield from _rounds(rounds, _CONTAINERS)


def _rounds(rounds: int, recorded: int) -> Iterator[Sample]:
    commands = {
        "bare interpreter": _BARE,
        "ocinet --help": (_SCRIPT, "--help"),
        "ocinet ps": (_SCRIPT, "ps"),
    }
    for number in range(rounds + 1):
        for contestant, argv in commands.items():
            cost, told = spawn(Command(argv, _ENVIRONMENT, ""))
            if contestant == "ocinet ps" and len(told.splitlines()) != recorded + 1:
                raise BenchError(f"ocinet ps shows {told!r}, not {recorded} containers")
            if number:  # the first one reads it all from the disk
                yield Sample(NAME, contestant, "start", recorded, cost.wall_ms, "ms")
                yield Sample(NAME, contestant, "start cpu", recorded, cost.cpu_ms, "ms")


def _sleeper() -> int:
    """Start a process with a network namespace of its own; returns its pid."""
    child = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    own = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{child.pid}/ns/net") == own:
        os.sched_yield()
    return child.pid


def _ratio(contestant: str, recorded: int) -> Callable[[Samples], float]:
    key = Key(NAME, contestant, "start", recorded)
    return lambda samples: samples.ratio(key, key._replace(contestant="bare interpreter"))


TARGETS = (
    Target("ocinet --help / bare interpreter", _ratio("ocinet --help", 0), 6, None),
    Target("ocinet ps / bare interpreter", _ratio("ocinet ps", 0), 6, None),
)

if __name__ == "__main__":
    for sample in _readings(int(sys.argv[1])):
        print(json.dumps(sample), flush=True)
