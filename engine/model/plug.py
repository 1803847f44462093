"""An end of a link to another sandbox, as a sandbox's record keeps it."""

from __future__ import annotations

from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Interface
    from ocinet.engine.model.request import Route


class Plug(Value):
    """An end of a link that was made: what its sandbox's record keeps of it.

    Attributes:
        cable: the link's name.
        ifname: the interface.
        mac: by which it is known to be that one.
        peer: the id of the other end's container.
        peer_sandbox: in which the other end was made, as `DEV:INODE`.
        addresses: with their prefix lengths.
        routes: that lead through it.
    """

    cable: str
    ifname: str
    mac: str
    peer: str
    peer_sandbox: str
    addresses: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
