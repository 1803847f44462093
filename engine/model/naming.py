"""By which names a container finds others: what it asks for, and the files that tell it."""

from __future__ import annotations

from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from ocinet.base.clock import Process

    FileState = Literal["free", "ours", "engine", "left"]

HOSTS = "etc/hosts"
RESOLV_CONF = "etc/resolv.conf"
HOSTNAME = "etc/hostname"


class Rootfs(Value):
    """Where a container's files are before it has entered them.

    Attributes:
        path: of its root as its mount namespace has it by now, absolute; "" where nobody
            knows: then they can be had only once it has entered them.
        hostname: that it is given; "" for none.
        shares: the path of a network namespace that is another's; "" where it has its own.
        refilled: whether its engine writes `/etc/hosts` once more before its first instruction.
    """

    path: str
    hostname: str = ""
    shares: str = ""
    refilled: bool = False


# Of a container that its engine is about to start, by what is known before.
UNSTARTED = Rootfs("", refilled=True)


class Place(Value):
    """Whose files they are, and how they are found.

    Attributes:
        process: the container's first one, whose mounts these are.
        rootfs: where its root is while it still has the host's; None if that is not known.
        names: the container's own, the first one as it calls itself.
        by_others: whether somebody else's act looks there, which this one must not stop.
    """

    process: Process
    rootfs: Rootfs | None = None
    names: tuple[str, ...] = ()
    by_others: bool = False

    @property
    def may_run(self) -> bool:
        """Whether the container's own program may run by now, and change its mounts."""
        return self.by_others or self.rootfs is None


class FoundFile(Value):
    """A file of a container as it was found.

    Attributes:
        state: free: not there, or the image's, and ours to cover; ours: put there by us;
            engine: mounted by the engine, for the container alone; left: not to be touched.
        text: of one that is ours or the engine's.
        fixed: it is mounted read-only, so it has to be covered to say anything else.
        why: it is left alone, for people; "" where that is as it shall be.
    """

    state: FileState
    text: str = ""
    fixed: bool = False
    why: str = ""


class FoundFiles(Value):
    """What there is to write names to, and whose resolvers there are.

    Attributes:
        hosts: `/etc/hosts` of the container.
        resolv_conf: `/etc/resolv.conf` of the container.
        resolvers: the host's `/etc/resolv.conf`.
        behind_stub: those that systemd-resolved asks itself; "" where the host does not ask it.
        hostname: what the container's engine calls it, where it has been looked for.
    """

    hosts: FoundFile
    resolv_conf: FoundFile
    resolvers: str
    behind_stub: str = ""
    hostname: str = ""


class NameFile(Value):
    """A file as it is to be.

    Attributes:
        path: in the container, without the first slash.
        text: all of it.
        before: what it goes back to.
        mounted: whether it is covered by one of ours; else it is written in place.
    """

    path: str
    text: str
    before: str
    mounted: bool
