"""The record of all that was made for one sandbox, and whose it is."""

from __future__ import annotations

from ocinet.base.value import Value
from ocinet.engine.model.endpoint import Endpoint, PortRule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Process
    from ocinet.engine.model.access import Access
    from ocinet.engine.model.plug import Plug
    from ocinet.engine.model.request import Mode
    from ocinet.engine.model.resolution import Resolution

ATTACHING, ATTACHED = "attaching", "attached"
POD = "pod"  # the door of who keeps a pod's sandbox, and asks for nothing


class Container(Value):
    """Who asks.

    Attributes:
        id: the runtime's full id.
        name: as in `Request.name`, else the id's first 12 characters.
        bundle: the bundle's absolute path, or "".
        process: its first process; None where there is none to follow (a
            target given as a namespace path).
        door: hook, wrapper, watcher, cli or pod.
    """

    id: str
    name: str
    bundle: str = ""
    process: Process | None = None
    door: str = "cli"


class Member(Value):
    """A container that shares the sandbox of another one's record."""

    id: str
    name: str
    bundle: str = ""
    process: Process | None = None


class Attachment(Value):
    """All that ocinet made for one sandbox: what is persisted, and detach reads.

    Attributes:
        container: the sandbox's owner.
        mode: as it was asked.
        state: attaching until every step is done, then attached.
        sandbox: its namespace as `DEV:INODE`; "" if it has none of its own (host).
        boot_id: of the boot it was made in.
        time: when, RFC 3339.
        endpoints: in the order of the request.
        ports: what is published.
        netns_name: the file name under /run/netns, or "".
        members: the others in the sandbox.
        member_of: with mode container, the owner's id; all else is empty then.
        left: the owner is gone; the members keep the sandbox.
        done_endpoints: while it is attaching, how many of the endpoints, from the
            first, were there before; likewise `done_ports`.
        path: of a sandbox that was given by its path, or "".
        unnamed: its files do not name it yet: there were none, or its engine is to write them.
        resolution: what the container's user wished of resolvers and names; of a member,
            in place of the owner's.
        rootfs: where its files were before it entered them, for who writes others' lines into
            them; "" where nobody does.
        plugs: ends of links to other sandboxes.
        served: the networks on which a name server was told its names.
        access: who may talk to whom; None where it is on no network that keeps its containers
            from each other, and its user says nothing.
        stranded: of a member that is in a sandbox which its owner has left: see
            `engine.stranded`; else "".
        left_behind: ids of who were members in the sandbox that its container had before.
    """

    container: Container
    mode: Mode
    state: str
    sandbox: str
    boot_id: str
    time: str
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PortRule, ...] = ()
    netns_name: str = ""
    members: tuple[Member, ...] = ()
    member_of: str = ""
    left: bool = False
    done_endpoints: int = 0
    done_ports: int = 0
    path: str = ""
    resolution: Resolution | None = None
    unnamed: bool = False
    rootfs: str = ""
    plugs: tuple[Plug, ...] = ()
    served: tuple[str, ...] = ()
    access: Access | None = None
    stranded: str = ""
    left_behind: tuple[str, ...] = ()

    @property
    def done(self) -> Attachment:
        """The part that is complete: all of it, unless it is attaching."""
        if self.state == ATTACHED:
            return self
        return self.replace(
            state=ATTACHED,
            endpoints=self.endpoints[: self.done_endpoints],
            ports=self.ports[: self.done_ports],
        )

    @property
    def undone(self) -> Attachment:
        """The part that is still being attached, or was when its attach was killed."""
        return self.replace(
            endpoints=self.endpoints[self.done_endpoints :],
            ports=self.ports[self.done_ports :],
            # Name, members and links belong to what is complete, and stay with it.
            netns_name="",
            members=(),
            plugs=(),
        )
