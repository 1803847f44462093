"""Steps that make and unmake what all containers share.

A bridge, the nftables table, a sysctl, an accept rule in another table: each
holds the global lock, finds "already so" to be success, and is undone only while
nobody else uses it.
"""

from __future__ import annotations

from ocinet.base.errors import KernelError, SystemFailure
from ocinet.engine.model.forwarding import FORWARD_IPV4, FORWARD_IPV6, FORWARDED, LOOPBACK_ROUTED
from ocinet.engine.model.link import LINK_GROUP
from ocinet.engine.plan.own_steps import OpenFirewall, make_table
from ocinet.engine.plan.port_steps import NO_FILTERS
from ocinet.engine.plan.steps import Step, as_nft, ready_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Interface
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.bridge_filters import BridgeFilters
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.forward_guard import ForwardGuard
    from ocinet.engine.model.network import NetworkRules
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.ruleset.elements import Element

_NEEDED = {
    FORWARD_IPV4: "cannot forward IPv4, as the way out and published ports need",
    FORWARD_IPV6: "cannot forward IPv6, as the way out and published ports need",
}


class DeviceStep(Step):
    """A shared step for one bridge, which only that bridge's endpoints use."""

    shared = True
    device: str

    def used_by(self, record: Attachment) -> bool:
        """Tell whether an attachment is on the bridge."""
        return any(endpoint.device == self.device for endpoint in record.endpoints)


class MakeBridge(DeviceStep):
    """Make a managed network's bridge, or mend what is missing of it.

    Attributes:
        mac: that it is given; a bridge without one takes the lowest of its ports'.
        mtu: bytes.
        addresses: the gateways, with their prefix lengths.
    """

    mac: str
    mtu: int
    addresses: tuple[Interface, ...]

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        addresses = [
            f"ip addr add {ready_address(address)} dev {self.device}" for address in self.addresses
        ]
        has_ipv6 = any(interface.address.family == 6 for interface in self.addresses)
        return (
            f"ip link add {self.device} address {self.mac} group {LINK_GROUP} type bridge",
            f"ip link set {self.device} mtu {self.mtu}",
            f"sysctl -w net.ipv6.conf.{self.device}.accept_ra=0",
            f"sysctl -w net.ipv6.conf.{self.device}.accept_dad=0",
            *([] if has_ipv6 else [f"sysctl -w net.ipv6.conf.{self.device}.disable_ipv6=1"]),
            *addresses,
            f"ip link set {self.device} up",
        )

    def apply(self, machine: Machine) -> bool:
        """Make it; False if all of it was there."""
        link = machine.links.link(self.device)
        if link and link.up and not link.without_arp and link.mtu == self.mtu:
            there = machine.links.addresses(link.ifindex)
            routed = {
                subnet
                for family in {interface.address.family for interface in self.addresses}
                for at, subnet in machine.links.connected(family)
                if at == link.ifindex
            }
            # Of somebody else who has made it meanwhile, but not of one whose routes are gone.
            if set(self.addresses) <= set(there) and routed.issuperset(
                interface.subnet for interface in self.addresses
            ):
                return False
        return machine.bridges.make_bridge(self.device, self.mac, self.mtu, self.addresses)

    def inverse(self) -> Step:
        """Return its removal."""
        return RemoveBridge(self.device)


class RemoveBridge(DeviceStep):
    """Remove a bridge of ours that has no ports."""

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        return (f"ip link del {self.device}",)

    def apply(self, machine: Machine) -> bool:
        """Remove it; False if it was not there or has ports."""
        return machine.bridges.remove_bridge(self.device)

    def inverse(self) -> Step | None:
        """Return None: the next attach makes a bridge anew."""
        return None


class SetSysctl(Step):
    """Set a kernel parameter of the host.

    Attributes:
        key: as a path below /proc/sys.
        value: to be written, without a line end.
        before: its value when the plan was made.
    """

    shared = True
    key: str
    value: str
    before: str

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        return (f"sysctl -w {self.key.replace('/', '.')}={self.value}",)

    def apply(self, machine: Machine) -> bool:
        """Write it; False if it was so already."""
        try:
            return machine.sysctls.write(self.key, self.value)
        except SystemFailure as error:
            if error.hint and self.value == FORWARDED:
                error.hint = f"sysctl -w {self.key}=1"  # by hand, it is not ours
            raise error.within(_NEEDED.get(self.key, "cannot prepare the host")) from error

    def inverse(self) -> Step:
        """Return the setting of the former value."""
        return SetSysctl(self.key, self.before, self.value)


