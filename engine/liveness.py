"""Who lives, and in which sandbox: judgements about records and leases. Reads only."""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from ocinet.engine.model.attachment import Attachment, Member
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan import seams
    from ocinet.ipam.lease import Lease

    class Owners(Protocol):
        """The records of sandboxes' owners."""

        def get(self, container_id: str) -> Attachment | None:
            """Return a container's record, or None."""


def shows_sandbox(record: Attachment) -> bool:
    """Tell whether the path that a sandbox was given by still leads to it.

    No more than a sign of life where the host has nothing of it: the kernel may give the
    number of a namespace that is gone to the next one.
    """
    if not record.path or record.container.process:
        return False
    try:
        status = posix.stat(record.path)
    except OSError:
        return False
    return f"{status.st_dev}:{status.st_ino}" == record.sandbox


class Liveness:
    """Judges by processes, and by links where there is no process to follow.

    Args:
        links: of the host.
        owners: where a member's owner is looked up.
        operation: knows this boot, and which processes run: what is of an earlier
            boot is dead.
    """

    def __init__(self, links: seams.Links, owners: Owners, operation: Operation) -> None:
        self._links = links
        self._owners = owners
        self._boot_id = operation.boot_id
        self._is_alive = operation.is_alive

    def lives(self, record: Attachment) -> bool:
        """Tell whether the container of a record still runs.

        One without a process to follow, a namespace given by its path, lives as
        long as a link of its does; if it is linked with another sandbox alone, as its
        path leads there.
        """
        if record.boot_id != self._boot_id or record.left:
            return False
        if record.container.process:
            return self._is_alive(record.container.process)
        # With a namespace the kernel deletes the pair's end in it, and that end's peer.
        named = [end.host_ifname for end in record.endpoints if end.host_ifname]
        if any(map(self._links.link, named)):
            return True
        is_unseen = len(named) < len(record.endpoints)  # the host has no end of it
        return (bool(record.plugs) or is_unseen) and shows_sandbox(record)

    def living_members(self, record: Attachment) -> tuple[Member, ...]:
        """Return the members of a sandbox that still run."""
        if record.boot_id != self._boot_id:
            return ()
        return tuple(
            member for member in record.members if member.process and self._is_alive(member.process)
        )

    def is_dead(self, record: Attachment) -> bool:
        """Tell whether nobody lives in a record's sandbox any more."""
        return not self.lives(record) and not self.living_members(record)

    def is_of(self, record: Attachment, identity: str) -> bool:
        """Tell whether a record is of this very sandbox, and not of one that is gone.

        DEV:INODE alone does not say: the kernel gives the number of a namespace that
        is gone to the next one that is made. It does so after the links are gone. So
        where nobody of the record is known to live, the links that were made decide.

        Args:
            record: any.
            identity: of an open sandbox, so of one that is there.
        """
        if record.sandbox != identity or record.boot_id != self._boot_id:
            return False
        if not self.is_dead(record):
            return True
        if record.member_of:
            owner = self._owners.get(record.member_of)
            return owner is not None and self.is_of(owner, identity)
        # By index: name and DEV:INODE of the same id come again together, for the one is a hash
        # with the other in it. Without links (mode none) nothing tells, and it counts as gone.
        ends = [end for end in record.endpoints if end.host_ifname]
        links = [self._links.link(endpoint.host_ifname) for endpoint in ends]
        return bool(links) and all(
            link and link.ifindex == endpoint.host_ifindex
            for link, endpoint in zip(links, ends, strict=True)
        )

    def holder_lives(self, lease: Lease) -> bool:
        """Tell whether the holder of a lease may still use its address.

        It may not when it is of an older boot, or its process is gone and the host
        end of its link as well.
        """
        holder = lease.holder
        if holder.boot_id != self._boot_id:
            return False
        if holder.process and self._is_alive(holder.process):
            return True
        # By name alone: the lease was written before the kernel had given the link its index.
        return self._links.link(holder.host_ifname) is not None
