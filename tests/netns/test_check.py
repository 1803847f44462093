"""What others have changed on a real host: named by `check`, and put right by it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builders import network, on, tcp
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import addresses_json, link_json, run, spelled
from hosts.namespace.wired_host import PATHS, WiredHost, snapshot
from ocinet.engine.check import Check
from ocinet.engine.model.scope import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocinet.engine.check import Finding
    from ocinet.engine.kernel.sandbox import Sandbox
    from ocinet.engine.model.attachment import Attachment

REQUEST = on("lan", publish=(tcp(8080), tcp(8081)))
# What is done, with END for web's host end; and a word of what is said of it.
FAULTS = {
    "bridge down": ("ip link set br-lan down", "br-lan is down"),
    "bridge deleted": ("ip link del br-lan", "br-lan is gone"),
    "bridge renamed": ("ip link set br-lan down name other", "br-lan is gone"),
    "bridge renamed while it is up": (
        "ip link set br-lan name other || ip link set br-lan down name other",
        "br-lan is gone",
    ),
    "bridge flushed": ("ip addr flush dev br-lan", "br-lan lacks its address"),
    "bridge shrunk": ("ip link set br-lan mtu 1280", "br-lan has an MTU of 1280"),
    "host end shrunk": ("ip link set END mtu 1280", "the host end of eth0, has an MTU of 1280"),
    "host end without hairpin": ("bridge link set dev END hairpin off", "sends nothing back"),
    "host end isolated": ("bridge link set dev END isolated on", "it lacks isolated off"),
    "host end locked": ("bridge link set dev END locked on", "it lacks locked off"),
    "host end disabled": ("bridge link set dev END state 0", "it lacks state forwarding"),
    "host end that floods nothing": (
        "bridge link set dev END learning off flood off mcast_flood off bcast_flood off",
        "it lacks learning on, flood on, mcast_flood on, bcast_flood on",
    ),
    "bridge without ARP": ("ip link set br-lan arp off", "br-lan neither asks nor answers"),
    "guard gone": ("tc filter del dev END ingress", "END, the host end of eth0, is not guarded"),
    "name gone": ("ip netns del web", "its name web under /run/netns is gone"),
    "host end down": ("ip link set END down", "END, the host end of eth0, is down"),
    "host end off": ("ip link set END nomaster", "END, the host end of eth0, is off br-lan"),
    "host end deleted": ("ip link del END", "eth0 is gone, and its host end END"),
    "forwarding off": ("echo 0 > /proc/sys/net/ipv4/ip_forward", "net/ipv4/ip_forward is 0"),
    "loopback off": ("echo 0 > /proc/sys/net/ipv4/conf/br-lan/route_localnet", "route_localnet"),
    "ruleset flushed": ("nft flush ruleset", "the table inet ocinet is gone"),
    "chain flushed": ("nft flush chain inet ocinet postrouting", "chain postrouting"),
    "chain deleted": (
        "nft flush chain inet ocinet forward; nft delete chain inet ocinet forward",
        "chain forward is gone",
    ),
    "rule added": ("nft insert rule inet ocinet forward drop", "chain forward has been changed"),
    "element gone": ("nft delete element inet ocinet publish4 { tcp . 8081 }", "publish4 lacks 1"),
    "network gone": ("nft flush set inet ocinet same", "set same lacks 1"),
}


def _check(host: WiredHost, *, repair: bool = False) -> tuple[Finding, ...]:
    with host.engine() as engine:
        return engine.check(repair=repair)


def _inside(host: WiredHost) -> list[str]:
    return spelled(addresses_json("eth0", host.sleepers["web"].pid))


def _break(command: str, record: Attachment) -> str:
    """Do what breaks it; return the host end's name."""
    end = record.endpoints[0].host_ifname
    run("sh", "-c", command.replace("END", end))
    return end


_OF_THE_TABLE = ("ruleset flushed", "chain flushed", "chain deleted", "rule added")


@pytest.mark.parametrize("fault", _OF_THE_TABLE)
@in_namespaces
def test_next_attach_mends_the_table_for_all(fault: str) -> None:
    """It is told by the number of changes that somebody changed something, and looks then."""
    with WiredHost() as host:
        host.up("web", REQUEST)
        host.up("other")
        before = snapshot()["rules"]
        run("sh", "-c", FAULTS[fault][0])
        assert _check(host) != ()
        host.up("third")
        assert _check(host) == ()
        assert ("repaired" in Path(PATHS.run, "events.jsonl").read_text()) is (
            fault != "ruleset flushed"
        )
        host.stop("third")
        assert snapshot()["rules"] == before


@contextmanager
def _without_nft() -> Iterator[None]:
    """Have nft fail."""
    run("mount --bind /bin/false /usr/sbin/nft")
    try:
        yield
    finally:
        run("umount /usr/sbin/nft")


