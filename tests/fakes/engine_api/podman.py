"""Podman as its `system service` shows it: lives, and who is told what."""

from __future__ import annotations

import contextlib
import re
from fractions import Fraction
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from fakes.engine_api import podman_shapes
from fakes.engine_api.container import KILLED, FakeContainer
from fakes.engine_api.engine import FakeEngine
from fakes.engine_api.queries import has_label, told_labels
from fakes.engine_api.values import (
    BRIDGE,
    DEFAULT,
    HOST,
    NONE,
    SHARED,
    Endpoint,
    Network,
    Refused,
    Spec,
)
from fakes.engine_api.versions import OLDEST, PODMANS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from fakes.engine_api.events import Event
    from fakes.engine_api.inits import Init
    from fakes.engine_api.queries import Filters
    from fakes.engine_api.server import Asked, Reply
    from fakes.engine_api.values import Image

_DEFAULT_NETWORK = "podman"
_DIED = "died"
_SHOWN_AS = {_DIED: "die"}
_LIBPOD_ROUTES = {
    "libpod inspect": re.compile(r"/libpod/containers/([^/]+)/json"),
    "libpod image": re.compile(r"/libpod/images/(.+)/json"),
}
_NOT_FOUND = "OCI runtime attempted to invoke a command that was not found"
_FILTERS = ("type", "event", "label", "container", "image", "pod", "volume")
_ATTRIBUTES = ("exitCode", "containerExitCode")  # neither a signal nor an old name


class PodmanContainer(FakeContainer):
    """A container of podman's, as its API's clients make and use it.

    The command line tells a little less: its `stop` no stop, for one.
    """

    engine: FakePodman

    def __init__(self, engine: FakePodman, name: str, spec: Spec, image: Image) -> None:
        super().__init__(engine, name, spec, image)
        self.was_started = False
        self.is_cleaned_up = True
        mode = spec.network_mode
        if mode in (BRIDGE, DEFAULT):
            self.endpoints[_DEFAULT_NETWORK] = Endpoint(engine.networks[_DEFAULT_NETWORK])
        elif mode not in (NONE, HOST) and not mode.startswith(SHARED):
            self.endpoints[mode] = Endpoint(engine._find_network(mode))

    @property
    def image_name(self) -> str:
        """Its image's name, in full."""
        return f"localhost/{self.image.name}:latest"

    def start(self, init: Init | None = None) -> None:
        """Start it, and the container before whose network it shares, if that does not run."""
        if self.owner and not self.owner.runs:
            self.owner.restart()
        super().start(init)

    def fail_to_start(self) -> None:
        """Try to start it, and fail: cleanup, and no init, start or die."""
        with self.busy, self.engine.lock:
            self._check_start()
            self._tell("cleanup")
            if self.engine.says.keeps_start_error:
                self.error = f"{self.spec.runtime}: no such file: {_NOT_FOUND}"
        if self.spec.auto_remove:
            self.remove()

    @contextlib.contextmanager
    def _death(self, exit_code: int) -> Iterator[None]:
        """Tell of the death; it is cleaned up, and its endpoints go, after the block."""
        with self.busy:
            self._end_init()
            with self.engine.lock:
                self.status, self.exit_code = "exited", exit_code
                self.is_cleaned_up = False
                self.finished_ns = self.engine.log.stamp()
                self._tell(_DIED, exitCode=str(exit_code), containerExitCode=str(exit_code))
            yield
            with self.engine.lock:
                self.is_cleaned_up = True
                for endpoint in self.endpoints.values():
                    endpoint.down()

    def _follow_death(self, exit_code: int) -> None:
        if self.spec.auto_remove:
            self.remove()
        elif self._restarts(exit_code):
            self.restart_count += 1
            self.restart()
        elif self.status == "exited":
            self._tell("cleanup")

    def _restarts(self, exit_code: int) -> bool:
        if self.ended_by_user:
            return False
        if self.spec.restart == "on-failure":
            left = not self.spec.restarts_max or self.restart_count < self.spec.restarts_max
            return exit_code != 0 and left
        return self.spec.restart in ("always", "unless-stopped")

    def stop(self, exit_code: int | None = None) -> None:
        """Stop it: stop, die, cleanup."""
        if not self.runs:
            return
        self.ended_by_user = True
        self._tell("stop")
        self.die(KILLED if exit_code is None else exit_code)

    def restart(self) -> None:
        """Tell of the restart, stop it if it runs, and start it."""
        self._tell("restart")
        if self.runs:
            self.ended_by_user = True
            self.die(KILLED)
        with self.starting():
            pass

    def remove(self, *, force: bool = False) -> None:
        """Remove it: with force die, then remove.

        Raises:
            Refused: it runs, and there is no force, or others share its network.
        """
        if self.runs and not force:
            raise Refused(
                self.engine.conflict, f"cannot remove container {self.id} as it is running"
            )
        with self.engine.lock:
            if any(
                container.owner is self for container in self.engine.made() if container is not self
            ):
                raise Refused(self.engine.conflict, f"container {self.id} has dependent containers")
        if self.runs:
            self.ended_by_user = True
            with self.dying(KILLED):
                self.status = "removing"
        if self.id in self.engine.containers:
            with self.engine.lock:
                del self.engine.containers[self.id]
                self._tell("remove")

    def connect(self, network: str) -> None:
        """Connect it by hand, which is told by no event.

        Raises:
            Refused: its network is none, host or another container's.
        """
        if not self.endpoints:
            raise Refused(500, f'"{self.spec.network_mode}" is not supported: invalid network mode')
        with self.engine.lock:
            endpoint = Endpoint(self.engine._find_network(network))
            self.endpoints[endpoint.network.name] = endpoint
            if self.runs:
                endpoint.up()

    def disconnect(self, network: str) -> None:
        """Disconnect it by hand, which is told by no event."""
        with self.engine.lock:
            self.endpoints.pop(network).down()

    def _begin_start(self) -> None:
        for endpoint in self.endpoints.values():
            endpoint.up()

    def _finish_start(self) -> None:
        self.was_started = True
        self._tell("init")
        self._tell("start")

    def _checkpoint(self) -> None:
        """Do nothing: its list shows everything as it is."""

    def _tell(self, action: str, **attributes: str) -> None:
        kept = {key: text for key, text in attributes.items() if key in _ATTRIBUTES}
        told = {
            "containerExitCode": "0", "image": self.image_name, "name": self.name,
            "podId": self.spec.pod, **self.labels, **kept,
        }  # fmt: skip
        action = _SHOWN_AS.get(action, action)
        self.engine.emit({
            "status": action, "id": self.id, "from": self.image_name,
            "Type": "container", "Action": action, "Actor": {"ID": self.id, "Attributes": told},
        })  # fmt: skip

    def _tell_exec(self, command: str) -> None:  # noqa: ARG002  # it does not tell which
        self._tell("exec")
        self._tell("exec_died")

    def listed(self) -> dict[str, Any]:
        """Return its item of `GET /containers/json`."""
        return podman_shapes.listed(self)

    def inspected(self) -> dict[str, Any]:
        """Return `GET /containers/ID/json`."""
        return podman_shapes.inspected(self)


