"""Links: made, found and deleted, as `ip` sees them."""

from __future__ import annotations

import errno
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from hosts.namespace.isolation import Sleeper, in_namespaces
from hosts.namespace.looks import addresses_json, ip_json, link_json, run
from ocinet.base.address import Interface
from ocinet.base.clock import Process
from ocinet.base.errors import KernelError, SystemFailure
from ocinet.engine.kernel.inside import Insides
from ocinet.engine.kernel.link_messages import RTM_SETLINK
from ocinet.engine.kernel.links import Links
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.model.link import LINK_GROUP, Inside, Link, Veth
from ocinet.engine.netlink.framing import Answer, Refusal
from ocinet.engine.netlink.socket import NETLINK_ROUTE, NetlinkSocket

if TYPE_CHECKING:
    from collections.abc import Iterator

MAC = "02:42:0a:09:00:05"
VETH = Veth("oc1", "eth0", "br0", mac=MAC, mtu=1400, alias="ocinet:c1/eth0")


def make_bridge(ifname: str = "br0", mtu: int = 1500) -> None:
    run(f"ip link add {ifname} type bridge")
    run(f"ip link set {ifname} mtu {mtu} up")


@contextmanager
def opened() -> Iterator[tuple[Links, Sandbox, int]]:
    """Yield the links, a sandbox, and the pid of its process."""
    with Sleeper() as sleeper:
        process = Process.of(sleeper.pid)
        assert process is not None
        with Sandbox.open_process(process) as sandbox, Links() as links:
            yield links, sandbox, sleeper.pid


def names() -> list[str]:
    return [link["ifname"] for link in ip_json("link")]


@in_namespaces
def test_add_veth_makes_both_ends_as_asked() -> None:
    """One is an up port of the bridge, the other is down in the sandbox."""
    make_bridge()
    with opened() as (links, sandbox, pid):
        ifindex = links.add_veth(VETH.replace(host_mac="02:00:00:00:00:01"), sandbox).host_ifindex

        host = link_json("oc1")
        assert host is not None
        assert host["ifindex"] == ifindex
        assert host["master"] == "br0"
        assert host["mtu"] == 1400
        assert host["address"] == "02:00:00:00:00:01"
        assert host["group"] == str(LINK_GROUP)
        assert host["ifalias"] == "ocinet:c1/eth0"
        assert host["linkinfo"]["info_kind"] == "veth"
        assert "UP" in host["flags"]
        inside = link_json("eth0", pid)
        assert inside is not None
        assert inside["address"] == MAC
        assert inside["mtu"] == 1400
        assert inside["linkinfo"]["info_kind"] == "veth"
        assert "UP" not in inside["flags"]
        assert "eth0" not in names()


@in_namespaces
def test_add_veth_without_mtu_takes_the_bridges() -> None:
    """Both ends; and macs that were not given are the kernel's choice."""
    make_bridge(mtu=1300)
    with opened() as (links, sandbox, pid):
        links.add_veth(Veth("oc1", "eth0", "br0"), sandbox)
        for found in (link_json("oc1"), link_json("eth0", pid)):
            assert found is not None
            assert found["mtu"] == 1300
            assert found["address"] != "00:00:00:00:00:00"
            assert "ifalias" not in found


@in_namespaces
def test_add_veth_host_end_gets_no_ipv6_address() -> None:
    """A bridge port with an address of its own would answer for the host."""
    make_bridge()
    with opened() as (links, sandbox, _pid):
        links.add_veth(VETH, sandbox)
        Insides(links).configure(sandbox, Inside("eth0", (Interface.parse("10.9.0.5/24"),)))
        assert "LOWER_UP" in (link_json("oc1") or {})["flags"]
        assert addresses_json("oc1") == []


@in_namespaces
def test_add_veth_without_ipv6_in_the_kernel_works() -> None:
    """An MTU below 1280 takes IPv6 off a link: the same answers as without IPv6."""
    make_bridge(mtu=1000)
    with opened() as (links, sandbox, pid):
        links.add_veth(VETH.replace(mtu=1000), sandbox)
        warnings = Insides(links).configure(
            sandbox, Inside("eth0", (Interface.parse("10.9.0.5/24"),))
        )
        assert warnings == ()
        assert [address["local"] for address in addresses_json("eth0", pid)] == ["10.9.0.5"]


