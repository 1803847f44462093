"""What our nftables table holds of what containers' users say, and all its sets, in order."""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.engine.ruleset.elements import ADDRESS, PUBLISH, PUBLISH_AT, Element, Set
from ocinet.engine.ruleset.network_sets import (
    APART,
    BRIDGES,
    CLOSED,
    EGRESS,
    GUARDED,
    HOME,
    HOSTLESS,
    INSIDE,
    INTERNAL,
    ISOLATED,
    JOINED,
    MASQUERADE,
    NAMED,
    SAME,
    SERVED,
    UNMASKED,
    WITHIN,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.model.refused import Refused
    from ocinet.engine.ruleset.elements import Kind

_PORT: tuple[Kind, Kind] = ("inet_proto", "inet_service")
# With which address of the host's what a container sends leaves.
SOURCE = {f: Set(f"source{f}", (ADDRESS[f],), (ADDRESS[f],)) for f in (4, 6)}
# Who may connect to whom, by names: by a port, and by all there is. Hashed, for those who
# come and go change them, and what has intervals is searched through for each that goes.
PAIR = {f: Set(f"pair{f}", (ADDRESS[f], ADDRESS[f], *_PORT)) for f in (4, 6)}
PAIR_ALL = {f: Set(f"pair{f}_all", (ADDRESS[f], ADDRESS[f])) for f in (4, 6)}
# Whose port is open to all on its network.
EXPOSE = {f: Set(f"expose{f}", (ADDRESS[f], *_PORT)) for f in (4, 6)}
# By addresses: to where one may connect, from where one may be connected to; each by the
# container's own first, so that no container's are in another's way.
ALLOW, ADMIT, LEAVE = (
    {f: Set(f"{name}{f}", (ADDRESS[f], ADDRESS[f], *_PORT), interval=True) for f in (4, 6)}
    for name in ("allow", "admit", "leave")
)
# Whose packets leave their networks to what is in the last of those alone.
KEPT = {f: Set(f"kept{f}", (ADDRESS[f],)) for f in (4, 6)}
# What was refused, which the rules themselves enter.
REFUSED = {f: Set(f"refused{f}", (ADDRESS[f], ADDRESS[f], *_PORT)) for f in (4, 6)}
# All of them but those, in the table's order.
SETS = (
    BRIDGES,
    ISOLATED,
    INTERNAL,
    HOSTLESS,
    NAMED,
    SAME,
    *HOME.values(),
    *INSIDE.values(),
    *SERVED.values(),
    *MASQUERADE.values(),
    *UNMASKED.values(),
    *JOINED.values(),
    *EGRESS.values(),
    *SOURCE.values(),
    *PUBLISH_AT.values(),
    *PUBLISH.values(),
    CLOSED,
    *PAIR.values(),
    *PAIR_ALL.values(),
    *EXPOSE.values(),
    *ALLOW.values(),
    *ADMIT.values(),
    *LEAVE.values(),
    *KEPT.values(),
    GUARDED,
    APART,
    WITHIN,
)


def refused_element(refused: Refused) -> Element:
    """Return the element that the rules have entered for what they refused."""
    family, protocol = refused.source.family, refused.protocol
    number = {"icmp": 1 if family == 4 else 58}.get(protocol) or (
        int(protocol) if protocol.isdecimal() else protocol
    )
    key = (refused.source, refused.target, number, refused.port or refused.detail)
    return Element(REFUSED[family], key)


def ways_of(elements: Iterable[Element]) -> tuple[tuple[Address, Address], ...]:
    """Return whose packets leave with which address, by elements of `SOURCE`."""
    pairs = ((element.key[0], element.data[0]) for element in elements if element.data)
    return tuple(
        (own, to) for own, to in pairs if isinstance(own, Address) and isinstance(to, Address)
    )
