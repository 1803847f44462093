"""What of a request is refused where it may be an image's, and nobody can tell."""

from __future__ import annotations

from ocinet.engine.model.request import DEFAULT_NETWORK
from ocinet.request.annotations import KEEP_PORTS, NAME, NET, PUBLISH, spell_mode
from ocinet.request.grammar import ACCESS_KEYS, EGRESS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.request import Request

# Of an endpoint's wishes, by field, what `needs_trust` says of each.
_UNTRUSTED = {
    "addresses": "a static address",
    "mac": "a MAC",
    "mtu": "an MTU",
    "gateway": "a gateway",
    "routes": "routes",
    "metric": "a metric",
    "sysctls": "sysctls",
    "bandwidth": "a bandwidth",
    "egress": "an egress address",
}


def needs_trust(request: Request, networks: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Name what in a request an image must not be able to ask for; empty if nothing is.

    A published port opens the host, `host` and `container:` are another's sandbox, a
    network may be one that is kept for others, a gateway or a route leads through
    another's hands, an MTU may change the bridge for all, a static address or MAC may be
    another's, a name takes what is reserved for that name, ports that are kept are nobody
    else's any more, whoever says what a name leads to reads what is meant for others, and
    what is allowed, or exposed, is open.

    Args:
        request: what is asked for.
        networks: that are surely asked for by the container's user.
    """
    asks = []
    if request.mode in ("host", "container"):
        asks.append(f"{NET}={spell_mode(request)}")
    endpoints = request.endpoints
    harmless = (DEFAULT_NETWORK, *networks)
    asks += [
        f"{NET}={endpoint.network}" for endpoint in endpoints if endpoint.network not in harmless
    ]
    asks += [
        what
        for field, what in _UNTRUSTED.items()
        if any(getattr(endpoint, field) for endpoint in endpoints)
    ]
    if request.publish:
        asks.append(PUBLISH)
    if request.name:
        asks.append(NAME)
    if request.keep_ports:
        asks.append(KEEP_PORTS)
    if request.resolution:
        from ocinet.request.resolution import spell_resolution

        asks += spell_resolution(request.resolution)
        asks += ["an alias"] if any(alias.network for alias in request.resolution.aliases) else []
    if request.access:
        # Not `egress`: without it, all is open.
        asks += [
            key
            for key, wish in zip(ACCESS_KEYS, vars(request.access).values(), strict=True)
            if wish and key != EGRESS
        ]
    return tuple(asks)
