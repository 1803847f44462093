"""Shared sandboxes, collecting, ports of running containers, and networks' removal."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from builders import network, on, tcp
from faults import FAULTS
from hosts.namespace.isolation import Sleeper, in_namespaces
from hosts.namespace.looks import ip_json, run
from hosts.namespace.wired_host import PATHS, WiredHost, records, snapshot
from ocinet.base.address import Address
from ocinet.base.clock import Deadline
from ocinet.base.errors import ConflictError, NotFoundError, RequestError
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.model.attachment import Container
from ocinet.engine.model.request import Publish, Request
from ocinet.ipam.reservation import Reservation, ReservationStore

PORT = tcp(8080)


def look(bridge: str) -> list[object]:
    """Return what an operator set of a bridge."""
    keys = ("ifname", "mtu", "address", "group", "ifalias", "master", "addr_info")
    return [[link.get(key) for key in keys] for link in ip_json(f"-4 addr show dev {bridge}")]


def events() -> list[str]:
    """Return the phrases of the event log."""
    lines = Path(f"{PATHS.run}/events.jsonl").read_text().splitlines()
    return [json.loads(line)["event"] for line in lines]


@in_namespaces
def test_attach_by_another_process_of_the_sandbox_takes_the_name_along() -> None:
    """The first may have been a passing one: the name must not show it, nor outlive the second."""
    with WiredHost() as host:
        host.up("web")
        first = host.sleepers.pop("web")
        host.sleepers["passing"] = first
        second = Sleeper(beside=first.pid)

        host.attach(host.container("web", second.pid), on("lan"))

        assert os.readlink("/run/netns/web") == f"/proc/{second.pid}/ns/net"
        first.end()
        second.end()
        assert host.poststop("web")
        assert os.listdir("/run/netns") == []
        assert records() == []


@in_namespaces
@pytest.mark.parametrize("collected", [True, False])
def test_owner_whose_end_nobody_told_is_counted_out_with_its_last_member(collected: bool) -> None:
    """Killed without a poststop: collecting leaves the name to the member, whose end ends all."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(PORT,)))
        host.join("side", "web")
        host.sleepers.pop("web").end()
        if collected:
            assert host.gc(dry_run=True) == []
            assert os.readlink("/run/netns/web") != f"/proc/{host.sleepers['side'].pid}/ns/net"
            assert host.gc() == []
            assert os.readlink("/run/netns/web") == f"/proc/{host.sleepers['side'].pid}/ns/net"
        assert host.pings("side", "10.9.0.1")

        assert host.stop("side")

        assert records() == []
        assert os.listdir("/run/netns") == []


@in_namespaces
def test_join_counts_members_until_the_last_has_gone() -> None:
    """The owner stops first: the member keeps links, leases and the name."""
    with WiredHost() as host:
        record = host.up("web", on("lan", publish=(PORT,)))
        host.join("side", "web")

        assert host.stop("web")
        assert host.addresses("side") == ["10.9.0.2/24"]
        assert host.pings("side", "10.9.0.1")
        assert os.readlink("/run/netns/web") == f"/proc/{host.sleepers['side'].pid}/ns/net"
        assert "8080" in run("nft list map inet ocinet publish4")

        assert host.stop("side")
        assert records() == []
        assert record.endpoints[0].host_ifname not in str(ip_json("link"))
        assert os.listdir("/run/netns") == []
        assert "8080" not in run("nft list map inet ocinet publish4")


@in_namespaces
def test_join_whose_member_stops_first_leaves_the_owner_wired() -> None:
    """A member that goes takes nothing along."""
    with WiredHost() as host:
        host.up("web")
        host.join("side", "web")

        assert host.stop("side")
        assert host.pings("web", "10.9.0.1")
        assert host.stop("web")
        assert snapshot()["names"] == []


