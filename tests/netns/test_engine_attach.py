"""Attach and detach on a real kernel: what is there after, and that nothing is left."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builders import network, on, tcp, udp
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import ip_json, link_json, run
from hosts.namespace.wired_host import (
    PATHS,
    WiredHost,
    exchanged,
    open_sandbox,
    records,
    snapshot,
)
from hosts.waiting import wait_until
from ocinet.base.address import Address, Subnet
from ocinet.base.errors import (
    ConflictError,
    ExhaustedError,
    NotFoundError,
    OcinetError,
    RequestError,
    SystemFailure,
)
from ocinet.engine.model.network import Network
from ocinet.engine.model.request import Publish, Request
from ocinet.engine.plan.new_network import NetworkOptions
from ocinet.engine.plan.own_steps import OpenFirewall
from ocinet.engine.plan.port_steps import AddVeth
from ocinet.engine.plan.shared_steps import MakeTable
from ocinet.engine.plan.steps import Step
from ocinet.engine.records.networks import NetworkStore
from ocinet.ipam.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable

PORT = tcp(8080)


@in_namespaces
def test_attach_gives_address_route_and_name() -> None:
    """The recipe: a veth on the bridge, eth0 with an address, a default route, a name."""
    with WiredHost() as host:
        record = host.up("web")

        assert host.addresses("web") == ["10.9.0.2/24"]
        routes = ip_json("route", host.sleepers["web"].pid)
        assert [(route["dst"], route.get("gateway")) for route in routes] == [
            ("default", "10.9.0.1"),
            ("10.9.0.0/24", None),
        ]
        assert "web" in run("ip netns list")
        assert "10.9.0.2" in run("ip netns exec web ip addr")
        host_end = link_json(record.endpoints[0].host_ifname)
        assert host_end is not None
        assert host_end["master"] == "br-lan"
        assert host_end["ifalias"] == "ocinet:web-id/eth0"
        assert host_end["ifindex"] == record.endpoints[0].host_ifindex
        assert host.pings("web", "10.9.0.1")


@in_namespaces
def test_attach_beyond_a_quota_is_refused_and_changes_nothing() -> None:
    """Also when it comes bit by bit: what the container has already counts."""
    with WiredHost() as host:
        settings = Path(PATHS.config, "ocinet.toml")
        settings.write_text("max_networks = 1\nmax_ports = 2\n")
        web = host.start("web")
        host.attach(web, on("lan", publish=(tcp(8080),)))
        before = snapshot()

        with pytest.raises(ExhaustedError, match="2 networks, and a container may have 1"):
            host.attach(web, on("dmz"))
        with pytest.raises(ExhaustedError, match="3 published ports"):
            host.attach(web, on("lan", publish=(tcp(8080), tcp(1), tcp(2))))

        assert snapshot() == before
        host.attach(web, on("lan", publish=(tcp(8080), tcp(1))))


@in_namespaces
def test_attach_two_containers_reach_each_other() -> None:
    """Containers of one network are neighbours."""
    with WiredHost() as host:
        host.up("a")
        host.up("b")

        assert host.pings("a", "10.9.0.3")
        assert host.pings("b", "10.9.0.2")


@in_namespaces
def test_attach_leaves_the_hosts_own_packets_alone() -> None:
    """A service at the bridge's address sees the host as that, not masqueraded on lo."""
    import socket

    run("ip link add uplink type veth peer name outside")
    run("ip addr add 198.51.100.1/24 dev uplink")
    run("ip link set uplink up")
    with WiredHost() as host, socket.create_server(("0.0.0.0", 9999)) as server:
        host.up("web")
        server.settimeout(5)
        with socket.create_connection(("10.9.0.1", 9999), timeout=5):
            accepted, peer = server.accept()
            accepted.close()

        assert peer[0] == "10.9.0.1"


@in_namespaces
def test_attach_twice_changes_nothing() -> None:
    """runc runs prestart and createRuntime both: the second call finds all done."""
    with WiredHost() as host:
        web = host.start("web")
        first = host.attach(web, on("lan", publish=(PORT,)))
        before = snapshot()

        assert host.attach(web, on("lan", publish=(PORT,))) == first
        assert snapshot() == before


