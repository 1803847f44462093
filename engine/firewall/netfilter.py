"""The kernel's firewall as it is asked: one nfnetlink socket, and everybody's chains.

What is in a table of others is read here and nowhere else.
"""

from __future__ import annotations

import posix
from _socket import SOL_SOCKET
from errno import ENOENT

from ocinet.engine.firewall import nfnetlink
from ocinet.engine.netlink.socket import NETLINK_NETFILTER, NetlinkSocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.firewall.nfnetlink import Chain
    from ocinet.engine.netlink.framing import Answer, Refusal

_SO_SNDBUFFORCE = 32
_USUAL_ROOM = 1 << 16
# Of the network namespace that this thread is in.
_LEGACY = {
    "ip": "/proc/thread-self/net/ip_tables_names",
    "ip6": "/proc/thread-self/net/ip6_tables_names",
}
_LONGEST = 512


class NetfilterSocket:
    """A socket for nfnetlink, with room for a transaction of any size.

    Opened at the first request, in the network namespace that the thread is in
    then. To be closed, or used in a `with` block. Not for several threads at once.
    """

    def __init__(self) -> None:
        self._opened: NetlinkSocket | None = None
        self._room = _USUAL_ROOM

    @property
    def _netlink(self) -> NetlinkSocket:
        if self._opened is None:
            self._opened = NetlinkSocket(NETLINK_NETFILTER)
            self._room = _USUAL_ROOM
        return self._opened

    def close(self) -> None:
        """Close it, if it was ever opened; the next request opens it again.

        Waits for the kernel, 16 ms or so, if something has been deleted through
        it just now.
        """
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def __enter__(self) -> NetfilterSocket:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close it."""
        self.close()

    def ask(self, messages: bytes, acks: int) -> tuple[list[Answer], list[Refusal]]:
        """Send messages in one go and return all that the kernel says; see `NetlinkSocket.ask`.

        The kernel takes a transaction only whole, from one send.
        """
        netlink = self._netlink
        if len(messages) > self._room:
            self._room = 2 * len(messages)
            netlink.set_option(SOL_SOCKET, _SO_SNDBUFFORCE, self._room)
        return netlink.ask(messages, acks)

    def look_up(self, questions: bytes, count: int) -> tuple[list[Answer], list[Refusal]]:
        """Ask questions that are answered once each; see `NetlinkSocket.look_up`."""
        return self._netlink.look_up(questions, count)

    def dump(self, question: bytes) -> list[bytes]:
        """Ask for a list; see `NetlinkSocket.dump`."""
        return self._netlink.dump(question)

    def chains(self, wanted: tuple[tuple[str, str, str], ...]) -> tuple[Chain, ...]:
        """Return those of these chains (family, table, name) that are there.

        Raises:
            KernelError: the kernel refused to answer.
        """
        questions = chain_questions(wanted, 1)
        answers, refusals = self.look_up(b"".join(questions), len(questions))
        raise_unless_missing(refusals)
        return tuple(nfnetlink.decode_chain(answer.body) for answer in answers)

    def rules(self, family: str, chain: str) -> list[bytes]:
        """Return the rules of a chain that iptables made in `filter`, as the kernel encodes them.

        Raises:
            KernelError: there is no such chain.
        """
        return self.dump(nfnetlink.dump_rules(family, "filter", chain))


def chain_questions(wanted: tuple[tuple[str, str, str], ...], first: int) -> list[bytes]:
    """Return the questions for chains, numbered from `first`."""
    return [nfnetlink.get_chain(sequence, *chain) for sequence, chain in enumerate(wanted, first)]


def raise_unless_missing(refusals: list[Refusal]) -> None:
    """Raise the first refusal that says more than that something is not there.

    Raises:
        KernelError: there is one.
    """
    for refusal in refusals:
        if refusal.errno != ENOENT:
            raise refusal.error("cannot change the firewall")


def legacy_families() -> tuple[str, ...]:
    """Return the families, ip and ip6, in which iptables-legacy has a table that may drop packets.

    nf_tables neither shows such tables nor numbers their changes. A kernel that has none
    such has no file that would list them.
    """
    return tuple(family for family in _LEGACY if {*legacy_tables(family)} - {"nat"})


def legacy_tables(family: str) -> tuple[str, ...]:
    """Return the tables that iptables-legacy has made here, of ip or ip6."""
    return tuple(word.decode() for word in _words(_LEGACY[family]))


def _words(path: str) -> list[bytes]:
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return []
    try:
        return posix.read(fd, _LONGEST).split()
    finally:
        posix.close(fd)
