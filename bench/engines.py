"""What `start` and `rm --force` of a container take, the engine's whole command.

In each round every contestant creates, starts, asks and removes one container for
each number of published ports, all in random order. Only `start` and `rm` are
timed; in between each published port must answer, and the next begins when ocinet
has done what it does afterwards. Of ocinet's contestants it is recorded, too, when
the network was there, by its event log: in ms from the entrypoint's first
instruction, so below zero it was first.
"""

from __future__ import annotations

import random
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from engine_contestants import start_contestants
from machine import ADDRESS, SETTLE_S, Machine, make_image, remove_cgroups, wait_until
from samples import Key, Sample, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine_contestants import Contestant
    from samples import Samples

NAME = "engines"
PORTS = (0, 1, 10)
_LATE = ("Docker at start", "Podman watcher")  # shown for when the network is there, only
_ROUNDS, _QUICK_ROUNDS = 20, 6
# Apart from each other: podman makes one rule of a range of adjacent ones.
_OUTER, _INNER, _APART = 8000, 80, 10
_SCRIPT = "/serve"
# The first port's server is the one that stays.
_SERVE = f"""\
echo $EPOCHREALTIME
for port in 1 2 3 4 5 6 7 8 9; do
    httpd -h / -p $(({_INNER} + port))
done
exec httpd -f -h / -p {_INNER}
"""


def run(record: Callable[[Sample], None], *, quick: bool) -> None:
    """Have every contestant start and remove containers."""
    compare(start_contestants(), _QUICK_ROUNDS if quick else _ROUNDS, record)


def compare(
    contestants: Sequence[Contestant], rounds: int, record: Callable[[Sample], None]
) -> None:
    """Have contestants start and remove a container each, in each round.

    Args:
        contestants: each gets a machine of its own.
        rounds: how many.
        record: gets the samples.
    """
    with ExitStack() as stack:
        stack.callback(remove_cgroups)
        directory = Path(stack.enter_context(TemporaryDirectory()))
        image = make_image(directory, {_SCRIPT.strip("/"): _SERVE})
        for one in contestants:
            one.prepare(stack.enter_context(Machine()), image)
            _Life(one, _ports(one)[-1])  # the first makes bridges, tables and cgroups
        lives = [(one, ports) for one in contestants for ports in _ports(one)]
        for _ in range(rounds):
            for one, ports in random.sample(lives, len(lives)):
                life = _Life(one, ports)
                record(Sample(NAME, one.name, "start", ports, life.start_ms, "ms"))
                record(Sample(NAME, one.name, "rm", ports, life.remove_ms, "ms"))
                if life.up_ms is not None:
                    record(Sample(NAME, one.name, "up", ports, life.up_ms, "ms"))


def _ports(one: Contestant) -> tuple[int, ...]:
    """Return with how many published ports a contestant's containers are started."""
    return PORTS[:1] if one.name in _LATE else PORTS


class _Life:
    """A container's life: it is created, started, asked and removed.

    Attributes:
        start_ms: what its start took.
        remove_ms: what its removal took.
        up_ms: from its entrypoint's first instruction to its network; None where
            only the engine knows.
    """

    def __init__(self, one: Contestant, ports: int) -> None:
        published = [(_OUTER + _APART * port, _INNER + port) for port in range(ports)]
        container = one.create(_SCRIPT, published)
        self.start_ms = one.time("start", container)
        self.up_ms = None
        if not one.is_bridge:
            up_s = one.time_of("attached", container)
            wait_until(lambda: bool(one("logs", container)), "its first word", SETTLE_S)
            self.up_ms = (up_s - float(one("logs", container))) * 1000
        for outer, _ in published:
            one.machine.run(
                "curl", "--silent", "--fail", "--output", "/dev/null", "--max-time", "5",
                "--retry", "20", "--retry-delay", "0", "--retry-connrefused",
                "--retry-max-time", "5", f"http://{ADDRESS}:{outer}{_SCRIPT}",
            )  # fmt: skip
        self.remove_ms = one.time(*one.removal, container)
        if not one.is_bridge:
            one.time_of("detached", container)


def _ratio(one: str, other: str, measure: str, ports: int) -> Callable[[Samples], float]:
    keys = [Key(NAME, name, measure, ports) for name in (one, other)]
    return lambda samples: samples.ratio(*keys)


def _targets(
    what: str, one: str, other: str, measure: str, bounds: dict[int, tuple[float, float]]
) -> tuple[Target, ...]:
    return tuple(
        Target(f"{what}: {ports} port{'s' if ports > 1 else ''}",
               _ratio(one, other, measure, ports), must, aim)
        for ports, (must, aim) in bounds.items()
    )  # fmt: skip


TARGETS = (
    *_targets("`docker start`, none + watcher / Docker's bridge", "Docker watcher",
              "Docker bridge", "start", {1: (0.9, 0.85), 10: (0.6, 0.55)}),
    *_targets("`docker rm -f`, none + watcher / Docker's bridge", "Docker watcher",
              "Docker bridge", "rm", {1: (0.8, 0.6), 10: (0.3, 0.15)}),
    *_targets("`docker start --runtime=ocinet`, none / Docker's bridge", "Docker wrapper",
              "Docker bridge", "start", {1: (1.05, 0.95), 10: (0.65, 0.6)}),
    *_targets("`podman start`, none + hook / netavark's bridge", "Podman hooks",
              "Podman bridge", "start", {1: (0.85, 0.75), 10: (0.5, 0.45)}),
)  # fmt: skip