@in_namespaces
def test_whole_table_is_compared_without_nft() -> None:
    """The kernel's own lists tell it; nft is asked where they differ, and where nobody knows."""
    with WiredHost() as host:
        run("nft add table inet somebody")  # its own chains and sets are nobody's business
        run("nft add chain inet somebody fw")
        host.up("web", on("lan", "dmz", publish=(tcp(8080), tcp(8081))))
        run("nft add chain inet ocinet theirs")
        with _without_nft():
            assert _check(host) == (), "what is there besides is no flaw"
        host.up("other", on("lan"))
        assert "theirs" in run("nft list chains")
        run("nft", "delete element inet ocinet publish4 { tcp . 8081 }")
        with _without_nft():
            [finding] = _check(host)
            assert "nft failed" in finding.why_not
        assert _check(host, repair=True)[0].repaired
        with _without_nft():
            assert _check(host) == ()
        Path(PATHS.run, "table.json").write_text("{}")
        with _without_nft():
            assert len(_check(host)) == 1
        assert _check(host) == ()
        with _without_nft():
            assert _check(host) == (), "what nft found whole is known from then on"


@pytest.mark.parametrize("fault", FAULTS)
@in_namespaces
def test_check_names_and_repairs_what_others_changed(fault: str) -> None:
    """The network is as it was, by its addresses and rules, and carries packets."""
    command, told = FAULTS[fault]
    with WiredHost() as host:
        host.up("other")
        record = host.up("web", REQUEST)
        before = snapshot()
        assert _check(host) == ()

        end = _break(command, record)
        found = _check(host)
        assert told.replace("END", end) in "\n".join(finding.what for finding in found)
        assert not any(finding.repaired for finding in found)
        unseen = ("down", "loopback", "shrunk", "hairpin", "guard", "host end", "ARP")
        assert snapshot() != before or any(word in fault for word in unseen)

        assert all(finding.repaired for finding in _check(host, repair=True))
        assert _check(host) == ()
        after = snapshot()
        assert _sorted_rules(after) == _sorted_rules(before)
        assert after["ip_forward"] == before["ip_forward"]
        assert set(before["links"]) <= set(after["links"])
        assert after["names"] == before["names"]
        assert _inside(host) == ["10.9.0.3/24"]
        assert host.pings("web", "10.9.0.1")
        assert host.pings("web", "10.9.0.2")
        host.stop("web")
        assert link_json(end) is None


def _sorted_rules(taken: dict[str, object]) -> list[str]:
    """Return what is listed of our table; elements and sets come in no order."""
    rules = taken["rules"]
    assert isinstance(rules, list)
    return sorted(
        str({**what, "elem": sorted(map(str, what.get("elem", ())))})
        for rule in rules
        for what in rule.values()
    )


@in_namespaces
def test_attach_again_repairs_the_inside_that_check_leaves_to_the_container() -> None:
    """Who may change its network may have meant it; who asks for an attach means that."""
    with WiredHost() as host:
        host.up("web", REQUEST)
        web = host.container("web", host.sleepers["web"].pid)
        run("ip addr flush dev eth0", pid=host.sleepers["web"].pid)
        run("ip link set lo down", pid=host.sleepers["web"].pid)
        assert _check(host, repair=True) == ()
        assert _inside(host) == []
        host.attach(web, REQUEST)
        assert _inside(host) == ["10.9.0.2/24"]
        assert host.pings("web", "10.9.0.1")
        assert host.pings("web", "127.0.0.1")


@in_namespaces
def test_next_attach_takes_everybody_back_to_a_bridge_that_was_deleted() -> None:
    """Those who were on it reach it again, and each other."""
    with WiredHost() as host:
        host.up("web", REQUEST)
        host.up("other")
        run("ip link del br-lan")
        host.up("third")
        assert host.pings("web", "10.9.0.3")
        assert host.pings("other", "10.9.0.4")
        assert _check(host) == ()


@in_namespaces
def test_dead_and_members_are_passed_over() -> None:
    """The dead are gc's; a member's wiring is its owner's."""
    with WiredHost() as host:
        host.up("web", REQUEST)
        host.join("side", "web")
        host.up("gone")
        host.sleepers.pop("gone").end()
        assert _check(host) == ()
        run("ip link set br-lan down")
        assert [(found.container, found.what) for found in _check(host)] == [
            ("", "the bridge br-lan is down")
        ]


@in_namespaces
def test_who_ends_while_it_is_looked_at_is_no_finding() -> None:
    """It lived when the look began, and its sandbox was gone when it was to be opened."""
    with WiredHost() as host, host.engine() as engine:
        host.up("web", REQUEST)

        def open_late(record: Attachment) -> Sandbox:
            host.sleepers.pop("web").end()
            return engine.open_sandbox(record)

        check = Check(
            engine.operation, engine.host, engine.records, open_late,
            lambda _process: False, lambda _whose, _what: False,
        )  # fmt: skip
        assert check.run(engine.records.attachments.all(), EVERYTHING) == ()
        assert host.sleepers == {}, "it was opened"


