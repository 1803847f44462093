"""Our nftables table: making it, and entering networks and ports into it.

The table's chains never change. Containers are elements of its sets and maps,
entered in one transaction, which is neither checked before nor read back: the
cost does not grow with what is in the table. Needs these settings of the
kernel, which are steps of their own:

    net/ipv4/ip_forward, net/ipv6/conf/all/forwarding  to route at all
    net/ipv4/conf/BRIDGE/route_localnet                to publish to 127.0.0.1
    hairpin mode of the bridge port                    to reach a port of one's own
                                                       (bridge-nf-call-iptables=1)
"""

from __future__ import annotations

from errno import EEXIST, ENOENT

from ocinet.base.errors import ConflictError, SystemFailure
from ocinet.engine.firewall import nfnetlink
from ocinet.engine.firewall.netfilter import NetfilterSocket, raise_unless_missing
from ocinet.engine.model.observed import FirewallState
from ocinet.engine.ruleset.elements import port_element, port_elements
from ocinet.engine.ruleset.tables import FAMILY, TABLE, UPLINKS_TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from ocinet.base.address import Address
    from ocinet.base.clock import Deadline
    from ocinet.engine.firewall.nfnetlink import Batch
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.forward_guard import ForwardGuard
    from ocinet.engine.model.network import NetworkRules
    from ocinet.engine.netlink.framing import Refusal
    from ocinet.engine.ruleset.elements import Element

    class Shapes(Protocol):
        """What tables of ours look like to the kernel; see `table_shape`."""

        def get(self, text: str) -> str:
            """Return the shape of a table that was made of a text; "" where nobody knows."""

        def put(self, text: str, shape: str) -> None:
            """Note it."""


