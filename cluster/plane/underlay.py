"""The link by which a host is reached by the others, and how much of its MTU is left."""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.cluster.plane.desired import underlay_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.cluster.model import Mine
    from ocinet.cluster.plane.kernel import Kernel
    from ocinet.cluster.plane.messages import Device

# What goes round a packet: the outer IP header, UDP's and the backend's own, and of VXLAN the
# Ethernet header of the frame inside (RFC 7348; WireGuard's paper, section 5.4.6).
_AROUND = {
    ("vxlan", 4): 20 + 8 + 8 + 14,
    ("vxlan", 6): 40 + 8 + 8 + 14,
    ("wireguard", 4): 20 + 8 + 32,
    ("wireguard", 6): 40 + 8 + 32,
}
_LEAST = {4: 576, 6: 1280}  # RFC 791, RFC 8200


def underlay_link(kernel: Kernel, mine: Mine) -> Device:
    """Return the link that bears this host's underlay address.

    Raises:
        RequestError: none does.
    """
    address = underlay_of(mine)
    for ifindex, interface in kernel.addresses():
        if interface.address == address:
            device = kernel.device_at(ifindex)
            if device is not None:
                return device
    raise RequestError("", f"no link of this host has {address}, where the others reach it",
                       "see: ip addr")  # fmt: skip


def room(kernel: Kernel, mine: Mine) -> int:
    """Return how large a container's packet may be, in bytes.

    Raises:
        RequestError: no link has the underlay's address; or the cluster wants more than its MTU
            leaves, or that leaves too little.
    """
    link, cluster = underlay_link(kernel, mine), mine.cluster
    left = link.mtu - _AROUND.get((cluster.backend, underlay_of(mine).family), 0)
    if cluster.mtu and cluster.mtu > left:
        why = f"its packets may have {cluster.mtu} bytes, and {link.ifname} takes {left} of them"
        raise RequestError(f"cannot join {cluster.name}", why, f"ip link set {link.ifname} mtu "
                           f"{link.mtu + cluster.mtu - left}")  # fmt: skip
    least = max(_LEAST[family] for family in cluster.families)
    if left < least:
        why = f"the MTU of {link.ifname} leaves {left} bytes of {least} that it takes"
        raise RequestError(f"cannot join {cluster.name}", why,
                           f"ip link set {link.ifname} mtu {link.mtu + least - left}")  # fmt: skip
    return cluster.mtu or left
