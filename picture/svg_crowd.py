"""A drawing of many containers: a panel for each network on the host's trunk, tiles in rows."""

from __future__ import annotations

from ocinet.picture import spelling
from ocinet.picture.grouping import Group, Seat, is_wrong
from ocinet.picture.svg_parts import WORDS, Drawing, fitting, text_width, wrapped
from ocinet.picture.values import BROKEN, DEAD, DOWN, REFUSED, STATES, Container, Network, Picture

_TRUNK_X = 40
_PANEL_X, _PANEL_WIDTH = 72, 1024
_TILE_WIDTH, _TILE_HEIGHT, _ACROSS = 196, 40, 5
_GAP = 6
_LINE = 18
_TILES = {BROKEN: "broken", REFUSED: "refused", DEAD: "dead"}


def draw_crowd(drawing: Drawing, picture: Picture, found: tuple[Group, ...], top: float) -> float:
    """Draw all of it from `top` on; return where it ends."""
    y = _uplinks(drawing, picture, top)
    start = y
    wrong = [each for each in picture.containers if is_wrong(each)]
    if wrong:
        y = _to_look_at(drawing, wrong, y + 16)
    ends = []
    for group in found:
        y += 20
        network = group.network
        if network and network.leads_out:
            ends.append((y + 24, bool(network.why)))
        y = _panel(drawing, group, y)
    if ends and picture.uplinks:
        drawing.path(f"M{_TRUNK_X} {start:g}V{ends[-1][0]:g}", "wire")
        for at, cut in ends:
            drawing.path(f"M{_TRUNK_X} {at:g}H{_PANEL_X}", "cut" if cut else "wire")
            if cut:
                drawing.cross((_TRUNK_X + _PANEL_X) / 2, at)
    return y


def _uplinks(drawing: Drawing, picture: Picture, top: float) -> float:
    y = top
    for uplink in picture.uplinks:
        is_down = uplink.state == DOWN
        drawing.open(f"uplink {uplink.name}, {uplink.state}")
        drawing.box(24, y, 1072, 36, "broken" if is_down else "card")
        drawing.text(_TRUNK_X, y + 23, uplink.name, "name")
        x = _TRUNK_X + text_width(uplink.name, "name") + 14
        drawing.text(x, y + 23, "uplink DOWN" if is_down else "uplink", "text",
                     "bad" if is_down else "dim")  # fmt: skip
        addresses = "  ".join(str(address) for address in uplink.addresses)
        drawing.text(x + 90, y + 23, fitting(addresses, "mono", 620), "mono")
        if uplink.figures:
            told = f"↓ {spelling.size(uplink.figures.rx_bytes)}  "
            told += f"↑ {spelling.size(uplink.figures.tx_bytes)}"
            drawing.text(1082, y + 23, told, "text", "dim", end=True)
        drawing.close()
        y += 42
    if not picture.uplinks:
        drawing.box(24, y, 1072, 36, "dead")
        drawing.text(_TRUNK_X, y + 23, "no default route", "text", "dim")
        y += 42
    return y - 6


def _to_look_at(drawing: Drawing, wrong: list[Container], top: float) -> float:
    """Draw who has to be looked at, with why and what helps."""
    ordered = sorted(wrong, key=lambda each: (STATES.index(each.state), each.name))
    rows = [(each, wrapped(each.why, "text", _PANEL_WIDTH - 330, 2)) for each in ordered]
    height = 40 + sum(_LINE * (len(lines) + bool(each.hint)) + 8 for each, lines in rows)
    drawing.box(_PANEL_X, top, _PANEL_WIDTH, height, "broken", round_=12)
    heading = f"{spelling.counted(len(rows), 'container')} to look at"
    drawing.text(_PANEL_X + 18, top + 26, heading, "name", "bad")
    y = top + 36
    for container, lines in rows:
        drawing.open(f"container {container.name}, {container.state}. {container.why}")
        drawing.sign(_PANEL_X + 26, y + 14, container.state)
        drawing.text(_PANEL_X + 44, y + 18, fitting(container.name, "name", 160), "name")
        drawing.text(_PANEL_X + 214, y + 18, WORDS[container.state], "word", "bad")
        for line in lines:
            y += _LINE
            drawing.text(_PANEL_X + 290, y, line, "text")
        if container.hint:
            y += _LINE
            told = fitting(f"→ {container.hint}", "mono", _PANEL_WIDTH - 310)
            drawing.text(_PANEL_X + 290, y, told, "mono", "key")
        drawing.close()
        y += 8
    return top + height


