"""Fake container engines on a UNIX socket, to be driven and broken by tests.

    with FakeDocker("/tmp/x/docker.sock") as docker:
        web = docker.create("web", labels={"ocinet.net": "lan"})
        web.start()
        docker.faults.cut()
        web.kill()

`FakeDocker` speaks what `docker.APIClient` and the watcher ask of Docker's Engine
API 1.41, as dockerd 20.10, 26 or 28 answers it; `FakePodman` what the `system
service` of podman 4.3, 5.4 or 5.8 answers, its own API included: see `versions`. What
they answer and tell, and in which order, is held to the real ones by one suite,
`tests/engines/contract`.

They run as threads of the test's process. A container's life is the test's to
call: `create`, `start`, `die`, `kill`, `stop`, `restart`, `rename`, `pause`, `oom`,
`remove`, `connect`, `disconnect`, `fail_to_start`. Its first process is supplied by
the test too: a number that is nobody's (the default), or a process in a network
namespace, and a cgroup, of its own (`Sandboxes`).

Faults are switched at any moment: those of the stream and of the answers by
`engine.faults` (see `faults.Faults`), those of the whole engine by `engine.quit`,
`engine.crash` and `engine.boot`.
"""

from __future__ import annotations

from fakes.engine_api.container import FakeContainer
from fakes.engine_api.docker import FakeDocker
from fakes.engine_api.engine import FakeEngine
from fakes.engine_api.faults import ODD, Answer, Faults
from fakes.engine_api.inits import Init, Numbers, Sandboxes
from fakes.engine_api.podman import FakePodman
from fakes.engine_api.values import Image, Network, Refused
from fakes.engine_api.versions import DOCKERS, PODMANS

__all__ = [
    "DOCKERS",
    "ODD",
    "PODMANS",
    "Answer",
    "FakeContainer",
    "FakeDocker",
    "FakeEngine",
    "FakePodman",
    "Faults",
    "Image",
    "Init",
    "Network",
    "Numbers",
    "Refused",
    "Sandboxes",
]
