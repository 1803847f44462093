"""Our nftables table in memory, and the chains of others beside it.

The table holds the elements that `ruleset` says, by the kernel's rules: a key is in a
set once, intervals of one set don't overlap, a batch is all or nothing. To make it
fail, see `trace`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fakes.trace import Trace, act, look
from ocinet.base.address import Address, Subnet
from ocinet.base.errors import ConflictError, SystemFailure
from ocinet.engine.model.observed import FirewallState
from ocinet.engine.model.passage import AcceptRule, ForwardDrop, Zoned
from ocinet.engine.ruleset.access_sets import SOURCE, ways_of
from ocinet.engine.ruleset.elements import Element, port_element, port_elements
from ocinet.engine.ruleset.network_sets import (
    every_network_element,
    guard_elements,
    network_elements,
)
from ocinet.engine.ruleset.nft import DOCKER_ISOLATION, DOCKER_USER, forward_accept_rules
from ocinet.engine.ruleset.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fakes.routing import FakeUplinks
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.forward_guard import ForwardGuard
    from ocinet.engine.model.network import NetworkRules
    from ocinet.engine.model.passage import Passage
    from ocinet.engine.model.refused import Refused
    from ocinet.engine.ruleset.elements import Field, Set

_PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
_FAMILIES = ("ip", "ip6")
_FAMILY_NAMES = {4: "ip", 6: "ip6"}


class ForeignTables:
    """The tables that are not ours.

    Attributes:
        dropping: families whose iptables chain FORWARD drops what it does not know.
        docker_user: whether Docker's chain for the rules of others is there.
        walls: other chains on the forward hook that drop, as `inet wall gate`.
        accepts: how many accept rules of ours there are, by family and bridge.
        zone: the bridges that are in firewalld's zone for ours; None: there is no firewalld.
        flowtables: that lead past all chains, as `inet home fast`.
        changes: of any table, ours among them: the kernel's generation.
    """

    def __init__(self) -> None:
        self.dropping: set[str] = set()
        self.docker_user = False
        self.walls: list[str] = []
        self.flowtables: list[str] = []
        self.accepts: dict[tuple[str, str], int] = {}
        self.zone: set[str] | None = None
        self.changes = 1

    def drop_forward(self, *, docker: bool = False) -> None:
        """Let FORWARD drop in both families, as Docker has it, or somebody without it."""
        self.changes += 1
        self.dropping.update(_FAMILIES)
        self.docker_user = self.docker_user or docker

    def flush(self) -> None:
        """Let somebody flush FORWARD, and Docker's chain, of all rules."""
        self.changes += 1
        self.accepts.clear()

    def raise_wall(self) -> None:
        """Let a table `inet wall` drop what is forwarded."""
        self.changes += 1
        self.walls.append("inet wall gate")

    def start_firewalld(self) -> None:
        """Let firewalld be there, as it is after each reload: with our zone, and nobody in it."""
        self.changes += 1
        self.zone = set()

    def accepted(self) -> dict[tuple[str, str], int]:
        """Return how many accept rules of ours there are."""
        return dict(self.accepts)


