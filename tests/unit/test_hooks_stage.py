"""One stage of the hook, with a fake engine: what it decides, says and returns."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fakes.engine import FakeEngine
from ocinet.base.clock import Process
from ocinet.base.errors import ConflictError, RequestError, SystemFailure
from ocinet.base.paths import Paths
from ocinet.engine.model.attachment import Container
from ocinet.engine.model.request import EndpointRequest, Request
from ocinet.hooks.config.hook_entry import REGISTERED_TIMEOUT_S
from ocinet.hooks.entry.call import Call, parse_call
from ocinet.hooks.entry.engine_access import TIMEOUT_S
from ocinet.hooks.entry.stage import main
from ocinet.picture.counts import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


DEFAULT = Request("bridge", "", (EndpointRequest("bridge"),))
CONTAINER = "5dfbece984106079ceb608107bde95755f4785ac0591a6502890a2386c1f3981"
IMAGE = "d91a7fd10cd95c8ad30d78c741e2dca3424b440e2633dc2b97dbcc45d053811c"


class Hook:
    """A hook to call, and what came of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.bundle = directory / "bundle"
        self.bundle.mkdir()
        self.paths = Paths(f"{directory}/etc", f"{directory}/lib", f"{directory}/run")
        self.engine = FakeEngine()
        self.opened = 0

    def config(self, *namespaces: dict[str, str]) -> None:
        """Write a config.json with these namespace entries."""
        config = {"linux": {"namespaces": list(namespaces)}}
        (self.bundle / "config.json").write_text(json.dumps(config))

    def settings(self, text: str) -> None:
        """Write the settings."""
        Path(self.paths.config).mkdir()
        Path(self.paths.config, "ocinet.toml").write_text(text)

    def call(self, *arguments: str, data: bytes | None = None, **state: Any) -> int:
        """Call the hook with a state."""
        document = {"id": "web", "pid": os.getpid(), "bundle": str(self.bundle),
                    "status": "creating", **state}  # fmt: skip
        path = self.directory / "stdin"
        path.write_bytes(json.dumps(document).encode() if data is None else data)
        fd = os.open(path, os.O_RDONLY)
        environment = {
            "OCINET_CONFIG_DIR": self.paths.config,
            "OCINET_STATE_DIR": self.paths.state,
            "OCINET_RUN_DIR": self.paths.run,
        }
        try:
            return main(arguments, stdin=fd, environment=environment, open_engine=self._open)
        finally:
            os.close(fd)

    def events(self) -> list[dict[str, Any]]:
        """Return what the event log says."""
        path = Path(self.paths.run, "events.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def _open(self, paths: Paths) -> FakeEngine:
        assert paths == self.paths
        self.opened += 1
        return self.engine


@pytest.fixture
def hook(tmp_path: Path) -> Iterator[Hook]:
    """Give a hook, and the test's signal handlers back after it."""
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    handlers = [signal.getsignal(number) for number in numbers]
    yield Hook(tmp_path)
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("stage", ["createRuntime", "prestart", ""])
def test_up_attaches_what_the_annotations_ask(
    hook: Hook, stage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The engine gets the container, its first process, and the request."""
    annotations = {"ocinet.net": "lan", "ocinet.publish": "8080:80", "ocinet.name": "shop"}
    hook.config({"type": "network"})
    assert hook.call(*stage.split(), annotations=annotations) == 0
    [(container, request)] = hook.engine.attached
    own = Process.of(os.getpid())
    assert container == Container("web", "shop", str(hook.bundle), own, "hook")
    assert request.endpoints == (EndpointRequest("lan"),)
    assert request.publish[0].host_port == 8080
    assert hook.engine.closed == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("asked", [{}, {"ocinet.add-host": "db:192.0.2.7"}])
def test_up_whose_engine_writes_hosts_later_says_what_is_not_in_it(
    hook: Hook, asked: dict[str, str]
) -> None:
    """podman 5: nobody comes after the hook; what was not asked for is not missed."""
    hook.engine.unnamed = True
    assert hook.call("createRuntime", annotations={"ocinet.net": "lan", **asked}) == 0
    assert [event["event"] for event in hook.events()] == ["attached with a warning"] * len(asked)
    assert all("--no-hosts" in event["warning"] for event in hook.events())


@pytest.mark.parametrize("status", ["creating", "created"])
def test_up_by_status_takes_both_words(hook: Hook, status: str) -> None:
    """runc says creating, crun says created."""
    assert hook.call(status=status, annotations={"ocinet.net": "none"}) == 0
    assert hook.engine.attached[0][1] == Request("none")


def test_up_of_failing_engine_says_one_line_and_fails(
    hook: Hook, capfd: pytest.CaptureFixture[str]
) -> None:
    """The engine's error is printed as it is; it wrote the event itself."""
    hook.engine.error = ConflictError(
        "cannot attach web", "port 80 is\ntaken by db", "take another"
    )
    assert hook.call("createRuntime", annotations={"ocinet.net": "lan"}) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "ocinet: cannot attach web: port 80 is taken by db (hint: take another)\n"
    assert hook.events() == []
    assert hook.engine.closed == 1


def test_up_of_wrong_request_says_one_line_and_logs_it(
    hook: Hook, capfd: pytest.CaptureFixture[str]
) -> None:
    """crun throws stderr away, so the line is an event as well."""
    assert hook.call("createRuntime", annotations={"ocinet.nett": "lan"}) == 1
    err = capfd.readouterr().err
    assert err.startswith(
        "ocinet: cannot attach web: annotation 'ocinet.nett': there is no such key"
    )
    assert err.count("\n") == 1
    [event] = hook.events()
    assert event["event"] == "hook failed"
    assert event["container"] == "web"
    assert err == f"ocinet: {event['error']}\n"
    assert hook.opened == 0


def test_part_that_can_not_be_loaded_just_now_is_no_fault_of_ours(
    hook: Hook, capfd: pytest.CaptureFixture[str]
) -> None:
    """To Python a folder that it can't open has no modules."""
    hook.engine.error = ModuleNotFoundError("No module named 'ocinet.engine.ruleset.tables'")
    assert hook.call("createRuntime", annotations={"ocinet.net": "lan"}) == 1
    told = "ocinet: cannot load a part of ocinet: No module named 'ocinet.engine.ruleset.tables'\n"
    assert capfd.readouterr().err == told
    assert hook.call("poststop") == 0
    assert capfd.readouterr().err == told


def test_up_of_unforeseen_fault_says_one_line_without_traceback(
    hook: Hook, capfd: pytest.CaptureFixture[str]
) -> None:
    """A bug of ours is one line too, with its place."""
    hook.engine.error = ZeroDivisionError("oops")
    assert hook.call("createRuntime", annotations={"ocinet.net": "lan"}) == 1
    err = capfd.readouterr().err
    assert err.startswith("ocinet: internal error: ZeroDivisionError: oops (")
    assert err.count("\n") == 1
    assert hook.call("poststop") == 0
    assert "internal error" in capfd.readouterr().err


def test_up_without_our_keys_gives_the_default_where_the_sandbox_is_private(hook: Hook) -> None:
    """A bundle's own entry asks for the default network, unless its network is from elsewhere."""
    hook.config({"type": "network"})
    assert hook.call("createRuntime") == 0
    assert [request for _, request in hook.engine.attached] == [DEFAULT]
    hook.config({"type": "network", "path": "/proc/7/ns/net"})
    assert hook.call("createRuntime") == 0
    hook.config({"type": "pid"})
    assert hook.call("createRuntime") == 0
    assert len(hook.engine.attached) == 1
    assert hook.opened == 1


def test_up_from_hooks_dir_without_our_keys_does_nothing_unless_always(hook: Hook) -> None:
    """A hooks directory serves everyone: who asks for nothing gets nothing, but by always."""
    hook.config({"type": "network"})
    assert hook.call("createRuntime", "--hooks-dir") == 0
    assert hook.opened == 0
    assert hook.call("createRuntime", "--hooks-dir", "--always") == 0
    assert [request for _, request in hook.engine.attached] == [DEFAULT]


def test_up_always_leaves_builds_joined_and_unlabelled_alone(hook: Hook) -> None:
    """Build steps, containers with a network of their own, and `select = "labelled"`."""
    hook.config({"type": "network", "path": "/run/netns/x"})
    assert hook.call("createRuntime", "--hooks-dir", "--always") == 0
    hook.config({"type": "network"})
    step = f"buildah-{hook.bundle.name}"
    assert hook.call("createRuntime", "--hooks-dir", "--always", id=step) == 0
    assert hook.call("poststop", "--hooks-dir", "--always", id=step) == 0
    assert hook.opened == 0
    hook.settings('select = "labelled"\n')
    assert hook.call("createRuntime", "--hooks-dir", "--always") == 0
    assert hook.opened == 0
    assert hook.call("createRuntime", "--hooks-dir", "--always",
                     annotations={"ocinet.net": "bridge"}) == 0  # fmt: skip
    assert hook.opened == 1


def _device_hooks(hook: Hook, *networks: str) -> None:
    """Write a config.json with the hooks of some devices, as an engine puts them there."""
    script = "/usr/lib/ocinet/hooks/hook.py"
    entries = [
        {"path": "/usr/bin/python3",
         "args": ["python3", "-I", "-S", script, "createRuntime", f"--device={network}"]}
        for network in networks
    ]  # fmt: skip
    config = {"linux": {"namespaces": [{"type": "network"}]}, "hooks": {"createRuntime": entries}}
    (hook.bundle / "config.json").write_text(json.dumps(config))


def test_up_by_device_needs_no_key_and_no_selection(hook: Hook) -> None:
    """The device is the wish; the first of several asks for all of them, in their order."""
    hook.settings('select = "labelled"\n')
    _device_hooks(hook, "lan", "dmz")
    assert hook.call("createRuntime", "--device=lan") == 0
    assert hook.call("createRuntime", "--device=dmz") == 0
    wanted = Request("bridge", "", (EndpointRequest("lan"), EndpointRequest("dmz")))
    assert [request for _, request in hook.engine.attached] == [wanted, wanted]


def test_up_by_device_of_a_bundle_that_does_not_show_it_gives_that_one(hook: Hook) -> None:
    """Some runtimes name the wrong bundle: the hook's own argument counts."""
    assert hook.call("createRuntime", "--device=lan", bundle="/nonexistent") == 0
    _device_hooks(hook, "dmz")
    assert hook.call("createRuntime", "--device=lan") == 0
    asked = [
        [endpoint.network for endpoint in request.endpoints] for _, request in hook.engine.attached
    ]
    assert asked == [["lan"], ["dmz", "lan"]]


def test_up_by_device_takes_annotations_as_a_hooks_directory_does(
    hook: Hook, capfd: pytest.CaptureFixture[str]
) -> None:
    """They may be the image's: its own count for nothing, unknown ones need trust."""
    state = _podman(hook, {"ocinet.publish": "22:22"})
    annotations = {"ocinet.publish": "22:22", "ocinet.mtu": "1400", "ocinet.net": "lan"}
    assert hook.call("createRuntime", "--device=lan", annotations=annotations, **state) == 0
    [(container, request)] = hook.engine.attached
    assert container.name == "shop"
    assert request == Request("bridge", "", (EndpointRequest("lan", mtu=1400),))
    assert [event["event"] for event in hook.events()] == ["image's keys ignored"]
    asks = {"ocinet.publish": "22:22"}
    assert hook.call("createRuntime", "--device=lan", annotations=asks) == 1
    assert "ocinet.publish may be the image's wish" in capfd.readouterr().err
    cut = {"ocinet.net": "lan:ip=10.9.0.5", "mtu": "1400"}
    assert hook.call("createRuntime", "--device=lan", annotations=cut) == 1
    assert "podman has cut it at a comma" in capfd.readouterr().err


def test_up_by_device_that_an_annotation_contradicts_is_one_line(
    hook: Hook, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is wired, and the event says the same."""
    _device_hooks(hook, "lan")
    annotations = {"ocinet.net": "dmz"}
    assert hook.call("createRuntime", "--device=lan", annotations=annotations) == 1
    err = capfd.readouterr().err
    assert err == (
        "ocinet: cannot attach web: ocinet.net: 'dmz' contradicts the device ocinet.dev/net=lan "
        "(hint: leave one of the two out)\n"
    )
    assert [event["error"] for event in hook.events()] == [err.removeprefix("ocinet: ").strip()]
    assert hook.opened == 0


def test_up_by_device_leaves_build_steps_alone(hook: Hook) -> None:
    """A step of a build gets no network, nor is one taken down."""
    step = f"buildah-{hook.bundle.name}"
    _device_hooks(hook, "lan")
    assert hook.call("createRuntime", "--device=lan", id=step) == 0
    assert hook.call("poststop", "--device=lan", id=step) == 0
    assert hook.opened == 0


def test_up_from_hooks_dir_leaves_devices_to_their_own_hooks(hook: Hook) -> None:
    """Both doors at once: keys and `--always` are no second wish."""
    _device_hooks(hook, "lan")
    for flags in ((), ("--always",)):
        for asks in ({}, {"ocinet.mtu": "1400"}, {"ocinet.net": "dmz"}):
            words = ("createRuntime", "--hooks-dir", *flags)
            assert hook.call(*words, annotations=asks) == 0
    assert hook.opened == 0
    assert hook.call("poststop", "--device=lan") == 0
    assert hook.engine.detached == [("web", str(hook.bundle))]


def _podman(hook: Hook, image: dict[str, str] | None) -> dict[str, Any]:
    """Lay out podman's storage, and return what its state would have."""
    root = hook.directory / "storage"
    userdata = root / "overlay-containers" / CONTAINER / "userdata"
    userdata.mkdir(parents=True)
    (userdata / "config.json").write_text('{"linux":{"namespaces":[{"type":"network"}]}}')
    entry = {"id": CONTAINER, "names": ["shop"], "image": IMAGE}
    (root / "overlay-containers/containers.json").write_text(
        json.dumps([entry], separators=(",", ":"))
    )
    if image is not None:
        (root / "overlay-images" / IMAGE).mkdir(parents=True)
        (root / "overlay-images" / IMAGE / "manifest").write_text(
            json.dumps({"annotations": image})
        )
    return {"id": CONTAINER, "bundle": str(userdata)}


def test_up_drops_what_the_image_asks(hook: Hook) -> None:
    """An image's wish counts for nothing; the same key with another value is the user's."""
    state = _podman(hook, {"ocinet.publish": "22:22", "ocinet.net": "host"})
    annotations = {"ocinet.publish": "22:22", "ocinet.net": "lan"}
    assert hook.call("createRuntime", "--hooks-dir", annotations=annotations, **state) == 0
    [(container, request)] = hook.engine.attached
    assert container.name == "shop"
    assert request == Request("bridge", "", (EndpointRequest("lan"),))
    [event] = hook.events()
    assert event["event"] == "image's keys ignored"
    assert event["keys"] == "ocinet.publish"


def test_up_of_image_that_alone_asks_does_nothing(hook: Hook) -> None:
    """With the image's keys gone, nothing is asked; `--always` gives what everyone gets."""
    wish = {"ocinet.publish": "22:22"}
    state = _podman(hook, wish)
    assert hook.call("createRuntime", "--hooks-dir", annotations=wish, **state) == 0
    assert hook.opened == 0
    assert hook.call("createRuntime", "--hooks-dir", "--always", annotations=wish, **state) == 0
    assert [request for _, request in hook.engine.attached] == [DEFAULT]


def test_up_of_bundle_entry_trusts_its_annotations(hook: Hook) -> None:
    """Who may write the bundle is root there: no storage is asked."""
    state = _podman(hook, {"ocinet.publish": "22:22"})
    assert hook.call("createRuntime", annotations={"ocinet.publish": "22:22"}, **state) == 0
    assert hook.engine.attached[0][1].publish


@pytest.mark.parametrize(
    ("annotations", "asks"),
    [
        ({"ocinet.publish": "22:22"}, "ocinet.publish"),
        ({"ocinet.net": "host"}, "ocinet.net=host"),
        ({"ocinet.net": "container:db"}, "ocinet.net=container:db"),
        ({"ocinet.ip": "10.9.0.5", "ocinet.name": "db"}, "a static address and ocinet.name"),
        ({"ocinet.net": "mgmt"}, "ocinet.net=mgmt"),
        ({"ocinet.gateway": "10.72.0.3"}, "a gateway"),
        ({"ocinet.routes": "10.0.0.0/8"}, "routes"),
        ({"ocinet.mtu": "576"}, "an MTU"),
    ],
)
def test_up_of_undecided_origin_refuses_what_needs_trust(
    hook: Hook, annotations: dict[str, str], asks: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where the image can't be read, nothing is honoured that it must not ask for."""
    state = _podman(hook, None)
    assert hook.call("createRuntime", "--hooks-dir", annotations=annotations, **state) == 1
    err = capfd.readouterr().err
    assert f"cannot attach shop: {asks} may be the image's wish" in err
    assert "trust_annotations = true" in err
    hook.settings("trust_annotations = true\n")
    if "host" in asks:
        annotations = {**annotations, "ocinet.name": "x"}
    assert hook.call("createRuntime", "--hooks-dir", annotations=annotations, **state) == 0
    assert hook.engine.attached


def test_up_of_undecided_origin_grants_what_needs_no_trust(hook: Hook) -> None:
    """The network that everyone may have harms nobody; none grants nothing."""
    state = _podman(hook, None)
    for asks in ({"ocinet.net": "bridge", "ocinet.ifname": "web0"}, {"ocinet.net": "none"}):
        assert hook.call("createRuntime", "--hooks-dir", annotations=asks, **state) == 0
    assert [request for _, request in hook.engine.attached] == [
        Request("bridge", "", (EndpointRequest("bridge", ifname="web0"),)), Request("none"),
    ]  # fmt: skip


@pytest.mark.parametrize("net", ["vault", "host", "container:db", "vault;dmz"])
@pytest.mark.parametrize("flags", [(), ("--always",)])
def test_up_of_network_that_the_image_carries_too_is_refused(
    hook: Hook, flags: tuple[str, ...], net: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its user may have asked for less than the default network: nothing is given instead."""
    wish = {"ocinet.net": net}
    state = _podman(hook, wish)
    words = ("createRuntime", "--hooks-dir", *flags)
    assert hook.call(*words, annotations=wish, **state) == 1
    err = capfd.readouterr().err
    assert f"cannot attach shop: ocinet.net: the image carries {net!r} too" in err
    assert f"'ocinet.net= {net}'" in err
    assert hook.opened == 0
    assert hook.call(*words, annotations={"ocinet.net": f" {net}"}, **state) in (0, 1)
    assert "image carries" not in capfd.readouterr().err, "otherwise written, it is the user's"


def test_up_of_none_that_the_image_carries_too_is_none(hook: Hook) -> None:
    """Whoever of the two says it."""
    wish = {"ocinet.net": "none"}
    state = _podman(hook, wish)
    assert hook.call("createRuntime", "--hooks-dir", "--always", annotations=wish, **state) == 0
    assert [request for _, request in hook.engine.attached] == [Request("none")]


def test_up_in_a_network_of_its_engines_leaves_the_images_wish_out(hook: Hook) -> None:
    """Nothing is given instead there: it starts, as it would without us."""
    wish = {"ocinet.net": "vault"}
    state = _podman(hook, wish)
    joined = {"linux": {"namespaces": [{"type": "network", "path": "/run/netns/podman-1"}]}}
    Path(state["bundle"], "config.json").write_text(json.dumps(joined))
    assert hook.call("createRuntime", "--hooks-dir", annotations=wish, **state) == 0
    assert hook.opened == 0
    assert [event["event"] for event in hook.events()] == ["image's keys ignored"]


def test_up_in_another_sandbox_than_expected_is_refused(
    hook: Hook, capfd: pytest.CaptureFixture[str]
) -> None:
    """`hooks add --net container:X` wrote which sandbox it must be."""
    status = os.stat("/proc/self/ns/net")
    annotations = {
        "ocinet.net": "container:db",
        "ocinet.sandbox": f"{status.st_dev}:{status.st_ino}",
    }
    assert hook.call("createRuntime", annotations=annotations) == 0
    annotations["ocinet.sandbox"] = "4:1"
    assert hook.call("createRuntime", annotations=annotations) == 1
    assert "its sandbox is not that of db: that has been restarted" in capfd.readouterr().err
    assert len(hook.engine.attached) == 1


def test_up_without_process_is_refused(hook: Hook, capfd: pytest.CaptureFixture[str]) -> None:
    """No pid, a dead one, and one that was born after the hook itself."""
    asks = {"ocinet.net": "lan"}
    assert hook.call("createRuntime", annotations=asks, pid=0) == 1
    assert "the state has no pid" in capfd.readouterr().err
    assert hook.call("createRuntime", annotations=asks, pid=4194304) == 1
    assert "process 4194304 is gone" in capfd.readouterr().err
    with subprocess.Popen(["/bin/sleep", "60"]) as younger:
        assert hook.call("createRuntime", annotations=asks, pid=younger.pid) == 1
        younger.kill()
    assert "is younger than this hook" in capfd.readouterr().err
    assert hook.engine.attached == []


def test_down_detaches_by_id_and_bundle(hook: Hook) -> None:
    """poststop gives the id and the bundle, and needs no process, config or annotation."""
    assert hook.call("poststop", pid=0, status="stopped") == 0
    assert hook.call(pid=None, status="stopped", bundle="") == 0
    assert hook.engine.detached == [("web", str(hook.bundle)), ("web", "")]
    assert hook.engine.closed == 2


@pytest.mark.parametrize("data", [b"", b"{", b'{"id":"../x"}', None])
def test_down_never_fails(
    hook: Hook, data: bytes | None, capfd: pytest.CaptureFixture[str]
) -> None:
    """runc skips the hooks after a failing poststop: it is 0, and one line, whatever happens."""
    hook.engine.error = SystemFailure("cannot detach web", "the kernel is busy")
    assert hook.call("poststop", data=data) == 0
    assert capfd.readouterr().err.count("\n") == 1
    assert bool(hook.events()) == (data is not None)


def test_failing_engine_start_is_logged(hook: Hook, capfd: pytest.CaptureFixture[str]) -> None:
    """Broken settings stop the start with the file's name, and never the stop."""

    def broken(_paths: Paths) -> FakeEngine:
        raise RequestError("cannot read ocinet.toml", "unknown key 'x'")

    hook._open = broken  # type: ignore[method-assign, assignment]  # the hook's own seam
    assert hook.call("createRuntime", annotations={"ocinet.net": "lan"}) == 1
    assert hook.call("poststop") == 0
    assert capfd.readouterr().err.count("cannot read ocinet.toml: unknown key 'x'") == 2
    assert [event["event"] for event in hook.events()] == ["hook failed"] * 2
    assert _failures(hook) == {"attach": 1, "detach": 1}


def _failures(hook: Hook) -> dict[str, int]:
    """Return how many attaches and detaches by hooks have failed, as they are counted."""
    counts = Counts()
    counts.add(hook.events())
    return {act: count for (act, door, _cause), count in counts.failures.items() if door == "hook"}


def test_failing_detach_is_counted_as_one(hook: Hook) -> None:
    """What nobody expected, or can't be read: alerts of starts that fail must not come of it."""
    hook.engine.error = ZeroDivisionError("ours")
    assert hook.call("createRuntime", annotations={"ocinet.net": "lan"}) == 1
    assert hook.call("poststop") == 0
    assert _failures(hook) == {"attach": 1, "detach": 1}
    assert hook.call("poststop", data=b"{") == 0
    assert hook.call("createRuntime", data=b"{") == 1
    assert sum(event["act"] == "detach" for event in hook.events()) == 2


def test_wrong_call_is_told(hook: Hook, capfd: pytest.CaptureFixture[str]) -> None:
    """A registration with a typo stops the container and says what is known."""
    assert hook.call("createruntime") == 1
    assert "did you mean createRuntime?" in capfd.readouterr().err
    assert hook.call("createRuntime", "poststop") == 0
    assert hook.call("--help") == 1
    assert "use: hook.py createRuntime|prestart|poststop" in capfd.readouterr().err
    for wrong in (("--device=LAN",), ("--device=",), ("--device=lan", "--device=dmz")):
        assert hook.call("createRuntime", *wrong) == 1
    assert "'LAN' is no network name" in capfd.readouterr().err
    assert hook.call(status="running") == 1
    assert "the status 'running' tells none" in capfd.readouterr().err


def test_relative_directory_in_the_environment_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    """A directory variable must be absolute, for the working directory may be any."""
    before: Callable[..., object] | int | None = signal.getsignal(signal.SIGINT)
    assert main(["createRuntime"], environment={"OCINET_RUN_DIR": "run"}) == 1
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    assert "cannot use OCINET_RUN_DIR: 'run' is not an absolute path" in capfd.readouterr().err


def test_signals_are_ignored_from_the_start(hook: Hook) -> None:
    """A Ctrl-C that reaches the hook must not leave half a wiring."""
    hook.call("poststop")
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        assert signal.getsignal(number) == signal.SIG_IGN


def test_parse_call_reads_stage_and_flags() -> None:
    """The command line is that of the registration."""
    assert parse_call([]) == Call()
    assert parse_call(["poststop"]) == Call("down")
    assert parse_call(["prestart", "--always", "--hooks-dir"]) == Call(
        "up", from_hooks_dir=True, always=True
    )
    assert parse_call(["poststop", "--device=lan"]) == Call(
        "down", from_hooks_dir=True, device="lan"
    )


def test_state_is_read_even_by_a_call_that_is_wrong(hook: Hook) -> None:
    """crun writes it into a pipe, and dies of SIGPIPE if nobody reads it."""
    reader, writer = os.pipe()
    os.write(writer, b"{}")
    os.close(writer)
    run = {"OCINET_RUN_DIR": hook.paths.run}
    assert main(["nonsense"], stdin=reader, environment=run) == 1
    assert os.read(reader, 10) == b""
    os.close(reader)


def test_own_deadline_leaves_time_to_undo() -> None:
    """The runtime kills at its timeout, without a word: ours comes long before."""
    assert TIMEOUT_S + 5 < REGISTERED_TIMEOUT_S
