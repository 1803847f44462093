"""The kernel as a data plane asks and tells it: one socket, and each table in one list."""

from __future__ import annotations

from errno import EEXIST, ENODEV, EOPNOTSUPP
from struct import Struct

from ocinet.base.errors import KernelError, OcinetError
from ocinet.cluster.plane import messages
from ocinet.cluster.plane.desired import Tables, Way
from ocinet.cluster.plane.plane import Changes
from ocinet.engine.kernel import ip_messages, link_messages
from ocinet.engine.netlink.framing import with_last_ack
from ocinet.engine.netlink.socket import NETLINK_ROUTE, NetlinkSocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.base.address import Interface, Subnet
    from ocinet.cluster.plane.messages import Device
    from ocinet.cluster.plane.reconcile import Act
    from ocinet.engine.netlink.framing import Refusal

_NUMBER = Struct("=I")
_NUMBER_AT = 8  # in a message's header
_AT_ONCE = 256  # messages: each refusal is answered, and all answers must fit the socket's buffer
_SHOWN = 3  # failures of one kind that are told one by one


class Kernel:
    """The network namespace of the thread at the first use. To be used in a `with` block.

    Not for several threads at once.
    """

    def __init__(self) -> None:
        self._netlink = NetlinkSocket(NETLINK_ROUTE, strict=True)

    def __enter__(self) -> Kernel:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the socket."""
        self._netlink.close()

    # -- asked -----------------------------------------------------------------------------

    def device(self, ifname: str) -> Device | None:
        """Return a link by its name, or None.

        Raises:
            KernelError: the kernel would not say.
        """
        return self._device(link_messages.get_link(1, ifname))

    def device_at(self, ifindex: int) -> Device | None:
        """Return a link by its index, or None."""
        return self._device(link_messages.get_link_at(1, ifindex))

    def _device(self, question: bytes) -> Device | None:
        answers, refusals = self._netlink.look_up(question, 1)
        if answers:
            return messages.decode_device(answers[0].body)
        if refusals[0].errno == ENODEV:
            return None
        raise refusals[0].error("cannot look at a link")

    def addresses(self, ifindex: int = 0) -> tuple[tuple[int, Interface], ...]:
        """Return the addresses of a link, or of all, each with the link's index."""
        bodies = self._netlink.dump(ip_messages.dump_addresses(1, ifindex))
        return tuple(map(ip_messages.decode_address, bodies))

    def tables(self, ifindex: int) -> Tables:
        """Return what a device and the tables about it hold; of its routes, all by it."""
        return Tables(
            frozenset(interface for at, interface in self.addresses(ifindex) if at == ifindex),
            frozenset(
                entry
                for body in self._netlink.dump(messages.dump_neighbours(ifindex))
                if (entry := messages.decode_neighbour(body))
            ),
            frozenset(
                found[1]
                for body in self._netlink.dump(messages.dump_forwards(ifindex))
                if (found := messages.decode_forward(body)) and found[0] == ifindex
            ),
            frozenset(way for way, _ours in self.ways(ifindex)),
        )

    def ways(self, ifindex: int = 0) -> tuple[tuple[Way, bool], ...]:
        """Return the main table's routes by a link, or with 0 those of ours by any.

        Returns:
            Each with whether it is of ours; those by that link with the index 0.
        """
        found = []
        for family in (4, 6):
            question = messages.dump_routes(family, ifindex=ifindex, ours=not ifindex)
            try:
                bodies = self._netlink.dump(question)
            except KernelError as error:
                if error.errno != EOPNOTSUPP or family == 4:  # no IPv6 in this kernel
                    raise
                continue
            found += [told for body in bodies if (told := messages.decode_route(body))]
        return tuple(
            (way.replace(ifindex=0) if ifindex and way.ifindex == ifindex else way, ours)
            for way, ours in found
        )

    def on_link(self, ifindex: int) -> tuple[Subnet, ...]:
        """Return the subnets that the host is in by a link, as the kernel's own routes say."""
        return tuple(
            route.destination
            for family in (4, 6)
            for body in self._netlink.dump(ip_messages.dump_connected(1, family))
            for at, route in ip_messages.decode_routes(body)
            if at == ifindex
        )

    # -- told ------------------------------------------------------------------------------

    def tell(self, message: bytes, what: str) -> None:
        """Send one message.

        Raises:
            KernelError: it was refused.
        """
        _answers, refusals = self._netlink.ask(message, 1)
        if refusals:
            raise refusals[0].error(what)

    def do(self, acts: Iterable[Act]) -> tuple[Changes, list[OcinetError]]:
        """Do what is to be done, in order, past what fails; as many at once as may be.

        Returns:
            What was done, and what went wrong.
        """
        made: list[str] = []
        removed: list[str] = []
        errors: list[OcinetError] = []
        todo = tuple(acts)
        for start in range(0, len(todo), _AT_ONCE):
            part = todo[start : start + _AT_ONCE]
            refused = self._send(part)
            for number, act in enumerate(part, 1):
                refusal = refused.get(number)
                if refusal is None:
                    (made if act.made else removed).append(act.what)
                elif refusal.errno not in act.fine:
                    errors.append(_failure(act, refusal))
        return Changes(tuple(made), tuple(removed)), _few(errors)

    def _send(self, part: tuple[Act, ...]) -> dict[int, Refusal]:
        numbered = [_numbered(act.message, number) for number, act in enumerate(part, 1)]
        _answers, refusals = self._netlink.ask(with_last_ack(numbered), 1)
        return {refusal.sequence: refusal for refusal in refusals}


def _numbered(message: bytes, number: int) -> bytes:
    return message[:_NUMBER_AT] + _NUMBER.pack(number) + message[_NUMBER_AT + 4 :]


def _failure(act: Act, refusal: Refusal) -> KernelError:
    verb = "make" if act.made else "remove"
    if refusal.errno == EEXIST and act.what.startswith("route "):
        prefix = act.what.split()[1]
        return KernelError(f"cannot make {act.what}", "somebody else's route leads there",
                           f"ip route show {prefix}", errno=EEXIST)  # fmt: skip
    return refusal.error(f"cannot {verb} {act.what}")


def _few(errors: list[OcinetError]) -> list[OcinetError]:
    """Return the first of the errors, and how many more there are: a thousand help nobody."""
    if len(errors) <= _SHOWN:
        return errors
    more = KernelError("cannot make it all so", f"{len(errors) - _SHOWN} more like these")
    return [*errors[:_SHOWN], more]
