"""The wrapper's flow around a runtime's create, with a runtime and an engine that note calls."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes.engine import FakeEngine
from ocinet.base.clock import Process
from ocinet.base.errors import ConflictError, SystemFailure
from ocinet.base.paths import Paths
from ocinet.engine.model.attachment import Container
from ocinet.engine.model.request import Request
from ocinet.hooks.wrapper import create
from ocinet.hooks.wrapper.create import Runtime, main

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


Json = dict[str, Any]
ID = "15d51a24213dd17a4651a445a2520bcabe37ad1ef1d34fc015b99053110a7dc1"
REAL = "/usr/sbin/runc"
NETWORK = {"type": "network"}
CONFIG: Json = {"ociVersion": "1.0.2", "linux": {"namespaces": [NETWORK]}}


class FakeRuntime(Runtime):
    """Notes what it is told, and does what a runtime leaves behind."""

    def __init__(self, pid_file: Path) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.status = 0
        self.pid: str | None = str(os.getpid())
        self._pid_file = pid_file

    def become(self, program: str, arguments: Sequence[str]) -> int:
        """Note the call."""
        self.calls.append(("become", program, *arguments))
        return 77

    def run(
        self, program: str, arguments: Sequence[str], meanwhile: Callable[[], object] | None = None
    ) -> int:
        """Note the call; a create leaves a process id."""
        self.calls.append(("run", program, *arguments))
        if meanwhile:
            meanwhile()
        if "create" in arguments and self.status == 0 and self.pid is not None:
            self._pid_file.write_text(self.pid)
        return self.status if "create" in arguments else 0


class World:
    """A bundle, a runtime and an engine."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bundle = directory / "b"
        self.bundle.mkdir()
        self.log = directory / "log.json"
        self.paths = Paths(f"{directory}/etc", f"{directory}/lib", f"{directory}/run")
        self.runtime = FakeRuntime(directory / "pid")
        self.engine = FakeEngine()
        self.opens = True
        self.opened = 0
        self.parts: list[str] = []
        self.write(CONFIG)

    def write(self, config: object) -> None:
        """Write the config."""
        (self.bundle / "config.json").write_text(json.dumps(config))

    @property
    def config(self) -> Json:
        """What the config is now."""
        config: Json = json.loads((self.bundle / "config.json").read_text())
        return config

    def call(self, *arguments: str) -> int:
        """Call the wrapper as the launcher does."""
        names = ("OCINET_CONFIG_DIR", "OCINET_STATE_DIR", "OCINET_RUN_DIR")
        places = (self.paths.config, self.paths.state, self.paths.run)
        words = [f"{name}={place}" for name, place in zip(names, places, strict=True)]
        return main(["runtime", *words, REAL, *arguments], runtime=self.runtime,
                    open_engine=self._open, preload=self.parts.append)  # fmt: skip

    def create(self, *more: str, container_id: str = "web", verb: str = "create") -> int:
        """Create as an engine does."""
        given = ("--log", str(self.log), "--log-format", "json", verb, "--bundle", str(self.bundle))
        return self.call(*given, *more, container_id)

    def create_with_file(self, container_id: str = "web") -> int:
        """Create with a --pid-file."""
        return self.create("--pid-file", f"{self.directory}/pid", container_id=container_id)

    @property
    def verbs(self) -> list[tuple[str, str]]:
        """How the runtime was run, and with which verb."""
        known = ("create", "run", "delete", "state")
        return [(call[0], next(word for word in call[2:] if word in known))
                for call in self.runtime.calls]  # fmt: skip

    def logged(self) -> list[Json]:
        """Return what is in the runtime's log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def events(self) -> list[Json]:
        """Return what the event log says."""
        path = Path(self.paths.run, "events.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def dockers(self, mode: str = "none", **labels: str) -> None:
        """Make the bundle one of Docker's."""
        place = self.directory / "docker/containers" / ID
        place.mkdir(parents=True)
        keys = {f"ocinet.{key}": text for key, text in labels.items()}
        state = {"ID": ID, "Name": "/shop", "Config": {"Labels": keys}, "Image": "", "Driver": "",
                 "NetworkSettings": {"Networks": {mode: {}}}}  # fmt: skip
        (place / "config.v2.json").write_text(json.dumps(state))
        (place / "hostconfig.json").write_text(json.dumps({"NetworkMode": mode}))
        self.write({**CONFIG, "root": {"path": f"{self.directory}/docker/overlay2/x/merged"}})

    def _open(self, paths: Paths) -> FakeEngine:
        assert paths == self.paths
        self.opened += 1
        if not self.opens:
            raise SystemFailure("cannot open", "no such place")
        return self.engine


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world with a container that is ours."""
    return World(tmp_path)


def identity() -> str:
    """Return our own sandbox, which the fake runtime's process is in."""
    status = os.stat("/proc/self/ns/net")
    return f"{status.st_dev}:{status.st_ino}"


