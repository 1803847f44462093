"""Our nftables table in memory, and the chains of others beside it.

The table holds the elements that `ruleset` says, by the kernel's rules: a key is in a
set once, intervals of one set don't overlap, a batch is all or nothing. To make it
fail, see `trace`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fakes.trace import Trace, act, look
from ocinet.base.address import Subnet
from ocinet.base.errors import ConflictError, SystemFailure
from ocinet.engine.model.observed import FirewallState
from ocinet.engine.ruleset.elements import (
    every_network_element,
    network_elements,
    port_element,
    port_elements,
)
from ocinet.engine.ruleset.nft import DOCKER_ISOLATION, forward_accept_rules

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.network import NetworkRules
    from ocinet.engine.ruleset.elements import Element, Field, Set

_FAMILIES = ("ip", "ip6")


class ForeignTables:
    """The tables that are not ours.

    Attributes:
        dropping: families whose iptables chain FORWARD drops what it does not know.
        docker_user: whether Docker's chain for the rules of others is there.
        walls: other chains on the forward hook that drop, as `inet wall gate`.
        accepts: how many accept rules of ours there are, by family and bridge.
    """

    def __init__(self) -> None:
        self.dropping: set[str] = set()
        self.docker_user = False
        self.walls: list[str] = []
        self.accepts: dict[tuple[str, str], int] = {}

    def drop_forward(self, *, docker: bool = False) -> None:
        """Let FORWARD drop in both families, as Docker has it, or somebody without it."""
        self.dropping.update(_FAMILIES)
        self.docker_user = self.docker_user or docker

    def flush(self) -> None:
        """Let somebody flush FORWARD, and Docker's chain, of all rules."""
        self.accepts.clear()

    def raise_wall(self) -> None:
        """Let a table `inet wall` drop what is forwarded."""
        self.walls.append("inet wall gate")

    def accepted(self) -> dict[tuple[str, str], int]:
        """Return how many accept rules of ours there are."""
        return dict(self.accepts)


class FakeFirewall:
    """See `seams.Firewall`.

    Attributes:
        trace: what was asked, and where it fails.
        flushed: the UDP ports whose flows were forgotten, in order.
    """

    seam = "firewall"

    def __init__(self, trace: Trace, foreign: ForeignTables) -> None:
        self.trace = trace
        self.flushed: list[PortRule] = []
        self._foreign = foreign
        self._table: _Table | None = None

    def contents(self) -> dict[str, Any] | None:
        """Return what is in the table, by set; None if there is none."""
        return None if self._table is None else self._table.contents()

    def drop_table(self) -> None:
        """Let somebody flush the whole ruleset."""
        self._table = None

    @look
    def observe(self) -> FirewallState:
        """Return what there is."""
        return FirewallState(
            table=self._table is not None,
            forward_drop=tuple(
                f"{family} filter FORWARD"
                for family in _FAMILIES
                if family in self._foreign.dropping
            ),
            docker_user=self._foreign.docker_user,
        )

    @look
    def observe_foreign(self) -> tuple[str, ...]:
        """Return who drops."""
        chains = [f"{family} filter FORWARD" for family in sorted(self._foreign.dropping)]
        return (*chains, *self._foreign.walls)

    @act
    def open(self, networks: tuple[NetworkRules, ...], ports: tuple[PortRule, ...]) -> bool:
        """Enter networks and ports."""
        if not (networks or ports):
            return False
        made = self._table is None
        self._table = (self._table or _Table()).with_opened(networks, ports)
        return made

    @act
    def close(self, ports: tuple[PortRule, ...]) -> None:
        """Take ports out."""
        self._delete(port_elements(ports))

    @act
    def rebuild(self, networks: tuple[NetworkRules, ...], ports: tuple[PortRule, ...]) -> None:
        """Put another table in its place."""
        try:
            self._table = _Table().with_opened(networks, ports)
        except ConflictError as error:  # which nft only tells as text
            raise SystemFailure("nft failed", error.why) from error

    @act
    def remove_table(self) -> None:
        """Remove it."""
        self._table = None

    @act
    def remove_network(self, rules: NetworkRules) -> None:
        """Take a network out."""
        self._delete(every_network_element(rules))

    @act
    def flush_udp(self, ports: tuple[PortRule, ...]) -> None:
        """Note whose flows are forgotten."""
        self.flushed += [port for port in ports if port.protocol == "udp"]

    def _delete(self, elements: Iterable[Element]) -> None:
        if self._table is not None:
            self._table = self._table.without(elements)


