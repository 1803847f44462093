"""The wrapper under podman and containerd, and called by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hosts.command import CommandFailed
from hosts.engine.container import IMAGE
from hosts.engine.hooked_podman import build, keys, run_image
from hosts.engine.hooked_runtime import host_ends
from hosts.engine.runtimes import each_runtime
from hosts.engine.wrapped_runtime import (
    LAUNCHER,
    annotations_of,
    call_runtime,
    install,
    state,
)
from hosts.lab.machine import LAB_V4

if TYPE_CHECKING:
    from hosts.engine.bundle import Bundle
    from hosts.engine.podman import Podman
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Namespace

_DOCUMENTATION = Path(__file__).parents[2] / "docs/runtime.md"
TRUST = "trust_annotations = true\n"


def podman_under_wrapper(lab: Lab, runtime: str = "runc") -> Podman:
    """Return a podman whose runtime is the launcher."""
    install(lab, "--runtime", runtime)
    podman = lab.podman(runtime)
    podman.runtime = LAUNCHER
    return podman


def write_settings(lab: Lab, text: str) -> None:
    """Write the lab's settings."""
    lab.path("/etc/ocinet").mkdir(mode=0o700, exist_ok=True)
    lab.path("/etc/ocinet/ocinet.toml").write_text(text)


def create(lab: Lab, bundle: Bundle, *words: str) -> Namespace:
    """Create a container as an engine does, and return its sandbox."""
    given = ("--bundle", str(bundle.path), "--pid-file", f"/run/{bundle.id}.pid")
    call_runtime(lab, "create", *given, *words, bundle.id)
    return lab.enter(bundle.id, state(lab, bundle.id)["pid"])


def delete(lab: Lab, bundle: Bundle) -> None:
    """Delete a container, whatever it does."""
    call_runtime(lab, "delete", "--force", bundle.id)


@each_runtime
def test_podman_container_has_its_network_at_the_first_instruction(lab: Lab, runtime: str) -> None:
    """`podman --runtime LAUNCHER run --network=none`, with neither hooks nor annotation."""
    podman = podman_under_wrapper(lab, runtime)

    shown = podman("run", "--rm", "--network=none", "--name=web", IMAGE, "ip", "-4", "addr").stdout
    box = podman.run("--name=web", *keys(publish="8080:80"))
    box.namespace.serve("tcp", 80, name="web")

    assert "inet 10.72.0.2/24" in shown
    assert list(lab.records()) == ["web"]
    assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"
    podman.remove("web")
    lab.assert_no_container_left()


@each_runtime
def test_podman_shows_why_a_container_was_refused(lab: Lab, runtime: str) -> None:
    """crun hides what a hook says; what the wrapper says, podman shows."""
    podman = podman_under_wrapper(lab, runtime)
    lab.serve("tcp", 8080)

    for given, why in (({"nte": "lan"}, "there is no such key"), ({"publish": "8080:80"}, "8080")):
        with pytest.raises(CommandFailed) as caught:
            podman.run("--name=web", *keys(**given))
        assert "ocinet: cannot attach web: " in caught.value.result.stderr
        assert why in caught.value.result.stderr
        podman("rm", "--force", "web")
    lab.assert_no_container_left()


def test_podmans_configuration_names_the_launcher(lab: Lab) -> None:
    """As the documentation says it: by name, and with the runtime's log as JSON."""
    podman = podman_under_wrapper(lab, "crun")
    text = _DOCUMENTATION.read_text().split("```toml\n")[1].split("```")[0]
    lab.path("/etc/containers/containers.conf.d/10-ocinet.conf").write_text(text)
    podman.runtime = "ocinet"

    box = podman.run("--name=web")
    refused = podman("run", "--network=none", *keys(nte="x"), IMAGE, "true", check=False)

    assert box.namespace.addresses("eth0") == ["10.72.0.2/24"]
    assert "OCI runtime" in refused.stderr
    assert "there is no such key" in refused.stderr
    podman.remove_all()


def test_podmans_image_and_builds_ask_for_nothing(lab: Lab) -> None:
    """An image's annotations count for nothing, and steps of a build are not wired."""
    podman = podman_under_wrapper(lab)
    image = build(podman, "evil", {"ocinet.publish": "2222:22", "ocinet.mtu": "576"})
    lab.path("/run/lab/step").write_text(f"FROM {IMAGE}\nRUN ip -o link > /seen\n")
    podman("build", "--network=none", "--tag=step", "--file=/run/lab/step", "/run/lab/empty")

    box = run_image(podman, image, "--name=evil")

    assert box.namespace.addresses("eth0") == ["10.72.0.2/24"]
    assert lab.records()["evil"]["ports"] == []
    assert (
        "eth0"
        not in podman("run", "--rm", "--network=host", "localhost/step", "cat", "/seen").stdout
    )
    podman.remove("evil")


