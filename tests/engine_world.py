"""Engines, real and fake, driven alike: what the contract suite is run against.

A `Driven` engine does as it is told by name and shows itself at its socket only.
The real ones run in a lab and are told by docker-py.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import docker
from docker.errors import APIError, NotFound

from fakes.engine_api import FakeDocker, FakePodman, Image, Refused
from fakes.engine_api.model import Spec
from lab import Lab
from lab.engines import PODMAN_SOCKET
from lab.namespace import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pytest

    from fakes.engine_api import FakeContainer, FakeEngine
    from lab.engines import Docker, Podman
    from lab.namespace import Background

Document = dict[str, Any]
State = tuple[str, bool, bool, bool, int]  # Status, Running, Paused, Restarting; 1: has a pid
_LIVES = 5
DOCKERS, PODMANS = ("fake-docker", "docker"), ("fake-podman", "podman")
KINDS = DOCKERS + PODMANS
NOW_AND_THEN = ("cleanup", "stop")  # podman's, of several processes that race
PATIENCE_S = 15.0
BAD_COMMAND = ("/no/such",)
HUNGRY_COMMAND = ("sh", "-c", "x=a; while true; do x=$x$x; done")
_HOOKS = "/etc/containers/oci/hooks.d"
_HOOK = "/run/lab/wait-at-gate"
_GATE = "/run/lab/gate"
_WAIT_AT_GATE = f"""\
#!/bin/sh
[ -e {_GATE}-shut ] && touch {_GATE}-here
while [ -e {_GATE}-shut ]; do sleep 0.01; done
"""
_HOOKS_CONF = f'[engine]\nhooks_dir = ["{_HOOKS}"]\n'
_HOOK_JSON = {
    "version": "1.0.0",
    "hook": {"path": _HOOK, "timeout": 20},
    "when": {"always": True},
    "stages": ["createRuntime"],
}


class Driven(ABC):
    """An engine; its containers are known to it by name or id.

    What it refuses raises `Refused`, with the status that it answers with.

    Attributes:
        kind: docker or podman.
        path: of its socket, as a client here finds it.
    """

    kind: str
    path: str

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


class Real(Driven):
    """An engine in a lab, told by docker-py.

    Args:
        lab: where it runs.
        socket: its path there.
    """

    def __init__(self, lab: Lab, socket: str) -> None:
        self.lab = lab
        self.path = str(lab.path(socket))

    @contextlib.contextmanager
    def _told(self) -> Iterator[Any]:
        """Give a client, and turn what the engine refuses into `Refused`."""
        with contextlib.closing(client_of(self)) as api:
            try:
                yield api
            except APIError as error:
                status = error.response.status_code if error.response is not None else 0
                raise Refused(status, str(error.explanation)) from error

    def create(self, name: str, **options: Any) -> str:
        """Create a container."""
        spec = Spec(**options)
        host: Document = {
            "NetworkMode": spec.network_mode,
            "RestartPolicy": {"Name": spec.restart, "MaximumRetryCount": spec.restarts_max},
            "AutoRemove": spec.auto_remove,
            "PublishAllPorts": spec.publish_all,
            "CgroupParent": spec.cgroup_parent or self._cgroup_parent,
        }
        if spec.memory:
            host["Memory"] = spec.memory
        if spec.devices:
            host["DeviceRequests"] = [{"Driver": "cdi", "DeviceIDs": list(spec.devices)}]
        if spec.port_bindings is not None:
            host["PortBindings"] = dict(spec.port_bindings)
        if spec.log_driver != Spec().log_driver:
            host["LogConfig"] = {"Type": spec.log_driver}
        ports = (*spec.exposed, *(spec.port_bindings or ()))
        config: Document = {
            "Image": spec.image,
            "Cmd": list(spec.command),
            "Labels": dict(spec.labels),
            "ExposedPorts": {port: {} for port in ports},
            "StopTimeout": 1,  # nobody here obeys SIGTERM
            "HostConfig": host,
        }
        if spec.healthcheck:
            config["Healthcheck"] = dict(spec.healthcheck)
        with self._told() as api:
            return str(api.create_container_from_config(config, name)["Id"])

    _cgroup_parent = ""

    def act(self, act: str, wanted: str, *words: str) -> None:
        """Do something to a container."""
        with self._told() as api:
            acts: dict[str, Callable[[], object]] = {
                "stop": lambda: api.stop(wanted, timeout=0),
                "restart": lambda: api.restart(wanted, timeout=0),
                "remove": lambda: api.remove_container(wanted),
                "rm_f": lambda: api.remove_container(wanted, force=True),
                "fail": lambda: _fail(api, wanted),
                "die": lambda: _die(api, wanted),
                "oom": lambda: wait_until(
                    lambda: not runs(api, wanted), "its end", timeout_s=PATIENCE_S
                ),
                "exec": lambda: api.exec_start(api.exec_create(wanted, ["true"])["Id"]),
                "connect": lambda: api.connect_container_to_network(wanted, *words),
                "disconnect": lambda: api.disconnect_container_from_network(wanted, *words),
            }
            if act in acts:
                acts[act]()
            else:
                getattr(api, act)(wanted, *words)

    def state_between_lives(self, wanted: str) -> State:
        """Return the state in between; it may take several lives to catch it."""
        with self._told() as api:
            for _ in range(_LIVES):
                pid = api.inspect_container(wanted)["State"]["Pid"]
                os.kill(pid, signal.SIGKILL)
                while (inspected := api.inspect_container(wanted)["State"])["Pid"] == pid:
                    pass
                if not inspected["Pid"] and inspected["Status"] != "running":
                    return _state(inspected)
                wait_until(lambda: runs(api, wanted), "its restart", timeout_s=PATIENCE_S)
        raise AssertionError("it is always restarted at once")

    @contextlib.contextmanager
    def _starting_beside(self, wanted: str) -> Iterator[None]:
        """Start a container in a thread of its own, which must have ended after the block."""
        thread = threading.Thread(target=self.act, args=("start", wanted))
        thread.start()
        try:
            yield
        finally:
            thread.join(PATIENCE_S)


def _fail(api: Any, wanted: str) -> None:
    with contextlib.suppress(APIError):
        api.start(wanted)
        raise AssertionError("it did start")


def _die(api: Any, wanted: str) -> None:
    """Kill a container's first process, and wait until its engine has noticed."""
    pid = api.inspect_container(wanted)["State"]["Pid"]
    os.kill(pid, signal.SIGKILL)

    def has_ended() -> bool:
        try:
            return bool(api.inspect_container(wanted)["State"]["Pid"] != pid)
        except NotFound:
            return True

    wait_until(has_ended, "its end", timeout_s=PATIENCE_S)