class _Table:
    """A table that never changes: a batch that fails leaves the one that was."""

    def __init__(
        self, sets: dict[Set, dict[tuple[Field, ...], tuple[Field, ...]]] | None = None
    ) -> None:
        self._sets = sets or {}

    def contents(self) -> dict[str, Any]:
        """Return what is in it, by the names of the sets."""
        return {kind.name: dict(held) for kind, held in self._sets.items() if held}

    def with_opened(
        self, networks: tuple[NetworkRules, ...], ports: tuple[PortRule, ...]
    ) -> _Table:
        """Return it with networks and ports, which must not be in."""
        table = self._copy()
        for rules in networks:
            for element in network_elements(rules):
                table._add(element)
        for port in dict.fromkeys(ports):
            table._add_port(port)
        return table

    def without(self, elements: Iterable[Element]) -> _Table:
        """Return it without these elements."""
        table = self._copy()
        for element in elements:
            for single in element.each():
                table._sets.get(single.set, {}).pop(single.key, None)
        return table

    def _copy(self) -> _Table:
        return _Table({kind: dict(held) for kind, held in self._sets.items()})

    def _add(self, element: Element) -> None:
        held = self._sets.setdefault(element.set, {})
        if element.set.interval:
            for key in held:
                if key != element.key and _overlap(key, element.key):
                    raise ConflictError("cannot open the firewall", f"a subnet overlaps that of"
                                        f" another network in {element.set.name}")  # fmt: skip
        held[element.key] = element.data

    def _add_port(self, port: PortRule) -> None:
        element = port_element(port)
        held = self._sets.setdefault(element.set, {})
        if element.key in held:
            address, number = held[element.key]
            shown = f"[{address}]" if ":" in str(address) else address
            raise ConflictError(f"cannot publish port {port.host_port}/{port.protocol}",
                                f"the firewall sends it to {shown}:{number} already")  # fmt: skip
        held[element.key] = element.data


def _overlap(one: tuple[Field, ...], other: tuple[Field, ...]) -> bool:
    """Tell whether two keys with subnets have a packet in common."""
    return all(
        first.overlaps(second)
        if isinstance(first, Subnet) and isinstance(second, Subnet)
        else first == second
        for first, second in zip(one, other, strict=True)
    )


class FakeForwardAccepts:
    """See `seams.ForwardAccepts`."""

    seam = "forward_accepts"

    def __init__(self, trace: Trace, foreign: ForeignTables) -> None:
        self.trace = trace
        self._foreign = foreign

    @look
    def is_accepted(self, device: str) -> bool:
        """Tell whether all chains that drop have our rules."""
        accepts = self._foreign.accepts
        return all(accepts.get((family, device), 0) for family in self._foreign.dropping)

    @act
    def add(self, device: str, *, managed: bool) -> bool:
        """Add them where they are missing."""
        isolation = DOCKER_ISOLATION if self._foreign.docker_user else ""
        count = len(forward_accept_rules(device, managed=managed, isolation=isolation))
        missing = [
            family
            for family in self._foreign.dropping
            if self._foreign.accepts.get((family, device)) != count
        ]
        self._foreign.accepts.update({(family, device): count for family in missing})
        return bool(missing)

    @act
    def remove(self, device: str) -> None:
        """Remove them."""
        for family in _FAMILIES:
            self._foreign.accepts.pop((family, device), None)