@in_namespaces
def test_add_veth_host_name_taken_names_it_and_leaves_that_link_alone() -> None:
    """Not even its alias is touched."""
    make_bridge()
    run("ip link add oc1 type bridge")
    with opened() as (links, sandbox, pid):
        with pytest.raises(KernelError, match="the host has a link oc1 already") as caught:
            links.add_veth(VETH, sandbox)
        assert caught.value.errno == errno.EEXIST
        taken = link_json("oc1")
        assert taken is not None
        assert "ifalias" not in taken
        assert taken["group"] == "default"
        assert "inet6_addr_gen_mode" not in taken or taken["inet6_addr_gen_mode"] == "eui64"
        assert link_json("eth0", pid) is None


@in_namespaces
def test_add_veth_inside_name_taken_names_it_and_leaves_nothing() -> None:
    """The host's end is not left behind."""
    make_bridge()
    with opened() as (links, sandbox, pid):
        run("ip link add eth0 type bridge", pid=pid)
        with pytest.raises(KernelError, match="the sandbox has an interface eth0 already"):
            links.add_veth(VETH, sandbox)
        assert names() == ["lo", "br0"]


@in_namespaces
def test_add_veth_no_bridge_is_told() -> None:
    """Before anything is made."""
    with opened() as (links, sandbox, _pid):
        with pytest.raises(KernelError, match="there is no bridge br0") as caught:
            links.add_veth(VETH, sandbox)
        assert caught.value.errno == errno.ENODEV
        assert names() == ["lo"]


@in_namespaces
def test_add_veth_to_what_is_no_bridge_is_refused_and_leaves_nothing() -> None:
    """The kernel's own words are in the error."""
    run("ip link add br0 type veth peer name br1")
    with opened() as (links, sandbox, pid):
        with pytest.raises(KernelError, match="cannot connect oc1 to br0") as caught:
            links.add_veth(VETH, sandbox)
        assert caught.value.errno == errno.EOPNOTSUPP
        assert sorted(names()) == ["br0", "br1", "lo"]
        assert link_json("eth0", pid) is None


class RefusingSocket(NetlinkSocket):
    """A socket on which the kernel changes no link that is there."""

    def ask(self, messages: bytes, acks: int) -> tuple[list[Answer], list[Refusal]]:
        """Refuse RTM_SETLINK; all else is asked for real."""
        if int.from_bytes(messages[4:6], sys.byteorder) == RTM_SETLINK:
            return [], [Refusal(1, errno.EPERM, "")]
        return super().ask(messages, acks)


@in_namespaces
def test_add_veth_fault_after_the_making_leaves_nothing() -> None:
    """When the host's end can't be finished, the pair is taken away again."""
    make_bridge()
    with opened() as (links, sandbox, pid):
        links._opened = RefusingSocket(NETLINK_ROUTE)
        with pytest.raises(KernelError, match="cannot connect oc1 to br0: Operation not perm"):
            links.add_veth(VETH, sandbox)
        assert names() == ["lo", "br0"]
        assert link_json("eth0", pid) is None


@in_namespaces
def test_add_veth_beyond_1023_ports_is_told() -> None:
    """EXFULL in words; nothing is left of the pair."""
    make_bridge()
    with open("/run/batch", "w", encoding="ascii") as batch:
        for number in range(512):
            batch.write(f"link add a{number} master br0 type veth peer name b{number}\n")
        for number in range(511):
            batch.write(f"link set b{number} master br0\n")
    run("ip -batch /run/batch")
    with opened() as (links, sandbox, pid):
        with pytest.raises(KernelError, match="the bridge has 1023 ports") as caught:
            links.add_veth(VETH, sandbox)
        assert caught.value.errno == errno.EXFULL
        assert link_json("eth0", pid) is None
        assert "oc1" not in names()


@in_namespaces
def test_add_veth_sandbox_that_is_closed_is_refused() -> None:
    """And nothing is made in some other file's place."""
    make_bridge()
    with opened() as (links, sandbox, _pid):
        links.link("br0")  # its socket is not to get the descriptor that is closed below
        closed = Sandbox(os.dup(sandbox.fd))
        closed.close()
        with pytest.raises(SystemFailure):
            links.add_veth(VETH, closed)
        gone = Sandbox(os.dup(sandbox.fd))
        os.close(gone.fd)
        with pytest.raises(KernelError, match="the sandbox is gone"):
            links.add_veth(VETH, gone)
        assert names() == ["lo", "br0"]