@in_namespaces
def test_join_of_a_member_counts_for_the_owner() -> None:
    """container:MEMBER is container:OWNER: one record has the sandbox."""
    with WiredHost() as host:
        host.up("web")
        host.join("side", "web")
        host.join("third", "side")

        host.stop("web")
        host.stop("side")
        assert host.pings("third", "10.9.0.1")
        assert os.readlink("/run/netns/web") == f"/proc/{host.sleepers['third'].pid}/ns/net"
        host.stop("third")
        assert snapshot()["names"] == []


@in_namespaces
def test_owner_back_in_a_new_sandbox_takes_address_and_port() -> None:
    """As with Docker the member is unwired; one warning says to restart it."""
    request = on("lan", publish=(PORT, tcp(0, 81)))
    with WiredHost() as host:
        host.up("web", request)
        before = host.addresses("web", "eth0"), run("nft list map inet ocinet publish4")
        host.join("side", "web")
        host.stop("web")

        host.up("web", request)

        after = host.addresses("web", "eth0"), run("nft list map inet ocinet publish4")
        assert after == before
        assert host.pings("web", "10.9.0.1")
        assert not host.pings("side", "10.9.0.1")
        assert events().count("members lost their network") == 1
        assert told_of_side(host) == [("side", "it is in the sandbox that web has left")]
        assert host.stop("side")
        assert told_of_side(host) == []
        assert host.pings("web", "10.9.0.1")


def told_of_side(host: WiredHost) -> list[tuple[str, str]]:
    """Return what `check` finds, each without what helps."""
    with host.engine() as engine:
        findings = engine.check(repair=True)
    assert all(finding.manual and not finding.repaired for finding in findings)
    return [(finding.container, finding.what.partition(",")[0]) for finding in findings]


@in_namespaces
def test_member_that_was_left_behind_joins_the_new_sandbox_when_it_restarts() -> None:
    """Also where nobody told of its end; and the owner's next end leaves nothing of before."""
    with WiredHost() as host:
        host.up("web")
        host.join("side", "web")
        host.stop("web")
        host.up("web")
        host.sleepers.pop("side").end()
        host.join("side", "web")
        assert host.pings("side", "10.9.0.1")
        assert told_of_side(host) == []
        host.stop("side")
        host.stop("web")
        assert records() == []


@in_namespaces
def test_join_of_another_sandbox_is_refused() -> None:
    """A hook can't move a container into a sandbox, so it says how to start it."""
    with WiredHost() as host:
        host.up("web")
        side = host.start("side")

        with pytest.raises(RequestError, match="container:web"):
            host.attach(side, Request("container", "web"))


@in_namespaces
def test_attach_in_a_sandbox_that_another_has_names_it() -> None:
    """As the second container of a pod: the error says what to ask for instead."""
    with WiredHost() as host:
        host.up("infra")
        host.join("first", "infra")
        before = snapshot()
        second = host.container("second", host.sleepers["first"].pid)

        with pytest.raises(ConflictError, match="container:infra"):
            host.attach(second, on("lan"))
        assert snapshot() == before


@in_namespaces
def test_attach_of_a_member_wires_the_shared_sandbox() -> None:
    """A network that is asked for a member is the owner's record's."""
    with WiredHost() as host:
        host.up("web")
        side = host.join("side", "web")

        host.attach(side, on("dmz"))

        assert host.addresses("web", "eth1") == ["10.8.0.2/24"]
        host.stop("side")
        host.stop("web")
        assert snapshot()["names"] == []


@in_namespaces
def test_attach_of_a_member_whose_owner_has_gone_wires_what_it_lives_in() -> None:
    """The sandbox stays the owner's by record, and goes with the last member."""
    with WiredHost() as host:
        host.up("web")
        side = host.join("side", "web")
        host.stop("web")

        host.attach(side, on("dmz"))

        assert host.addresses("side", "eth1") == ["10.8.0.2/24"]
        host.stop("side")
        assert records() == []


