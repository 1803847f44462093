"""What the tests of podman share: podman with the hooks installed, images, what is recorded.

The hooks are installed with `ocinet hooks install --podman` and found by podman
itself, at its usual places in the lab: no test but one says `--hooks-dir`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.engine.container import IMAGE, EngineContainer
from hosts.engine.versions import version_of
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hosts.command import Result
    from hosts.engine.podman import Podman
    from hosts.lab.machine import Lab

HOOKS_DIR = "/etc/containers/oci/hooks.d"
UP_HOOK = f"{HOOKS_DIR}/50-ocinet-createRuntime.json"
DOWN_HOOK = f"{HOOKS_DIR}/50-ocinet-poststop.json"
POD_HOOK = f"{HOOKS_DIR}/50-ocinet-pod-poststop.json"
DROP_IN = "/etc/containers/containers.conf.d/50-ocinet.conf"


def copied_over(*names: str) -> list[str]:
    """Return which of an image's annotations podman puts into a container's: 5 none of them."""
    return sorted(names) if version_of("podman") < (5, 0) else []


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


def keys(**given: str) -> tuple[str, ...]:
    """Spell podman's options for some of our keys: `keys(net="lan", ip="10.9.0.5")`.

    podman 4 reads `--annotation` as CSV, so what has a comma is quoted for it; 5 does not.
    """
    pairs = [f"ocinet.{key}={text}" for key, text in given.items()]
    is_csv = version_of("podman") < (5, 0)
    return tuple(
        f'--annotation="{pair}"' if "," in pair and is_csv else f"--annotation={pair}"
        for pair in pairs
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


def wait_for_events(lab: Lab, kind: str, number: int, timeout_s: float = 15) -> None:
    """Wait for what podman does by itself when a container ends."""
    wait_until(
        lambda: len(lab.events(kind)) >= number,
        f"{number} times {kind!r} in the event log",
        timeout_s=timeout_s,
        interval_s=0.1,
    )


def why_not(lab: Lab, refused: Result, runtime: str) -> str:
    """Return what the operator is told of a container that was not started.

    runc repeats the hook's line; crun throws it away, so it is in the event log.
    """
    assert refused.status in (125, 126, 127), refused
    logged = [event["error"] for event in lab.all_events() if "error" in event]
    assert len(logged) == 1, logged
    told = str(logged[0])
    if runtime == "runc":
        assert told in refused.stderr
    else:
        assert "executing hook" in refused.stderr
    return told
