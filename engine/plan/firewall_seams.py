"""The seams to nftables, as `seams` names them: our table, the second one, and others'."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from ocinet.base.address import Address
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.forward_guard import ForwardGuard
    from ocinet.engine.model.network import NetworkRules
    from ocinet.engine.model.observed import FirewallState
    from ocinet.engine.model.passage import AcceptRule, ForwardDrop, Passage
    from ocinet.engine.model.refused import Refused
    from ocinet.engine.model.routing import UplinkRules
    from ocinet.engine.ruleset.elements import Element
else:
    Protocol = object  # as in `seams`


class Firewall(Protocol):
    """Our nftables table, and what others' tables have to be asked for."""

    def observe(self, *, compare: bool = False) -> FirewallState:
        """Look at our tables, and at the number of the last change of any.

        Args:
            compare: whether our table's chains, rules and sets are looked at as well.
        """

    def flaws(
        self,
        networks: tuple[NetworkRules, ...],
        ports: tuple[PortRule, ...],
        guards: tuple[ForwardGuard, ...] = (),
        access: tuple[Element, ...] = (),
    ) -> tuple[str, ...]:
        """Return what our table lacks of these, one line each, and what of it is otherwise.

        What it has besides is no flaw. Off the hook's path: it may take long.
        """

    def open(
        self,
        networks: tuple[NetworkRules, ...],
        ports: tuple[PortRule, ...],
        guards: tuple[ForwardGuard, ...] = (),
    ) -> bool:
        """Enter networks, published ports and guards, all or nothing.

        Networks and guards that are in stay.

        Returns:
            Whether the table was missing and has been made, with these alone in it.

        Raises:
            ConflictError: a port is in already, or a subnet overlaps another network's;
                nothing has changed.
        """

    def close(self, ports: tuple[PortRule, ...], guards: tuple[ForwardGuard, ...] = ()) -> None:
        """Take ports and guards out, whoever entered them; those that are not in are fine."""

    def rebuild(
        self,
        networks: tuple[NetworkRules, ...],
        ports: tuple[PortRule, ...],
        guards: tuple[ForwardGuard, ...] = (),
        access: tuple[Element, ...] = (),
    ) -> None:
        """Replace our table, whatever became of it, by one that holds exactly this."""

    def remove_table(self) -> None:
        """Remove our table and all that is in it; not there is fine."""

    def remove_network(self, rules: NetworkRules) -> None:
        """Take a network out, whatever its options were; not in is fine."""

    def forget_flows(
        self, ports: tuple[PortRule, ...] = (), addresses: tuple[Address, ...] = ()
    ) -> None:
        """Forget the flows to the UDP ports among these, and all that these addresses are in."""


class Elements(Protocol):
    """All that is in our table, whoever entered it."""

    def all(self) -> tuple[Element, ...]:
        """Return the elements of its sets, set by set; none without a table."""

    def add(self, elements: tuple[Element, ...]) -> bool:
        """Enter some, all or none; those that are in are fine.

        Returns:
            False if there is no table of ours to enter them in.

        Raises:
            ConflictError: a part of what one of intervals means is in already.
        """

    def delete(self, elements: tuple[Element, ...]) -> None:
        """Take some out; none of them has to be there still."""

    def sources(self) -> tuple[tuple[Address, Address], ...]:
        """Return of containers that leave with an address of their own theirs, and that one."""

    def refused(self) -> tuple[Refused, ...]:
        """Return what its rules have refused and still know of; none without a table."""

    def forget_refused(self, addresses: tuple[Address, ...]) -> None:
        """Forget what was refused from these addresses, and to them."""


class Uplinks(Protocol):
    """Our second table: of connections whose answers, and packets whose source, routes tell."""

    def replace(self, rules: UplinkRules) -> None:
        """Have exactly this in it; without anything there is none. See `Firewall.observe`."""


class ForwardAccepts(Protocol):
    """What others' chains drop of our bridges, and our accept rules in them."""

    def judge(self, passage: Passage) -> tuple[ForwardDrop, ...]:
        """Return the base chains of others, of all tables, that drop what should pass."""

    def add(self, device: str, chains: tuple[str, ...], *, managed: bool) -> bool:
        """Put them at the top of chains of iptables'.

        Args:
            device: the bridge.
            chains: as in `ForwardDrop.accept_in`; rules elsewhere in their tables go.
            managed: whether it is ours; of an adopted one, published ports alone pass.

        Returns:
            False if they were all there.

        Raises:
            SystemFailure: it failed; rules of one family may be there.
        """

    def remove(self, device: str) -> None:
        """Remove them; not there is fine."""

    def unnumbered(self) -> bool:
        """Tell whether there are tables whose changes the kernel does not number.

        Then it has to be judged each time what they drop.
        """

    def tagged(self) -> tuple[AcceptRule, ...]:
        """Return all rules of ours that are in tables of others, in order.

        Raises:
            NotFoundError: there are some, and iptables is not installed.
            SystemFailure: it failed.
        """

    def delete(self, rule: AcceptRule) -> bool:
        """Delete the first that is like this one; False if there is none."""

    def join_zone(self, passage: Passage) -> tuple[ForwardDrop, ...]:
        """Have firewalld take a bridge into our zone, until it is reloaded.

        Returns:
            What firewalld drops all the same of what should pass.

        Raises:
            SystemFailure: firewalld does not run, has no such zone, or has it in another one.
        """

    def leave_zone(self, device: str) -> None:
        """Take it out again; not in is fine."""