@in_namespaces
def test_attach_to_another_network_adds_an_interface() -> None:
    """As with `docker network connect`, what is there stays as it is."""
    with WiredHost() as host:
        web = host.start("web")
        host.attach(web, on("lan"))

        host.attach(web, on("lan", "dmz"))

        assert host.addresses("web") == ["10.9.0.2/24"]
        assert host.addresses("web", "eth1") == ["10.8.0.2/24"]
        defaults = ip_json("route show default", host.sleepers["web"].pid)
        assert [route["gateway"] for route in defaults] == ["10.9.0.1"]


@in_namespaces
def test_attach_with_a_mac_that_another_has_is_refused_and_names_it() -> None:
    """Two of them on one bridge would get each other's packets; on another network it is fine."""
    with WiredHost() as host:
        first = host.up("first", on("lan", mac="02:00:00:00:00:07"))
        derived = host.up("derived").endpoints[0].mac
        before = snapshot()
        for mac, owner in (("02:00:00:00:00:07", "first"), (derived, "derived")):
            web = host.start("web")
            with pytest.raises(ConflictError, match=f"{owner} has the MAC {mac} on network lan"):
                host.attach(web, on("lan", mac=mac))
            host.sleepers.pop("web").end()
        assert snapshot() == before
        host.up("dmz", on("dmz", mac="02:00:00:00:00:07"))
        host.attach(first.container, on("lan", mac="02:00:00:00:00:07"))
        assert host.pings("first", "10.9.0.1")


@in_namespaces
def test_attach_with_the_mac_of_a_dead_container_takes_it_over() -> None:
    """Who ended without a word is taken down first."""
    with WiredHost() as host:
        host.up("dead", on("lan", mac="02:00:00:00:00:07"))
        host.sleepers.pop("dead").end()
        host.up("web", on("lan", mac="02:00:00:00:00:07"))
        assert host.pings("web", "10.9.0.1")
        assert [name for name in records() if "attach" in name] == ["attachments/web-id.json"]


@in_namespaces
def test_attach_with_the_mac_of_the_bridge_is_refused() -> None:
    """The host would answer for itself."""
    with WiredHost() as host:
        host.up("old")
        bridge = link_json("br-lan")
        assert bridge is not None
        with pytest.raises(ConflictError, match=f"br-lan has the MAC {bridge['address']}"):
            host.up("web", on("lan", mac=bridge["address"]))


def _has_become(how: str) -> None:
    run("ip link add uplink type veth peer name outside")
    run("ip addr add 198.51.100.1/24 dev uplink")
    run("ip link set uplink up")
    run("ip link set outside up")
    run(how)


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize(
    ("how", "other"),
    [
        ("ip addr add 10.9.0.77/24 dev uplink", "10.9.0.0/24"),
        ("ip addr add 10.0.0.5/8 dev uplink", "10.0.0.0/8"),
        ("ip addr add 10.9.0.129/25 dev uplink", "10.9.0.128/25"),
    ],
)
@in_namespaces
def test_attach_where_a_subnet_has_become_an_uplinks_is_refused(
    how: str, other: str, *, made: bool
) -> None:
    """Before the bridge was made and after: the other one is named, and the hint works."""
    with WiredHost() as host:
        if made:
            host.up("old")
            host.stop("old")
        _has_become(how)

        with pytest.raises(
            ConflictError, match=rf"10\.9\.0\.0/24 .* lan overlaps {other}"
        ) as caught:
            host.up("web")
        assert caught.value.hint == "ocinet network rm lan && ocinet network create lan"
        with host.engine() as engine:
            engine.networks.remove("lan")
            engine.networks.create("lan", NetworkOptions())
        host.up("again")
        (address,) = host.addresses("again")
        assert not address.startswith("10.9.")
        assert host.pings("again", "198.51.100.1")