class FakeFirewall:
    """See `seams.Firewall`.

    Attributes:
        trace: what was asked, and where it fails.
        flushed: the UDP ports whose flows were forgotten, in order.
        forgotten: the addresses whose flows were, in order.
    """

    seam = "firewall"

    def __init__(self, trace: Trace, foreign: ForeignTables, marks: FakeUplinks) -> None:
        self.trace = trace
        self._marks = marks
        self.flushed: list[PortRule] = []
        self.forgotten: list[Address] = []
        self._foreign = foreign
        self._table: _Table | None = None
        self._is_changed = False

    def contents(self) -> dict[str, Any] | None:
        """Return what is in the table, by set; None if there is none."""
        return None if self._table is None else self._table.contents()

    def drop_table(self) -> None:
        """Let somebody flush the whole ruleset."""
        self._change(None)

    def _change(self, table: _Table | None) -> None:
        """Put another table in the place of this one; the kernel counts what is no change not."""
        now, before = table and table.contents(), self.contents()
        self._foreign.changes += now != before
        self._table = table

    def change_rules(self) -> None:
        """Let somebody change a chain of our table."""
        assert self._table
        self._foreign.changes += 1
        self._is_changed = True

    @look
    def observe(self, *, compare: bool = False) -> FirewallState:
        """Return what there is."""
        return FirewallState(
            table=self._table is not None,
            changed=compare and self._is_changed,
            generation=self._foreign.changes,
            uplinks=self._marks.fingerprint,
        )

    @look
    def flaws(
        self,
        networks: tuple[NetworkRules, ...],
        ports: tuple[PortRule, ...],
        guards: tuple[ForwardGuard, ...] = (),
        access: tuple[Element, ...] = (),
    ) -> tuple[str, ...]:
        """Return the sets that lack something."""
        if self._table is None:
            return ("the table is gone",)
        if self._is_changed:
            return ("a chain has been changed",)
        wanted = _Table().with_opened(networks, ports, guards).with_added(access).contents()
        there = self._table.contents()
        return tuple(
            f"{name} lacks some"
            for name, held in wanted.items()
            if not held.items() <= there.get(name, {}).items()
        )

    @act
    def open(
        self,
        networks: tuple[NetworkRules, ...],
        ports: tuple[PortRule, ...],
        guards: tuple[ForwardGuard, ...] = (),
    ) -> bool:
        """Enter networks, ports and guards."""
        if not (networks or ports or guards):
            return False
        made = self._table is None
        self._change((self._table or _Table()).with_opened(networks, ports, guards))
        return made

    @act
    def close(self, ports: tuple[PortRule, ...], guards: tuple[ForwardGuard, ...] = ()) -> None:
        """Take ports and guards out."""
        of_guards = tuple(element for guard in guards for element in guard_elements(guard))
        self._delete((*port_elements(ports), *of_guards))

    @act
    def rebuild(
        self,
        networks: tuple[NetworkRules, ...],
        ports: tuple[PortRule, ...],
        guards: tuple[ForwardGuard, ...] = (),
        access: tuple[Element, ...] = (),
    ) -> None:
        """Put another table in its place."""
        self._is_changed = False
        try:
            self._change(_Table().with_opened(networks, ports, guards).with_added(access))
        except ConflictError as error:  # which nft only tells as text
            raise SystemFailure("nft failed", error.why) from error

    @act
    def remove_table(self) -> None:
        """Remove it."""
        self._is_changed = False
        self._change(None)

    @act
    def remove_network(self, rules: NetworkRules) -> None:
        """Take a network out."""
        self._delete(every_network_element(rules))

    @act
    def forget_flows(
        self, ports: tuple[PortRule, ...] = (), addresses: tuple[Address, ...] = ()
    ) -> None:
        """Note whose flows are forgotten."""
        self.flushed += [port for port in ports if port.protocol == "udp"]
        self.forgotten += addresses

    def entered(self) -> tuple[Element, ...]:
        """Return all that is in the table."""
        return self._table.entered() if self._table else ()

    def add(self, elements: Iterable[Element]) -> bool:
        """Enter elements, if there is a table."""
        if self._table is not None:
            try:
                self._change(self._table.with_added(elements))
            except ConflictError as error:
                raise ConflictError(
                    "cannot open the firewall", "a part of it is open in a set"
                ) from error
        return self._table is not None

    def delete(self, elements: Iterable[Element]) -> None:
        """Take elements out."""
        self._delete(elements)

    def _delete(self, elements: Iterable[Element]) -> None:
        if self._table is not None:
            self._change(self._table.without(elements))


class FakeElements:
    """See `seams.Elements`."""

    seam = "elements"

    def __init__(self, trace: Trace, firewall: FakeFirewall) -> None:
        self.trace = trace
        self._firewall = firewall

    @look
    def all(self) -> tuple[Element, ...]:
        """Return what is in the table."""
        return self._firewall.entered()

    @act
    def add(self, elements: tuple[Element, ...]) -> bool:
        """Enter some."""
        return self._firewall.add(elements)

    @act
    def delete(self, elements: tuple[Element, ...]) -> None:
        """Take some out."""
        self._firewall.delete(elements)

    @look
    def sources(self) -> tuple[tuple[Address, Address], ...]:
        """Return those of the maps for it."""
        known = [each for each in self._firewall.entered() if each.set in SOURCE.values()]
        return ways_of(known)

    @look
    def refused(self) -> tuple[Refused, ...]:
        """Return that nothing was."""
        return ()

    @act
    def forget_refused(self, addresses: tuple[Address, ...]) -> None:
        """Forget nothing, for there is nothing."""


