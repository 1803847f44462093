"""runc's and crun's containers through `hooks add`, in every mode."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from hosts.command import CommandFailed
from hosts.engine.runtimes import each_runtime
from ocinet.base.paths import Paths
from ocinet.engine.known import find_record
from ocinet.engine.records.attachments import AttachmentStore
from ocinet.hooks.registration.bundle import add, remove
from ocinet.hooks.registration.installation import resolve
from ocinet.request.annotations import parse_annotations

if TYPE_CHECKING:
    from hosts.engine.bundle import Bundle
    from hosts.lab.machine import Lab


def _add(lab: Lab, bundle: Bundle, stage: str = "createRuntime", **asked: str) -> None:
    """Do what `ocinet hooks add` does, with keys as `net="lan"`."""
    request = parse_annotations({f"ocinet.{key}": text for key, text in asked.items()})
    store = AttachmentStore(Paths(run=str(lab.path("/run/ocinet"))))
    # Seen from outside, the lab's names are links to processes all the same.
    netns_dir = "/run/netns"
    add(str(bundle.path), request, resolve({}), partial(find_record, store),
        netns_dir=str(lab.path(netns_dir)), stage=stage)  # fmt: skip

    def inside(config: dict[str, Any]) -> None:
        for entry in config["linux"]["namespaces"]:
            if entry.get("path"):
                entry["path"] = f"{netns_dir}/{entry['path'].rpartition('/')[2]}"

    bundle.edit(inside)


@each_runtime
@pytest.mark.parametrize("stage", ["createRuntime", "prestart"])
def test_bridge_is_wired_before_the_first_instruction(lab: Lab, runtime: str, stage: str) -> None:
    """The entrypoint's own output shows eth0; deletion leaves nothing."""
    bundle = lab.bundle("web", args=("sh", "-c", "ip -4 -o addr show eth0; sleep 1000"))
    _add(lab, bundle, stage)

    container = lab.runtime(runtime).run(bundle)

    assert container.namespace.addresses("eth0") == ["10.72.0.2/24"]
    assert "10.72.0.2/24" in container.output()
    container.end()
    assert [event["event"] for event in lab.events()] == ["attached", "detached"]


@each_runtime
def test_both_stages_at_once_attach_once(lab: Lab, runtime: str) -> None:
    """prestart and createRuntime in one start are one attach."""
    bundle = lab.bundle("web")
    _add(lab, bundle)

    def twice(config: dict[str, Any]) -> None:
        entry = json.loads(json.dumps(config["hooks"]["createRuntime"][0]))
        entry["args"][4] = "prestart"
        config["hooks"]["prestart"] = [entry]

    bundle.edit(twice)
    container = lab.runtime(runtime).run(bundle)
    assert container.namespace.addresses("eth0") == ["10.72.0.2/24"]
    container.end()
    assert [event["event"] for event in lab.events()] == ["attached", "detached"]


@each_runtime
def test_host_shares_the_hosts_network(lab: Lab, runtime: str) -> None:
    """The namespace is gone from the spec, and nothing is wired."""
    bundle = lab.bundle("web")
    _add(lab, bundle, net="host")

    container = lab.runtime(runtime).run(bundle)

    assert container.namespace.sandbox == lab.sandbox
    assert lab.events() == []


@each_runtime
def test_host_by_annotation_alone_says_how_to_start_it(lab: Lab, runtime: str) -> None:
    """A hook can't exchange a sandbox: one clear line, in runc's error and in the log."""
    bundle = lab.bundle("web")
    _add(lab, bundle)
    bundle.annotate(ocinet_net="host")

    with pytest.raises(CommandFailed) as caught:
        lab.runtime(runtime).run(bundle)

    line = ("cannot attach web: it has a network namespace of its own, which a hook can't exchange "
            "(hint: ocinet hooks add BUNDLE --net host)")  # fmt: skip
    assert next(event["error"] for event in lab.events()) == line
    if runtime == "runc":
        assert f"ocinet: {line}" in caught.value.result.stderr


@each_runtime
def test_none_has_loopback_and_a_record(lab: Lab, runtime: str) -> None:
    """lo is up, nothing else is there, and `ps` would know it."""
    bundle = lab.bundle("web")
    _add(lab, bundle, net="none")
    container = lab.runtime(runtime).run(bundle)
    assert list(container.namespace.links()) == ["lo"]
    assert "LOWER_UP" in container.namespace.links()["lo"]["flags"]
    assert [event["mode"] for event in lab.events()] == ["none"]


@each_runtime
def test_container_shares_the_targets_sandbox(lab: Lab, runtime: str) -> None:
    """The member is in the owner's namespace before its first instruction, and counted."""
    owner = lab.bundle("db")
    _add(lab, owner)
    db = lab.runtime(runtime).run(owner)
    member = lab.bundle("web", args=("sh", "-c", "ip -4 -o addr show eth0; sleep 1000"))
    _add(lab, member, net="container:db")

    web = lab.runtime(runtime).run(member)

    assert web.namespace.sandbox == db.namespace.sandbox
    assert "10.72.0.2/24" in web.output()
    assert [event["mode"] for event in lab.events()] == ["bridge", "container"]
    for container in (web, db):
        container.end()


def test_container_of_a_restarted_target_is_refused(lab: Lab) -> None:
    """The bundle says which sandbox it meant; another one under that name is not it."""
    owner = lab.bundle("db")
    _add(lab, owner)
    first = lab.runc.run(owner)
    member = lab.bundle("web")
    _add(lab, member, net="container:db")
    with open(f"/proc/{first.pid}/ns/net", "rb"):  # or the second might get its number
        first.end()
        second = lab.runc.run(owner)

    with pytest.raises(CommandFailed) as caught:
        lab.runc.run(member)

    assert "its sandbox is not that of db: that has been restarted" in caught.value.result.stderr
    assert second.namespace.addresses("eth0")


@each_runtime
def test_removed_hook_is_gone(lab: Lab, runtime: str) -> None:
    """After remove the bundle is as it was: a container with lo alone."""
    bundle = lab.bundle("web")
    before = (bundle.path / "config.json").read_bytes()
    _add(lab, bundle, net="host")
    assert remove(str(bundle.path))
    assert (bundle.path / "config.json").read_bytes() == before
    container = lab.runtime(runtime).run(bundle)
    assert list(container.namespace.links()) == ["lo"]
    assert lab.events() == []


@each_runtime
def test_container_without_any_key_gets_the_default(lab: Lab, runtime: str) -> None:
    """A bundle that has our hook, and nothing more, asks for the default network."""
    bundle = lab.bundle("web")
    _add(lab, bundle)
    bundle.edit(lambda config: config.pop("annotations"))
    container = lab.runtime(runtime).run(bundle)
    assert container.namespace.addresses("eth0") == ["10.72.0.2/24"]
