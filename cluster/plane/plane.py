"""What each data plane is: the Protocol that the agent calls.

A plane owns what it makes in the kernel, and knows it again: by its device's name and by a
route's protocol number. It keeps nothing on disk but keys. Its methods may be called again at any
time, and after a kill at any of its calls: what is there already is success, what is there
of its own and not wished any more is taken away, and what is another's is left alone.
"""

from __future__ import annotations

from typing import Protocol

from ocinet.base.value import Value
from ocinet.cluster.model import Mine, Peer


class Changes(Value):
    """What was done, one line for each thing that was made, changed or taken away.

    Attributes:
        made: as "route 10.42.3.0/24 via 10.42.3.0 dev ocx-4242".
        removed: likewise.
        unreached: peers, or shares of theirs, that there is no way to, with why and what to do.
            Nothing was done about them, so it is no change.
    """

    made: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether anything was done at all."""
        return bool(self.made or self.removed)


class DataPlane(Protocol):
    """The way from this host's share to all others'; made by `planes.plane_of`."""

    def apply(self, mine: Mine, peers: tuple[Peer, ...]) -> Changes:
        """Make it so: exactly these peers, and no trace of former ones.

        Args:
            mine: this host; never among the peers.
            peers: all others, in the order of their ids. Whether they are heard is all one to it.

        Returns:
            What had to be done; nothing if all was so already. And who is not reached.

        Raises:
            OcinetError: something failed; all else was done past it, and it can be called again.
        """

    def look(self, mine: Mine, peers: tuple[Peer, ...]) -> tuple[str, ...]:
        """Return what is not as `apply` would leave it, a line each for people; changes nothing.

        Raises:
            OcinetError: the kernel can't be asked.
        """

    def remove(self) -> Changes:
        """Take away all that is this plane's, whether or not a cluster is known still.

        Raises:
            OcinetError: something could not be taken away; all else is.
        """

    def mtu(self, mine: Mine) -> int:
        """Return how large a container's packet may be, in bytes, for the underlay that is there.

        Raises:
            OcinetError: no device has the underlay's address, or its MTU leaves too little.
        """

    def links(self, mine: Mine) -> tuple[str, ...]:
        """Return by which links packets of other hosts' containers come: `Network.joined`.

        Raises:
            OcinetError: no device has the underlay's address, where that is the one.
        """

    def public_key(self) -> str | None:
        """Return what the others need to know to encrypt for this host; made and kept at once.

        None of a plane that does not encrypt.

        Raises:
            OcinetError: the kernel can't do what this plane needs; tells what to do.
        """