@pytest.mark.parametrize(
    ("how", "refused"),
    [
        ("ip route add 10.9.0.0/24 dev uplink", True),
        ("ip route add 10.9.0.128/25 via 198.51.100.9", True),
        ("ip route add 10.0.0.0/8 via 198.51.100.9", False),
    ],
)
@in_namespaces
def test_attach_of_a_new_bridge_where_a_route_would_win_is_refused(
    how: str, *, refused: bool
) -> None:
    """As specific as the network's own, and there first: a VPN's that came with a boot."""
    with WiredHost() as host:
        _has_become(how)
        if refused:
            with pytest.raises(ConflictError, match=r"10\.9\.0\.0/24 .* lan overlaps 10\.9"):
                host.up("web")
        else:
            host.up("web")
            assert host.pings("web", "10.9.0.1")


def _freeze_sysctls() -> None:
    run("mount --bind /proc/sys /proc/sys")
    run("mount -o remount,bind,ro /proc/sys")


@in_namespaces
def test_attach_with_read_only_sysctls_that_are_right_works() -> None:
    """Also a port at 127.0.0.1; nobody is told of what need not be set."""
    run("sysctl -qw net.ipv4.ip_forward=1")
    with WiredHost() as host:
        _freeze_sysctls()
        web = host.start("web")
        with host.engine() as engine, open_sandbox(web) as sandbox:
            engine.attach(web, on("lan", publish=(PORT,)), sandbox)
            assert engine.warnings == []
        assert host.pings("web", "10.9.0.1")
        assert run("sysctl -n net.ipv4.conf.br-lan.route_localnet") == "2\n"


@in_namespaces
def test_attach_with_read_only_sysctls_that_are_wrong_says_which_and_why() -> None:
    """The command is one that still makes sense when all is undone; then it works."""
    run("sysctl -qw net.ipv4.ip_forward=0")
    with WiredHost() as host:
        _freeze_sysctls()
        before = snapshot()
        with pytest.raises(
            SystemFailure, match=r"published ports need: .*ip_forward.*Read-only"
        ) as caught:
            host.up("web")
        assert snapshot() == before
        run("umount /proc/sys")
        assert caught.value.hint == "sysctl -w net/ipv4/ip_forward=1"
        run(caught.value.hint)
        _freeze_sysctls()
        host.up("again")
        assert host.pings("again", "10.9.0.1")


@in_namespaces
def test_container_gives_the_host_no_route_where_sysctls_are_read_only() -> None:
    """A router's advertisement from a container is dropped, though the bridge would take it."""
    run("sysctl -qw net.ipv4.ip_forward=1")
    with WiredHost() as host:
        with host.engine() as engine:  # the guard of a port drops it first
            engine.records.networks.add(network("open", "10.7.0.0/24", guard=False))
        _freeze_sysctls()
        host.up("web", on("open"))
        assert run("sysctl -n net.ipv6.conf.br-open.accept_ra") == "1\n"

        def advertise() -> str:
            pid = host.sleepers["web"].pid
            run("nsenter", "-t", str(pid), "-n", sys.executable, "-c", _ADVERTISE)
            return run("ip -6 route show proto ra")

        _wait_for_link_local(host.sleepers["web"].pid)
        assert advertise() == ""
        run("nft flush ruleset")
        assert "default" in advertise()


_ADVERTISE = """
import socket, struct, time
s = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
s.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0), ("ff02::1", 0))
time.sleep(0.2)
"""


def _wait_for_link_local(pid: int) -> None:
    def settled(where: str) -> bool:
        shown = run(f"{where} ip -6 addr show scope link")
        return "fe80" in shown and "tentative" not in shown

    wait_until(lambda: settled(f"nsenter -t {pid} -n"), "the container's link-local address")
    wait_until(lambda: settled(""), "the bridge's link-local address")


@in_namespaces
def test_attach_of_mode_none_raises_lo_only() -> None:
    """Mode none is recorded, named, and left alone until somebody attaches it."""
    with WiredHost() as host:
        web = host.start("web")
        host.attach(web, Request("none"))

        links = ip_json("link", host.sleepers["web"].pid)
        assert [(link["ifname"], "UP" in link["flags"]) for link in links] == [("lo", True)]

        host.attach(web, on("lan"))
        assert host.addresses("web") == ["10.9.0.2/24"]


