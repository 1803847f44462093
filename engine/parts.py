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
from ocinet.engine import settings as settings_module
from ocinet.engine.attachments import AttachmentStore
from ocinet.engine.firewall import Firewall
from ocinet.engine.kernel import Kernel
from ocinet.engine.netns_names import NetnsNames
from ocinet.engine.networks import NetworkStore
from ocinet.engine.ports import PortClaims
from ocinet.engine.restore import everything
from ocinet.engine.steps import Machine
from ocinet.ipam.store import AddressStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.base.paths import Paths
    from ocinet.engine.claim import PortClaim
    from ocinet.engine.model import NetworkRules, PortRule
    from ocinet.engine.sandbox import Sandbox
    from ocinet.engine.settings import Settings
    from ocinet.engine.steps import Step
    from ocinet.ipam.lease import Lease


def _no_trace(step: Step) -> None:
    """Stand where a test may stop, fail or kill before a step."""


class Parts(Value):
    """The objects that one engine works with.

    Attributes:
        deadline: of the whole operation, its waits for locks included.
        boot_id: of this boot.
        trace: called before each step of a plan.
    """

    paths: Paths
    settings: Settings
    deadline: Deadline
    boot_id: str
    log: EventLog
    kernel: Kernel
    firewall: Firewall
    names: NetnsNames
    networks: NetworkStore
    addresses: AddressStore
    ports: PortClaims
    attachments: AttachmentStore
    trace: Callable[[Step], None] = staticmethod(_no_trace)

    def lock(self, name: str, what: str, *, wait: bool = True) -> Lock:
        """Return the lock `RUN/locks/NAME`, to be had before the deadline or at once."""
        return Lock(f"{self.paths.run}/locks/{name}", what, self.deadline if wait else None)

    def container_lock(self, container_id: str, *, wait: bool = True) -> Lock:
        """Return the lock that a container's record is written under."""
        number = blake2s(container_id.encode(), digest_size=1).hexdigest()
        return self.lock(f"container-{number}", f"container {container_id[:12]}", wait=wait)

    def global_lock(self) -> Lock:
        """Return the lock that what all share is made and removed under."""
        return self.lock("global", "the machine's shared bridges and tables")

    def recorded(self) -> tuple[tuple[NetworkRules, ...], tuple[PortRule, ...]]:
        """Return the networks and ports of all records; see `restore`."""
        return everything(self.networks, self.attachments, self.boot_id)

    def machine(self, sandbox: Sandbox | None = None) -> Machine:
        """Return what steps work on."""
        return Machine(self.kernel, self.firewall, self.names, sandbox, self.recorded)

    def close(self) -> None:
        """Close the netlink sockets."""
        self.kernel.close()
        self.firewall.disconnect()


def lease_lives(lease: Lease, kernel: Kernel, boot: str) -> bool:
    """Tell whether the holder of a lease may still use its address.

    It may not when it is of an older boot, or its process is gone and the host
    end of its link as well.
    """
    holder = lease.holder
    if holder.boot_id != boot:
        return False
    if holder.process and holder.process.alive:
        return True
    return kernel.link(holder.host_ifname) is not None


def make_parts(paths: Paths, *, timeout_s: float) -> Parts:
    """Build the real parts.

    Args:
        paths: of the installation.
        timeout_s: seconds that the whole operation may take.

    Raises:
        OcinetError: the settings or a state directory can't be read.
    """
    deadline = Deadline(timeout_s)
    settings = settings_module.load(paths)
    boot = boot_id()
    log = EventLog(paths.run)
    kernel = Kernel()

    def lives(lease: Lease) -> bool:
        return lease_lives(lease, kernel, boot)

    def claim_stands(claim: PortClaim) -> bool:
        from ocinet.engine.detach import take_down_dead  # it needs the parts

        return not take_down_dead(parts, claim.container)

    parts = Parts(
        paths=paths,
        settings=settings,
        deadline=deadline,
        boot_id=boot,
        log=log,
        kernel=kernel,
        firewall=Firewall(),
        names=NetnsNames(paths),
        networks=NetworkStore(paths, settings, deadline),
        addresses=AddressStore(paths, deadline=deadline, holder_lives=lives, report=log.append),
        ports=PortClaims(paths, deadline=deadline, holder_lives=claim_stands, report=log.append),
        attachments=AttachmentStore(paths),
    )
    return parts