class RealDocker(Real):
    """A dockerd of a lab's.

    Args:
        engine: running.
    """

    kind = "docker"

    def __init__(self, engine: Docker) -> None:
        super().__init__(engine.lab, engine.socket)
        self._engine = engine

    @contextlib.contextmanager
    def starting(self, wanted: str) -> Iterator[None]:
        """Start a container; the block begins when Docker tells of its network."""
        with Told(self) as told, self._starting_beside(wanted):
            told.wait_for(wanted, "connect(none)")
            yield

    def add_image(self, name: str, labels: Mapping[str, str]) -> None:
        """Make an image that carries labels."""
        changes = [f"--change=LABEL {key}={text}" for key, text in labels.items()]
        self._engine("import", *changes, str(self.lab.rootfs.with_suffix(".tar")), name)

    def quit(self) -> None:
        """Stop the engine."""
        self._engine.stop()

    def crash(self) -> None:
        """Kill the engine."""
        self._engine.kill()

    def boot(self) -> None:
        """Start the engine again."""
        self._engine.start()


class RealPodman(Real):
    """A podman service of a lab's, with a hook that can keep starts waiting.

    Args:
        podman: its command.
    """

    kind = "podman"

    def __init__(self, podman: Podman) -> None:
        super().__init__(podman.lab, PODMAN_SOCKET)
        self._podman = podman
        self._cgroup_parent = podman.lab.cgroup
        self._service: Background | None = None
        hooks = self.lab.path(_HOOKS)
        hooks.mkdir(parents=True, exist_ok=True)
        hook = self.lab.path(_HOOK)
        hook.write_text(_WAIT_AT_GATE)
        hook.chmod(0o755)
        (hooks / "gate.json").write_text(json.dumps(_HOOK_JSON))
        conf = self.lab.path("/etc/containers/containers.conf.d/01-hooks.conf")
        conf.write_text(_HOOKS_CONF)
        self.boot()

    def boot(self) -> None:
        """Start the service again."""
        self.lab.path(PODMAN_SOCKET).parent.mkdir(exist_ok=True)
        self._service = self._podman.serve()

    def quit(self) -> None:
        """Stop the service."""
        self._signal(signal.SIGTERM)

    def crash(self) -> None:
        """Kill the service."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        assert self._service
        self._service.process.send_signal(number)
        self._service.process.wait(PATIENCE_S)

    @contextlib.contextmanager
    def starting(self, wanted: str) -> Iterator[None]:
        """Start a container; the block runs while its hook waits."""
        gate, here = self.lab.path(f"{_GATE}-shut"), self.lab.path(f"{_GATE}-here")
        gate.touch()
        with self._starting_beside(wanted):
            try:
                wait_until(here.exists, "the hook", timeout_s=PATIENCE_S)
                yield
            finally:
                gate.unlink()
                here.unlink(missing_ok=True)

    def add_image(self, name: str, labels: Mapping[str, str]) -> None:
        """Make an image that carries labels."""
        changes = [f"--change=LABEL {key}={text}" for key, text in labels.items()]
        self._podman("import", *changes, str(self.lab.rootfs.with_suffix(".tar")), name)


@contextlib.contextmanager
def running_engine(
    kind: str, request: pytest.FixtureRequest, directory: Path, *options: str
) -> Iterator[Driven]:
    """Run an engine of one kind."""
    if kind == "fake-docker":
        with FakeDocker(str(directory / "docker.sock")) as docker:
            docker.live_restore = "--live-restore" in options
            yield Fake(docker)
        return
    if kind == "fake-podman":
        with FakePodman(str(directory / "podman.sock")) as fake:
            yield Fake(fake)
        return
    rootfs, config = request.getfixturevalue("rootfs"), request.getfixturevalue("runc_config")
    with Lab(directory, rootfs, config) as lab:
        if kind == "docker":
            with lab.docker(*options) as docker:
                yield RealDocker(docker)
        else:
            command = lab.podman()
            podman = RealPodman(command)
            yield podman
            podman.quit()
            command.remove_all()


def client_of(engine: Driven) -> Any:
    """Return a docker-py client; to be closed."""
    # A version of its own choice would be a request more, and podman's are slow.
    return docker.APIClient(base_url=f"unix://{engine.path}", version="1.41", timeout=PATIENCE_S)


class Told:
    """What an engine tells from now on, as docker-py reads it; a context manager.

    Args:
        engine: who tells.
        filters: as docker-py takes them.
        since: of the query; None: now.
    """

    def __init__(
        self, engine: Driven, filters: Mapping[str, Any] | None = None, since: str | None = None
    ) -> None:
        self._api = client_of(engine)
        # The header may come before the subscription: so it is asked for from now on.
        since = since or spell(time.time_ns())
        self._stream = self._api.events(since=since, filters=filters, decode=True)
        self._events: list[Document] = []
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="told")
        self._thread.start()

    def _read(self) -> None:
        try:
            for event in self._stream:
                self._events.append(event)
        except Exception as error:  # noqa: BLE001  # it is told to whoever asks
            self.error = error

    def __enter__(self) -> Told:
        """Return itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Listen no more."""
        self.close()

    def close(self) -> None:
        """Listen no more."""
        if self._thread.is_alive():
            self._stream.close()
        self._thread.join(PATIENCE_S)
        self._stream._response.close()
        self._api.close()

    @property
    def events(self) -> list[Document]:
        """All events so far."""
        return list(self._events)

    def of(self, container_id: str) -> list[Document]:
        """Return the events so far about one container."""
        return [event for event in self.events if container_id in _subjects(event)]

    def acts(self, container_id: str) -> list[str]:
        """Return what has been told of a container, as "start" and "connect(none)"."""
        return [_spell_act(event) for event in self.of(container_id)]

    def wait_for(self, container_id: str, *acts: str) -> None:
        """Wait until a container's latest events are these."""
        wait_until(
            lambda: all(act in self.acts(container_id) for act in acts),
            f"{acts} of {container_id[:12]}; told were {self.acts(container_id)}",
            timeout_s=PATIENCE_S,
        )

    def wait_for_end(self) -> None:
        """Wait until the stream ends.

        Raises:
            AssertionError: it does not, or not silently.
        """
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the stream does not end"
        assert self.error is None, self.error


