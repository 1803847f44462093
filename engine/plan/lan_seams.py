"""What steps ask of links that share a parent, as macvlan's do: a seam; see `seams`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from ocinet.base.address import Address
    from ocinet.engine.model.lan import Child, HostSide, Parent
    from ocinet.engine.plan.inside_seams import Sandbox
else:
    Protocol = object


class Lan(Protocol):
    """Links that share another one, of the host and born in sandboxes."""

    def parent(self, ifname: str) -> Parent | None:
        """Return a link of the host as a parent, with what keeps it from being one; or None."""

    def host_side(self, ifname: str) -> HostSide | None:
        """Return the host's own interface of that name, or None."""

    def add_child(self, child: Child, sandbox: Sandbox) -> int:
        """Make an interface in a sandbox, down.

        Returns:
            Its index there; 0 if somebody in there was faster to rename it.

        Raises:
            KernelError: it could not be made, and nothing is left of it: EEXIST where its name
                is taken, ENODEV without the parent, EBUSY where another driver has that.
        """

    def make_shim(self, child: Child, addresses: tuple[Address, ...]) -> bool:
        """Make the host's own interface, or finish it: up, with these addresses.

        Returns:
            Whether anything was changed.

        Raises:
            ConflictError: a link of that name is not ours.
            KernelError: it was refused; one that was just made is gone again.
        """

    def reach(self, ifname: str, addresses: tuple[Address, ...]) -> bool:
        """Have the host send to these addresses by its own interface.

        Returns:
            False if it does already.

        Raises:
            KernelError: the interface is not there (ENODEV), or it was refused.
        """

    def reach_no_more(self, ifname: str, addresses: tuple[Address, ...]) -> None:
        """Take that back; not there is fine."""
