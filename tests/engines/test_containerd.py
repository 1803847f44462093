"""containerd's own containers, run by `ctr`: by the wrapper, hooks in their config, and CDI."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hosts.command import CommandFailed
from hosts.engine.containerd import Containerd
from hosts.engine.runtimes import each_runtime
from hosts.engine.versions import require_version
from hosts.engine.wrapped_runtime import LAUNCHER, install
from hosts.lab.machine import LAB_V4
from hosts.lab.watcher import write_settings

if TYPE_CHECKING:
    from hosts.lab.machine import Lab

_WRAPPED = ("--runc-binary", LAUNCHER)
_SHOW = ("/bin/ip", "-4", "-o", "address", "show", "eth0")


def asking(**keys: str) -> tuple[str, ...]:
    """Spell ctr's options for some of our keys: `asking(net="lan")`."""
    return tuple(
        word for key, text in keys.items() for word in ("--annotation", f"ocinet.{key}={text}")
    )


def test_wrapper_wires_who_asks_and_who_does_not(lab: Lab) -> None:
    """The shim calls the launcher by its `BinaryName`; the network is there at once."""
    install(lab)
    lab.make_network("lan", "10.9.0.0/24")
    write_settings(lab, "trust_annotations = true\n")
    with Containerd(lab) as ctr:
        plain = ctr.run("plain", "--rm", *_WRAPPED, command=_SHOW)
        asked = ctr.run("asked", "--rm", *_WRAPPED, *asking(net="lan"), command=_SHOW)
        none = ctr.run("none", "--rm", *_WRAPPED, *asking(net="none"), command=_SHOW, check=False)

        assert "inet 10.72.0.2/24" in plain.stdout
        assert "inet 10.9.0.2/24" in asked.stdout
        assert none.status != 0, "there is no eth0"
        assert len(lab.events("detached")) == 3
        assert {event["door"] for event in lab.events("attached")} == {"wrapper"}


def test_task_that_is_started_again_is_wired_again(lab: Lab) -> None:
    """A container outlives its task: each one has a sandbox of its own, and is taken down."""
    install(lab)
    with Containerd(lab) as ctr:
        ctr.run("web", "--detach", *_WRAPPED)
        first = ctr.sandbox("web")
        assert lab.pings(first.addresses("eth0")[0].partition("/")[0])
        ctr.end("web")
        assert lab.records() == {}

        ctr("tasks", "start", "--detach", "web")

        second = ctr.sandbox("web")
        assert lab.pings(second.addresses("eth0")[0].partition("/")[0])
        ctr.remove("web")
        lab.assert_no_container_left()


def test_refusal_is_told_by_ctr(lab: Lab) -> None:
    """The one line that says why is in its error, and nothing is left of the container."""
    install(lab)
    with Containerd(lab) as ctr:
        with pytest.raises(CommandFailed) as misspelled:
            ctr.run("web", "--rm", *_WRAPPED, *asking(nte="lan"))
        with pytest.raises(CommandFailed) as elsewhere:
            ctr.run("web", "--rm", *_WRAPPED, *asking(net="lan"))
        with pytest.raises(CommandFailed) as untrusted:
            ctr.run("web", "--rm", *_WRAPPED, *asking(publish="8080:80"))

        assert "there is no such key" in misspelled.value.result.stderr
        assert "ocinet.net=lan may be the image's wish" in elsewhere.value.result.stderr
        # Who wrote annotations, containerd tells nobody.
        assert "set trust_annotations = true in ocinet.toml" in untrusted.value.result.stderr
        assert ctr("containers", "ls", "-q").stdout == ""
        assert lab.records() == {}


def test_published_port_is_reached_where_annotations_are_trusted(lab: Lab) -> None:
    """The neighbour meets the container at the host's port."""
    write_settings(lab, "trust_annotations = true\n")
    install(lab)
    with Containerd(lab) as ctr:
        ctr.run("web", "--detach", *_WRAPPED, *asking(publish="8080:80"))
        sandbox = ctr.sandbox("web")
        with sandbox.serve("tcp", 80):
            assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"
        ctr.remove("web")


@each_runtime
def test_hooks_in_the_config_wire_under_the_plain_runtime(lab: Lab, runtime: str) -> None:
    """`hooks add` to a bundle whose config ctr is given: no wrapper, no annotation."""
    lab.make_network("lan", "10.9.0.0/24")
    bundle = lab.bundle("web", args=_SHOW)
    lab.ocinet("hooks", "add", str(bundle.path), "--net", "lan", "-p", "8080:80")
    with Containerd(lab) as ctr:
        config = ("--config", str(bundle.path / "config.json"))

        shown = ctr.run_to_its_end("--rm", "--runc-binary", runtime, *config, "web")

        assert "inet 10.9.0.2/24" in shown.stdout
        (event,) = lab.events("attached")
        assert event["door"] == "hook"
        assert len(lab.events("detached")) == 1


@each_runtime
def test_device_wires_under_the_plain_runtime(lab: Lab, runtime: str) -> None:
    """CDI, which ctr knows since containerd 2.0."""
    require_version("containerd", (2, 0), "CDI devices in ctr")
    lab.make_network("lan", "10.9.0.0/24")
    lab.ocinet("hooks", "install", "--cdi")
    with Containerd(lab) as ctr:
        words = ("--runc-binary", runtime, "--device", "ocinet.dev/net=lan")

        shown = ctr.run("web", "--rm", *words, command=_SHOW)

        assert "inet 10.9.0.2/24" in shown.stdout
        assert len(lab.events("detached")) == 1
        with pytest.raises(CommandFailed) as unknown:
            ctr.run("web", "--rm", "--device", "ocinet.dev/net=nowhere")
        assert "ocinet.dev/net=nowhere" in unknown.value.result.stderr
