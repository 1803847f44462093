"""What an engine is built of, made in one place and passed in.

`make_parts` is the only place that puts real objects together; tests build
`Parts` with their own directories, or with a trace that fails or kills at a step.
"""

from __future__ import annotations

from _blake2 import blake2s

from ocinet.base.clock import Deadline, boot_id
from ocinet.base.events import EventLog
from ocinet.base.lock import Lock
from ocinet.base.value import Value
from ocinet.engine.firewall.forward_accept import ForwardAccepts
from ocinet.engine.firewall.netfilter import NetfilterSocket
from ocinet.engine.firewall.table import Firewall
from ocinet.engine.kernel.bridges import Bridges
from ocinet.engine.kernel.inside import Insides
from ocinet.engine.kernel.links import Links
from ocinet.engine.kernel.listeners import ListeningSockets
from ocinet.engine.kernel.netns_names import NetnsNames
from ocinet.engine.kernel.sysctl import Sysctls
from ocinet.engine.plan.machine import Host, Machine
from ocinet.engine.records import settings as settings_module
from ocinet.engine.records.attachments import AttachmentStore
from ocinet.engine.records.networks import NetworkStore
from ocinet.engine.records.port_claims import PortClaims
from ocinet.engine.records.recorded import everything
from ocinet.ipam.store import AddressStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from ocinet.base.address import Address
    from ocinet.base.errors import OcinetError
    from ocinet.base.paths import Paths
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.network import Network, NetworkRules
    from ocinet.engine.model.settings import Settings
    from ocinet.engine.plan import seams
    from ocinet.engine.plan.steps import Step
    from ocinet.engine.records.port_claim import PortClaim
    from ocinet.ipam.lease import Lease

    class Neighbours(Protocol):
        """Knows what another allocator has given out on an adopted bridge."""

        def __call__(self, network: Network) -> Mapping[Address, str]:
            """Return its addresses, each with who has it, as "Docker's container db".

            Asked at each attach to a network that is not managed, under the
            container's lock and no other. It raises nothing and waits briefly:
            whom it does not know of, the probe finds.
            """


def _no_trace(step: Step) -> None:
    """Stand where a test may stop, fail or kill before a step."""


def _no_neighbours(network: Network) -> Mapping[Address, str]:  # noqa: ARG001  the form asked for
    """Stand where nobody can be asked, as in a hook that its engine waits for."""
    return {}


class ContainerLock:
    """A container's lock, which one engine may take again while it has it.

    Args:
        lock: the lock itself.
        held: the numbers that the engine holds; this one joins them.
        number: of the lock.
    """

    def __init__(self, lock: Lock, held: set[str], number: str) -> None:
        self._lock = lock
        self._held = held
        self._number = number
        self._taken = False

    def __enter__(self) -> ContainerLock:
        """Take it, unless the engine has it."""
        if self._number not in self._held:
            self._lock.__enter__()
            self._held.add(self._number)
            self._taken = True
        return self

    def __exit__(self, *exception: object) -> None:
        """Release it, if it was taken here."""
        if self._taken:
            self._held.discard(self._number)
            self._lock.__exit__(*exception)