def word_of(event: Document) -> str:
    """Return an event's action."""
    return str(event["Action"])


def runs(api: Any, container: str) -> bool:
    """Tell whether a container runs, as its engine shows it."""
    state = api.inspect_container(container)["State"]
    return bool(state["Pid"] and state["Running"])


def state_of(api: Any, container: str) -> State:
    """Return a container's state, as its engine shows it."""
    return _state(api.inspect_container(container)["State"])


def _state(state: Document) -> State:
    keys = ("Running", "Paused", "Restarting")
    running, paused, restarting = (state[key] for key in keys)
    return state["Status"], running, paused, restarting, min(state["Pid"], 1)


def item_of(api: Any, container: str) -> Document:
    """Return a container's item of the list."""
    found = api.containers(all=True, filters={"id": [container]})
    assert [one["Id"] for one in found] == [container]
    document: Document = found[0]
    return document


def _subjects(event: Document) -> tuple[str, str]:
    actor = event["Actor"]
    return actor["ID"], actor["Attributes"].get("container", "")


def _spell_act(event: Document) -> str:
    name = event["Actor"]["Attributes"].get("name")
    return f"{event['Action']}({name})" if event["Type"] == "network" else str(event["Action"])


def spell(nanoseconds: int) -> str:
    """Return a time as `since` takes it, to the nanosecond."""
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"