@in_namespaces
def test_detach_leaves_nothing_of_the_container() -> None:
    """After the poststop, only the shared bridge and table are there."""
    with WiredHost() as host:
        host.up("first")
        before = snapshot()
        host.up("web", on("lan", "dmz", publish=(PORT, udp(53, 53))))
        with host.engine() as engine:
            engine.detach("web-id")

        after = snapshot()
        assert after["records"] == sorted((*before["records"], "attachments/web-id.json"))
        assert {**after, "links": [], "records": before["records"]} == {
            **before, "links": [], "rules": after["rules"], "addresses": after["addresses"],
        }  # fmt: skip
        assert [link for link in after["links"] if link not in before["links"]] == [
            ("br-dmz", "bridge", None)
        ]
        assert "8080" not in run("nft list ruleset")


@in_namespaces
def test_detach_without_a_record_is_success() -> None:
    """A poststop may come for a container that never was."""
    with WiredHost() as host:
        assert host.poststop("ghost") is False


@in_namespaces
def test_detach_after_the_sandbox_died_frees_address_and_port() -> None:
    """The record alone is enough: no sandbox, no link, no bundle."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(PORT,), addresses=(Address.parse("10.9.0.7"),)))
        assert host.stop("web")

        host.up("again", on("lan", publish=(PORT,), addresses=(Address.parse("10.9.0.7"),)))
        assert host.addresses("again") == ["10.9.0.7/24"]


@in_namespaces
def test_poststop_of_a_live_container_is_ignored() -> None:
    """Only `ocinet detach` may unwire what lives: an id is unique per runtime only."""
    with WiredHost() as host:
        host.up("web")

        assert host.poststop("web") is False
        assert host.addresses("web") == ["10.9.0.2/24"]


@in_namespaces
def test_poststop_of_another_bundle_is_ignored() -> None:
    """The same id under another runtime's root is another container."""
    with WiredHost() as host:
        host.up("web")
        host.sleepers["web"].end()

        assert host.poststop("web", "/elsewhere/web") is False
        assert host.poststop("web") is True


@in_namespaces
def test_attach_of_an_id_that_lives_elsewhere_is_refused() -> None:
    """The first container keeps its network; the error names its bundle."""
    with WiredHost() as host:
        host.up("web")
        before = snapshot()
        other = host.start("other").replace(id="web-id", name="web", bundle="/elsewhere")

        with pytest.raises(ConflictError, match="/bundles/web"):
            host.attach(other, on("lan"))
        assert snapshot() == before