class Parts(Value):
    """The objects that one engine works with.

    Attributes:
        deadline: of the whole operation, its waits for locks included.
        held_locks: the numbers of the containers' locks that this engine holds.
        boot_id: of this boot.
        trace: called before each step of a plan.
        neighbours: who else has which address of an adopted bridge.
        settings_flaw: why the settings can't be read; those above are the
            defaults then, by which nothing may be made.
        to_close: closes the sockets that were opened.
    """

    paths: Paths
    settings: Settings
    deadline: Deadline
    boot_id: str
    log: EventLog
    links: seams.Links
    insides: seams.Insides
    bridges: seams.Bridges
    sysctls: seams.Sysctls
    names: seams.Names
    firewall: seams.Firewall
    forward_accepts: seams.ForwardAccepts
    networks: NetworkStore
    addresses: AddressStore
    ports: PortClaims
    attachments: AttachmentStore
    held_locks: set[str]
    trace: Callable[[Step], None] = staticmethod(_no_trace)
    neighbours: Neighbours = staticmethod(_no_neighbours)
    settings_flaw: OcinetError | None = None
    to_close: tuple[Callable[[], None], ...] = ()

    def check_settings(self) -> None:
        """Refuse to make anything by settings that are not the operator's.

        Raises:
            OcinetError: they can't be read.
        """
        if self.settings_flaw:
            raise self.settings_flaw

    def lock(self, name: str, what: str, *, wait: bool = True) -> Lock:
        """Return the lock `RUN/locks/NAME`, to be had before the deadline or at once."""
        return Lock(f"{self.paths.run}/locks/{name}", what, self.deadline if wait else None)

    def container_lock(self, container_id: str, *, wait: bool = True) -> ContainerLock:
        """Return the lock that a container's record is written under.

        One of 256, by hash of the id. Where this engine has it already, for
        another container with the same one, taking it again does nothing.
        """
        number = blake2s(container_id.encode(), digest_size=1).hexdigest()
        lock = self.lock(f"container-{number}", f"container {container_id[:12]}", wait=wait)
        return ContainerLock(lock, self.held_locks, number)

    def global_lock(self) -> Lock:
        """Return the lock that what all share is made and removed under."""
        return self.lock("global", "the machine's shared bridges and tables")

    def recorded(self) -> tuple[tuple[NetworkRules, ...], tuple[PortRule, ...]]:
        """Return the networks and ports of all records; see `restore`."""
        return everything(self.networks, self.attachments, self.boot_id)

    def machine(self, sandbox: seams.Sandbox | None = None) -> Machine:
        """Return what steps work on."""
        host = Host(
            links=self.links,
            insides=self.insides,
            bridges=self.bridges,
            sysctls=self.sysctls,
            names=self.names,
            firewall=self.firewall,
            forward_accepts=self.forward_accepts,
        )
        return Machine(host, self.recorded, sandbox)

    def close(self) -> None:
        """Close the netlink sockets."""
        for close in self.to_close:
            close()


def lease_lives(lease: Lease, links: seams.Links, boot: str) -> bool:
    """Tell whether the holder of a lease may still use its address.

    It may not when it is of an older boot, or its process is gone and the host
    end of its link as well.
    """
    holder = lease.holder
    if holder.boot_id != boot:
        return False
    if holder.process and holder.process.alive:
        return True
    return links.link(holder.host_ifname) is not None


def make_parts(
    paths: Paths,
    *,
    timeout_s: float,
    neighbours: Neighbours | None = None,
    settings: Settings | None = None,
) -> Parts:
    """Build the real parts.

    Args:
        paths: of the installation.
        timeout_s: seconds that the whole operation may take.
        neighbours: see `Neighbours`; without, the probe alone tells.
        settings: those in force; None: whatever the files say now.

    Raises:
        OcinetError: a state directory can't be read.
    """
    deadline = Deadline(timeout_s)
    flaw = None
    if settings is None:
        settings, flaw = settings_module.load_or_defaults(paths)
    boot = boot_id()
    log = EventLog(paths.run)
    links = Links()
    netfilter = NetfilterSocket()

    def stands(container_id: str) -> bool:
        """Tell whether a container still needs what it has, having taken it down if not."""
        from ocinet.engine.detach import take_down_dead  # it needs the parts

        return not take_down_dead(parts, container_id)

    def lives(lease: Lease) -> bool:
        # With its address go its ports, which would lead to the next holder.
        return lease_lives(lease, links, boot) or stands(lease.holder.container)

    def claim_stands(claim: PortClaim) -> bool:
        return stands(claim.container)

    parts = Parts(
        paths=paths,
        settings=settings,
        deadline=deadline,
        boot_id=boot,
        log=log,
        links=links,
        insides=Insides(links),
        bridges=Bridges(),
        sysctls=Sysctls(),
        names=NetnsNames(paths),
        firewall=Firewall(netfilter),
        forward_accepts=ForwardAccepts(netfilter),
        networks=NetworkStore(paths, None if flaw else settings, deadline),
        addresses=AddressStore(paths, deadline=deadline, holder_lives=lives, report=log.append),
        ports=PortClaims(
            paths,
            ListeningSockets(),
            deadline=deadline,
            holder_lives=claim_stands,
            report=log.append,
        ),
        attachments=AttachmentStore(paths),
        held_locks=set(),
        neighbours=neighbours or _no_neighbours,
        settings_flaw=flaw,
        to_close=(links.close, netfilter.close),
    )
    return parts
