"""What of our table, and of others', has been changed, as nftables tells of transactions."""

from __future__ import annotations

from ocinet.engine.firewall.nfnetlink import FAMILY_HEADER_SIZE, NFPROTO
from ocinet.engine.model.scope import EVERYTHING, NETWORKS, NOTHING, TABLE, united
from ocinet.engine.netlink.framing import attributes
from ocinet.engine.netlink.notices import Notices
from ocinet.engine.netlink.socket import NETLINK_NETFILTER
from ocinet.engine.ruleset import tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.scope import Scope

_NFNLGRP_NFTABLES = 7
_NFTA_TABLE_NAME = 1  # and the table's name in every other message
_NEWSETELEM, _NEWGEN = 12, 15
_INET = NFPROTO["inet"]
_NAME = tables.TABLE.encode() + b"\0"


def judge(kind: int, body: bytes) -> Scope:
    """Return what a message says that somebody may have touched.

    Args:
        kind: of nfnetlink: its subsystem, and NFT_MSG_*.
        body: without the netlink header.
    """
    kind &= 0xFF
    if kind == _NEWGEN:
        return NOTHING
    name = attributes(body, FAMILY_HEADER_SIZE).get(_NFTA_TABLE_NAME)
    if (body[0], name) != (_INET, _NAME):
        # Accept rules of ours may be in it, or chains that have come to drop what should pass.
        return NETWORKS
    # What is entered is no damage: an attach does it.
    return NOTHING if kind == _NEWSETELEM else TABLE


class TableNotices:
    """Tells whether our table, or others, have been changed; to be closed.

    Not for several threads at once.

    Raises:
        KernelError: the kernel refused.
    """

    def __init__(self) -> None:
        self._notices = Notices(NETLINK_NETFILTER, (_NFNLGRP_NFTABLES,))

    def fileno(self) -> int:
        """Return what to poll for."""
        return self._notices.fileno()

    def close(self) -> None:
        """Listen no more."""
        self._notices.close()

    def read(self) -> Scope:
        """Return what was touched since the last time, without waiting.

        Raises:
            KernelError: the socket failed.
        """
        told, missed = self._notices.read()
        touched = united(judge(answer.kind, answer.body) for _space, answer in told)
        return EVERYTHING if missed else touched