def test_podmans_image_that_names_a_network_is_refused(lab: Lab) -> None:
    """What its user meant by the same word can't be told; `none` needs no telling."""
    podman = podman_under_wrapper(lab)
    lab.ocinet("network", "create", "vault", "--internal", "--subnet=10.9.0.0/24")
    vault, mute = (build(podman, net, {"ocinet.net": net}) for net in ("vault", "none"))
    before = lab.snapshot()

    refused = podman("run", "--network=none", *keys(net="vault"), vault, "true", check=False)

    assert "the image carries 'vault' too" in refused.stderr
    assert lab.events("create refused")
    lab.run("rm", "/run/ocinet/events.jsonl")
    lab.assert_unchanged(before)
    box = run_image(podman, mute, "--name=mute", *keys(net="none"))
    assert list(box.namespace.links()) == ["lo"]
    podman.remove("mute")


def test_podmans_own_networks_are_left_alone(lab: Lab) -> None:
    """bridge, host and container: are podman's."""
    podman = podman_under_wrapper(lab)

    podman.run("--name=bridged", network="bridge")
    podman.run("--name=hosted", network="host")
    podman.run("--name=joined", network="container:bridged")

    assert lab.events() == []
    podman.remove("joined")
    podman.remove_all()
    lab.run("ip", "link", "delete", "podman0", check=False)
    lab.ignored += (  # podman's, up to 4 and from 5 on
        '"table": "nat"', '"table": "filter"', '"family": "ip", "name": ', 'netavark"',
    )  # fmt: skip


def test_hooks_directory_beside_the_wrapper_wires_once(lab: Lab) -> None:
    """podman has put our hooks into the config already: the wrapper leaves it alone."""
    podman = podman_under_wrapper(lab)
    lab.ocinet("hooks", "install", "--podman")

    box = podman.run("--name=web", *keys(net="bridge"))

    assert list(box.namespace.links()) == ["lo", "eth0"]
    assert [event["door"] for event in lab.events("attached")] == ["hook"]
    podman.remove("web")
    assert len(lab.events("detached")) == 1


@each_runtime
@pytest.mark.parametrize("has_pid_file", [True, False])
def test_bundle_by_hand_is_wired(lab: Lab, runtime: str, has_pid_file: bool) -> None:
    """With and without a --pid-file: attached by the wrapper, or by a hook of the config."""
    install(lab, "--runtime", runtime)
    bundle = lab.bundle("web", annotations={"ocinet.net": "bridge"})
    given = ("--pid-file", "/run/web.pid") if has_pid_file else ()

    call_runtime(lab, "create", "--bundle", str(bundle.path), *given, "web")

    sandbox = lab.enter("web", state(lab, "web")["pid"])
    assert sandbox.addresses("eth0") == ["10.72.0.2/24"]
    (event,) = lab.events("attached")
    assert event["door"] == ("wrapper" if has_pid_file else "hook")
    call_runtime(lab, "delete", "--force", "web")
    lab.assert_no_container_left()


@each_runtime
def test_run_by_hand_is_wired_each_time_anew(lab: Lab, runtime: str) -> None:
    """The bundle stays edited, and is decided about anew: its annotations may have changed."""
    install(lab, "--runtime", runtime)
    lab.make_network("lan", "10.9.0.0/24")
    write_settings(lab, TRUST)
    bundle = lab.bundle("web", args=("ip", "-4", "addr"))
    run = (LAUNCHER, "run", "--bundle", str(bundle.path), "web")

    first = lab.run(*run).stdout
    assert annotations_of(bundle)["ocinet.net"] == "bridge"
    bundle.edit(lambda config: config["annotations"].clear())
    bundle.annotate(ocinet_net="lan")
    second = lab.run(*run).stdout
    bundle.annotate(ocinet_net="nowhere")
    third = lab.run(*run, check=False)

    assert "inet 10.72.0.2/24" in first
    assert "inet 10.9.0.2/24" in second
    assert "no network nowhere" in third.stderr + json.dumps(lab.events())
    assert len(bundle.config["hooks"]["poststop"]) == 1
    lab.assert_no_container_left()


def test_bundle_of_hooks_add_is_left_alone(lab: Lab) -> None:
    """Its user has decided; not a byte of it changes."""
    install(lab)
    lab.make_network("lan", "10.9.0.0/24")
    bundle = lab.bundle("web")
    lab.ocinet("hooks", "add", str(bundle.path), "--net", "lan")
    before = (bundle.path / "config.json").read_bytes()

    sandbox = create(lab, bundle)

    assert sandbox.addresses("eth0")[0] == "10.9.0.2/24"
    assert (bundle.path / "config.json").read_bytes() == before
    assert len(lab.events("attached")) == 1
    delete(lab, bundle)