class Firewall:
    """The firewall of the network namespace that the first call is made in.

    A context manager. Not for several threads at once.

    Args:
        socket: to ask through, where others ask through it as well; else one of its own.
        deadline: of the operation; None: nft may take as long as it takes.
        shapes: returns where it is noted what our table looks like; None: nowhere, so nft is
            asked.
    """

    def __init__(
        self,
        socket: NetfilterSocket | None = None,
        deadline: Deadline | None = None,
        shapes: Callable[[], Shapes] | None = None,
    ) -> None:
        self._socket = socket or NetfilterSocket()
        self._shapes = shapes
        self.deadline = deadline

    def disconnect(self) -> None:
        """Close the socket; see `NetfilterSocket.close`."""
        self._socket.close()

    def __enter__(self) -> Firewall:
        """Return itself; disconnected at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Disconnect."""
        self.disconnect()

    def observe(self, *, compare: bool = False) -> FirewallState:
        """Look at our tables, and at the number of the last change of any.

        Three questions in one request, so that it can be asked at each attach.

        Args:
            compare: whether our table's chains, rules and sets are looked at as well.

        Raises:
            KernelError: the kernel refused to answer.
        """
        questions = nfnetlink.get_table(1, FAMILY, TABLE) + nfnetlink.get_generation(2)
        questions += nfnetlink.get_table(3, FAMILY, UPLINKS_TABLE)
        answers, refusals = self._socket.look_up(questions, 3)
        raise_unless_missing(refusals)
        told = {answer.sequence: answer for answer in answers}
        return FirewallState(
            table=1 in told,
            changed=compare and 1 in told and self._shape_is_known() is False,
            generation=nfnetlink.decode_generation(told[2]) if 2 in told else 0,
            uplinks=nfnetlink.decode_comment(told[3]) if 3 in told else "",
        )

    def flaws(
        self,
        networks: tuple[NetworkRules, ...],
        ports: tuple[PortRule, ...],
        guards: tuple[ForwardGuard, ...] = (),
        access: tuple[Element, ...] = (),
    ) -> tuple[str, ...]:
        """Return what our table lacks of these, and what of it is otherwise; see `comparison`.

        nft is asked only where the kernel's own lists do not tell that all of it is there.

        Raises:
            NotFoundError: nft or unshare is not installed.
            SystemFailure: one of them failed.
        """
        from ocinet.engine.firewall import comparison
        from ocinet.engine.firewall.table_elements import TableElements
        from ocinet.engine.ruleset.network_sets import guard_elements, network_elements

        before = self.observe()
        if not before.table:
            return (f"the table {FAMILY} {TABLE} is gone",)
        wanted = [element for rules in networks for element in network_elements(rules)]
        wanted += [element for guard in guards for element in guard_elements(guard)]
        wanted += [port_element(port) for port in ports]
        wanted += access
        if self._shape_is_known() and TableElements(self._socket).has(wanted):
            return ()
        found = comparison.flaws(networks, ports, guards, access, self.deadline)
        if not found:
            self._note_shape(before.generation)
        return found

    def _shape_is_known(self) -> bool | None:
        """Tell whether our table is as it was made; None where nobody knows how that was."""
        from ocinet.engine.firewall.table_shape import shape_of, text_digest

        known = self._shapes().get(text_digest()) if self._shapes else ""
        return shape_of(self._socket) == known if known else None

    def _note_shape(self, generation: int) -> None:
        """Note how our table looks, if it is as it was at that number of changes."""
        from ocinet.engine.firewall.table_shape import shape_of, text_digest

        shape = shape_of(self._socket)
        if self._shapes and self.observe().generation == generation:
            self._shapes().put(text_digest(), shape)

    def remove_table(self) -> None:
        """Remove our table and all that is in it; not there is fine.

        Raises:
            KernelError: the kernel refused.
        """
        batch = nfnetlink.Batch(TABLE)
        batch.delete_table()
        raise_unless_missing(self._apply(batch))

    def rebuild(
        self,
        networks: tuple[NetworkRules, ...],
        ports: tuple[PortRule, ...],
        guards: tuple[ForwardGuard, ...] = (),
        access: tuple[Element, ...] = (),
    ) -> None:
        """Replace our table, whatever became of it, by one that holds exactly this.

        In one transaction: no packet meets a half of it. Flows that are under way
        go on.

        Effects: runs `nft`.

        Raises:
            NotFoundError: nft is not installed.
            SystemFailure: nft failed.
        """
        from ocinet.engine.ruleset.nft import rebuild_text

        before = self.observe().generation
        _run_nft(rebuild_text(networks, ports, guards, access), self.deadline)
        self._note_shape(before + 1)  # unless somebody else has changed something beside it

    def open(
        self,
        networks: tuple[NetworkRules, ...],
        ports: tuple[PortRule, ...],
        guards: tuple[ForwardGuard, ...] = (),
    ) -> bool:
        """Enter networks, published ports and guards, in one transaction.

        Args:
            networks: those that are in already stay; one that has changed must
                be taken out first.
            ports: none of them may be in.
            guards: those that are in already stay.

        Returns:
            Whether the table was missing and has been made. What others had in
            it is gone then, until it is rebuilt.

        Raises:
            ConflictError: a port is in already, or a subnet overlaps another
                network's; nothing has changed.
            SystemFailure: the table is of another version or can't be made.
            KernelError: the kernel refused for another reason.
        """
        # A detach has no use for their sets.
        from ocinet.engine.ruleset.network_sets import guard_elements, network_elements

        batch = nfnetlink.Batch(TABLE)
        batch.add(element for rules in networks for element in network_elements(rules))
        if guards:
            batch.add(element for guard in guards for element in guard_elements(guard))
        batch.add(port_elements(ports), exclusive=True)
        refusals = self._apply(batch)
        # ENOENT may also mean a set that a table of another version has not.
        made = _all_missing(refusals) and not self.observe().table
        if made:
            make_table(self)
            refusals = self._apply(batch)
        if refusals:
            raise self._refused(batch, refusals[0], ports)
        return made

    def close(self, ports: tuple[PortRule, ...], guards: tuple[ForwardGuard, ...] = ()) -> None:
        """Take ports and guards out, in one transaction; those that are not in are fine.

        An element goes whoever entered it, so a port must be given only while it
        is this container's.

        Raises:
            KernelError: the kernel refused; the others are out.
        """
        elements = port_elements(ports)
        if guards:
            from ocinet.engine.ruleset.network_sets import guard_elements

            elements += tuple(element for guard in guards for element in guard_elements(guard))
        self._delete(elements)

    def remove_network(self, rules: NetworkRules) -> None:
        """Take a network out, whatever its options were; not in is fine.

        Raises:
            KernelError: the kernel refused; the rest of it is out.
        """
        from ocinet.engine.ruleset.network_sets import every_network_element

        self._delete(every_network_element(rules))

    def forget_flows(
        self, ports: tuple[PortRule, ...] = (), addresses: tuple[Address, ...] = ()
    ) -> None:
        """Forget the flows to the UDP ports among these, and all that these addresses are in.

        See `conntrack`.

        Raises:
            KernelError: the kernel refused.
        """
        from ocinet.engine.firewall import conntrack

        for port in ports:
            if port.protocol == "udp":
                conntrack.flush_udp(
                    self._socket, port.address.family, port.host_address, port.host_port
                )
        conntrack.flush_addresses(self._socket, addresses)

    def _apply(self, batch: Batch) -> list[Refusal]:
        if not batch:
            return []
        _answers, refusals = self._socket.ask(batch.encode(), 1)
        return refusals

    def _delete(self, elements: tuple[Element, ...]) -> None:
        batch = nfnetlink.Batch(TABLE)
        batch.delete(elements)
        refusals = self._apply(batch)
        if not refusals:
            return
        raise_unless_missing(refusals)
        # A batch is all or nothing, so one missing element has kept the others in.
        refusals = []
        for element in elements:
            for single in element.each():
                batch = nfnetlink.Batch(TABLE)
                batch.delete((single,))
                refusals += self._apply(batch)
        raise_unless_missing(refusals)

    def _refused(
        self, batch: Batch, refusal: Refusal, ports: tuple[PortRule, ...]
    ) -> ConflictError | SystemFailure:
        """Return what to raise for a refused opening."""
        kind = batch.refused_set(refusal)
        if kind is not None and refusal.errno == ENOENT:
            return SystemFailure(
                f"cannot change table {FAMILY} {TABLE}",
                f"it has no {kind.name}: another version of ocinet made it, or it was edited",
                "ocinet gc",
            )
        if kind is None or refusal.errno != EEXIST:
            return refusal.error("cannot open the firewall")
        if not kind.data:
            return ConflictError(
                "cannot open the firewall",
                f"a subnet overlaps that of another network in {FAMILY} {TABLE} {kind.name}",
                f"nft list set {FAMILY} {TABLE} {kind.name}",
            )
        return self._port_conflict(ports)

    def _port_conflict(self, ports: tuple[PortRule, ...]) -> ConflictError:
        what = "cannot publish a port"
        for port in ports:
            question = nfnetlink.get_element(1, TABLE, port_element(port))
            answers, _refusals = self._socket.look_up(question, 1)
            if answers:
                address, number = nfnetlink.decode_element_data(answers[0])
                shown = f"[{address}]" if address.family == 6 else str(address)
                return ConflictError(
                    f"cannot publish port {port.host_port}/{port.protocol}",
                    f"the firewall sends it to {shown}:{number} already",
                    "ocinet ps shows whose it is; ocinet gc removes what nobody holds",
                )
        return ConflictError(what, "the firewall sent one of them elsewhere a moment ago")


def _all_missing(refusals: list[Refusal]) -> bool:
    return bool(refusals) and all(refusal.errno == ENOENT for refusal in refusals)


def make_table(firewall: Firewall) -> None:
    """Make our table, empty; nothing is changed if it is there.

    Effects: runs `nft`.

    Raises:
        NotFoundError: nft is not installed.
        SystemFailure: nft failed.
    """
    from ocinet.engine.ruleset.nft import table_text  # for the first of a boot

    try:
        _run_nft(table_text(), firewall.deadline)
    except SystemFailure as error:
        if not firewall.observe().table:  # else another process has just made it
            raise error.within("cannot make the firewall's table") from error


def _run_nft(text: str, deadline: Deadline | None) -> None:
    from ocinet.engine.firewall import programs

    programs.run((programs.find("nftables", "nft"), "-f", "-"), text, deadline)
