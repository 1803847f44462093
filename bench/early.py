"""Early attach: how many containers of Docker's have their network from the first instruction on.

One `docker run` after the other, of a network with IPv4 and IPv6. The entrypoint is a
shell whose first acts are to look for its default route and for its address of IPv6:

quiet    alone
busy     beside one process for each CPU that never rests
"""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from engine_contestants import DockerWatcher, can_run_docker
from machine import SETTLE_S, Machine, make_image, remove_cgroups, wait_until
from samples import Key, Missing, Sample, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from samples import Samples

NAME = "early"
BESIDE = QUIET, BUSY = "quiet", "busy"
CGROUPS = V1, V2 = "cgroup v1", "cgroup v2"
ROUTE, ADDRESS6, STAYS = "route of IPv4", "address of IPv6", "address of IPv6 stays"
_IS_UNIFIED = os.path.exists("/sys/fs/cgroup/cgroup.controllers")  # then there is no other
_STARTS, _QUICK_STARTS = 100, 20
_SCRIPT = "/look"
# if_inet6: ADDRESS IFINDEX PREFIX SCOPE FLAGS IFNAME; scope 00 is global.
_LOOK = """\
look() {
    while read -r ifname destination _; do
        [ "$ifname $destination" = "eth0 00000000" ] && echo v4
    done < /proc/net/route
    while read -r _ _ _ scope _ ifname; do
        [ "$ifname $scope" = "eth0 00" ] && echo v6
    done < /proc/net/if_inet6
}
look
echo then
sleep 0.5
look
echo done
exec sleep 1000
"""
_HOG = ("sh", "-c", "while :; do :; done")


def run(record: Callable[[Sample], None], *, quick: bool) -> None:
    """Start containers one by one, beside nothing and beside busy processors.

    Raises:
        Missing: there is no dockerd.
    """
    if not can_run_docker():
        raise Missing("dockerd: apt-get install docker.io")
    starts = _QUICK_STARTS if quick else _STARTS
    with ExitStack() as stack:
        stack.callback(remove_cgroups)
        directory = Path(stack.enter_context(TemporaryDirectory()))
        image = make_image(directory, {_SCRIPT.strip("/"): _LOOK})
        for cgroups in CGROUPS[_IS_UNIFIED:]:
            watched = DockerWatcher(cgroups, ipv6=True)
            watched.prepare(stack.enter_context(Machine(cgroup2=cgroups == V2)), image)
            _start(watched)  # the first one makes bridge, table and cgroups
            for beside in BESIDE:
                with _busy() if beside == BUSY else nullcontext():
                    for _ in range(starts):
                        for measure, found in _start(watched).items():
                            record(Sample(NAME, f"{beside}, {cgroups}", measure, 0, found, ""))


@contextmanager
def _busy() -> Iterator[None]:
    """Keep all processors busy."""
    hogs = [subprocess.Popen(_HOG) for _ in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def _start(watched: DockerWatcher) -> dict[str, bool]:
    """Run a container, and return what it found at once and later."""
    container = watched.run(_SCRIPT)
    wait_until(lambda: "done" in watched("logs", container), "its last word", SETTLE_S)
    at_once, _, later = watched("logs", container).partition("then")
    watched(*watched.removal, container)
    watched.time_of("detached", container)
    return {ROUTE: "v4" in at_once, ADDRESS6: "v6" in at_once, STAYS: "v6" in later}


def _rate(contestant: str, measure: str) -> Callable[[Samples], float]:
    """Return a reading: how many of a hundred."""

    def reading(samples: Samples) -> float:
        found = samples.values(Key(NAME, contestant, measure))
        return 100 * sum(found) / len(found)

    return reading


TARGETS = tuple(
    Target(f"`docker run`, early attach, {beside}, {cgroups}: {measure}, of 100",
           _rate(f"{beside}, {cgroups}", measure), must, 100, at_least=True)
    for cgroups in CGROUPS
    for beside, must in zip(BESIDE, (99, 95), strict=True)
    for measure in (ROUTE, ADDRESS6, STAYS)
)  # fmt: skip
