"""Docker as dockerd shows itself: containers' lives, and who is told what."""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Any

from fakes.engine_api import docker_shapes
from fakes.engine_api.container import KILLED, FakeContainer
from fakes.engine_api.engine import FakeEngine
from fakes.engine_api.queries import has_label, parse_seconds, told_labels
from fakes.engine_api.values import (
    BRIDGE,
    DEFAULT,
    HOST,
    NONE,
    Endpoint,
    Network,
    Refused,
    Spec,
    new_id,
)
from fakes.engine_api.versions import DOCKERS, OLDEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakes.engine_api.events import Event
    from fakes.engine_api.inits import Init
    from fakes.engine_api.queries import Filters
    from fakes.engine_api.values import Image

_RING = 256
_FUZZY = ("health_status", "exec_create", "exec_start")
_RESTARTS = ("always", "unless-stopped")


class DockerContainer(FakeContainer):
    """A container of Docker's.

    The list shows it as it was when Docker last wrote it down, which is some
    time after it tells of a death; inspect shows it as it is.
    """

    engine: FakeDocker

    def __init__(self, engine: FakeDocker, name: str, spec: Spec, image: Image) -> None:
        super().__init__(engine, name, spec, image)
        self._listed: dict[str, Any] = {}
        if not self.shared_with:
            network = BRIDGE if spec.network_mode == DEFAULT else spec.network_mode
            known = engine.networks.get(network) or Network(network, "unknown")
            self.endpoints[network] = Endpoint(known)

    def fail_to_start(self) -> None:
        """Try to start it, and fail: connect, disconnect, and no start and no die."""
        says = self.engine.says
        with self.busy, self.engine.lock:
            self._check_start()
            self._begin_start()
            if not says.connects_late:
                self._checkpoint()  # what the list shows from now on has the endpoint
            self.error = f"{says.start_error}: no such file"
            self.exit_code = 127
            self._release()
            if says.connects_late:
                self.sandbox_id = ""
                for endpoint in self.endpoints.values():
                    endpoint.network_id = ""
        if self.spec.auto_remove:
            self.remove()

    @contextlib.contextmanager
    def _death(self, exit_code: int) -> Iterator[None]:
        """Tell of the death, and, after the block if that is its way, write it down."""
        told = self.engine.serves  # else nobody ever hears of it
        first = self.engine.says.releases_first
        status = "restarting" if told and self._restarts(exit_code) else "exited"
        with self.busy:
            self._end_init()
            with self.engine.lock:
                self.status, self.exit_code = status, exit_code
                self.finished_ns = self.engine.log.stamp()
                if first:
                    self._write_down()
                if told:
                    self._tell("die", exitCode=str(exit_code))
            yield
            if not first:
                with self.engine.lock:
                    self._write_down()

    def _write_down(self) -> None:
        self._release()
        self._checkpoint()

    def _follow_death(self, exit_code: int) -> None:  # noqa: ARG002  # its status tells
        if self.status == "restarting":
            self.restart_count += 1
            self.start()
        elif self.spec.auto_remove and self.status == "exited" and self.engine.serves:
            self.remove()

    def _restarts(self, exit_code: int) -> bool:
        if self.ended_by_user or self.spec.auto_remove:
            return False
        if self.spec.restart == "on-failure":
            left = not self.spec.restarts_max or self.restart_count < self.spec.restarts_max
            return exit_code != 0 and left
        return self.spec.restart in _RESTARTS

    def stop(self, exit_code: int | None = None) -> None:
        """Stop it: kill{15}, perhaps kill{9}, die, disconnect, stop."""
        if not self.runs:
            return
        self.ended_by_user = True
        with self.engine.lock:
            self._tell("kill", signal="15")
            if exit_code is None:
                self._tell("kill", signal="9")
        self.die(KILLED if exit_code is None else exit_code)
        if self.id in self.engine.containers:
            with self.engine.lock:
                self._tell("stop")

    def restart(self) -> None:
        """Stop it if it runs, start it, and tell of the restart."""
        self.stop()
        self.start()
        with self.engine.lock:
            self._tell("restart")

    def remove(self, *, force: bool = False) -> None:
        """Remove it: with force kill{9}, die, disconnect, then destroy.

        Raises:
            Refused: it runs, and there is no force.
        """
        if self.runs and not force:
            raise Refused(409, f"You cannot remove a running container {self.id}.")
        if self.runs:
            self.ended_by_user = True
            with self.engine.lock:
                self._tell("kill", signal="9")
            with self.dying(KILLED):
                self.status = "removing"
        if self.id in self.engine.containers:
            with self.engine.lock:
                del self.engine.containers[self.id]
                self.status = "removing"
                self._tell("destroy")

    def connect(self, network: str) -> None:
        """Connect it by hand; what does not run has no event of it before its start.

        Raises:
            Refused: it is in none, host or another container's.
        """
        with self.engine.lock:
            alone = (NONE, HOST)
            if self.shared_with or any(network in self.endpoints for network in alone):
                why = "container cannot be connected to multiple networks with one of them private"
                raise Refused(400, why)
            endpoint = Endpoint(self.engine._find_network(network))
            self.endpoints[endpoint.network.name] = endpoint
            if self.runs:
                self._connect(endpoint)
            self._checkpoint()

    def disconnect(self, network: str) -> None:
        """Disconnect it by hand; of what runs it is told twice, before version 28."""
        with self.engine.lock:
            endpoint = self.endpoints.pop(self.engine._find_network(network).name)
            for _ in range(self.runs + self.engine.says.disconnects_twice):
                self._tell_network("disconnect", endpoint)
            endpoint.down()
            self._checkpoint()

    def _begin_start(self) -> None:
        for endpoint in self.endpoints.values():
            self._bring_up(endpoint)
            if not self.engine.says.connects_late:
                self._tell_network("connect", endpoint)
        if not self.shared_with:
            self.sandbox_id = new_id()

    def _connect(self, endpoint: Endpoint) -> None:
        self._bring_up(endpoint)
        self._tell_network("connect", endpoint)

    def _bring_up(self, endpoint: Endpoint) -> None:
        if endpoint.network.name not in self.engine.networks:
            raise Refused(404, f"network {endpoint.network.name} not found")
        endpoint.up()

    def _finish_start(self) -> None:
        if self.engine.says.connects_late:
            for endpoint in self.endpoints.values():
                self._tell_network("connect", endpoint)
        self._checkpoint()
        self._tell("start")

    def _release(self) -> None:
        for endpoint in self.endpoints.values():
            if endpoint.id:
                if self.engine.serves:
                    self._tell_network("disconnect", endpoint)
                endpoint.down()

    def _checkpoint(self) -> None:
        self._listed = docker_shapes.listed(self)

    def _tell(self, action: str, **attributes: str) -> None:
        told = {**self.labels, "image": self.spec.image, "name": self.name, **attributes}
        self.engine.emit({
            "status": action, "id": self.id, "from": self.spec.image,
            "Type": "container", "Action": action, "Actor": {"ID": self.id, "Attributes": told},
        })  # fmt: skip

    def _tell_network(self, action: str, endpoint: Endpoint) -> None:
        network = endpoint.network
        told = {"container": self.id, "name": network.name, "type": network.driver}
        self.engine.emit({
            "Type": "network", "Action": action,
            "Actor": {"ID": network.id, "Attributes": told},
        })  # fmt: skip

    def _tell_exec(self, command: str) -> None:
        exec_id = new_id()
        self._tell(f"exec_create: {command}", execID=exec_id)
        self._tell(f"exec_start: {command}", execID=exec_id)
        self._tell("exec_die", execID=exec_id, exitCode="0")

    def listed(self) -> dict[str, Any]:
        """Return its item of `GET /containers/json`, as it was written down last."""
        return self._listed

    def inspected(self) -> dict[str, Any]:
        """Return `GET /containers/ID/json`."""
        return docker_shapes.inspected(self)


