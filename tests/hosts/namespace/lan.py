"""A LAN that a host has a link on: a switch and a router in a namespace of their own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from hosts.namespace.isolation import Sleeper
from hosts.namespace.looks import run
from hosts.namespace.segment import is_forwarding_in
from hosts.waiting import wait_until
from ocinet.engine.plan.driver_options import with_driver_option
from ocinet.engine.plan.new_network import NetworkOptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hosts.namespace.wired_host import WiredHost

PARENT = "lan0"
ROUTER = "192.168.7.1"
SUBNET = "192.168.7.0/24"


@contextmanager
def lan(*addresses: str, parent: str = PARENT) -> Iterator[int]:
    """Give the host a link on a LAN whose router has these addresses; yield its process's pid.

    Args:
        addresses: with prefix lengths; of the subnet, unless said otherwise.
        parent: the link's name. It is up, with an address of the LAN.
    """
    with Sleeper() as switch:
        run(f"ip link add {parent} type veth peer name p0 netns {switch.pid}")
        run("ip link add sw type bridge", pid=switch.pid)
        for address in addresses or (f"{ROUTER}/24",):
            run(f"ip addr add {address} dev sw{' nodad' if ':' in address else ''}", pid=switch.pid)
        run("ip link set p0 master sw up", pid=switch.pid)
        run("ip link set sw up", pid=switch.pid)
        run(f"ip addr add 192.168.7.9/24 dev {parent}")
        run(f"ip link set {parent} up")
        wait_until(lambda: is_forwarding_in(switch.pid, "p0"), "the switch sends to the host")
        yield switch.pid


def define(host: WiredHost, name: str, *texts: str, **changes: object) -> None:
    """Define a network on the LAN, by `-o` texts and by other wishes."""
    options = NetworkOptions(driver="macvlan", parent=PARENT)
    for text in texts:
        options = with_driver_option(options, text)
    with host.engine() as engine:
        engine.networks.create(name, options.replace(**changes))
