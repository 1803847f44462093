"""What a bridge, or a port of one, lets pass by filters of its own, beside any firewall."""

from __future__ import annotations

from ocinet.base.value import Value


class BridgeFilters(Value):
    """The filters of a link, as programs of classic BPF in the kernel's encoding.

    Attributes:
        ingress: for what comes from those on a bridge, to the host or through it, or of a port
            from the one container; b"" for
            none, and None for whatever is there.
        egress: likewise for what the host sends to them, or forwards.
    """

    ingress: bytes | None = None
    egress: bytes | None = None
