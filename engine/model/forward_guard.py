"""What is kept from being forwarded, where it was us who switched forwarding on."""

from __future__ import annotations

from ocinet.base.value import Value


class ForwardGuard(Value):
    """One family whose packets are dropped unless they are from or to a bridge of a network.

    Attributes:
        family: 4 or 6.
        bridges: others' bridges, by name, that were there when we switched its forwarding
            on: nothing was forwarded from or to them. One that comes later has an owner who
            found forwarding on and counts on it, as Docker does: it is let be.
    """

    family: int
    bridges: tuple[str, ...] = ()