@pytest.mark.parametrize("words", ["state web", "--root /x delete --force web", "--version", ""])
def test_other_verbs_become_the_runtime(world: World, words: str) -> None:
    """With the very words, and without a look at anything."""
    assert world.call(*words.split()) == 77
    assert world.runtime.calls == [("become", REAL, *words.split())]


def test_create_edits_runs_and_attaches(world: World) -> None:
    """In this order; the engine gets the process that the runtime has left."""
    assert world.create_with_file() == 0
    assert world.verbs == [("run", "create")]
    process = Process.of(os.getpid())
    request = Request("bridge", "", world.engine.attached[0][1].endpoints)
    container = Container("web", "web", "", process, "wrapper")
    assert world.engine.attached == [(container, request)]
    assert world.engine.sandboxes == [identity()]
    assert [endpoint.network for endpoint in request.endpoints] == ["bridge"]
    assert set(world.config["hooks"]) == {"poststop"}


def test_only_a_container_that_may_be_ours_waits_for_more_than_the_wrapper(world: World) -> None:
    """What judges and edits is preloaded for that one alone, and for no other verb."""
    world.call("state", "web")
    world.dockers("bridge")
    world.create_with_file(ID)
    assert world.parts == []
    world.create_with_file()
    assert world.parts[:1] == ["injection"]


def test_hooks_run_with_this_interpreter_and_these_directories(world: World) -> None:
    """What the launcher was told, the hooks are told."""
    world.create_with_file()
    (entry,) = world.config["hooks"]["poststop"]
    script = create.__file__.replace("wrapper/create.py", "hook.py")
    assert entry["path"] == sys.executable
    assert entry["args"][1:] == ["-I", "-S", script, "poststop"]
    assert entry["env"][1:] == [
        f"OCINET_CONFIG_DIR={world.paths.config}",
        f"OCINET_STATE_DIR={world.paths.state}",
        f"OCINET_RUN_DIR={world.paths.run}",
    ]


def test_docker_container_bears_its_name(world: World) -> None:
    """As Docker's files have it."""
    world.dockers(name="shop2")
    assert world.create_with_file(ID) == 1  # the image can't be read, and it is a label's wish
    world.engine.attached.clear()
    (Path(world.paths.config)).mkdir()
    Path(world.paths.config, "ocinet.toml").write_text("trust_annotations = true")
    assert world.create_with_file(ID) == 0
    assert world.engine.attached[0][0].name == "shop2"


def test_docker_container_with_a_network_becomes_the_runtime(world: World) -> None:
    """Nothing is edited, and nothing is asked of the engine."""
    world.dockers("bridge", net="host")
    before = world.config
    assert world.create_with_file(ID) == 77
    assert (world.verbs, world.config, world.opened) == ([("become", "create")], before, 0)


@pytest.mark.parametrize("text", [None, "", "[]", "{", "\xff"])
def test_config_that_is_none_is_the_runtimes_to_refuse(world: World, text: str | None) -> None:
    """It has better words for that."""
    path = world.bundle / "config.json"
    path.unlink()
    if text is not None:
        path.write_text(text, encoding="latin-1")
    assert world.create_with_file() == 77
    assert world.verbs == [("become", "create")]


def test_failed_create_keeps_its_status_and_opens_no_engine(world: World) -> None:
    """Nothing is wired before the runtime is done, so there is nothing to take down."""
    world.runtime.status = 137
    assert world.create_with_file() == 137
    assert (world.verbs, world.opened) == ([("run", "create")], 0)


def test_container_that_cannot_be_attached_is_deleted(world: World) -> None:
    """With the runtime's own options; the engine's words go to stderr and to its log."""
    world.engine.error = ConflictError("cannot attach web", "port 80 is\ntaken", "take another")
    assert world.create_with_file() == 1
    assert world.runtime.calls[1] == (
        "run", REAL, "--log", str(world.log), "--log-format", "json", "delete", "--force", "web",
    )  # fmt: skip
    (record,) = world.logged()
    assert record["level"] == "error"
    assert record["msg"] == "ocinet: cannot attach web: port 80 is taken (hint: take another)"
    assert record["time"].endswith("Z")


@pytest.mark.parametrize(
    ("pid", "why"),
    [
        (None, "No such file"),
        ("", "has no process id"),
        ("web", "has no process id"),
        ("4194305", "process 4194305 is gone"),
        ("1", "is older than this create: it is another one"),
    ],
)
def test_pid_file_that_names_no_process_of_this_create_is_refused(
    world: World, pid: str | None, why: str
) -> None:
    """A stale file must not lead into somebody's sandbox."""
    world.runtime.pid = pid
    assert world.create_with_file() == 1
    assert world.verbs == [("run", "create"), ("run", "delete")]
    assert why in world.logged()[0]["msg"]
    assert why in world.events()[0]["error"]
    assert world.engine.attached == []


