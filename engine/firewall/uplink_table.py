"""The table that follows what the host's routes say of sources: replaced and removed.

Whether it is there, and what it is made of, `Firewall.observe` tells with the rest.
"""

from __future__ import annotations

from ocinet.engine.firewall import nfnetlink
from ocinet.engine.firewall.netfilter import raise_unless_missing
from ocinet.engine.ruleset.tables import UPLINKS_TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Deadline
    from ocinet.engine.firewall.netfilter import NetfilterSocket
    from ocinet.engine.model.routing import UplinkRules


class Uplinks:
    """The table in the network namespace that the socket is in.

    Args:
        socket: to ask through.
        deadline: of the operation; None: nft may take as long as it takes.
    """

    def __init__(self, socket: NetfilterSocket, deadline: Deadline | None = None) -> None:
        self._socket = socket
        self._deadline = deadline

    def replace(self, rules: UplinkRules) -> None:
        """Have exactly this in it, in one transaction; without anything there is none.

        Effects: runs `nft`, if there is anything.

        Raises:
            NotFoundError: nft is not installed.
            SystemFailure: nft failed, or the kernel refused.
        """
        if rules.marks or rules.sources:
            from ocinet.engine.firewall import programs
            from ocinet.engine.ruleset.uplinks import table_text

            command = (programs.find("nftables", "nft"), "-f", "-")
            programs.run(command, table_text(rules), self._deadline)
        else:
            batch = nfnetlink.Batch(UPLINKS_TABLE)
            batch.delete_table()
            raise_unless_missing(self._socket.ask(batch.encode(), 1)[1])
