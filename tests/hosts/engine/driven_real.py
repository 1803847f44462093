"""Real engines in a lab, driven as the contract suite drives its fakes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

from docker.errors import APIError, NotFound

from fakes.engine_api import FakeDocker, FakePodman, Refused
from fakes.engine_api.values import Spec
from fakes.engine_api.versions import known
from hosts.engine.driven import Driven, Fake
from hosts.engine.podman import PODMAN_SOCKET
from hosts.engine.told import PATIENCE_S, Document, _state, client_of, runs
from hosts.engine.versions import version_of
from hosts.lab import snapshot
from hosts.lab.machine import Lab
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pytest

    from hosts.engine.dockerd import Docker
    from hosts.engine.podman import Podman
    from hosts.engine.told import State
    from hosts.lab.namespace import Background


_LIVES = 5
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
        except APIError as error:
            # podman reads the cgroup of a process that it has just found, and it may be gone.
            if "no such process" not in str(error.explanation):
                raise
            return False

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
        self.version = known("docker", version_of("docker"))

    @contextlib.contextmanager
    def starting(self, wanted: str) -> Iterator[None]:
        """Start a container; the block begins with its cgroup.

        Docker tells of its network 100 ms later, since 28 at the end.
        """
        with self._starting_beside(wanted):
            wait_until(
                lambda: any(wanted in place for place in snapshot.cgroups(self.lab.cgroup)),
                "the container's cgroup", timeout_s=PATIENCE_S, interval_s=0.002,
            )  # fmt: skip
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
        self.version = known("podman", version_of("podman"))
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
    family, _, version = kind.rpartition("-")
    if family == "fake-docker":
        with FakeDocker(str(directory / "docker.sock"), version=version) as docker:
            docker.live_restore = "--live-restore" in options
            yield Fake(docker)
        return
    if family == "fake-podman":
        with FakePodman(str(directory / "podman.sock"), version=version) as fake:
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