@in_namespaces
def test_attach_after_a_silent_death_settles_the_old_life() -> None:
    """crun runs no poststop after a failed create: the next start puts it right."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(PORT,)))
        host.sleepers.pop("web").end()

        host.up("web", on("lan", publish=(PORT,)))

        assert len(host.addresses("web")) == 1
        assert host.pings("web", "10.9.0.1")


@in_namespaces
def test_attach_takes_the_port_of_a_dead_container() -> None:
    """A port whose holder died without a poststop is not lost until gc."""
    with WiredHost() as host:
        host.up("old", on("lan", publish=(PORT,)))
        host.sleepers.pop("old").end()

        host.up("new", on("lan", publish=(PORT,)))

        assert "tcp . 8080 : 10.9.0.3 . 80" in run("nft list map inet ocinet publish4")


def refusals() -> list[object]:
    """Return requests that must fail, with the error and its words."""
    address = Address.parse
    return [
        pytest.param(on("lna"), NotFoundError, "did you mean lan", id="unknown network"),
        pytest.param(on("lan", publish=(PORT,)), ConflictError, "holder", id="port taken"),
        pytest.param(on("lan", addresses=(address("10.9.0.2"),)), ConflictError, "holder",
                     id="address taken"),
        pytest.param(on("lan", addresses=(address("10.9.0.1"),)), RequestError, "10.9.0.1",
                     id="gateway address"),
        pytest.param(on("lan", addresses=(address("10.7.0.2"),)), RequestError, "10.7.0.2",
                     id="address of elsewhere"),
        pytest.param(on("tiny"), ExhaustedError, "tiny", id="pool empty"),
        pytest.param(on("lan", "inner", publish=()), RequestError, "inner", id="no such device"),
        pytest.param(on("lan", publish=(Publish("tcp", address("192.0.2.9"), 80, 80),)),
                     RequestError, "192.0.2.9", id="host address of elsewhere"),
        pytest.param(Request("host"), RequestError, "--net host", id="host in a sandbox"),
        pytest.param(Request("container", "holder"), RequestError, "holder",
                     id="container in another sandbox"),
        pytest.param(Request("container", "nobody"), NotFoundError, "nobody",
                     id="container that is not"),
    ]  # fmt: skip


@pytest.mark.parametrize(("request_", "kind", "words"), refusals())
@in_namespaces
def test_attach_refused_leaves_all_as_before(
    request_: Request, kind: type[OcinetError], words: str
) -> None:
    """A request that can't be met says so in one line and changes nothing."""
    with WiredHost() as host:
        tiny = Subnet.parse("10.6.0.0/30")
        with host.engine() as engine:
            engine.records.networks.add(network("tiny", pools=(Pool(tiny, tiny.first + 1),)))
            engine.records.networks.add(
                network("inner", "10.5.0.0/24", managed=False, device="nodev")
            )
        host.up("holder", on("lan", "tiny", publish=(PORT,)))
        web = host.start("web")
        before = snapshot()

        with pytest.raises(kind, match=words) as raised:
            host.attach(web, request_)

        assert "\n" not in str(raised.value)
        assert "cannot attach web" in str(raised.value)
        assert snapshot() == before
        assert [link["ifname"] for link in ip_json("link", host.sleepers["web"].pid)] == ["lo"]


@in_namespaces
def test_attach_to_a_listening_port_is_refused() -> None:
    """Publishing 22 would lock the admin out; the error names the process."""
    import socket

    with WiredHost() as host, socket.create_server(("0.0.0.0", 2222)):  # on purpose
        web = host.start("web")

        with pytest.raises(ConflictError, match=str(os.getpid())):
            host.attach(web, on("lan", publish=(tcp(2222),)))


class Fault(SystemFailure):
    """What a test makes fail."""


def fail_at(number: int) -> Callable[[Step], None]:
    """Return a trace that fails before the step of that number."""
    seen: list[Step] = []

    def trace(step: Step) -> None:
        seen.append(step)
        if len(seen) > number:
            raise Fault("", f"fault before step {number}")

    return trace


EVERYTHING = on("lan", "dmz", publish=(PORT, udp(53, 53)))


@in_namespaces
def test_attach_failing_at_each_step_leaves_all_as_before() -> None:
    """Whichever step of a plan fails, on a fresh host or a busy one, all is undone."""
    with WiredHost() as host:
        web = host.start("web")
        for busy in (False, True):
            if busy:
                host.up("other", on("lan"))
            before = snapshot()
            with host.engine() as engine, open_sandbox(web) as sandbox:
                count = len(engine.plan(web, EVERYTHING, sandbox))
            assert snapshot() == before
            assert count >= 8
            for number in range(count):
                with pytest.raises(Fault, match=f"step {number}"):
                    host.attach(web, EVERYTHING, fail_at(number))
                assert snapshot() == before, f"after a fault before step {number} of {count}"
                assert [link["ifname"] for link in ip_json("link", host.sleepers["web"].pid)] == [
                    "lo"
                ]
        host.attach(web, EVERYTHING)
        assert host.pings("web", "10.9.0.1")