class FakePodman(FakeEngine):
    """A podman service.

    Containers do not need it: they start, live and die while it does not run, and
    who listens later with `since` is told.

    Args:
        path: of its socket.
        inits: gives each start its first process; numbers that are nobody's by
            default.
        kept: how many events its log keeps; None: all.
        version: that it is of, a key of `versions.PODMANS`.

    Attributes:
        says: what its version does in its own way.
    """

    kind = "podman"
    conflict = 500
    _bad_filter_status = 500
    _missing = {  # noqa: RUF012  # read only
        "container": 'no container with name or ID "{}" found: no such container',
        "image": "failed to find image {0}: docker.io/library/{0}: No such image",
        "network": "unable to find network with name or ID {}: network not found",
    }

    def __init__(
        self,
        path: str,
        inits: Callable[[str], Init] | None = None,
        *,
        kept: int | None = None,
        version: str = OLDEST["podman"],
    ) -> None:
        super().__init__(path, inits, kept)
        self.version, self.says = version, PODMANS[version]
        self.kill_conflict = self.says.kill_conflict
        self.add_network(Network(_DEFAULT_NETWORK, "bridge", IPv4Network("10.88.0.0/16")))

    def made(self) -> list[PodmanContainer]:
        """Return its containers, the oldest first."""
        return [
            container
            for container in self.containers.values()
            if isinstance(container, PodmanContainer)
        ]

    def _make(self, name: str, spec: Spec, image: Image) -> FakeContainer:
        return PodmanContainer(self, name, spec, image)

    def _routes(self) -> Mapping[str, re.Pattern[str]]:
        return {**_LIBPOD_ROUTES, **super()._routes()}

    def _answer(
        self, endpoint: str, argument: str, asked: Asked, gone: Callable[[], bool]
    ) -> Reply:
        if endpoint == "libpod inspect":
            return self._inspect(argument, FakePodman._show_libpod, gone)
        if endpoint == "libpod image":
            return self._send(podman_shapes.libpod_image(self._find_image(argument)))
        if endpoint == "list":
            for container in self.made():
                self._take(container, gone).release()
        return super()._answer(endpoint, argument, asked, gone)

    def _show_libpod(self, container: FakeContainer) -> dict[str, Any]:
        assert isinstance(container, PodmanContainer)
        return podman_shapes.libpod_inspected(container)

    def _version(self) -> dict[str, Any]:
        return podman_shapes.version(self.says)

    def _info(self) -> dict[str, Any]:
        return podman_shapes.info(self)

    def _show_image(self, image: Image) -> dict[str, Any]:
        return podman_shapes.image(image)

    def _show_network(self, network: Network, *, whole: bool) -> dict[str, Any]:
        return podman_shapes.network(network, self.made() if whole else ())

    def _filter(self, filters: Filters) -> Callable[[Event], bool]:
        """Return the filters of events, by podman's own names: "died", and before 5 not "die".

        With a filter that podman does not know, nothing is told.
        """
        known = all(name in _FILTERS for name in filters)

        def accepts(event: Event) -> bool:
            action = event["Action"]
            names = {_DIED if action == _SHOWN_AS[_DIED] else action}
            if self.says.knows_die:
                names.add(action)
            return (
                known
                and ("type" not in filters or event["Type"] in filters["type"])
                and ("event" not in filters or bool(names & set(filters["event"])))
                and all(has_label(told_labels(event), label) for label in filters.get("label", ()))
            )

        return accepts

    def _parse_time(self, text: str | None) -> int | None:
        """Return nanoseconds, of which podman takes a float's as true."""
        return round(Fraction(float(text)) * 10**9) if text else None

    def _headers(self) -> dict[str, str]:
        return {
            "Api-Version": self.says.api,
            "Libpod-Api-Version": self.says.version,
            "Server": f"Libpod/{self.says.version} (linux)",
        }

    def _error(self, refused: Refused) -> dict[str, Any]:
        message = str(refused)
        cause = message.rpartition(": ")[2]
        return {"cause": cause, "message": message, "response": refused.status}