def test_engine_that_does_not_open_is_told_and_the_container_deleted(world: World) -> None:
    """Its own error, with the container's name."""
    world.opens = False
    assert world.create_with_file() == 1
    assert world.verbs[1:] == [("run", "delete")]
    told = "cannot attach web: cannot open: no such place"
    assert world.logged()[0]["msg"] == f"ocinet: {told}"
    assert world.events()[0]["error"] == told


def test_internal_error_is_one_line_and_deletes_the_container(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    """No traceback: it would be taken for the container's output."""
    world.engine.error = ValueError("not\nthought of")
    assert world.create_with_file() == 1
    assert world.verbs[1:] == [("run", "delete")]
    shown = capfd.readouterr().err
    assert shown.startswith("ocinet: internal error: ValueError: not thought of (")
    assert shown.count("\n") == 1


def test_refused_container_is_not_made(world: World, capfd: pytest.CaptureFixture[str]) -> None:
    """A wrong key stops it before the runtime hears of it."""
    world.write({**CONFIG, "annotations": {"ocinet.nte": "lan"}})
    assert world.create_with_file() == 1
    assert world.runtime.calls == []
    assert "cannot attach web: annotation 'ocinet.nte'" in capfd.readouterr().err
    assert world.events()[0]["event"] == "create refused"


def test_create_without_pid_file_leaves_the_work_to_a_hook(world: World) -> None:
    """Nobody would say which process it is."""
    assert world.create() == 0
    assert set(world.config["hooks"]) == {"createRuntime", "poststop"}
    assert world.opened == 0


@pytest.mark.parametrize("fails", [False, True])
def test_failed_create_with_hook_is_taken_down(world: World, fails: bool) -> None:
    """As poststop would, which crun does not run; the runtime's status is what counts."""
    world.runtime.status = 1
    if fails:
        world.engine.error = SystemFailure("cannot detach web", "busy")
    assert world.create() == 1
    assert world.engine.detached == ([] if fails else [("web", "")])


def test_run_edits_and_becomes_the_runtime(world: World) -> None:
    """It stays as long as the container: nobody stands between it and its terminal."""
    assert world.create("--pid-file", f"{world.directory}/pid", verb="run") == 77
    assert set(world.config["hooks"]) == {"createRuntime", "poststop"}
    assert world.verbs == [("become", "run")]


@pytest.mark.parametrize(
    ("log", "written"),
    [("{}/l", True), ("file:{}/l", True), ("journald:x", False), ("syslog:x", False)],
)
def test_error_goes_to_a_log_that_is_a_file(world: World, log: str, written: bool) -> None:
    """crun knows other places; a log that can't be written changes nothing."""
    world.write({**CONFIG, "annotations": {"ocinet.nte": "lan"}})
    given = ("--log", log.format(world.directory), "create", "--bundle", str(world.bundle), "web")
    before = set(os.listdir())
    assert world.call(*given) == 1
    assert (world.directory / "l").exists() is written
    assert set(os.listdir()) == before
    assert world.call("--log", "/no/such/place", *given[2:]) == 1


def test_moved_directories_that_are_no_paths_are_refused(world: World) -> None:
    """The launcher has them from who installed it."""
    words = ["runtime", "OCINET_RUN_DIR=run", REAL, "create", "--bundle", str(world.bundle), "web"]
    assert main(words, runtime=world.runtime) == 1
    assert world.runtime.calls == []


def test_start_names_the_container_and_becomes_the_runtimes(world: World) -> None:
    """Whatever comes of it: the container has its network, and starts."""
    words = ("--root", "/r", "start", ID)
    assert world.call(*words) == 77
    assert world.engine.named == [ID]
    world.engine.error = SystemFailure("cannot read the record", "it makes no sense")
    assert world.call(*words) == 77
    assert world.runtime.calls == [("become", REAL, *words)] * 2
    (told,) = world.events()
    assert (told["container"], "makes no sense" in told["warning"]) == (ID, True)


@pytest.mark.parametrize(("version", "refilled"), [("1.0.2-dev", False), ("1.2.0", True)])
def test_create_for_docker_tells_hostname_and_who_writes_hosts_last(
    world: World, version: str, refilled: bool
) -> None:
    """Docker 26 writes it anew before start; its version is the specification's."""
    world.dockers()
    apart = {"namespaces": [NETWORK, {"type": "mount"}]}
    world.write({**world.config, "ociVersion": version, "hostname": "till", "linux": apart})
    assert world.create_with_file(ID) == 0
    (rootfs,) = world.engine.roots
    assert rootfs
    assert (rootfs.hostname, rootfs.refilled, rootfs.shares) == ("till", refilled, "")