@in_namespaces
def test_detach_by_hand_unwires_a_live_sandbox() -> None:
    """`ocinet detach` needs no dead process; members lose the network too."""
    with WiredHost() as host:
        host.up("web")
        host.join("side", "web")

        with host.engine() as engine:
            assert engine.detach("web-id")

        assert [link["ifname"] for link in ip_json("link", host.sleepers["web"].pid)] == ["lo"]
        assert records() == ["attachments/web-id.json"]  # it runs, and has nothing


@in_namespaces
def test_gc_collects_what_died_without_a_word() -> None:
    """A dead container's links, ports, name and leases go; a live one's stay."""
    with WiredHost() as host:
        host.up("alive")
        before = snapshot()
        host.up("dead", on("lan", publish=(PORT,)))
        host.sleepers.pop("dead").end()

        assert host.gc(dry_run=True) == [("attachment", "dead-id")]
        assert "attachments/dead-id.json" in records()
        assert host.gc() == [("attachment", "dead-id")]
        assert snapshot() == before
        assert host.gc() == []
        assert host.pings("alive", "10.9.0.1")


@in_namespaces
def test_gc_leaves_what_is_being_worked_on() -> None:
    """A held container lock means that somebody is at work there."""
    with WiredHost() as host:
        host.up("dead")
        host.sleepers.pop("dead").end()

        with (
            host.engine() as busy,
            busy.operation.locks.container("dead-id"),
            host.engine() as engine,
        ):
            found = engine.gc()
        assert [(finding.kind, finding.removed) for finding in found] == [("attachment", False)]
        assert host.gc() == [("attachment", "dead-id")]


@in_namespaces
def test_gc_collects_leftovers_without_a_record() -> None:
    """Leases, ports and links that no record names, and bridges of no network."""
    with WiredHost() as host:
        host.up("web", on("lan", "dmz", publish=(PORT,)))
        Path(f"{PATHS.run}/attachments/web-id.json").unlink()
        assert host.gc() == [("port", "web-id")]
        host.sleepers.pop("web").end()
        with host.engine() as engine:
            engine.records.networks.remove("dmz")

        kinds = {kind for kind, _name in host.gc()}

        assert kinds >= {"lease", "bridge"}
        assert [link["ifname"] for link in ip_json("link")] == ["lo", "br-lan"]
        assert records() == []


@in_namespaces
def test_gc_sets_an_unreadable_record_aside() -> None:
    """A damaged record stops nobody, and nothing of it is thrown away."""
    with WiredHost() as host:
        host.up("web")
        host.sleepers.pop("web").end()
        record = Path(f"{PATHS.run}/attachments/web-id.json")
        record.write_text("{")

        assert ("record", "web-id") in host.gc()
        assert record.with_name(".corrupt-web-id").read_text() == "{"
        host.gc()
        assert [link["ifname"] for link in ip_json("link")] == ["lo", "br-lan"]


@in_namespaces
def test_gc_after_a_reboot_forgets_the_old_boot() -> None:
    """Records of an earlier boot hold nothing, even if a pid came back."""
    with WiredHost() as host:
        [endpoint] = host.up("web", on("lan", publish=(PORT,))).endpoints
        record = Path(f"{PATHS.run}/attachments/web-id.json")
        data = json.loads(record.read_text())
        record.write_text(json.dumps({**data, "boot_id": "another"}))
        run(f"ip link del {endpoint.host_ifname}")  # no link outlives its boot

        assert host.gc() == [("attachment", "web-id")]
        assert records() == []


@in_namespaces
def test_publish_and_unpublish_on_a_running_container() -> None:
    """One map element comes and goes, without a restart."""
    with WiredHost() as host:
        host.up("web")
        with host.engine() as engine:
            record = engine.publish("web", (PORT, Publish("tcp", None, 0, 81)))
        free = next(port.host_port for port in record.ports if port.port == 81)
        published = run("nft list map inet ocinet publish4")
        assert "tcp . 8080 : 10.9.0.2 . 80" in published
        assert f"tcp . {free} : 10.9.0.2 . 81" in published

        with host.engine() as engine:
            engine.unpublish("web", (PORT,))
            with pytest.raises(NotFoundError, match="8080"):
                engine.unpublish("web", (PORT,))
        published = run("nft list map inet ocinet publish4")
        assert "8080" not in published
        assert str(free) in published
        host.up("other", on("lan", publish=(PORT,)))


