"""What an attach leaves in a sandbox and no interface takes along: routes that refuse, sysctls."""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.engine.kernel.sandbox import open_recorded
from ocinet.engine.model.flow import Hop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Route
    from ocinet.engine.plan import seams


def refusing(record: Attachment) -> tuple[Route, ...]:
    """Return the routes by which a container refuses, each once."""
    routes = (route for endpoint in record.endpoints for route in endpoint.refusing)
    return tuple(dict.fromkeys(routes))


def take_marks_away(marks: seams.Marks, record: Attachment, kept: Attachment | None = None) -> None:
    """Have a sandbox that lives on be as it was before what its record tells of.

    With the last of its processes a sandbox goes, and all that is in it: then there is nothing
    to do. What can't be done in there is nobody's reason to keep the rest.

    Args:
        marks: of sandboxes.
        record: of what goes.
        kept: of what stays in there.
    """
    stays = kept.endpoints if kept else ()
    refused = tuple(route for route in refusing(record) if not kept or route not in refusing(kept))
    held = {known.key for endpoint in stays for known in endpoint.sysctls}
    replaced = tuple(
        (known.key, known.before)
        for endpoint in record.endpoints
        for known in endpoint.replaced_sysctls
        if known.key not in held
    )
    try:
        with open_recorded(record) as sandbox:
            if refused:
                marks.refuse(sandbox, refused, ended=True)
            marks.sysctls(sandbox, replaced)
    except OcinetError:
        return


def refusal(record: Attachment | None, destination: Address) -> Hop | None:
    """Return where a packet to an address ends, if its container was told to send none there."""
    if record is None:
        return None
    known = [route for route in refusing(record) if destination in route.destination]
    route = max(known, key=lambda route: route.destination.prefixlen, default=None)
    if route is None:
        return None
    told = f"sends nothing to {destination}: it has the route {route}"
    asked = "it was asked for: by ocinet.routes, or its network (ocinet network inspect)"
    return Hop(record.container.name, told, ok=False, remedy=asked)
