"""What the tests of registered runc and crun containers share.

A container is registered by the `ocinet` command, started by the runtime, and
judged by what the kernel shows and by who answers whom.
"""

from __future__ import annotations

import copy
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from hosts.command import CommandFailed
from hosts.engine.bundle import SLEEP
from hosts.lab.machine import OUTSIDE_V4

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosts.command import Result
    from hosts.engine.bundle import Bundle, Config
    from hosts.engine.runtimes import Container
    from hosts.lab.machine import Lab


# What an entrypoint sees and reaches before it has done anything else.
FIRST_LOOK = (
    "ip -4 -o addr show; echo //; ip route; echo //; "
    f"nc -w 2 {OUTSIDE_V4} 80 </dev/null; echo; echo //; cat /sys/class/net/lo/flags"
)
_BOTH_STAGES = "both"


def register(
    lab: Lab, container_id: str, *words: str, args: Sequence[str] = SLEEP, stage: str = ""
) -> Bundle:
    """Make a bundle and register it with `ocinet hooks add`.

    Args:
        lab: where.
        container_id: that it is meant for.
        words: of the command, after the bundle.
        args: the entrypoint.
        stage: "" for the command's default, or a stage, or "both".
    """
    bundle = lab.bundle(container_id, args=args)
    given = ("--stage", stage) if stage not in ("", _BOTH_STAGES) else ()
    lab.ocinet("hooks", "add", str(bundle.path), *words, *given)
    if stage == _BOTH_STAGES:
        bundle.edit(_add_prestart)
    return bundle


def _add_prestart(config: Config) -> None:
    entry = copy.deepcopy(config["hooks"]["createRuntime"][-1])
    entry["args"][-1] = "prestart"
    config["hooks"]["prestart"] = [entry]


def in_sandbox(bundle: Bundle, path: str) -> None:
    """Let a registered bundle's container be started in a namespace that is there already."""

    def change(config: Config) -> None:
        namespaces = config["linux"]["namespaces"]
        (network,) = [namespace for namespace in namespaces if namespace["type"] == "network"]
        network["path"] = path

    bundle.edit(change)


def start(
    lab: Lab, runtime: str, container_id: str, *words: str, args: Sequence[str] = SLEEP
) -> Container:
    """Register a bundle and run a container of it."""
    return lab.runtime(runtime).run(register(lab, container_id, *words, args=args))


def stop(container: Container) -> None:
    """End a container as its operator would: kill, then delete, which runs poststop."""
    container.kill()
    container.delete(force=False)


def failures(lab: Lab) -> list[str]:
    """Return the errors that the event log tells of."""
    return [event["error"] for event in lab.all_events() if "error" in event]


def refused(lab: Lab, runtime: str, bundle: Bundle) -> str:
    """Try to start a container; return the one line that says why it can't be.

    It must be in the event log. runc repeats it on its stderr, crun drops it.
    """
    before = len(failures(lab))
    with pytest.raises(CommandFailed) as caught:
        lab.runtime(runtime).run(bundle)
    told = failures(lab)[before:]
    assert len(set(told)) == 1, f"{bundle.id}: {told}"
    if runtime == "runc":
        shown = re.search(r"stderr: ocinet: (.*?)\\n", caught.value.result.stderr)
        assert shown, caught.value.result.stderr
        assert shown[1].replace(r"\"", '"') == told[0]
    return told[0]


def run_hook(
    lab: Lab,
    bundle: Bundle,
    stage: str,
    state: dict[str, Any] | str,
    *,
    cwd: str = "/",
    env: Sequence[str] | None = None,
) -> Result:
    """Run a registered hook as a runtime does, with a state of one's own.

    Args:
        lab: where.
        bundle: whose registration.
        stage: of it.
        state: the document, or the text in its place.
        cwd: where it runs.
        env: in place of the registered environment, as `NAME=value`.
    """
    (entry,) = bundle.config["hooks"][stage]
    environment = entry["env"] if env is None else env
    text = state if isinstance(state, str) else json.dumps(state)
    words = ("env", "-i", *environment, entry["path"], *entry["args"][1:])
    return lab.run(*words, stdin=text, check=False, cwd=cwd)


def state_of(container: Container, status: str = "creating") -> dict[str, Any]:
    """Return the state that a runtime hands to a hook of a live container."""
    return {
        "ociVersion": "1.0.2-dev",
        "id": container.id,
        "status": status,
        "pid": container.pid,
        "bundle": str(container.bundle.path),
        "annotations": container.bundle.config.get("annotations", {}),
    }


def stopped_state(container_id: str, bundle: str) -> dict[str, Any]:
    """Return the state that a poststop hook gets."""
    return {"ociVersion": "1.0.2-dev", "id": container_id, "status": "stopped", "bundle": bundle}


def netns_names(lab: Lab) -> list[str]:
    """Return what `ip netns` lists."""
    return sorted(line.split()[0] for line in lab.run("ip", "netns", "list").stdout.splitlines())


def host_ends(lab: Lab) -> list[str]:
    """Return the host ends of our veth pairs, as the kernel has them."""
    return sorted(name for name in lab.links() if re.fullmatch(r"oc[0-9a-f]{13}", name))


def link_index(container: Container, ifname: str = "eth0") -> int:
    """Return the index of the host end that a container's interface is tied to."""
    return int(container.namespace.links()[ifname]["link_index"])
