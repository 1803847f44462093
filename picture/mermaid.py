"""A picture as a Mermaid flowchart, which GitHub and others draw where it stands in Markdown.

Its syntax: mermaid.js.org/syntax/flowchart.html; in a quoted text every character that could
mean something is written by its number.
"""

from __future__ import annotations

from ocinet.picture import spelling
from ocinet.picture.values import BROKEN, DEAD, REFUSED, RUNNING, UP, Container, Network, Picture

_LONGEST = 48
_PLAIN = frozenset(" .,:/()-_→+=…")
_NO_BACKSLASH = "#8726;"  # a set's minus, which looks like one
_CLASSES = {BROKEN: ":::broken", REFUSED: ":::refused", DEAD: ":::dead"}
_STYLES = (
    "  classDef broken stroke:#c21,stroke-width:3px",
    "  classDef refused stroke:#c21,stroke-dasharray:5 4",
    "  classDef dead stroke:#777,stroke-dasharray:2 4",
)


def render(picture: Picture) -> str:
    """Return a picture as a flowchart."""
    networks = {network.name: f"n{at}" for at, network in enumerate(picture.networks)}
    ids = {container.id: f"c{at}" for at, container in enumerate(picture.containers)}
    lines = ["flowchart LR", f"  subgraph host [{_text(picture.hostname or 'host')}]"]
    for at, uplink in enumerate(picture.uplinks):
        told = _text(uplink.name, *map(str, uplink.addresses), _word(uplink.state))
        lines.append(f"    u{at}>{told}]")
    for network in picture.networks:
        lines.append(f"    {networks[network.name]}{_of_network(network)}")
    if not picture.uplinks and not picture.networks:
        lines.append('    nothing["no network"]')
    lines.append("  end")
    for container in picture.containers:
        lines.append(f"  {ids[container.id]}{_of_container(container)}")
    return "\n".join([*lines, *_wires(picture, networks, ids), *_STYLES, ""])


def _wires(picture: Picture, networks: dict[str, str], ids: dict[str, str]) -> list[str]:
    """Return the links: of uplinks to networks, of these to containers, and between those."""
    lines = []
    for at in range(len(picture.uplinks)):
        open_to_it = (each for each in picture.networks if each.leads_out)
        lines += [f"  u{at} --- {networks[network.name]}" for network in open_to_it]
    for container in picture.containers:
        own = ids[container.id]
        for interface in container.interfaces:
            if interface.network in networks:
                told = _text(interface.name, *spelling.addresses(interface))
                line = "-.-" if container.state in _CLASSES else "---"
                lines.append(f"  {networks[interface.network]} {line}|{told}| {own}")
        if container.shares in ids:
            lines.append(f'  {ids[container.shares]} -.-|"shares its network"| {own}')
    for near, far, wire in spelling.wires(picture):
        told = _text(wire.link, *map(str, wire.addresses))
        lines.append(f"  {ids[near]} ===|{told}| {ids[far]}")
    return lines


def _of_network(network: Network) -> str:
    used = (f"{pool.subnet} {spelling.used(pool.used, pool.size)}" for pool in network.pools)
    why = network.why and f"WRONG: {spelling.shown(network.why, 80)}"
    told = _text(network.name, f"{network.kind} {network.bridge}".strip(), *used, why)
    return f"{{{{{told}}}}}" + (":::broken" if network.why else "")


def _of_container(container: Container) -> str:
    state = "" if container.state == RUNNING else container.state
    told = _text(
        container.name,
        *(" → ".join(sides) for sides in spelling.ports(container)),
        _word(state) if container.state in _CLASSES else state,
        spelling.shown(container.why, 80),
    )
    # Corners say it as well: cut where it is broken, square where it was refused.
    if container.state == BROKEN:
        shape = f"[/{told}\\]"
    else:
        shape = f"[{told}]" if container.state in _CLASSES else f"({told})"
    return shape + _CLASSES.get(container.state, "")


def _word(state: str) -> str:
    return "" if state == UP else state.upper()


def _text(*lines: str) -> str:
    """Return lines as one quoted text, without those that are empty."""
    shown = (spelling.shown(line, 0 if len(line) < 100 else _LONGEST) for line in lines if line)
    told = "<br/>".join("".join(map(_escaped, line)) for line in shown)
    return f'"{told if told.strip() else "-"}"'  # an empty text is an error of syntax


def _escaped(letter: str) -> str:
    # A backslash and an `n` break the line even where both are written by their numbers.
    if letter == "\\":
        return _NO_BACKSLASH
    plain = letter.isalnum() or letter in _PLAIN
    return letter if plain else f"#{ord(letter)};"