class RouteLoopback(DeviceStep):
    """Let packets from 127.0.0.1 out to a bridge, as its published ports need, or not.

    Attributes:
        value: `LOOPBACK_ROUTED` or "0".
    """

    value: str

    @property
    def _sysctl(self) -> SetSysctl:
        before = LOOPBACK_ROUTED if self.value == "0" else "0"
        return SetSysctl(f"net/ipv4/conf/{self.device}/route_localnet", self.value, before)

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        return self._sysctl.describe()

    def apply(self, machine: Machine) -> bool:
        """Write it; False if it was so already.

        Nobody but the host may use 127.0.0.1 then, also while our table is not there.
        """
        if self.value != "0":
            from ocinet.engine.ruleset.filters import LOOPBACK_ALONE

            put_filters(machine, self.device, LOOPBACK_ALONE)
        return self._sysctl.apply(machine)

    def inverse(self) -> Step:
        """Return the other value's step."""
        return RouteLoopback(self.device, self._sysctl.before)

    def used_by(self, record: Attachment) -> bool:
        """Tell whether an attachment has ports that are published through the bridge."""
        return bool(record.ports) and super().used_by(record)


class MakeTable(Step):
    """Make our nftables table, with what is recorded of others."""

    shared = True
    networks: tuple[NetworkRules, ...] = ()
    ports: tuple[PortRule, ...] = ()
    guards: tuple[ForwardGuard, ...] = ()
    access: tuple[Element, ...] = ()

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        from ocinet.engine.ruleset import nft

        held = nft.open_text(self.networks, self.ports, self.guards, self.access)
        return (as_nft(nft.table_text() + held),)

    def apply(self, machine: Machine) -> bool:
        """Make it; False if it is there."""
        if machine.firewall.observe().table:
            return False
        make_table(machine)  # as of now, not of when it was planned
        return True

    def inverse(self) -> Step | None:
        """Return its removal."""
        return RemoveTable()


class RebuildTable(MakeTable):
    """Put our table right where others have changed it."""

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        from ocinet.engine.ruleset import nft

        return (as_nft(nft.rebuild_text(self.networks, self.ports, self.guards, self.access)),)

    def apply(self, machine: Machine) -> bool:
        """Replace it by one that holds what is recorded by now."""
        make_table(machine)
        return True

    def inverse(self) -> Step | None:
        """Return None: what was wrong with it is nobody's."""
        return None


class RemoveTable(Step):
    """Remove our nftables table."""

    shared = True

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        return ("nft delete table inet ocinet",)

    def apply(self, machine: Machine) -> bool:
        """Remove it; one that is not there is fine."""
        machine.firewall.remove_table()
        return True

    def inverse(self) -> Step:
        """Return its making."""
        return MakeTable()


class EnterNetwork(DeviceStep):
    """Enter a network's rules into the firewall, before its first container."""

    rules: NetworkRules

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        from ocinet.engine.ruleset import nft

        return (as_nft(nft.open_text((self.rules,), ())),)

    def apply(self, machine: Machine) -> bool:
        """Add the elements."""
        return OpenFirewall((self.rules,), ()).apply(machine)

    def inverse(self) -> Step:
        """Return their removal."""
        return LeaveNetwork(self.device, self.rules)


class LeaveNetwork(DeviceStep):
    """Take a network's rules out of the firewall."""

    rules: NetworkRules

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        from ocinet.engine.ruleset import nft

        return (as_nft(nft.remove_network_text(self.rules)),)

    def apply(self, machine: Machine) -> bool:
        """Delete the elements; missing ones are fine."""
        machine.firewall.remove_network(self.rules)
        return True

    def inverse(self) -> Step:
        """Return their entering."""
        return EnterNetwork(self.device, self.rules)


def put_filters(machine: Machine, device: str, filters: BridgeFilters) -> bool:
    """Have a bridge bear filters of ours; where the kernel has no such, that is told.

    Returns:
        False if it does already, or can't.
    """
    try:
        return machine.bridge_filters.put(device, filters)
    except KernelError as error:
        if error.errno not in NO_FILTERS:
            raise
        machine.warnings.append(
            f"{device} has no filters of its own, so whenever table inet ocinet is flushed it is"
            f" open until that is made again: {error.why}: {error.hint}"
        )
        return False
