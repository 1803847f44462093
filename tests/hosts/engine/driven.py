"""Engines, real and fake, driven alike: what the contract suite is run against.

A `Driven` engine does as it is told by name and shows itself at its socket only.
The real ones run in a lab and are told by docker-py.
"""

from __future__ import annotations

import contextlib
import signal
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from fakes.engine_api import DOCKERS as DOCKER_VERSIONS
from fakes.engine_api import PODMANS as PODMAN_VERSIONS
from fakes.engine_api import Image
from hosts.engine.told import client_of, state_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.engine_api import FakeContainer, FakeEngine
    from fakes.engine_api.versions import DockerVersion, PodmanVersion
    from hosts.engine.told import State

DOCKERS = (*(f"fake-docker-{name}" for name in DOCKER_VERSIONS), "docker")
PODMANS = (*(f"fake-podman-{name}" for name in PODMAN_VERSIONS), "podman")
KINDS = DOCKERS + PODMANS
NOW_AND_THEN = ("cleanup", "stop")  # podman's, of several processes that race
BAD_COMMAND = ("/no/such",)
HUNGRY_COMMAND = ("sh", "-c", "x=a; while true; do x=$x$x; done")


class Driven(ABC):
    """An engine; its containers are known to it by name or id.

    What it refuses raises `Refused`, with the status that it answers with.

    Attributes:
        kind: docker or podman.
        path: of its socket, as a client here finds it.
        version: of it, or the one that it is expected to be like: a key of `DOCKERS` or
            `PODMANS` of `fakes.engine_api.versions`.
    """

    kind: str
    path: str
    version: str

    @property
    def docker(self) -> DockerVersion:
        """What its version of Docker does in its own way."""
        return DOCKER_VERSIONS[self.version]

    @property
    def podman(self) -> PodmanVersion:
        """What its version of podman does in its own way."""
        return PODMAN_VERSIONS[self.version]

    @property
    def removal(self) -> str:
        """What it tells when a container is removed."""
        return "destroy" if self.kind == "docker" else "remove"

    @abstractmethod
    def create(self, name: str, **options: Any) -> str:
        """Create a container of busybox; `options` are those of `Spec`; returns its id."""

    @abstractmethod
    def act(self, act: str, wanted: str, *words: str) -> None:
        """Do something to a container, as `act("rename", "web", "shop")`.

        Acts: start, kill, stop, restart, pause, unpause, rename, remove, rm_f, exec,
        connect, disconnect; die: its first process is killed from the host; oom: it
        takes more memory than it may have, as `HUNGRY_COMMAND` does; fail: a start
        that is refused, of one whose command is `BAD_COMMAND`.
        """

    @abstractmethod
    def starting(self, wanted: str) -> contextlib.AbstractContextManager[None]:
        """Start a container; the block runs while it is being started."""

    @abstractmethod
    def state_between_lives(self, wanted: str) -> State:
        """End a container's first process, and return its state before it is restarted."""

    @abstractmethod
    def add_image(self, name: str, labels: Mapping[str, str]) -> None:
        """Make an image that carries labels."""

    @abstractmethod
    def quit(self) -> None:
        """Stop the engine, as a service manager does."""

    @abstractmethod
    def crash(self) -> None:
        """Kill the engine."""

    @abstractmethod
    def boot(self) -> None:
        """Start the engine again."""


class Fake(Driven):
    """A fake engine."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.version = engine.version
        self.kind = engine.kind
        self.path = engine.path

    def _find(self, wanted: str) -> FakeContainer:
        found = self.engine.find(wanted)
        assert found, wanted
        return found

    def create(self, name: str, **options: Any) -> str:
        """Create a container."""
        return self.engine.create(name, **options).id

    def act(self, act: str, wanted: str, *words: str) -> None:
        """Do something to a container."""
        container = self._find(wanted)
        if act == "rm_f":
            container.remove(force=True)
        elif act == "die":
            container.die(128 + signal.SIGKILL)
        elif act == "fail":
            container.fail_to_start()
        else:
            getattr(container, act)(*words)

    def starting(self, wanted: str) -> contextlib.AbstractContextManager[None]:
        """Start a container."""
        return self._find(wanted).starting()

    def state_between_lives(self, wanted: str) -> State:
        """Return the state in between."""
        container = self._find(wanted)
        with contextlib.closing(client_of(self)) as api, container.between_lives(1):
            return state_of(api, wanted)

    def add_image(self, name: str, labels: Mapping[str, str]) -> None:
        """Make an image that carries labels."""
        self.engine.add_image(Image(name, labels))

    def quit(self) -> None:
        """Stop the engine."""
        self.engine.quit()

    def crash(self) -> None:
        """Kill the engine."""
        self.engine.crash()

    def boot(self) -> None:
        """Start the engine again."""
        self.engine.boot()
