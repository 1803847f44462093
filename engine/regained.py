"""Leases of containers that live, where what was on record of them is gone.

Somebody has removed /run/ocinet, or mounted something over it. Their links are there still,
and their addresses in their sandboxes: those would be given to whoever comes next. So a
network that has no leases at all, though ports of ours are on its bridge, gets them back
from the kernel. Cold: of a network that nobody is on there is no bridge, or no port.
"""

from __future__ import annotations

from ocinet.base.clock import now
from ocinet.engine.kernel.namespaces import far_ends
from ocinet.engine.model.link import is_our_group
from ocinet.engine.plan.endpoint import host_ifname
from ocinet.ipam.lease import Holder, Lease

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address
    from ocinet.engine.model.network import Network
    from ocinet.engine.plan import seams


def regained(network: Network, links: seams.Links, boot_id: str) -> tuple[Lease, ...]:
    """Return the leases of a network that the kernel tells of.

    Args:
        network: that has none on record.
        links: of the host.
        boot_id: of this boot.
    """
    bridge = links.link(network.device)
    ports = links.ports(bridge) if bridge else ()
    ours = {port.ifindex: port for port in ports if is_our_group(port.group)}
    if not ours:
        return ()
    found: dict[Address, Lease] = {}
    time = now()
    for end in far_ends():
        port = ours.get(end.peer)
        if port is None:
            continue
        container, _, ifname = port.alias.removeprefix("ocinet:").partition("/")
        # Of a host within this one, another link may have that index. The name of ours is made
        # of whose it is, and of the sandbox.
        if host_ifname(container, ifname, end.sandbox) != port.ifname:
            continue
        holder = Holder(container, ifname, end.sandbox, port.ifname, end.process, boot_id,
                        container[:12])  # fmt: skip
        for interface in end.addresses:
            if any(interface.address in pool.subnet for pool in network.pools):
                lease = Lease(network.name, interface.address, holder, time)
                found.setdefault(interface.address, lease)
    return tuple(found.values())
