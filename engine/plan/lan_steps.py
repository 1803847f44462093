"""Steps that connect a container to the LAN itself, and the host to its containers there."""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.engine.model.link import LINK_GROUP
from ocinet.engine.plan.port_steps import Unplug
from ocinet.engine.plan.shared_steps import DeviceStep
from ocinet.engine.plan.steps import Step, ready_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address, Interface
    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.lan import Child
    from ocinet.engine.plan.machine import Machine


class AddChild(Step):
    """Make an interface that shares its parent's way to the LAN, born in the sandbox.

    Attributes:
        child: what it is to be like.
        netns: how `ip -n` reaches the sandbox: a name or a path; for people alone.
        mac: that it has then, by which it is known again: with passthru the parent's.
        shim: the host's own interface, by which it is to reach the container; "": it is not to.
        addresses: the container's, if so.
    """

    child: Child
    netns: str
    mac: str
    shim: str = ""
    addresses: tuple[Address, ...] = ()

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        child = self.child
        mac = f" address {child.mac}" if child.mac else ""
        return (
            f"ip link add {child.ifname} link {child.parent}{mac} mtu {child.mtu}"
            f" group {LINK_GROUP} netns {self.netns} type {child.kind} mode {child.mode}",
            *_routes("add", self.shim, self.addresses),
        )

    def apply(self, machine: Machine) -> bool:
        """Make it; the host's way to it, too."""
        made = machine.lan.add_child(self.child, machine.sandbox)
        machine.children[self.child.ifname] = made
        if self.shim:
            try:
                machine.lan.reach(self.shim, self.addresses)
            except OcinetError:
                self.inverse().apply(machine)
                raise
        return True

    def inverse(self) -> Step:
        """Return its removal."""
        return RemoveChild(self.child.ifname, self.mac, self.netns, self.shim, self.addresses)


class RemoveChild(Step):
    """Delete an interface in a sandbox, and the host's way to it.

    Attributes:
        ifname: the container's.
        mac: its own.
        netns: as in `AddChild`; likewise `shim` and `addresses`.
    """

    ifname: str
    mac: str
    netns: str
    shim: str = ""
    addresses: tuple[Address, ...] = ()

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        return (
            *_routes("del", self.shim, self.addresses),
            *Unplug(self.ifname, self.mac, self.netns).describe(),
        )

    def apply(self, machine: Machine) -> bool:
        """Delete both; not there is fine."""
        if self.shim:
            machine.lan.reach_no_more(self.shim, self.addresses)
        ifindex = machine.children.pop(self.ifname, 0)
        return machine.insides.unplug(machine.sandbox, self.ifname, self.mac, ifindex)

    def inverse(self) -> Step | None:
        """Return None: an attach makes it anew."""
        return None


class Reach(Step):
    """Have the host send to containers by its own interface, or no more.

    Attributes:
        shim: that interface.
        addresses: the containers'.
        ended: no more.
    """

    shim: str
    addresses: tuple[Address, ...]
    ended: bool = False

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        return _routes("del" if self.ended else "add", self.shim, self.addresses)

    def apply(self, machine: Machine) -> bool:
        """Add the routes, or delete them."""
        if not self.ended:
            return machine.lan.reach(self.shim, self.addresses)
        machine.lan.reach_no_more(self.shim, self.addresses)
        return True

    def inverse(self) -> Step:
        """Return the other act."""
        return Reach(self.shim, self.addresses, not self.ended)


class MakeShim(DeviceStep):
    """Make the host's own interface beside its containers', or mend what is missing of it.

    A macvlan and its parent do not reach each other (the kernel's macvlan_rcv); two of one
    parent do.

    Attributes:
        child: what it is to be like; its name is `device`.
        addresses: the host's on that network.
    """

    child: Child
    addresses: tuple[Address, ...]

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        child = self.child
        return (
            f"ip link add {child.ifname} link {child.parent} address {child.mac} mtu {child.mtu}"
            f" group {LINK_GROUP} type {child.kind} mode {child.mode}",
            *(
                f"sysctl -w net.ipv4.conf.{child.ifname}.{setting}"
                for setting in ("arp_ignore=1", "arp_announce=2")
            ),
            *(
                f"ip addr add {ready_address(interface)} dev {child.ifname}"
                for interface in map(alone, self.addresses)
            ),
            f"ip link set {child.ifname} up",
        )

    def apply(self, machine: Machine) -> bool:
        """Make it; False if all of it was there."""
        return machine.lan.make_shim(self.child, self.addresses)

    def inverse(self) -> Step:
        """Return its removal."""
        return RemoveShim(self.device)


class RemoveShim(DeviceStep):
    """Remove the host's own interface of a network."""

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        return (f"ip link del {self.device}",)

    def apply(self, machine: Machine) -> bool:
        """Delete it; not there is fine."""
        machine.links.delete_links((self.device,))
        return True

    def inverse(self) -> Step | None:
        """Return None: the next attach makes it anew."""
        return None


def unreach(endpoints: tuple[Endpoint, ...]) -> list[Step]:
    """Return the steps that have the host send nothing to containers on the LAN by its own way."""
    return [
        Reach(end.device, tuple(held.address for held in end.addresses), ended=True)
        for end in endpoints
        if not end.host_ifname
    ]


def alone(address: Address) -> Interface:
    """Return an address with the prefix length of it alone: routes say who is reached by it."""
    from ocinet.base.address import Interface

    return Interface(address, 32 if address.family == 4 else 128)


def _routes(verb: str, shim: str, addresses: tuple[Address, ...]) -> tuple[str, ...]:
    return tuple(f"ip route {verb} {alone(address)} dev {shim}" for address in addresses)
