"""Putting an engine together: the only place where real objects are made.

Tests build an `Operation`, a `Host` and `Records` of their own, or exchange one of
these, or a part of it, for one that fails, waits or kills.
"""

from __future__ import annotations

from ocinet.base.clock import Deadline, boot_id
from ocinet.base.events import EventLog
from ocinet.engine.firewall.forward_accept import ForwardAccepts
from ocinet.engine.firewall.netfilter import NetfilterSocket
from ocinet.engine.firewall.table import Firewall
from ocinet.engine.firewall.table_elements import TableElements
from ocinet.engine.firewall.uplink_table import Uplinks
from ocinet.engine.kernel.bridges import Bridges
from ocinet.engine.kernel.filters import Filters
from ocinet.engine.kernel.inside import Insides
from ocinet.engine.kernel.links import Links
from ocinet.engine.kernel.listeners import ListeningSockets
from ocinet.engine.kernel.netns_names import NetnsNames
from ocinet.engine.kernel.routing import RoutingRules
from ocinet.engine.kernel.sandbox import has_own_mounts
from ocinet.engine.kernel.sysctl import Sysctls
from ocinet.engine.liveness import Liveness
from ocinet.engine.locks import Locks
from ocinet.engine.operation import Operation, no_neighbours
from ocinet.engine.plan.machine import Host, Machine
from ocinet.engine.port_owners import PortOwners
from ocinet.engine.records.attachments import AttachmentStore
from ocinet.engine.records.forward_guards import ForwardGuards
from ocinet.engine.records.linked import Linked
from ocinet.engine.records.networks import NetworkStore
from ocinet.engine.records.passages import Passages
from ocinet.engine.records.port_claims import PortClaims
from ocinet.engine.records.settings import load_or_defaults
from ocinet.engine.storage import Records, recorded
from ocinet.ipam.reservation import ReservationStore
from ocinet.ipam.store import AddressStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.base.clock import Process
    from ocinet.base.paths import Paths
    from ocinet.engine.kernel.lan_links import LanLinks
    from ocinet.engine.kernel.marks import Marks
    from ocinet.engine.kernel.name_files import NameFiles
    from ocinet.engine.kernel.name_server import NameServer
    from ocinet.engine.kernel.names_elsewhere import NamesElsewhere
    from ocinet.engine.kernel.shaping import Shaping
    from ocinet.engine.model.settings import Settings
    from ocinet.engine.operation import Neighbours
    from ocinet.engine.plan import seams
    from ocinet.engine.records.cables import CableStore
    from ocinet.engine.records.left_files import LeftFiles
    from ocinet.engine.records.mentions import Mentions
    from ocinet.engine.records.port_claim import PortClaim
    from ocinet.engine.records.resolved_names import ResolvedNames
    from ocinet.engine.records.table_shapes import TableShapes
    from ocinet.ipam.lease import Lease


def begin_operation(
    paths: Paths,
    *,
    timeout_s: float,
    neighbours: Neighbours | None = None,
    settings: Settings | None = None,
    patience_s: float | None = None,
) -> Operation:
    """Return what one operation goes by, from now on.

    Args:
        paths: of the installation.
        timeout_s: seconds that the whole operation may take.
        patience_s: seconds of these that it waits for one lock; None: all.
        neighbours: see `Neighbours`; without, the probe alone tells.
        settings: those in force; None: whatever the files say now.
    """
    deadline = Deadline(timeout_s)
    flaw = None
    if settings is None:
        settings, flaw = load_or_defaults(paths)
    return Operation(
        deadline=deadline,
        boot_id=boot_id(),
        settings=settings,
        locks=Locks(paths.run, deadline, patience_s),
        log=EventLog(paths.run),
        neighbours=neighbours or no_neighbours,
        settings_flaw=flaw,
    )


def open_host(paths: Paths, deadline: Deadline) -> tuple[Host, tuple[Callable[[], None], ...]]:
    """Return the real host, and what closes the sockets that its parts come to open.

    Args:
        paths: of the installation.
        deadline: of the operation: no part of it waits by a time of its own.
    """

    def shapes() -> TableShapes:
        from ocinet.engine.records.table_shapes import TableShapes  # for few attaches

        return TableShapes(paths)

    def name_files(process: Process) -> NameFiles | None:
        if not has_own_mounts(process):
            return None
        from ocinet.engine.kernel.name_files import NameFiles

        return NameFiles()

    def shaping() -> Shaping:
        from ocinet.engine.kernel.shaping import Shaping

        return Shaping(links)

    def lan() -> LanLinks:
        from ocinet.engine.kernel.lan_links import LanLinks

        return LanLinks(links, deadline)

    def marks() -> Marks:
        from ocinet.engine.kernel.marks import Marks

        return Marks()

    def name_server() -> NameServer:
        if not servers:
            from ocinet.engine.kernel.name_server import NameServer

            servers.append(NameServer(paths, deadline))
        return servers[0]

    def names_elsewhere() -> NamesElsewhere:
        from ocinet.engine.kernel.names_elsewhere import NamesElsewhere

        return NamesElsewhere(paths, deadline)

    servers: list[NameServer] = []
    links = Links()
    netfilter = NetfilterSocket()
    forward_accepts = ForwardAccepts(netfilter, deadline)
    host = Host(
        links=links,
        insides=Insides(links, deadline),
        bridges=Bridges(),
        bridge_filters=Filters(links, forward_accepts.unmarked),
        shaping=shaping,
        lan=lan,
        marks=marks,
        name_server=name_server,
        names_elsewhere=names_elsewhere,
        sysctls=Sysctls(),
        names=NetnsNames(paths),
        firewall=Firewall(netfilter, deadline, shapes),
        elements=TableElements(netfilter),
        forward_accepts=forward_accepts,
        routing_rules=RoutingRules(links),
        uplinks=Uplinks(netfilter, deadline),
        name_files=name_files,
    )
    return host, (links.close, netfilter.close)


