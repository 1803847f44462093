"""Networks on the LAN itself: interfaces of containers that share a link of the host's."""

from __future__ import annotations

from _blake2 import blake2s

from ocinet.base.address import Address, Interface
from ocinet.base.value import Value
from ocinet.engine.model.link import Link


def shim_of(network: str) -> str:
    """Return the name of the host's own interface on such a network; a name has 15 characters."""
    return f"ocsh-{blake2s(network.encode(), digest_size=4).hexdigest()}"


class Parent(Value):
    """A link of the host, as what containers' interfaces may share.

    Attributes:
        link: as the kernel describes it.
        addresses: that it bears.
        why_not: what keeps others from sharing it, as `is wireless, …`; "": nothing.
        hint: what helps then.
    """

    link: Link
    addresses: tuple[Interface, ...] = ()
    why_not: str = ""
    hint: str = ""


class Child(Value):
    """An interface that shares its parent's way to the LAN, to be made.

    Attributes:
        ifname: where it is born.
        parent: the host's link.
        kind: macvlan.
        mode: as the kernel's driver calls it.
        mac: that it is to have; "" where it has the parent's.
        mtu: bytes.
        again: whether it was there before, so that nobody who ends has its place.
    """

    ifname: str
    parent: str
    kind: str
    mode: str
    mac: str
    mtu: int
    again: bool = False


class HostSide(Value):
    """The host's own interface beside its containers', as it was seen.

    Attributes:
        link: as the kernel describes it.
        addresses: that it bears, link-local ones left out.
        reached: addresses of containers that the host sends to by it.
    """

    link: Link
    addresses: tuple[Interface, ...] = ()
    reached: tuple[Address, ...] = ()