@in_namespaces
def test_link_tells_what_ip_tells() -> None:
    """Every field; and None for what is not there."""
    make_bridge()
    with opened() as (links, sandbox, pid):
        ifindex = links.add_veth(VETH, sandbox).host_ifindex
        shown = link_json("oc1")
        inside = link_json("eth0", pid)
        bridge = link_json("br0")
        assert shown is not None
        assert inside is not None
        assert bridge is not None
        assert links.link("oc1") == Link(
            ifindex=ifindex,
            ifname="oc1",
            kind="veth",
            mtu=1400,
            mac=shown["address"],
            up=True,
            master=bridge["ifindex"],
            group=LINK_GROUP,
            alias="ocinet:c1/eth0",
            peer=inside["ifindex"],
            running=False,
        )
        assert links.link("none") is None


@in_namespaces
def test_links_of_our_group_are_ours_alone() -> None:
    """A deletion that was killed half-way left its links in a one-off group: ours too."""
    make_bridge()
    run("ip link add mine group 28515 type bridge")
    run(f"ip link add doomed group {0x6F001234} type bridge")
    run("ip link add other group 7 type bridge")
    with Links() as links:
        assert sorted(link.ifname for link in links.links()) == ["doomed", "mine"]


@in_namespaces
def test_addresses_of_one_link_or_of_all() -> None:
    """Both families."""
    make_bridge()
    run("ip addr add 10.9.0.1/24 dev br0")
    run("ip addr add fd00:9::1/64 dev br0 nodad")
    with Links() as links:
        bridge = links.link("br0")
        assert bridge is not None
        own = {"10.9.0.1/24", "fd00:9::1/64"}
        of_bridge = {str(address) for address in links.addresses(bridge.ifindex)}
        assert {address for address in of_bridge if not address.startswith("fe80:")} == own
        everything = {str(address) for address in links.addresses(0)}
        assert everything >= own | {"127.0.0.1/8", "::1/128"}


@in_namespaces
def test_delete_links_deletes_ours_and_passes_over_missing_ones() -> None:
    """One of ours; what is not there is success."""
    make_bridge()
    with opened() as (links, sandbox, pid):
        links.add_veth(VETH, sandbox)
        links.delete_links(("none", "oc1"))
        links.delete_links(("oc1",))
        links.delete_links(())
        assert names() == ["lo", "br0"]
        assert link_json("eth0", pid) is None


@in_namespaces
def test_delete_links_leaves_what_is_not_ours_and_tells() -> None:
    """The others are deleted all the same."""
    make_bridge()
    run("ip link add other type bridge")
    with opened() as (links, sandbox, _pid):
        links.add_veth(VETH, sandbox)
        with pytest.raises(SystemFailure, match="the link other: it is not ours"):
            links.delete_links(("other", "oc1"))
        assert sorted(names()) == ["br0", "lo", "other"]


@in_namespaces
def test_delete_links_many_wait_once() -> None:
    """Seventy as one group; one by one they would take a second or more."""
    for number in range(70):
        run(f"ip link add oc{number} group 28515 type veth peer name p{number}")
    with Links() as links:
        before = time.monotonic()
        links.delete_links(tuple(f"oc{number}" for number in range(70)))
        took_s = time.monotonic() - before
    assert names() == ["lo"]
    assert took_s < 0.6


@in_namespaces
def test_delete_links_half_deleted_before_are_ours() -> None:
    """They are in the one-off group of a process that was killed."""
    run(f"ip link add oc1 group {0x6F001234} type veth peer name p1")
    with Links() as links:
        links.delete_links(("oc1",))
    assert names() == ["lo"]


@in_namespaces
def test_set_hairpin_sets_the_port_alone() -> None:
    """Its bridge, name and state are as before."""
    make_bridge()
    with opened() as (links, sandbox, _pid):
        links.add_veth(VETH, sandbox)
        links.set_port("oc1", hairpin=True)
        found = link_json("oc1")
        assert found is not None
        assert found["linkinfo"]["info_slave_data"]["hairpin"] is True
        assert found["master"] == "br0"
        assert "UP" in found["flags"]
        with pytest.raises(KernelError, match="cannot set hairpin mode on none"):
            links.set_port("none", hairpin=True)
        with pytest.raises(KernelError, match="cannot set hairpin mode on br0"):
            links.set_port("br0", hairpin=True)


@in_namespaces
def test_kernel_never_used_opens_nothing() -> None:
    """And closing it twice is fine; after that it opens anew."""
    before = os.listdir("/proc/self/fd")
    links = Links()
    assert os.listdir("/proc/self/fd") == before
    links.close()
    assert links.link("lo") is not None
    links.close()
    links.close()
