"""A data plane's table in the kernel: put in place whole, looked at, taken away.

What it looks like to the kernel as it is made is noted in /run; whoever has changed or flushed
it is found by that, without nft.
"""

from __future__ import annotations

from hashlib import blake2s

from ocinet.base.errors import SystemFailure
from ocinet.cluster.plane.plane import Changes
from ocinet.engine.firewall import programs
from ocinet.engine.firewall.element_messages import dump_elements
from ocinet.engine.firewall.netfilter import NetfilterSocket, raise_unless_missing
from ocinet.engine.firewall.nfnetlink import FAMILY_HEADER_SIZE, Batch, get_table
from ocinet.engine.firewall.table_shape import shape_of
from ocinet.engine.netlink.framing import attributes, payloads
from ocinet.engine.records.hints import recall, remember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocinet.base.paths import Paths

_ELEMENTS = 3  # NFTA_SET_ELEM_LIST_ELEMENTS


class ClosingTable:
    """One table of the family inet, in the network namespace of the calling thread.

    Args:
        name: of the table; no other program's, as it is replaced.
        paths: where it is noted what it looks like.
    """

    def __init__(self, name: str, paths: Paths) -> None:
        self.name = name
        self._run = paths.run
        self._file = f"{name}.json"

    def put(self, text: str) -> Changes:
        """Have the table as that text makes it, in one transaction.

        Effects: runs `nft`, unless it is so.

        Raises:
            SystemFailure: nft is not installed, or refused it.
        """
        with NetfilterSocket() as socket:
            if self._is(text, socket):
                return Changes()
            program = (programs.find("nftables", "nft"), "-f", "-")
            try:
                programs.run(program, text)
            except SystemFailure as error:
                raise error.within(f"cannot close the way in, table inet {self.name}") from error
            known = {"text": _digest(text), "shape": self._shape(text, socket)}
        remember(self._run, self._file, known)
        return Changes(made=(f"table inet {self.name}",))

    def flaws(self, text: str) -> tuple[str, ...]:
        """Return what is wrong with it, a line for people; nothing if it is as that text makes it.

        Raises:
            KernelError: the kernel refused to answer.
        """
        with NetfilterSocket() as socket:
            if self._is(text, socket):
                return ()
            missing = not socket.look_up(get_table(1, "inet", self.name), 1)[0]
        state = "is missing: others can speak for the peers"
        return (f"table inet {self.name} {state if missing else 'is not as it was made'}",)

    def remove(self) -> Changes:
        """Take it away; not there is fine."""
        with NetfilterSocket() as socket:
            there = bool(socket.look_up(get_table(1, "inet", self.name), 1)[0])
            if there:
                batch = Batch(self.name)
                batch.delete_table()
                raise_unless_missing(socket.ask(batch.encode(), 1)[1])
        return Changes(removed=(f"table inet {self.name}",) if there else ())

    def _is(self, text: str, socket: NetfilterSocket) -> bool:
        def shape(known: Any) -> str:
            return str(known["shape"]) if known["text"] == _digest(text) else ""

        known = recall(self._run, self._file, shape, "")
        return bool(known) and self._shape(text, socket) == known

    def _shape(self, text: str, socket: NetfilterSocket) -> str:
        if not socket.look_up(get_table(1, "inet", self.name), 1)[0]:
            return "none"
        digest = blake2s(shape_of(socket, self.name, text).encode(), digest_size=16)
        for line in text.splitlines():
            if line.startswith("\tset "):
                digest.update(b"".join(_elements(socket, self.name, line.split()[1])))
        return digest.hexdigest()


def _elements(socket: NetfilterSocket, table: str, name: str) -> list[bytes]:
    """Return a set's elements in an order of their own: a hash table's changes as it grows."""
    lists = (
        attributes(body, FAMILY_HEADER_SIZE).get(_ELEMENTS, b"")
        for body in socket.dump(dump_elements(table, name))
    )
    return sorted(element for listed in lists for element in payloads(listed))


def _digest(text: str) -> str:
    return blake2s(text.encode(), digest_size=16).hexdigest()