class _Table:
    """A table that never changes: a batch that fails leaves the one that was."""

    def __init__(
        self, sets: dict[Set, dict[tuple[Field, ...], tuple[Field, ...]]] | None = None
    ) -> None:
        self._sets = sets or {}

    def entered(self) -> tuple[Element, ...]:
        """Return what is in it."""
        return tuple(
            Element(kind, key, data)
            for kind, held in self._sets.items()
            for key, data in held.items()
        )

    def contents(self) -> dict[str, Any]:
        """Return what is in it, by the names of the sets."""
        return {kind.name: dict(held) for kind, held in self._sets.items() if held}

    def with_opened(
        self,
        networks: tuple[NetworkRules, ...],
        ports: tuple[PortRule, ...],
        guards: tuple[ForwardGuard, ...],
    ) -> _Table:
        """Return it with networks, guards, and ports, which must not be in."""
        table = self._copy()
        for guard in guards:
            for element in guard_elements(guard):
                table._add(element)
        for rules in networks:
            for element in network_elements(rules):
                table._add(element)
        for port in dict.fromkeys(ports):
            table._add_port(port)
        return table

    def with_added(self, elements: Iterable[Element]) -> _Table:
        """Return it with elements, which may be in."""
        table = self._copy()
        for element in elements:
            table._add(element)
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
    return all(_meet(first, second) for first, second in zip(one, other, strict=True))


def _meet(one: Field, other: Field) -> bool:
    (first, last), (start, end) = _ends(one), _ends(other)
    return first <= end and start <= last if type(first) is type(start) else False


def _ends(field: Field) -> tuple[Any, Any]:
    if isinstance(field, Subnet):
        return field.first.value, field.last.value
    if isinstance(field, Span):
        return _ends(field.first)[0], _ends(field.last)[1]
    number = _PROTOCOLS.get(field, field) if isinstance(field, str) else field
    value = number.value if isinstance(number, Address) else number
    return value, value


class FakeForwardAccepts:
    """See `seams.ForwardAccepts`."""

    seam = "forward_accepts"

    def __init__(self, trace: Trace, foreign: ForeignTables) -> None:
        self.trace = trace
        self._foreign = foreign

    @look
    def judge(self, passage: Passage) -> tuple[ForwardDrop, ...]:
        """Return the chains that drop, but for those of families in which ours are accepted."""
        foreign = self._foreign
        families = [_FAMILY_NAMES[address.family] for address in passage.addresses]
        dropping = [
            family
            for family in families
            if family in foreign.dropping and not foreign.accepts.get((family, passage.device))
        ]
        place = DOCKER_USER if foreign.docker_user else "FORWARD"
        chains = [
            ForwardDrop(f"{family} filter FORWARD", "FORWARD", f"{family} filter {place}")
            for family in dropping
        ]
        walls = [ForwardDrop(wall, wall.split()[2]) for wall in foreign.walls]
        zoned = Zoned(zone="public", joinable=True)
        if foreign.zone is not None and passage.out and passage.device not in foreign.zone:
            chain = "inet firewalld filter_FORWARD"
            walls.append(ForwardDrop(chain, "filter_FORWARD", zoned=zoned))
        return (*chains, *walls)

    @act
    def add(self, device: str, chains: tuple[str, ...], *, managed: bool) -> bool:
        """Add them where they are missing."""
        isolation = DOCKER_ISOLATION if self._foreign.docker_user else ()
        count = len(forward_accept_rules(device, managed=managed, isolation=isolation))
        missing = [
            family
            for family in (chain.split()[0] for chain in chains)
            if self._foreign.accepts.get((family, device)) != count
        ]
        self._foreign.accepts.update({(family, device): count for family in missing})
        self._foreign.changes += len(missing)
        return bool(missing)

    @look
    def unnumbered(self) -> bool:
        """Return that there are none."""
        return False

    @look
    def tagged(self) -> tuple[AcceptRule, ...]:
        """Return as many as there are, each by a number in the place of its text."""
        chain = DOCKER_USER if self._foreign.docker_user else "FORWARD"
        return tuple(
            AcceptRule(family, chain, device, (str(number),), managed=True)
            for (family, device), count in sorted(self._foreign.accepts.items())
            for number in range(count)
        )

    @act
    def delete(self, rule: AcceptRule) -> bool:
        """Count one less."""
        key = rule.family, rule.device
        if not self._foreign.accepts.get(key):
            return False
        self._foreign.accepts[key] -= 1
        if not self._foreign.accepts[key]:
            del self._foreign.accepts[key]
        self._foreign.changes += 1
        return True

    @act
    def join_zone(self, passage: Passage) -> tuple[ForwardDrop, ...]:
        """Note that it is in."""
        device = passage.device
        if self._foreign.zone is None:
            raise SystemFailure(f"cannot have {device} in firewalld's zone", "it does not run")
        self._foreign.zone.add(device)
        self._foreign.changes += 1
        return ()

    @act
    def leave_zone(self, device: str) -> None:
        """Note that it is not."""
        if self._foreign.zone and device in self._foreign.zone:
            self._foreign.zone.remove(device)
            self._foreign.changes += 1

    @act
    def remove(self, device: str) -> None:
        """Remove them."""
        for family in _FAMILIES:
            if self._foreign.accepts.pop((family, device), None):
                self._foreign.changes += 1
