"""One subnet and what of it may be given out."""

from __future__ import annotations

from ocinet.base.address import Address, Subnet
from ocinet.base.value import Value


class Range(Value):
    """Addresses from `first` to `last`, both included."""

    first: Address
    last: Address


class Pool(Value):
    """One subnet of a network.

    Attributes:
        subnet: /1 to /31, or /1 to /127 for IPv6.
        gateway: never given out; None on a network without one.
        ranges: where free addresses are taken from; empty means all of the
            subnet. Static addresses may lie outside of them.
    """

    subnet: Subnet
    gateway: Address | None = None
    ranges: tuple[Range, ...] = ()