def _panel(drawing: Drawing, group: Group, top: float) -> float:
    network = group.network
    rows = -(-len(group.seats) // _ACROSS)
    why = network.why if network else ""
    head = 48 + (_LINE if why else 0)
    height = head + rows * (_TILE_HEIGHT + _GAP) + 10 if rows else head
    name = network.name if network else "on no network"
    drawing.open(f"network {name}" if network else name)
    drawing.box(_PANEL_X, top, _PANEL_WIDTH, height, "broken" if why else "card", round_=12)
    drawing.close()
    drawing.text(_PANEL_X + 18, top + 29, fitting(name, "name", 200), "name")
    if network:
        _describe(drawing, network, top + 29)
    if why and network:
        told = f"{why}: {network.hint}" if network.hint else why
        drawing.text(_PANEL_X + 18, top + 47, fitting(told, "text", 900), "text", "bad")
    for at, seat in enumerate(group.seats):
        x = _PANEL_X + 12 + at % _ACROSS * (_TILE_WIDTH + _GAP)
        _tile(drawing, seat, x, top + head + at // _ACROSS * (_TILE_HEIGHT + _GAP))
    return top + height


def _describe(drawing: Drawing, network: Network, y: float) -> None:
    kind = f"{network.kind} {network.bridge}".strip()
    x = _PANEL_X + 30 + text_width(fitting(network.name, "name", 200), "name")
    drawing.text(x, y, kind, "text", "dim")
    right = _PANEL_X + _PANEL_WIDTH - 18.0
    for pool in reversed(network.pools[:2]):
        told = spelling.used(pool.used, pool.size)
        drawing.text(right, y, told, "text", "dim", end=True)
        bar = right - text_width(told, "text") - 76
        drawing.bar(bar, y - 8, 66, pool.used / pool.size if pool.size else 0)
        drawing.text(bar - 10, y, str(pool.subnet), "mono", end=True)
        right = bar - 30 - text_width(str(pool.subnet), "mono")


def _tile(drawing: Drawing, seat: Seat, x: float, y: float) -> None:
    container = seat.container
    own = spelling.addresses(seat.interface)[:1] if seat.interface else []
    pairs = spelling.ports(container) if seat.first else []
    drawing.open(f"container {container.name}, {container.state}. {container.why}")
    kind = _TILES.get(container.state, "tile")
    drawing.box(x, y, _TILE_WIDTH, _TILE_HEIGHT, kind, round_=6)
    drawing.sign(x + 16, y + 20, container.state)
    word = WORDS.get(container.state, "")
    room = _TILE_WIDTH - 38 - (text_width(word, "word") + 6 if word else 0)
    drawing.text(x + 32, y + 17, fitting(container.name, "name", room), "name")
    bad = ("bad",) if word.isupper() else ("dim",)
    drawing.text(x + _TILE_WIDTH - 8, y + 17, word, "word", *bad, end=True)
    told = own[0] if own else "shares one" if container.shares else container.mode
    drawing.text(x + 32, y + 33, fitting(told, "small", 104), "small", "dim")
    if pairs:
        more = f" +{len(pairs) - 1}" if len(pairs) > 1 else ""
        port = fitting(pairs[0][0], "small", 60) + more
        drawing.text(x + _TILE_WIDTH - 8, y + 33, port, "small", "key", end=True)
    drawing.close()
