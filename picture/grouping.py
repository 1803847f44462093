"""Who is shown where: containers by their networks, those first with whom something is wrong."""

from __future__ import annotations

import re

from ocinet.base.errors import NotFoundError
from ocinet.base.names import did_you_mean
from ocinet.base.value import Value
from ocinet.picture.values import (
    ATTACHING,
    BROKEN,
    DEAD,
    LEFT,
    REFUSED,
    RUNNING,
    Container,
    Interface,
    Network,
    Picture,
)

_ORDER = {state: at for at, state in enumerate((BROKEN, REFUSED, DEAD, ATTACHING, LEFT, RUNNING))}
_DIGITS = re.compile(r"(\d+)", re.ASCII)


class Seat(Value):
    """A container on a network.

    Attributes:
        container: who.
        interface: by which; None of a member, and of one that is on no network.
        first: whether it is the first network that the container is shown on.
    """

    container: Container
    interface: Interface | None
    first: bool


class Group(Value):
    """A network, and who is on it.

    Attributes:
        network: None: those that are on none.
        seats: with whom something is wrong first, then by name.
    """

    network: Network | None
    seats: tuple[Seat, ...]

    def count(self, state: str) -> int:
        """Return how many are in a state."""
        return sum(seat.container.state == state for seat in self.seats)


def is_wrong(container: Container) -> bool:
    """Tell whether a person has to look at a container."""
    return container.state in (BROKEN, REFUSED, DEAD)


def groups(picture: Picture) -> tuple[Group, ...]:
    """Return the networks, each with who is on it; who is on none comes last, if there is anyone.

    One of several networks has a seat on each. A member has one where its owner has its first.
    """
    known = {container.id: container for container in picture.containers}
    seats: dict[str, list[Seat]] = {network.name: [] for network in picture.networks}
    without: list[Seat] = []
    for container in sorted(picture.containers, key=_order):
        owner = known.get(container.shares, container)
        own = [each for each in container.interfaces if each.network in seats]
        for interface in own:
            seat = Seat(container, interface, first=interface is own[0])
            seats[interface.network].append(seat)
        if not own:
            home = next((end.network for end in owner.interfaces), "")
            seats.get(home, without).append(Seat(container, None, first=True))
    found = [Group(network, tuple(seats[network.name])) for network in picture.networks]
    return (*found, *([Group(None, tuple(without))] if without else []))


def chosen(picture: Picture, names: tuple[str, ...], network: str = "") -> Picture:
    """Return the part of a picture that is asked for.

    Args:
        picture: the whole.
        names: of containers, or starts of their ids; (): all of them.
        network: the one that is shown, with who is on it; "": all.

    Raises:
        NotFoundError: there is no such container, or network.
    """
    containers, networks = picture.containers, picture.networks
    if network:
        networks = tuple(each for each in networks if each.name == network)
        if not networks:
            known = [each.name for each in picture.networks]
            hint = did_you_mean(network, known) or "see: ocinet network ls"
            raise NotFoundError(f"cannot show {network}", "there is no network of that name", hint)
        on_it = {
            each.id
            for each in containers
            if any(interface.network == network for interface in each.interfaces)
        }
        containers = tuple(each for each in containers if on_it & {each.id, each.shares})
    if names:
        containers = _named(containers, names)
        used = {interface.network for each in containers for interface in each.interfaces}
        networks = tuple(each for each in networks if each.name in used or network)
    return picture.replace(containers=containers, networks=networks)


def _named(containers: tuple[Container, ...], names: tuple[str, ...]) -> tuple[Container, ...]:
    found: set[str] = set()
    for name in names:
        meant = {each.id for each in containers if name in (each.name, each.id)}
        meant = meant or {each.id for each in containers if each.id.startswith(name)}
        if not meant:
            hint = did_you_mean(name, [each.name for each in containers])
            why = "no container of that name or id is known"
            raise NotFoundError(f"cannot show {name}", why, hint or "see: ocinet ps -a")
        found |= meant
    # What a member has is its owner's.
    found |= {each.shares for each in containers if each.id in found}
    return tuple(each for each in containers if each.id in found)


def _order(container: Container) -> tuple[int, list[tuple[int, int, str]], str]:
    """Sort key: by state, then by name as people count: web-2 before web-10."""
    parts = [
        (1, int(part), "") if part.isdigit() and part.isascii() else (0, 0, part)
        for part in _DIGITS.split(container.name)[:20]
        if len(part) < 20
    ]
    return _ORDER.get(container.state, len(_ORDER)), parts, container.id
