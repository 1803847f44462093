"""An end of a link to another sandbox, as a sandbox's record keeps it."""

from __future__ import annotations

from ocinet.base.value import Value


class Plug(Value):
    """An end of a link that was made: what its sandbox's record keeps of it.

    Attributes:
        cable: the link's name.
        ifname: the interface.
        mac: by which it is known to be that one.
        peer: the id of the other end's container.
        peer_sandbox: in which the other end was made, as `DEV:INODE`.
    """

    cable: str
    ifname: str
    mac: str
    peer: str
    peer_sandbox: str
