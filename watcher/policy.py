"""Which containers are wired, and with what: pure, from what was observed.

Every container of network mode `none` is, unless it says `ocinet.net=none`;
with `select = "labelled"`, only those that say something. All others have their
network from their engine and are left alone, but for the members of a sandbox
that is wired: those are counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ocinet.engine.model.request import Request
from ocinet.request.annotations import DEFAULT_REQUEST, REJOIN, is_ours
from ocinet.request.bindings import parse_bindings, with_publishes
from ocinet.request.cdi import KIND
from ocinet.request.own_keys import own_keys
from ocinet.watcher.observed import NONE, SHARED

if TYPE_CHECKING:
    from ocinet.engine.model.settings import Settings
    from ocinet.watcher.observed import ObservedContainer

    Carried = frozenset[tuple[str, str]] | None


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done about a container.

    Attributes:
        act: attach, join another's sandbox, or leave it alone.
        request: what to attach; None if it is left alone.
        why: it is left alone, where its user may wonder.
        dropped: keys that count for nothing, for they are the image's.
    """

    act: Literal["attach", "join", "leave"]
    request: Request | None = None
    why: str = ""
    dropped: tuple[str, ...] = ()


LEAVE = Decision("leave")


def needs_image(container: ObservedContainer) -> bool:
    """Tell whether it matters what the container's image carries."""
    return any(is_ours(key) for key, _ in container.labels)


def wants_rejoin(container: ObservedContainer, carried: Carried, settings: Settings) -> bool:
    """Tell whether a member is to be restarted where its owner has come back elsewhere.

    Args:
        container: a member, as it was observed.
        carried: as in `decide`: an image has no say in when its container is restarted.
        settings: the operator's.
    """
    own = own_keys(container.labels, carried, container.told)
    said = dict(own.keys).get(REJOIN, "").strip().lower()
    if said == "true" and own.carried is None and not settings.trust_annotations:
        said = ""  # it may be the image's wish
    return said == "true" or (settings.rejoin and said != "false")


def decide(container: ObservedContainer, carried: Carried, settings: Settings) -> Decision:
    """Decide about a container, by what its engine shows of it.

    Args:
        container: as it was observed.
        carried: labels and annotations of its image; None if that can't be told.
        settings: the operator's.

    Raises:
        RequestError: a key of its is not legal, or asks for what its image may
            have asked for; nothing is attached then.
    """
    if container.mode == SHARED:
        return Decision("join", Request("container", target=container.target))
    if any(device.startswith(f"{KIND}=") for device in container.devices):
        return LEAVE  # a device of ours brings its hook along, which wires it
    own = own_keys(container.labels, carried, container.told)
    if container.mode != NONE:
        why = f"its network is {container.mode}, not none: its ocinet.* keys count for nothing"
        return Decision("leave", why=why if own.keys else "")
    if container.build_step:
        return LEAVE
    foreign = [name for name in container.networks if name != NONE]
    if foreign:
        why = (
            f"it was started with none and connected to {', '.join(foreign)} by hand; to have it "
            f"wired: docker network disconnect {foreign[0]} {container.name}, and start it anew"
        )
        return Decision("leave", why=why)
    unasked = None if settings.select == "labelled" else DEFAULT_REQUEST
    request = own.request(lambda: settings.trust_annotations, lambda: unasked)
    if request is None:
        return Decision("leave", dropped=own.dropped)
    publish = parse_bindings(container.bindings, container.exposed)
    request = with_publishes(request, publish, container.listens)
    return Decision("attach", request, dropped=own.dropped)
