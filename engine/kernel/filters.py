"""Filters on the host's bridges and their ports, which no change of nftables' tables removes.

Their messages are imported by the act that needs them: most attaches set none.
"""

from __future__ import annotations

import posix
from errno import EEXIST, EINVAL, ENODEV, ENOENT

from ocinet.engine.model.bridge_filters import BridgeFilters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.kernel.links import Links
    from ocinet.engine.model.link import Link

_AT_ONCE = 32  # programs of 2 KiB, in one socket's buffer
_HINT = "modprobe -a sch_ingress cls_bpf"


class Filters:
    """Filters of the host that the links are of. Not for several threads at once.

    Args:
        links: the host's; it is asked through their socket.
        unmarked: returns what has packets reach a bridge without the mark of our table.
    """

    def __init__(self, links: Links, unmarked: Callable[[], tuple[str, ...]]) -> None:
        self._links = links
        self._unmarked = unmarked

    def unmarked(self) -> tuple[str, ...]:
        """Return what has packets reach a bridge without the mark of our table."""
        return self._unmarked()

    def present(self, device: str) -> BridgeFilters:
        """Return those of ours that a bridge has; b"" where there is none.

        Raises:
            KernelError: the kernel would not say.
        """
        from ocinet.engine.kernel.filter_messages import EGRESS, INGRESS

        link = self._links.link(device)
        if link is None:
            return BridgeFilters(b"", b"")
        return BridgeFilters(
            self._program(link.ifindex, INGRESS), self._program(link.ifindex, EGRESS)
        )

    def guards(self, ports: tuple[Link, ...]) -> dict[str, bytes]:
        """Return the program of ours at each of these ports, by name; b"" for none.

        Raises:
            KernelError: the kernel would not say.
        """
        from ocinet.engine.kernel import filter_messages

        found = {port.ifname: b"" for port in ports}
        # A list of each port's filters would be a question for each: of one they say as much.
        for start in range(0, len(ports), _AT_ONCE):
            some = ports[start : start + _AT_ONCE]
            questions = b"".join(
                filter_messages.get_filter(number, port.ifindex) for number, port in enumerate(some)
            )
            for answer in self._links.socket.look_up(questions, len(some))[0]:
                program = filter_messages.decode_filter(answer.body)
                found[some[answer.sequence].ifname] = program or b""
        return found

    def port_names(self, bridge: Link) -> list[str]:
        """Return the names of a bridge's ports, in no order; none if it has gone."""
        names = _ports_by_sysfs(bridge)
        if names is None:
            from ocinet.engine.kernel.bridge_ports import port_names

            names = port_names(bridge.ifname)
        return names

    def dropped(self, device: str) -> int:
        """Return how many packets a link's filters have dropped; 0 of no such link.

        Raises:
            KernelError: the kernel would not say.
        """
        from ocinet.engine.kernel import filter_messages

        ifindex = self._index(device)
        bodies = self._links.socket.dump(filter_messages.dump_disciplines(1, ifindex))
        return sum(filter_messages.decode_dropped(body, ifindex) for body in bodies)

    def _program(self, ifindex: int, parent: int) -> bytes:
        from ocinet.engine.kernel import filter_messages

        bodies = self._links.socket.dump(filter_messages.dump_filters(1, ifindex, parent))
        programs = (filter_messages.decode_filter(body) for body in bodies)
        return next((program for program in programs if program is not None), b"")

    def put(self, device: str, filters: BridgeFilters) -> bool:
        """Have a bridge bear these filters of ours; those of others stay.

        Returns:
            False if it does already.

        Raises:
            KernelError: the bridge is not there (ENODEV), or it was refused: with ENOENT or
                EOPNOTSUPP by a kernel that has no such filters.
        """
        from ocinet.engine.kernel import filter_messages

        there = self.present(device)
        wanted = [
            (parent, program)
            for parent, program, before in (
                (filter_messages.INGRESS, filters.ingress, there.ingress),
                (filter_messages.EGRESS, filters.egress, there.egress),
            )
            if program is not None and program != before
        ]
        if not wanted:
            return False
        ifindex = self._index(device)
        if any(program for _parent, program in wanted):
            self._add_clsact(device, ifindex)
        for parent, program in wanted:
            if program:
                self._ask(device, filter_messages.put_filter(1, ifindex, program, parent))
            else:
                self._ask(device, filter_messages.delete_filter(1, ifindex, parent), ENOENT)
        return True

    def _add_clsact(self, device: str, ifindex: int) -> None:
        """Add what filters hang on, unless it is there.

        A link without a queue, as docker0, is given the length of one by that, as if nobody
        could have meant it (qdisc_create): it is put back, for the link may be another's.
        """
        from ocinet.engine.kernel import filter_messages, link_messages

        answers, _refusals = self._links.socket.look_up(link_messages.get_link_at(1, ifindex), 1)
        self._ask(device, filter_messages.add_clsact(1, ifindex), EEXIST)
        if answers and not filter_messages.decode_queue_length(answers[0].body):
            self._ask(device, filter_messages.set_queue_length(1, ifindex, 0))

    def remove(self, device: str) -> None:
        """Remove ours from a bridge, and what they hung on if nobody else's do.

        Raises:
            KernelError: it was refused; not there is fine.
        """
        from ocinet.engine.kernel import filter_messages

        link = self._links.link(device)
        there = self.present(device)
        if link is None or not (there.ingress or there.egress):
            return
        self.put(device, BridgeFilters(b"", b""))
        others = [
            body
            for parent in (filter_messages.INGRESS, filter_messages.EGRESS)
            for body in self._links.socket.dump(
                filter_messages.dump_filters(1, link.ifindex, parent)
            )
        ]
        if not others:
            self._ask(
                device, filter_messages.delete_clsact(1, link.ifindex), ENOENT, EINVAL, ENODEV
            )

    def _index(self, device: str) -> int:
        link = self._links.link(device)
        return link.ifindex if link else 0

    def _ask(self, device: str, request: bytes, *fine: int) -> None:
        refusals = self._links.socket.ask(request, 1)[1]
        if refusals and refusals[0].errno not in fine:
            raise refusals[0].error(f"cannot set filters of {device}", _HINT)


def _ports_by_sysfs(bridge: Link) -> list[str] | None:
    """Return the names of a bridge's ports; None where /sys shows another namespace's links.

    Each attach asks: a thousand ports take 0.3 ms here, 1.6 ms by ioctl, by rtnetlink 90 ms.
    """
    path = f"/sys/class/net/{bridge.ifname}"
    try:
        fd = posix.open(f"{path}/ifindex", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            ifindex = int(posix.read(fd, 16))
        finally:
            posix.close(fd)
        return posix.listdir(f"{path}/brif") if ifindex == bridge.ifindex else None
    except (OSError, ValueError):
        return None
