"""Texts as every picture spells them: names that others chose, counts, ports, addresses."""

from __future__ import annotations

from unicodedata import combining, east_asian_width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.picture.values import Container, Interface, Picture, Published, Wire

_CUT = "…"
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def shown(text: str, most: int = 0) -> str:
    r"""Return a text as it can be shown on one line anywhere, whatever is in it.

    What is not printable, and what turns the direction of others' letters, stands as Python
    escapes it: no terminal acts on it, and no eye is led astray.

    Args:
        text: any, surrogates that have lost their other half as well.
        most: characters; 0: all. What is too long loses its middle: names mostly differ in
            their ends.

    >>> shown("web\u202e\n")
    'web\\u202e\\n'
    """
    plain = "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
    if not most or len(plain) <= most:
        return plain
    tail = (most - 1) // 3
    return plain[: most - 1 - tail] + _CUT + (plain[-tail:] if tail else "")


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(
        0 if combining(each) else 2 if east_asian_width(each) in "WF" else 1 for each in text
    )


def padded(text: str, columns: int) -> str:
    """Return a text filled with blanks up to so many columns."""
    return text + " " * max(0, columns - width(text))


def size(count: int) -> str:
    """Return a number of bytes in its largest unit, a thousand to the next.

    >>> size(999), size(1500), size(2_000_000)
    ('999 B', '1.5 kB', '2 MB')
    """
    value, unit = float(count), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    digits = f"{value:.1f}" if value < 10 and unit else f"{value:.0f}"
    return f"{digits.removesuffix('.0')} {_UNITS[unit]}"


def counted(number: int, what: str) -> str:
    """Return a number and its noun: `1 container`, `2 containers`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def used(held: int, of: int) -> str:
    """Return how much of a pool is used; of one that nobody could fill, no share."""
    return f"{held} of {of} used" if of < 1 << 32 else f"{held} used"


def wires(picture: Picture) -> list[tuple[str, str, Wire]]:
    """Return links between two containers, each once: the ids of both, and the first one's end."""
    ends = {
        (container.id, wire.link): wire
        for container in picture.containers
        for wire in container.wires
    }
    return [
        (own, wire.peer, wire)
        for (own, link), wire in ends.items()
        if (wire.peer, link) in ends and own < wire.peer
    ]


def addresses(interface: Interface) -> list[str]:
    """Return an interface's addresses, without their prefix lengths, IPv4's first."""
    ordered = sorted(interface.addresses, key=lambda each: each.address.family)
    return [str(each.address) for each in ordered]


def host_side(published: Published) -> str:
    """Return where a port is reached on the host: `:8080`, `127.0.0.1:8000-8009`."""
    host = str(published.host_address or "")
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{_row(published.host_port, published.count)}"


def container_side(published: Published) -> str:
    """Return where it leads to: `80/tcp`."""
    return f"{_row(published.port, published.count)}/{published.protocol}"


def ports(container: Container) -> list[tuple[str, str]]:
    """Return what is published of a container, each port once whatever the family.

    Returns:
        The host's side and the container's of each.
    """
    sides = ((host_side(each), container_side(each)) for each in container.published)
    return list(dict.fromkeys(sides))


def _row(first: int, count: int) -> str:
    return str(first) if count == 1 else f"{first}-{first + count - 1}"
