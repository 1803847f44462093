"""What a watcher asks of the engine: is it wired, has it ended, what is it called now."""

from __future__ import annotations

import os

from builders import on, tcp
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import addresses_json, link_json, run
from hosts.namespace.wired_host import WiredHost, open_sandbox, records, snapshot
from ocinet.engine.plan.own_steps import ConfigureInside


def is_wired(host: WiredHost, name: str, pid: int = 0) -> bool:
    """Ask the engine about a container, as its process or another one's."""
    container = host.container(name, pid or host.sleepers[name].pid)
    with host.engine() as engine, open_sandbox(container) as sandbox:
        return engine.containers.is_wired(container, sandbox.identity)


def names(host: WiredHost) -> dict[str, str]:
    """Return the names in the records, members' among them, by id."""
    with host.engine() as engine:
        owners = engine.records.attachments.all()
    told = {owner.container.id: owner.container.name for owner in owners}
    for owner in owners:
        for member in owner.members:
            assert told[member.id] == member.name, "two records of one container differ"
    return told


@in_namespaces
def test_container_is_wired_in_its_own_sandbox_alone() -> None:
    """Another sandbox or another process under its id is not it."""
    with WiredHost() as host:
        host.start("web")
        assert not is_wired(host, "web")
        host.attach(host.container("web", host.sleepers["web"].pid), on("lan"))
        assert is_wired(host, "web")
        other = host.start("other").process
        assert other
        assert not is_wired(host, "web", other.pid)


@in_namespaces
def test_half_made_container_is_not_wired() -> None:
    """Who comes second finishes what the first one was killed at."""

    def die(step: object) -> None:
        if isinstance(step, ConfigureInside):
            os._exit(9)

    with WiredHost() as host:
        container = host.start("web")
        pid = os.fork()
        if pid == 0:
            host.attach(container, on("lan"), die)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
        assert any("web" in record for record in records())
        assert not is_wired(host, "web")
        host.attach(container, on("lan"))
        assert is_wired(host, "web")


@in_namespaces
def test_end_of_a_live_container_is_not_believed() -> None:
    """A late or repeated event; of a dead one it is, once."""
    with WiredHost() as host:
        host.up("web")
        with host.engine() as engine:
            assert not engine.ended("web-id")
            assert not engine.ended("nobody")
        assert len(host.addresses("web")) == 1
        host.sleepers.pop("web").end()
        with host.engine() as engine:
            assert engine.ended("web-id")
            assert not engine.ended("web-id")
        assert [record for record in records() if "web" in record] == []


@in_namespaces
def test_rename_is_known_wherever_the_name_stands() -> None:
    """Of an owner, of a member in both records; to the same name it does nothing."""
    with WiredHost() as host:
        host.up("web")
        host.join("side", "web")
        with host.engine() as engine:
            assert engine.rename("web-id", "shop")
            assert engine.rename("side-id", "till")
            assert not engine.rename("side-id", "till")
            assert not engine.rename("nobody", "x")
        assert names(host) == {"web-id": "shop", "side-id": "till"}
        with host.engine() as engine:
            assert engine.containers.find("shop").container.id == "web-id"


@in_namespaces
def test_prepared_network_is_there_before_its_first_container() -> None:
    """Bridge, address and rules; a second time there is nothing to do."""
    with WiredHost() as host:
        with host.engine() as engine:
            assert engine.prepare("lan")
            assert not engine.prepare("lan")
        bridge = link_json("br-lan")
        assert bridge
        assert "UP" in bridge["flags"]
        assert [address["local"] for address in addresses_json("br-lan")] == ["10.9.0.1"]
        before = snapshot()
        host.up("web")
        host.stop("web")
        assert snapshot() == before


@in_namespaces
def test_prepare_restores_what_was_flushed() -> None:
    """Ports of containers that run are among it."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(tcp(8080),)))
        rules = snapshot()["rules"]
        run("nft flush ruleset")
        with host.engine() as engine:
            assert engine.prepare("lan")
        assert snapshot()["rules"] == rules
        assert "8080" in str(rules)