def test_bundle_with_somebodys_network_is_left_alone_unless_it_asks(lab: Lab) -> None:
    """A hook that may wire it, a namespace that is there, the host's: not ours to add to."""
    install(lab)
    box = lab.make_netns("box")
    hook = {"path": "/bin/sh", "args": ["sh", "-c", "cat >/dev/null"]}

    def with_hook(config: dict[str, Any]) -> None:
        config["hooks"] = {"createRuntime": [hook]}

    hooked, joined = lab.bundle("hooked"), lab.bundle("joined", network="/run/netns/box")
    hooked.edit(with_hook)
    hosted = lab.bundle("hosted", network=None)
    for bundle in (hooked, joined, hosted):
        before = (bundle.path / "config.json").read_bytes()
        create(lab, bundle)
        delete(lab, bundle)
        assert (bundle.path / "config.json").read_bytes() == before
    assert lab.events() == []

    for bundle in (hooked, joined):
        bundle.annotate(ocinet_net="bridge")
    assert create(lab, hooked).addresses("eth0") == ["10.72.0.2/24"]
    assert create(lab, joined).sandbox == box.sandbox
    assert len(box.addresses("eth0")) == 1
    assert joined.config["linux"]["namespaces"][-1]["path"] == "/run/netns/box"
    for bundle in (hooked, joined):
        delete(lab, bundle)
    assert host_ends(lab) == []
    lab.run("ip", "netns", "delete", "box")


def test_rootless_container_that_asks_for_nothing_is_left_alone(lab: Lab) -> None:
    """Nothing can be wired there: who asks hears it, all others get what they have always got."""
    lab.path("/run/lab/done").write_text("#!/bin/sh\necho done >&2\n")
    lab.path("/run/lab/done").chmod(0o755)
    install(lab, "--runtime", "/run/lab/done")
    bundle = lab.bundle("web")
    before = bundle.config
    words = ("create", "--bundle", str(bundle.path), "web")
    in_its_own_network = ("unshare", "--user", "--map-root-user", "--net")

    unasked = lab.run("unshare", "--user", "--map-root-user", LAUNCHER, *words)
    assert unasked.stderr == "done\n"
    assert bundle.config == before

    lab.run(*in_its_own_network, LAUNCHER, *words)
    assert annotations_of(bundle)["ocinet.net"] == "bridge"


def test_container_key_joins_by_hand_and_checks_the_sandbox(lab: Lab) -> None:
    """The namespace's path is X's name, and what was found there is X's."""
    install(lab)
    write_settings(lab, TRUST)
    owner = lab.bundle("db", annotations={"ocinet.name": "shop"})
    member = lab.bundle("app", annotations={"ocinet.net": "container:shop"})
    sandbox = create(lab, owner)

    joined = create(lab, member)

    assert joined.sandbox == sandbox.sandbox
    assert member.config["linux"]["namespaces"][-1]["path"] == "/run/netns/shop"
    assert annotations_of(member)["ocinet.sandbox"] == sandbox.sandbox
    delete(lab, owner)
    owner.annotate(ocinet_name="shop")
    delete(lab, member)
    lab.assert_no_container_left()


def test_descriptors_and_socket_activation_reach_the_container(lab: Lab) -> None:
    """--preserve-fds, and LISTEN_FDS for the process that the caller has started."""
    install(lab)
    bundle = lab.bundle("web", args=("sh", "-c", "cat <&3; cat <&4; echo $LISTEN_FDS"))
    (bundle.path / "three").write_text("third\n")
    (bundle.path / "four").write_text("fourth\n")
    words = f"create --bundle {bundle.path} --pid-file /run/web.pid --preserve-fds 1 web"
    script = f"""
        cd {bundle.path}
        exec 3<three 4<four >out </dev/null
        LISTEN_PID=$$ LISTEN_FDS=1 exec {LAUNCHER} {words}
    """
    lab.run("sh", "-c", script)

    lab.run(LAUNCHER, "start", "web")

    shown = (bundle.path / "out").read_text
    lab.run("sh", "-c", "while [ $(runc state web | grep -c stopped) = 0 ]; do sleep 0.05; done")
    assert shown() == "third\nfourth\n1\n"
    delete(lab, bundle)


def test_nothing_but_create_costs_more_than_a_shell(lab: Lab) -> None:
    """Other verbs become the runtime without python, and with the caller's process id."""
    lab.path("/run/lab/echo").write_text('#!/bin/sh\necho "$PPID $*"; ps -o comm= -p $$\n')
    lab.path("/run/lab/echo").chmod(0o755)
    install(lab, "--runtime", "/run/lab/echo")
    lab.run("sed", "-i", "s#exec /.*python3[^ ]* #exec /no/such/python #", LAUNCHER)
    verbs = ("state", "start", "kill", "delete", "exec", "ps", "features")
    calls = [("--root", "create", "--log=run", verb, "create") for verb in verbs]

    for call in calls:
        assert lab.run(LAUNCHER, *call).stdout.splitlines()[0].split(" ", 1)[1] == " ".join(call)
    for verb in ("create", "run"):
        assert lab.run(LAUNCHER, "--root", "/x", verb, "web", check=False).status == 127


@each_runtime
def test_uninstalled_launcher_stays_for_who_runs_under_podman(lab: Lab, runtime: str) -> None:
    """conmon's command line names it: told by the container's id, and gone at the next time."""
    podman = podman_under_wrapper(lab, runtime)
    container = podman.run()
    told = lab.ocinet("runtime", "uninstall").stderr
    assert lab.path(LAUNCHER).exists()

    podman.remove(container.id)
    lab.ocinet("runtime", "uninstall")

    assert f"it alone can stop {container.id[:12]}" in told
    assert not lab.path(LAUNCHER).exists()
