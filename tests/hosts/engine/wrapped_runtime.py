"""What the tests of the runtime wrapper share: engines that know it, and what must not change.

The launcher is installed by `ocinet runtime install` at its usual place: `/usr`
is the machine's own in a lab, so that place gets a file system of the lab's.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hosts.engine.container import IMAGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hosts.command import Result
    from hosts.engine.bundle import Bundle
    from hosts.engine.dockerd import Docker
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Namespace

LAUNCHER = "/usr/local/sbin/ocinet-runtime"
DAEMON_JSON = "/etc/docker/daemon.json"
UNDER = "--runtime=ocinet"

# Counters, and what the kernel itself changes with time or traffic.
_RESTLESS = re.compile(r"nf_conntrack_count|/tcp_fastopen_key|/stable_secret|/if_\w*count")


def install(lab: Lab, *words: str) -> Result:
    """Install the launcher in a lab; what else the command is told stands in `words`."""
    if not any(line.split()[4] == "/usr/local/sbin" for line in _mounts(lab)):
        lab.run("mount", "-t", "tmpfs", "-o", "mode=755", "sbin", "/usr/local/sbin")
        lab.baseline = lab.snapshot()
    return lab.ocinet("runtime", "install", *words)


def _mounts(lab: Lab) -> list[str]:
    return lab.run("cat", "/proc/self/mountinfo").stdout.splitlines()


@contextmanager
def docker_under_wrapper(lab: Lab, *words: str, runtime: str = "runc") -> Iterator[Docker]:
    """Yield a dockerd that has the runtime `ocinet` in its `daemon.json`.

    Args:
        lab: where it runs.
        words: more for `ocinet runtime install`.
        runtime: the real runtime.
    """
    install(lab, "--docker", "--runtime", runtime, *words)
    with lab.docker() as docker:
        yield docker


def labels(**given: str) -> tuple[str, ...]:
    """Spell docker's options for some of our keys: `labels(net="lan")`."""
    return tuple(f"--label=ocinet.{key}={text}" for key, text in given.items())


def say(docker: Docker, *options: str, command: Sequence[str], network: str = "none") -> str:
    """Run a container to its end and return what it printed."""
    words = ("run", "--rm", UNDER, f"--network={network}", *options, IMAGE, *command)
    return docker(*words).stdout


def everything_of(place: Namespace) -> dict[str, str]:
    """Return every address, link and `net.*` setting of a network namespace.

    Returns:
        The kernel's word by address, link or setting.
    """
    found: dict[str, str] = {}
    for line in place.run("grep", "-rs", ".", "/proc/sys/net", check=False).stdout.splitlines():
        key, _, value = line.partition(":")
        if not _RESTLESS.search(key):
            found[key] = f"{found.get(key, '')}{value}\n"
    for link in place.run("ip", "-j", "-d", "address").json():
        ifname = link["ifname"]
        found[f"link {ifname}"] = f"{link['link_type']} {link.get('address')} {link['flags']}"
        for info in link["addr_info"]:
            found[f"{ifname} {info.get('local')}/{info['prefixlen']}"] = str(info["scope"])
    assert len(found) > 100, "nothing was looked at"
    return found


def changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return what is not as it was."""
    keys = sorted(before.keys() | after.keys())
    return [
        f"{key}: {before.get(key)!r} -> {after.get(key)!r}"
        for key in keys
        if before.get(key) != after.get(key)
    ]


def call_runtime(
    lab: Lab, *words: str, cwd: str = "/", check: bool = True, env: dict[str, str] | None = None
) -> Result:
    """Call the launcher as a person would: without an engine, output to nowhere."""
    script = 'exec "$@" </dev/null >/dev/null'
    argv = ("sh", "-c", script, "sh", LAUNCHER, *words)
    return lab.run(*argv, cwd=cwd, check=check, env=env)


def state(lab: Lab, container_id: str) -> dict[str, Any]:
    """Return what the launcher's `state` says of a container; {} if it is not there."""
    shown = lab.run(LAUNCHER, "state", container_id, check=False)
    found: dict[str, Any] = json.loads(shown.stdout) if shown.status == 0 else {}
    return found


def annotations_of(bundle: Bundle) -> dict[str, str]:
    """Return a bundle's annotations as they are now."""
    found: dict[str, str] = bundle.config.get("annotations", {})
    return found