@in_namespaces
def test_attach_killed_at_each_step_is_collected() -> None:
    """After kill -9 of the hook anywhere, gc or the next start puts things right."""
    with WiredHost() as host:
        host.up("other")
        before = snapshot()
        number, status = 0, -1
        while status:
            web = host.start("web")
            child = os.fork()
            if not child:
                trace = fail_at(number)

                def kill(step: Step, trace: Callable[[Step], None] = trace) -> None:
                    try:
                        trace(step)
                    except Fault:
                        os.kill(os.getpid(), signal.SIGKILL)

                host.attach(web, EVERYTHING, kill)
                os._exit(0)
            status = os.waitpid(child, 0)[1]
            if number % 3 == 0:  # the runtime's next hook, for the same container
                host.attach(web, EVERYTHING)
                assert host.pings("web", "10.9.0.1")
                assert host.pings("web", "10.8.0.1")
            host.sleepers.pop("web").end()
            if number % 3 == 1:
                host.up("web", EVERYTHING)
                assert host.pings("web", "10.9.0.1")
                host.stop("web")
            else:
                host.gc()
            after = snapshot()
            assert after["records"] == before["records"], f"killed before step {number}"
            assert after["names"] == before["names"]
            assert "8080" not in str(after["rules"])
            number += 1
            assert number < 30
        assert number > 8


@in_namespaces
def test_attach_on_an_adopted_bridge_skips_the_hosts_own_addresses() -> None:
    """An address that the bridge bears is never given to a container."""
    run("ip link add br0 type bridge")
    run("ip addr add 10.9.0.1/24 dev br0")
    run("ip addr add 10.9.0.2/24 dev br0")
    run("ip link set br0 up")
    with WiredHost() as host:
        with host.engine() as engine:
            engine.records.networks.add(network("own", managed=False, device="br0"))

        host.up("web", on("own"))

        assert host.addresses("web") == ["10.9.0.3/24"]


class Vanishing(NetworkStore):
    """A store whose network is removed by somebody else while an attach is under way."""

    def find(self, name: str) -> Network | None:
        """Find it once; after that it is gone."""
        found = super().find(name)
        self.remove(name)
        return found


@in_namespaces
def test_attach_to_a_network_that_is_being_removed_is_undone() -> None:
    """A removal looks for records after the definition has gone; attach looks again."""
    with WiredHost() as host:
        web = host.start("web")
        with host.engine() as engine, open_sandbox(web) as sandbox:
            racing = exchanged(engine, networks=Vanishing(PATHS))
            with pytest.raises(NotFoundError, match="was just removed"):
                racing.attach(web, on("dmz"), sandbox)

        assert records() == []
        assert [link["ifname"] for link in ip_json("link", host.sleepers["web"].pid)] == ["lo"]


@in_namespaces
def test_attach_after_a_flushed_ruleset_restores_every_port() -> None:
    """`nft flush ruleset` is mended, for all containers, by the next attach."""
    with WiredHost() as host:
        host.up("old", on("lan", publish=(PORT,)))
        run("nft flush ruleset")

        host.up("new", on("dmz", publish=(tcp(8081),)))

        published = run("nft list map inet ocinet publish4")
        assert "tcp . 8080 : 10.9.0.2 . 80" in published
        assert "tcp . 8081 : 10.8.0.2 . 80" in published


@in_namespaces
def test_attach_while_the_ruleset_is_flushed_restores_every_port() -> None:
    """Even a flush between looking and entering costs nobody a port."""
    with WiredHost() as host:
        host.up("old", on("lan", publish=(PORT,)))
        new = host.start("new")

        def flush(step: Step) -> None:
            if isinstance(step, OpenFirewall):
                run("nft flush ruleset")

        host.attach(new, on("lan", publish=(tcp(8081),)), flush)

        published = run("nft list map inet ocinet publish4")
        assert "tcp . 8080 : 10.9.0.2 . 80" in published
        assert "tcp . 8081 : 10.9.0.3 . 80" in published
        assert host.pings("new", "10.9.0.2")


@in_namespaces
def test_attach_with_a_foreign_netns_name_leaves_it() -> None:
    """Somebody's own `ip netns add web` keeps the name; ours is oc-<12 hex>."""
    with WiredHost() as host:
        run("ip netns add web")
        record = host.up("web")

        assert record.netns_name.startswith("oc-")
        assert "10.9.0.2" not in run("ip netns exec web ip addr")
        host.stop("web")
        assert sorted(os.listdir("/run/netns")) == ["web"]
        run("ip netns del web")