@pytest.mark.parametrize("fault", ["host end deleted", "host end off the bridge", "bridge deleted"])
@in_namespaces
def test_publish_beside_a_lost_host_end_says_what_helps_and_changes_nothing(fault: str) -> None:
    """It names the command; once that was run, the port is published."""
    with WiredHost() as host:
        record = host.up("web")
        host.up("other")
        run("sh", "-c", FAULTS[fault].command_on(record))
        before, routed = snapshot(), "/proc/sys/net/ipv4/conf/br-lan/route_localnet"
        there = Path(routed).read_text() if fault != "bridge deleted" else ""
        with host.engine() as engine:
            with pytest.raises(ConflictError, match="no port can lead there") as refused:
                engine.publish("web", (PORT,))
            assert "the host end of eth0, is " in str(refused.value)
            assert refused.value.hint == "ocinet check --repair"
        assert snapshot() == before
        assert (Path(routed).read_text() if there else "") == there
        with host.engine() as engine:
            engine.check(repair=True)
            engine.publish("web", (PORT,))
        assert "8080" in run("nft list map inet ocinet publish4")


@in_namespaces
def test_remove_network_in_use_is_refused_by_name() -> None:
    """The error names who is on it, and the network stays."""
    with WiredHost() as host:
        host.up("web")
        before = snapshot()
        with host.engine() as engine:
            with pytest.raises(ConflictError, match="web is on it"):
                engine.networks.remove("lan")
            assert engine.records.networks.get("lan") == network().replace(
                created=engine.records.networks.get("lan").created
            )
        assert snapshot() == before


@in_namespaces
def test_remove_network_leaves_nothing_of_it() -> None:
    """Bridge, firewall elements and leases of a managed network go with it."""
    with WiredHost() as host:
        host.up("web")
        before = snapshot()
        host.up("dmz", on("dmz"))
        host.stop("dmz")

        with host.engine() as engine:
            kept = ReservationStore(PATHS, deadline=Deadline(5))
            kept.add(Reservation("dmz", "db", Address.parse("10.8.0.9")))
            engine.networks.remove("dmz")

        assert snapshot() == before
        assert kept.networks() == ()


@in_namespaces
def test_remove_network_keeps_an_adopted_bridge() -> None:
    """What we did not make we do not remove."""
    run("ip link add br0 address 02:00:00:00:00:01 type bridge")
    run("ip addr add 10.9.0.1/24 dev br0")
    run("ip link set br0 up")
    with WiredHost() as host:
        with host.engine() as engine:
            engine.records.networks.add(network("own", managed=False, device="br0"))
        before = look("br0")
        host.up("web", on("own"))
        assert host.pings("web", "10.9.0.1")
        host.stop("web")

        with host.engine() as engine:
            engine.networks.remove("own")

        assert look("br0") == before


@in_namespaces
def test_attach_given_by_path_lives_as_long_as_its_namespace() -> None:
    """`ip netns add x` and attach: no process to follow, yet it is collected in time."""
    with WiredHost() as host:
        run("ip netns add x")
        with host.engine() as engine, Sandbox.open_path("/run/netns/x") as sandbox:
            engine.attach(Container("x", "x"), on("lan"), sandbox)
        assert "10.9.0.2" in run("ip netns exec x ip addr")
        with host.engine() as engine:
            engine.publish("x", (PORT,))
        assert "tcp . 8080 : 10.9.0.2 . 80" in run("nft list map inet ocinet publish4")
        assert host.gc() == []
        assert host.poststop("x", "/some/bundle") is False

        run("ip netns del x")
        deadline = 200
        while len(ip_json("link")) > 2 and deadline:
            deadline -= 1
        assert host.gc() == [("attachment", "x")]
