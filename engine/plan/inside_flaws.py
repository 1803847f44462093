"""What a sandbox is not as its record has it."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.link import InsideLink


def missing_inside(endpoint: Endpoint, inside: tuple[InsideLink, ...]) -> str:
    """Return what a sandbox lacks of an endpoint; "" if it has all of it."""
    links = {link.ifname: link for link in inside}
    own = links.get(endpoint.ifname)
    if own is None:
        return f"{endpoint.ifname} is not there"
    lacking = [str(wish) for wish in endpoint.addresses if wish not in own.addresses]
    lacking += [
        f"the route to {route.destination}"
        for route in endpoint.routes
        if route.kind == "unicast" and route not in own.routes
    ]
    if lacking:
        return f"{endpoint.ifname} lacks {', '.join(lacking)}"
    if own.mac != endpoint.mac:
        return f"{endpoint.ifname} has the MAC {own.mac}, and has to have {endpoint.mac}"
    if own.mtu != endpoint.mtu:
        return f"{endpoint.ifname} has an MTU of {own.mtu}, and has to have {endpoint.mtu}"
    down = [ifname for ifname in ("lo", endpoint.ifname) if not links[ifname].up]
    return f"{' and '.join(down)} {'is' if len(down) == 1 else 'are'} down" if down else ""


def unset(endpoint: Endpoint, found: tuple[tuple[str, str | None], ...]) -> str:
    """Return which sysctls of an endpoint have another value, by what was found; "" if none has."""
    values = dict(found)
    other = [
        f"{known.key.replace('/', '.')} is {values[known.key]}, and has to be {known.value}"
        for known in endpoint.sysctls
        if known.key in values and not _is_same(values[known.key], known.value)
    ]
    return ", ".join(other)


def _is_same(found: str | None, wanted: str) -> bool:
    if found and found.isdigit() and wanted.isdigit():
        return int(found) == int(wanted)
    return found == wanted


def unrefused(endpoint: Endpoint, inside: tuple[InsideLink, ...]) -> str:
    """Return what a sandbox is to refuse for an endpoint, and does not; "" if it does."""
    there = [route for link in inside for route in link.routes]
    lacking = [str(route) for route in endpoint.refusing if route not in there]
    return f"it lacks the route {', '.join(lacking)}" if lacking else ""