def machine_on(
    host: Host,
    records: Records,
    operation: Operation,
    sandbox: seams.Sandbox | None = None,
    far: seams.Sandbox | None = None,
) -> Machine:
    """Return what steps work on.

    Args:
        host: that they change.
        records: of what our table has to hold, if it must be made anew.
        operation: that they are part of.
        sandbox: that they work in, if any.
        far: a second one, where two are linked.
    """
    boot_id = operation.boot_id
    owners = PortOwners(records, host.firewall, boot_id)
    return Machine(host, lambda: recorded(records, boot_id), records.guards, owners, sandbox, far)


def open_records(
    paths: Paths, operation: Operation, host: Host, attachments: AttachmentStore | None = None
) -> Records:
    """Return the records of an installation, which know who lives.

    Args:
        paths: of the installation.
        operation: by whose time, locks and log they go.
        host: on which holders are looked for.
        attachments: one that has decoded them before; None: one of their own.

    Raises:
        OcinetError: a state directory can't be read.
    """
    attachments = attachments or AttachmentStore(paths)
    liveness = Liveness(host.links, attachments, operation)

    def stands(container_id: str) -> bool:
        """Tell whether a container still needs what it has, having taken it down if not."""
        from ocinet.engine.detach import Detach  # for who is found dead

        machine = machine_on(host, records, operation)
        return not Detach(operation, machine, records).take_down_dead(container_id)

    def lives(lease: Lease) -> bool:
        # With its address go its ports, which would lead to the next holder.
        if not liveness.holder_lives(lease):
            return stands(lease.holder.container)
        process = lease.holder.process
        if process is None or operation.is_alive(process):
            return True
        # Its link alone is left, which the kernel deletes in its own time: by the record it
        # goes now.
        return stands(lease.holder.container) or liveness.holder_lives(lease)

    # A claim has no holder's signs of life of its own: it stands on its container's record.
    def claim_stands(claim: PortClaim) -> bool:
        return stands(claim.container)

    def regain(name: str) -> tuple[Lease, ...]:
        network = records.networks.find(name)
        bridge = network and host.links.link(network.device)
        if not (network and bridge and host.links.ports(bridge)):
            return ()
        from ocinet.engine.regained import regained  # once in a while, if ever

        return regained(network, host.links, operation.boot_id)

    cables, left_files, mentions, resolved = _seldom(paths)
    deadline, report = operation.deadline, operation.log.append
    records = Records(
        attachments=attachments,
        networks=NetworkStore(paths),
        leases=AddressStore(
            paths, deadline=deadline, holder_lives=lives, report=report, regain=regain
        ),
        reservations=ReservationStore(paths, deadline=deadline),
        ports=PortClaims(
            paths,
            ListeningSockets(),
            deadline=deadline,
            holder_lives=claim_stands,
            report=report,
        ),
        passages=Passages(paths, operation.boot_id),
        guards=ForwardGuards(paths, operation.boot_id),
        linked=Linked(paths),
        cables=cables,
        left_files=left_files,
        mentions=mentions,
        resolved=resolved,
        elsewhere=host.names_elsewhere,
    )
    return records


def _seldom(
    paths: Paths,
) -> tuple[
    Callable[[], CableStore],
    Callable[[], LeftFiles],
    Callable[[], Mentions],
    Callable[[], ResolvedNames],
]:
    """Return what opens the records that no usual start or stop of a container asks."""

    def cables() -> CableStore:
        from ocinet.engine.records.cables import CableStore

        return CableStore(paths)

    def left_files() -> LeftFiles:
        from ocinet.engine.records.left_files import LeftFiles

        return LeftFiles(paths)

    def mentions() -> Mentions:
        from ocinet.engine.records.mentions import Mentions

        return Mentions(paths)

    def resolved() -> ResolvedNames:
        from ocinet.engine.records.resolved_names import ResolvedNames

        return ResolvedNames(paths)

    return cables, left_files, mentions, resolved
