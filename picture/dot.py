"""A picture in graphviz's DOT: a cluster for the host, a node for each bridge and container.

Its grammar: graphviz.org/doc/info/lang.html; labels, shapes: doc/info/attrs.html.
"""

from __future__ import annotations

from ocinet.picture import spelling
from ocinet.picture.values import BROKEN, DEAD, REFUSED, RUNNING, UP, Container, Network, Picture

_LONGEST = 48
_SHAPES = {
    BROKEN: "shape=octagon, style=bold, color=red3",
    REFUSED: "shape=box, style=dashed, color=red3",
    DEAD: "shape=box, style=dotted, color=gray40",
}
_OTHERS = "shape=box, style=rounded"


def render(picture: Picture) -> str:
    """Return a picture as a graph of DOT."""
    networks = {network.name: f"n{at}" for at, network in enumerate(picture.networks)}
    ids = {container.id: f"c{at}" for at, container in enumerate(picture.containers)}
    lines = [
        "graph ocinet {",
        "  rankdir=LR;",
        '  node [fontname="sans-serif", fontsize=11];',
        '  edge [fontname="sans-serif", fontsize=9];',
        "  subgraph cluster_host {",
        f"    label={_quoted(spelling.shown(picture.hostname, _LONGEST))};",
    ]
    for at, uplink in enumerate(picture.uplinks):
        label = _label(uplink.name, *map(str, uplink.addresses), _word(uplink.state))
        lines.append(f"    u{at} [shape=cds, label={label}];")
    for network in picture.networks:
        lines.append(f"    {networks[network.name]} [{_of_network(network)}];")
    lines.append("  }")
    for container in picture.containers:
        lines.append(f"  {ids[container.id]} [{_of_container(container)}];")
    return "\n".join([*lines, *_wires(picture, networks, ids), "}", ""])


def _wires(picture: Picture, networks: dict[str, str], ids: dict[str, str]) -> list[str]:
    """Return the edges: of uplinks to networks, of these to containers, and between those."""
    lines = []
    for at in range(len(picture.uplinks)):
        open_to_it = (each for each in picture.networks if each.leads_out)
        lines += [f"  u{at} -- {networks[network.name]};" for network in open_to_it]
    for container in picture.containers:
        own = ids[container.id]
        for interface in container.interfaces:
            if interface.network in networks:
                label = _label(interface.name, *spelling.addresses(interface))
                bad = ", style=dashed, color=red3" if container.state in _SHAPES else ""
                lines.append(f"  {networks[interface.network]} -- {own} [label={label}{bad}];")
        if container.shares in ids:
            label = '[style=dotted, label="shares its network"]'
            lines.append(f"  {ids[container.shares]} -- {own} {label};")
    for near, far, wire in spelling.wires(picture):
        label = _label(wire.link, *map(str, wire.addresses))
        lines.append(f"  {ids[near]} -- {ids[far]} [style=bold, label={label}];")
    return lines


def _of_network(network: Network) -> str:
    used = (f"{pool.subnet} {spelling.used(pool.used, pool.size)}" for pool in network.pools)
    label = _label(
        spelling.shown(network.name, _LONGEST), f"{network.kind} {network.bridge}".strip(),
        *used, network.why and f"WRONG: {spelling.shown(network.why, 80)}",
    )  # fmt: skip
    shape = "shape=octagon, style=bold, color=red3" if network.why else "shape=box3d"
    return f"{shape}, label={label}"


def _of_container(container: Container) -> str:
    state = "" if container.state == RUNNING else container.state
    label = _label(
        spelling.shown(container.name, _LONGEST),
        *(" → ".join(sides) for sides in spelling.ports(container)),
        _word(state) if container.state in _SHAPES else state,
        spelling.shown(container.why, 80),
    )
    return f"{_SHAPES.get(container.state, _OTHERS)}, label={label}"


def _word(state: str) -> str:
    return "" if state == UP else state.upper()


def _label(*lines: str) -> str:
    """Return lines as one label, without those that are empty."""
    # Of `\n` the backslash is DOT's own, so each line is escaped by itself.
    return '"' + r"\n".join(_escaped(line) for line in lines if line) + '"'


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    # A label's backslash begins `\N` and the like; its ampersand an entity of HTML's.
    plain = spelling.shown(text).replace("\\", "\\\\").replace('"', '\\"')
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