@in_namespaces
def test_detach_leaves_a_netns_name_that_somebody_took() -> None:
    """A name that is no longer our link is not removed."""
    with WiredHost() as host:
        host.up("web")
        Path("/run/netns/web").unlink()
        run("ip netns add web")

        host.stop("web")

        assert os.listdir("/run/netns") == ["web"]
        run("ip netns del web")


@in_namespaces
def test_attach_beside_another_on_a_fresh_host_keeps_its_ports() -> None:
    """Two find no table; the one that makes it second does not empty the first one's."""
    with WiredHost() as host:
        first, second = host.start("first"), host.start("second")

        def overtake(step: Step) -> None:
            if isinstance(step, MakeTable) and "second-id" not in str(records()):
                host.attach(second, on("dmz", publish=(tcp(8081),)))

        host.attach(first, on("lan", publish=(PORT,)), overtake)

        published = run("nft list map inet ocinet publish4")
        assert "tcp . 8080 : 10.9.0.2 . 80" in published
        assert "tcp . 8081 : 10.8.0.2 . 80" in published


@in_namespaces
def test_attach_when_everything_runs_at_once_gives_distinct_addresses() -> None:
    """Fifty starts in parallel on a fresh host: fifty addresses, none left after."""
    with WiredHost() as host:
        containers = [host.start(f"c{number}") for number in range(50)]
        assert host.attach_at_once(containers, on("lan")) == {0}

        addresses = [host.addresses(container.name) for container in containers]
        assert len({address for (address,) in addresses}) == 50
        for container in containers:
            host.stop(container.name)
        after = snapshot()
        assert after["records"] == []
        assert after["names"] == []


@in_namespaces
def test_plan_done_by_hand_makes_the_same_host() -> None:
    """`ocinet plan` is the truth: its commands, run by sh, give what attach gives."""
    request = on("lan", publish=(PORT, udp(53, 53)))
    with WiredHost() as host:
        web = host.start("web")
        with host.engine() as engine, open_sandbox(web) as sandbox:
            steps = engine.plan(web, request, sandbox)
        script = "\n".join(
            line for step in steps for line in step.describe() if not line.startswith("conntrack")
        )
        Path("/run/plan.sh").write_text(f"set -e\n{script}\n")
        run("sh /run/plan.sh")
        by_hand = look(host, "web")
        run("nft delete table inet ocinet")
        run(f"ip link del {steps_host_ifname(steps)}")
        run("ip link del br-lan")
        Path("/run/netns/web").unlink()
        run("sysctl -qw net.ipv4.ip_forward=0")

        host.attach(web, request)

        by_engine = look(host, "web")
        for key, value in by_hand.items():
            assert by_engine[key] == value, key


def steps_host_ifname(steps: tuple[Step, ...]) -> str:
    """Return the host end that a plan makes."""
    return next(step.veth.host_ifname for step in steps if isinstance(step, AddVeth))


def look(host: WiredHost, name: str) -> dict[str, object]:
    """Return what the kernel has of a container and the host, but for state files."""
    pid = host.sleepers[name].pid
    fields = ("ifname", "mtu", "operstate", "group", "ifalias", "master")
    return {
        **{key: value for key, value in snapshot().items() if key != "records"},
        "host": [{key: link.get(key) for key in fields} for link in ip_json("-d link")],
        "inside": [
            ({key: link.get(key) for key in (*fields, "address")},
             [(each["local"], each["prefixlen"]) for each in link["addr_info"]])
            for link in ip_json("addr", pid)
        ],
        "routes": ip_json("route", pid),
        "hairpin": [(link["ifname"], link["linkinfo"].get("info_slave_data", {}).get("hairpin"))
                    for link in ip_json("-d link") if link.get("master")],
        "bridge mac": (link_json("br-lan") or {}).get("address"),
    }  # fmt: skip
