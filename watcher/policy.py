"""Which containers are wired, and with what: pure, from what an engine shows.

Every container of network mode `none` is, unless it says `ocinet.net=none`;
with `select = "labelled"`, only those that say something. All others have their
network from their engine and are left alone, but for the members of a sandbox
that is wired: those are counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ocinet.engine.model.request import Request
from ocinet.request.annotations import DEFAULT_REQUEST, PREFIX
from ocinet.request.bindings import parse_bindings, with_publishes
from ocinet.request.cdi import KIND
from ocinet.request.origin import sort_out
from ocinet.watcher.shown import NONE, SHARED

if TYPE_CHECKING:
    from ocinet.engine.model.settings import Settings
    from ocinet.watcher.shown import Shown

    Carried = frozenset[tuple[str, str]] | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done about a container.

    Attributes:
        act: wire, join another's sandbox, or leave it alone.
        request: what to attach; None if it is left alone.
        why: it is left alone, where its user may wonder.
        dropped: keys that count for nothing, for they are the image's.
    """

    act: Literal["wire", "join", "leave"]
    request: Request | None = None
    why: str = ""
    dropped: tuple[str, ...] = ()


LEAVE = Decision("leave")


def needs_image(shown: Shown) -> bool:
    """Tell whether it matters what the container's image carries."""
    return any(key.startswith(PREFIX) for key, _ in shown.labels)


def decide(shown: Shown, carried: Carried, settings: Settings) -> Decision:
    """Decide about a container, by what its engine shows of it.

    Args:
        shown: the container.
        carried: labels and annotations of its image; None if that can't be told.
        settings: the operator's.

    Raises:
        RequestError: a key of its is not legal, or asks for what its image may
            have asked for; nothing is attached then.
    """
    if shown.mode == SHARED:
        return Decision("join", Request("container", target=shown.target))
    if any(device.startswith(f"{KIND}=") for device in shown.devices):
        return LEAVE  # a device of ours brings its hook along, which wires it
    wish = sort_out(shown.labels, carried)
    if shown.mode != NONE:
        why = f"its network is {shown.mode}, not none: its ocinet.* keys count for nothing"
        return Decision("leave", why=why if wish.keys else "")
    if shown.build_step:
        return LEAVE
    foreign = [name for name in shown.networks if name != NONE]
    if foreign:
        why = (
            f"it was started with none and connected to {', '.join(foreign)} by hand; to have it "
            f"wired: docker network disconnect {foreign[0]} {shown.name}, and start it anew"
        )
        return Decision("leave", why=why)
    request = wish.request(lambda: settings.trust_annotations)
    if request is None and settings.select == "labelled":
        return Decision("leave", dropped=wish.dropped)
    publishes = parse_bindings(shown.bindings, shown.exposed)
    request = with_publishes(request or DEFAULT_REQUEST, publishes)
    return Decision("wire", request, dropped=wish.dropped)