@pytest.mark.parametrize("device", ["br-six", "all"])
@in_namespaces
def test_ipv6_that_was_switched_off_comes_back(device: str) -> None:
    """On the bridge, where the gateway is; the containers have theirs still."""
    with WiredHost() as host:
        with host.engine() as engine:
            engine.records.networks.add(network("six", "10.7.0.0/24", "fd00:7::/64"))
        host.up("web", on("six"))
        assert host.pings("web", "fd00:7::1")
        run("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{device}/disable_ipv6")
        assert not host.pings("web", "fd00:7::1")
        [found] = _check(host, repair=True)
        assert (found.container, found.what, found.repaired) == (
            "", "the bridge br-six lacks its address", True
        )  # fmt: skip
        assert _check(host) == ()
        assert host.pings("web", "fd00:7::1")


@in_namespaces
def test_what_many_share_is_told_once() -> None:
    """A flushed ruleset and a bridge that is gone are two things, however many are on it."""
    with WiredHost() as host:
        for number in range(3):
            host.up(f"c{number}", on("lan", publish=(tcp(8080 + number),)))
        run("nft flush ruleset")
        run("ip link del br-lan")
        assert {found.what for found in _check(host)} == {
            "the table inet ocinet is gone", "the bridge br-lan is gone"
        }  # fmt: skip
        assert len(_check(host)) == 2
        assert all(found.repaired for found in _check(host, repair=True))
        assert _check(host) == ()
        assert host.pings("c0", "10.9.0.4")


@pytest.mark.parametrize("flushed", [False, True])
@in_namespaces
def test_port_of_one_who_is_being_detached_is_not_entered_again(flushed: bool) -> None:
    """Its port is closed, its record still there: whoever repairs waits for its end.

    That is no damage; where the table was flushed besides, that alone is.
    """
    with WiredHost() as host:
        record = host.up("web", REQUEST)
        host.up("other", on("lan", publish=(tcp(8090),)))
        found: list[Finding] = []

        def check_meanwhile() -> None:
            with host.engine() as engine:
                found.extend(engine.check(repair=True))

        with host.engine() as engine, engine.operation.locks.container(record.container.id):
            engine.host.firewall.close(record.ports)
            if flushed:
                run("nft flush ruleset")
            thread = threading.Thread(target=check_meanwhile)
            thread.start()
            thread.join(1)
            assert thread.is_alive()  # it has seen what is missing, and that somebody is at work
            engine.records.attachments.remove(record.container.id)
        thread.join()
        listed = run("nft list map inet ocinet publish4")
        assert "8080" not in listed
        assert "8090" in listed
        assert [finding.what for finding in found] == flushed * ["the table inet ocinet is gone"]


@in_namespaces
def test_port_of_one_who_is_being_attached_is_entered_again() -> None:
    """Its port was open, its record not yet complete, when the table was made anew."""
    with WiredHost() as host:
        record = host.up("web", REQUEST)
        host.up("other", on("lan", publish=(tcp(8090),)))
        begun = record.replace(state="attaching", done_endpoints=1)

        def check_meanwhile() -> None:
            with host.engine() as engine:
                engine.check(repair=True)

        with host.engine() as engine, engine.operation.locks.container(record.container.id):
            engine.records.attachments.put(begun)
            run("nft flush ruleset")
            thread = threading.Thread(target=check_meanwhile)
            thread.start()
            thread.join(1)
            assert thread.is_alive()
            assert "8080" not in run("nft list map inet ocinet publish4")
            engine.records.attachments.put(record)
        thread.join()
        assert "8080" in run("nft list map inet ocinet publish4")
        assert _check(host) == ()


@in_namespaces
def test_table_that_the_first_attach_is_about_to_make_is_not_gone() -> None:
    """Who is the first one of a boot is on record before there is a table."""
    with WiredHost() as host:
        record = host.up("web", REQUEST)
        table = run("nft list table inet ocinet")
        found: list[Finding] = []

        def check_meanwhile() -> None:
            with host.engine() as engine:
                found.extend(engine.check(repair=True))

        with host.engine() as engine, engine.operation.locks.container(record.container.id):
            engine.records.attachments.put(record.replace(state="attaching", done_endpoints=0))
            run("nft delete table inet ocinet")
            thread = threading.Thread(target=check_meanwhile)
            thread.start()
            thread.join(1)
            assert thread.is_alive()
            run("nft -f -", given=table)
            engine.records.attachments.put(record)
        thread.join()
        assert found == []
