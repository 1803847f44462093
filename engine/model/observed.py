"""The host as it was seen before a plan was made."""

from __future__ import annotations

from ocinet.base.address import Interface
from ocinet.base.value import Value
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.link import Link
from ocinet.engine.model.network import NetworkRules


class FirewallState(Value):
    """What there is before a plan is made.

    Attributes:
        table: whether our table is there.
        forward_drop: the iptables chains, as `ip filter FORWARD`, that drop what
            they do not know of the packets that pass through the host.
        docker_user: whether Docker's chain for the rules of others is there.
    """

    table: bool = False
    forward_drop: tuple[str, ...] = ()
    docker_user: bool = False


class DeviceState(Value):
    """A network's bridge as it was seen.

    Attributes:
        link: None if there is no such link.
        addresses: what it bears.
        mtu: bytes, that an interface on it should have: its own, else what
            the network or the uplink says.
        route_localnet: the value of that sysctl, "" if it was not read.
        forward_accepted: our accept rules for it are in the other tables.
    """

    device: str
    link: Link | None
    addresses: tuple[Interface, ...]
    mtu: int
    route_localnet: str = ""
    forward_accepted: bool = False


class Observed(Value):
    """The host as it was seen before a plan.

    Attributes:
        devices: of the networks in question.
        firewall: our table, and who else drops.
        recorded: where our table is missing, the networks and ports of all records.
        ip_forward: the value of that sysctl; likewise `ipv6_forward`, "" if not read.
        foreign_drop: where a network is new, chains of others on the forward hook
            that drop what they don't know.
        ra_uplinks: links that live by router advertisements, if IPv6 forwarding
            has to be turned on, each with its accept_ra.
    """

    devices: tuple[DeviceState, ...]
    firewall: FirewallState
    recorded: tuple[tuple[NetworkRules, ...], tuple[PortRule, ...]] = ((), ())
    ip_forward: str = ""
    ipv6_forward: str = ""
    foreign_drop: tuple[str, ...] = ()
    ra_uplinks: tuple[tuple[str, str], ...] = ()

    def device(self, name: str) -> DeviceState:
        """Return the state of one bridge that was looked at."""
        return next(state for state in self.devices if state.device == name)
