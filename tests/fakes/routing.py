"""What the host's routes say of sources in memory, and our second table for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes.trace import Trace, act, look
from ocinet.base.address import Address, Interface
from ocinet.engine.model.routing import UplinkRules, WayOut
from ocinet.engine.ruleset.uplinks import fingerprint

if TYPE_CHECKING:
    from fakes.firewall import ForeignTables
    from fakes.host import FakeHost
    from ocinet.engine.model.routing import RoutingRule


class FakeRoutingRules:
    """See `seams.RoutingRules`; the kernel's own rules, which mind nothing, are not shown."""

    seam = "routing_rules"

    def __init__(self, host: FakeHost) -> None:
        self._host = host
        self._rules: list[RoutingRule] = []

    @property
    def trace(self) -> Trace:
        """The host's."""
        return self._host.trace

    def put(self, rule: RoutingRule) -> None:
        """Let somebody else add a rule."""
        self._rules.append(rule)

    def take(self, rule: RoutingRule) -> None:
        """Let somebody else delete a rule."""
        self._rules.remove(rule)

    def all(self) -> tuple[RoutingRule, ...]:
        """Return all that were added, in order."""
        return tuple(self._rules)

    @look
    def rules(self) -> tuple[RoutingRule, ...]:
        """Return those that mind a source or a mark: by priority, then by age."""
        known = [rule for rule in self._rules if rule.source or rule.mask]
        return tuple(sorted(known, key=lambda rule: (rule.family, rule.priority)))

    @act
    def add(self, rule: RoutingRule) -> bool:
        """Add one, unless it is there."""
        if rule in self._rules:
            return False
        self._rules.append(rule)
        return True

    @act
    def remove(self, rule: RoutingRule) -> None:
        """Delete one."""
        if rule in self._rules:
            self._rules.remove(rule)

    @look
    def has(self, rule: RoutingRule) -> bool:
        """Tell whether it is there."""
        return rule in self._rules

    @look
    def blackholes(self) -> tuple[RoutingRule, ...]:
        """Return those that lead what came in by a link nowhere."""
        return tuple(rule for rule in self._rules if rule.iif and rule.action == "blackhole")

    @look
    def addresses(self) -> tuple[tuple[str, Interface], ...]:
        """Return those of all links."""
        return tuple(
            (ifname, interface)
            for ifname, link in self._host.namespace.links.items()
            for interface in link.addresses
        )

    @look
    def ways_out(self, families: tuple[int, ...]) -> tuple[WayOut, ...]:
        """Return the best default route of each family, if it says an address."""
        found = []
        for family in families:
            for gateway, ifname, source in self._host.default_sources.get(family, ())[:1]:
                addresses = tuple(self._host.namespace.links[ifname].addresses)
                found.append(WayOut(ifname, gateway, source, addresses))
        return tuple(found)

    @look
    def leads(self, addresses: tuple[Address, ...]) -> tuple[str, ...]:
        """Return the narrowest way; rules and routes of others are not minded."""
        return tuple(self._way(address) for address in addresses)

    def _way(self, address: Address) -> str:
        found = [
            (interface.prefixlen, ifname)
            for ifname, link in self._host.namespace.links.items()
            for interface in link.addresses
            if link.up and address in interface.subnet
        ]
        own = any(interface.address == address for _ifname, interface in self.addresses())
        return "lo" if own else max(found, default=(0, ""))[1]


class FakeUplinks:
    """See `seams.Uplinks`.

    Attributes:
        rules: those there are.
    """

    seam = "uplinks"

    def __init__(self, trace: Trace, foreign: ForeignTables) -> None:
        self.trace = trace
        self.rules = UplinkRules()
        self._foreign = foreign

    @property
    def fingerprint(self) -> str:
        """What the table bears."""
        return fingerprint(self.rules)

    @act
    def replace(self, rules: UplinkRules) -> None:
        """Have these alone."""
        self._foreign.changes += rules != self.rules
        self.rules = rules
