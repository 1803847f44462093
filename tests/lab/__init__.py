"""A private machine for each test that runs real container engines.

    command.py       one command: its result, its failure, the transcript
    requirements.py  what must be installed; missing skips, in CI it fails
    namespace.py     a network namespace to run, listen, connect and look in
    peer.py          the small server and client that traffic tests talk through
    bundle.py        the busybox rootfs and OCI bundles
    runtimes.py      runc and crun
    engines.py       podman and dockerd
    watcher.py       the watcher, as a service
    snapshot.py      what a machine looks like, for comparing before and after
    machine.py       the lab: all of the above, made and removed

A lab has its own network and mount namespaces, and writes to nothing outside
but a temporary directory and cgroups under its own name.
"""

from __future__ import annotations

from lab.command import CommandFailed, Result
from lab.engines import Docker, EngineContainer, Podman
from lab.machine import Lab
from lab.namespace import Namespace, Reply, Server, Unreachable
from lab.requirements import require
from lab.runtimes import Container, Runtime
from lab.snapshot import Snapshot
from lab.watcher import Watcher

__all__ = [
    "CommandFailed",
    "Container",
    "Docker",
    "EngineContainer",
    "Lab",
    "Namespace",
    "Podman",
    "Reply",
    "Result",
    "Runtime",
    "Server",
    "Snapshot",
    "Unreachable",
    "Watcher",
    "require",
]
