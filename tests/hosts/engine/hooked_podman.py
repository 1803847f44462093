"""What the tests of podman share: podman with the hooks installed, images, what is recorded.

The hooks are installed with `ocinet hooks install --podman` and found by podman
itself, at its usual places in the lab: no test but one says `--hooks-dir`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hosts.engine.container import IMAGE, EngineContainer
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hosts.command import Result
    from hosts.engine.podman import Podman
    from hosts.lab.machine import Lab

HOOKS_DIR = "/etc/containers/oci/hooks.d"
UP_HOOK = f"{HOOKS_DIR}/50-ocinet-createRuntime.json"
DOWN_HOOK = f"{HOOKS_DIR}/50-ocinet-poststop.json"
DROP_IN = "/etc/containers/containers.conf.d/50-ocinet.conf"
LAN = "10.9.0"
each_runtime = pytest.mark.parametrize("runtime", ["runc", "crun"])


def install(lab: Lab, runtime: str, *words: str) -> Podman:
    """Return podman, having registered the hooks with it.

    Args:
        lab: where.
        runtime: runc or crun.
        words: more for `ocinet hooks install`.
    """
    podman = lab.podman(runtime)
    lab.ocinet("hooks", "install", "--podman", *words)
    return podman


def make_lan(lab: Lab, name: str = "lan", prefix: str = LAN, *words: str) -> None:
    """Define a network with the subnet PREFIX.0/24."""
    lab.ocinet("network", "create", "--subnet", f"{prefix}.0/24", *words, name)


def keys(**given: str) -> tuple[str, ...]:
    """Spell podman's options for some of our keys: `keys(net="lan", ip="10.9.0.5")`.

    podman 4 reads `--annotation` as CSV, so what has a comma is quoted for it.
    """
    pairs = [f"ocinet.{key}={text}" for key, text in given.items()]
    return tuple(
        f'--annotation="{pair}"' if "," in pair else f"--annotation={pair}" for pair in pairs
    )


def build(podman: Podman, tag: str, annotations: Mapping[str, str]) -> str:
    """Build an image whose manifest has these annotations, and return its name."""
    podman.lab.run("mkdir", "-p", "/run/lab/empty")
    words = [f"--annotation={key}={text}" for key, text in annotations.items()]
    containerfile = f"FROM {IMAGE}\n"
    podman.lab.run("tee", "/run/lab/Containerfile", stdin=containerfile)
    podman(
        "build", "--quiet", f"--tag={tag}", "--file=/run/lab/Containerfile", *words,
        "/run/lab/empty",
    )  # fmt: skip
    return f"localhost/{tag}"


def run_image(podman: Podman, image: str, *options: str) -> EngineContainer:
    """Start a container of an image without a network, as `Podman.run` does of busybox."""
    words = ("run", "--detach", "--network=none", *options, image, "sleep", "1000")
    return EngineContainer(podman(*words).stdout.strip(), podman)


def current(container: EngineContainer) -> EngineContainer:
    """Return the container as it is since its latest start: with that one's process."""
    return EngineContainer(container.id, container.engine)


def events(lab: Lab, kind: str = "") -> list[dict[str, Any]]:
    """Return what the event log has, of one kind or all."""
    told: list[dict[str, Any]] = lab.ocinet("events", "--json").json()
    return [event for event in told if kind in ("", event["event"])]


def records(lab: Lab) -> dict[str, dict[str, Any]]:
    """Return every record by its container's name, also those of the dead."""
    shown = lab.ocinet("ps", "--all", "--json").json()
    return {record["name"]: record for record in shown}


def wait_for_events(lab: Lab, kind: str, number: int, timeout_s: float = 15) -> None:
    """Wait for what podman does by itself when a container ends."""
    wait_until(
        lambda: len(events(lab, kind)) >= number,
        f"{number} times {kind!r} in the event log",
        timeout_s=timeout_s,
        interval_s=0.1,
    )


def why_not(lab: Lab, refused: Result, runtime: str) -> str:
    """Return what the operator is told of a container that was not started.

    runc repeats the hook's line; crun throws it away, so it is in the event log.
    """
    assert refused.status in (125, 126, 127), refused
    logged = [event["error"] for event in events(lab) if "error" in event]
    assert len(logged) == 1, logged
    told = str(logged[0])
    if runtime == "runc":
        assert told in refused.stderr
    else:
        assert "executing hook" in refused.stderr
    return told
