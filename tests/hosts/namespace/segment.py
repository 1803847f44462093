"""A bridge of somebody else's, and who is on it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from hosts.namespace.isolation import Sleeper
from hosts.namespace.looks import link_json, run
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

MAC = "02:42:ac:11:00:02"


def make_bridge(*options: str, ifname: str = "br0", address: str = "") -> None:
    """Make a bridge, up."""
    run(" ".join((f"ip link add {ifname} type bridge", *options)))
    if address:
        run(f"ip addr add {address} dev {ifname}")
    run(f"ip link set {ifname} up")


@contextmanager
def neighbour(*addresses: str, bridge: str = "br0", ifname: str = "v0") -> Iterator[int]:
    """Connect a namespace to a bridge, with these addresses; yield the pid of its process.

    Args:
        addresses: with prefix lengths.
        bridge: that is there.
        ifname: of the bridge's port; the neighbour's end is `eth0`, with `MAC`.
    """
    with Sleeper() as sleeper:
        run(f"ip link add {ifname} type veth peer name eth0 address {MAC} netns {sleeper.pid}")
        run(f"ip link set {ifname} master {bridge} up")
        for address in addresses:
            nodad = " nodad" if ":" in address else ""
            run(f"ip addr add {address} dev eth0{nodad}", pid=sleeper.pid)
        run("ip link set eth0 up", pid=sleeper.pid)
        wait_until(lambda: is_forwarding(ifname), f"the bridge sends to {ifname}")
        yield sleeper.pid


def is_forwarding(ifname: str) -> bool:
    """Tell whether a bridge passes on what comes by a port."""
    link = link_json(ifname)
    return link is not None and link["linkinfo"]["info_slave_data"]["state"] == "forwarding"


def is_forwarding_in(pid: int, ifname: str) -> bool:
    """Tell the same of a bridge where a process is."""
    link = link_json(ifname, pid)
    return link is not None and link["linkinfo"]["info_slave_data"]["state"] == "forwarding"