class FakeDocker(FakeEngine):
    """A dockerd.

    Args:
        path: of its socket.
        inits: gives each start its first process; numbers that are nobody's by
            default.
        ring: how many events, of all types, it keeps while it runs.
        version: that it is of, a key of `versions.DOCKERS`.

    Attributes:
        says: what its version does in its own way.
        cgroup_driver: cgroupfs or systemd, as its info says.
        cgroup_version: "1" or "2", as its info says.
        live_restore: whether containers outlive it when it quits.
    """

    kind = "docker"
    _missing = {  # noqa: RUF012  # read only
        "container": "No such container: {}",
        "network": "network {} not found",
    }

    def __init__(
        self,
        path: str,
        inits: Callable[[str], Init] | None = None,
        *,
        ring: int = _RING,
        version: str = OLDEST["docker"],
    ) -> None:
        super().__init__(path, inits, ring)
        self.version, self.says = version, DOCKERS[version]
        self._missing = {**self._missing, "image": self.says.no_image}
        self.cgroup_driver, self.cgroup_version = "cgroupfs", "1"
        self.live_restore = False
        self._stopped_by_quit: list[FakeContainer] = []
        self.add_network(Network(NONE, "null"))
        self.add_network(Network(HOST, "host"))
        options = {
            "com.docker.network.bridge.default_bridge": "true",
            "com.docker.network.bridge.name": "docker0",
        }
        self.add_network(Network(BRIDGE, "bridge", IPv4Network("172.17.0.0/16"), options))

    def create_build_step(self, image: str = "busybox", **options: Any) -> FakeContainer:
        """Create what the classic builder creates for one RUN of a Dockerfile."""
        marks: dict[str, Any] = {
            "image": f"sha256:{self.images[image].id}",
            "command": ("/bin/sh", "-c", "true"),
            "log_driver": "none",
            "healthcheck": {"Test": ["NONE"]},
        }
        return self.create(**(marks | options))

    def boot(self) -> None:
        """Start it: first the containers that it is to restart, and then its socket.

        Of what it told before it was stopped, nothing is known any more.
        """
        self.log.forget()
        self.serves = True
        for container in self._stopped_by_quit:
            if container.id in self.containers:
                container.start()
        self._stopped_by_quit.clear()
        super().boot()

    def quit(self) -> None:
        """Stop it as by SIGTERM: it stops its containers, tells of that, and ends."""
        if not self.live_restore:
            for container in list(self.containers.values()):
                if container.runs:
                    container.stop()
                    if container.spec.restart in _RESTARTS:
                        self._stopped_by_quit.append(container)
        super().quit()

    def _make(self, name: str, spec: Spec, image: Image) -> FakeContainer:
        return DockerContainer(self, name, spec, image)

    def _version(self) -> dict[str, Any]:
        return docker_shapes.version(self.says)

    def _info(self) -> dict[str, Any]:
        return docker_shapes.info(self)

    def _show_image(self, image: Image) -> dict[str, Any]:
        return docker_shapes.image(image)

    def _show_network(self, network: Network, *, whole: bool) -> dict[str, Any]:
        return docker_shapes.network(network, self.containers.values() if whole else ())

    def _filter(self, filters: Filters) -> Callable[[Event], bool]:
        """Return the filters of events; names that Docker does not know do nothing."""

        def accepts(event: Event) -> bool:
            if "type" in filters and event["Type"] not in filters["type"]:
                return False
            action = event["Action"]
            actions = filters.get("event")
            if actions and set(actions) & set(_FUZZY):
                action = action.partition(":")[0]
            if actions and action not in actions and event["Action"] not in actions:
                return False
            labels = told_labels(event)
            return all(has_label(labels, label) for label in filters.get("label", ()))

        return accepts

    def _parse_time(self, text: str | None) -> int | None:
        try:
            return parse_seconds(text) if text else None
        except ValueError:
            why = f'strconv.ParseInt: parsing "{text}": invalid syntax'
            raise Refused(500, why) from None

    def _headers(self) -> dict[str, str]:
        return {"Api-Version": self.says.api, "Server": f"Docker/{self.says.version}"}

    def _error(self, refused: Refused) -> dict[str, Any]:
        return {"message": str(refused)}
