"""A drawing of a few containers: uplink, bridges and containers, with the wires between them."""

from __future__ import annotations

from ocinet.picture import spelling
from ocinet.picture.grouping import Group, Seat
from ocinet.picture.svg_parts import WORDS, Drawing, fitting, text_width, wrapped
from ocinet.picture.values import (
    BROKEN,
    DEAD,
    DOWN,
    MISSING,
    REFUSED,
    RUNNING,
    Container,
    Figures,
    Network,
    Picture,
    Uplink,
)

_UPLINK_X, _UPLINK_WIDTH = 24, 200
_NETWORK_X, _NETWORK_WIDTH = 300, 250
_CARD_X, _CARD_WIDTH = 630, 466
_GAP, _GROUP_GAP = 12, 28
_LINE, _PILL = 18, 22  # heights
_CARDS = {BROKEN: "broken", REFUSED: "refused", DEAD: "dead"}

# The middle of an edge, for wires to end at.
Point = tuple[float, float]


def draw_wires(drawing: Drawing, picture: Picture, found: tuple[Group, ...], top: float) -> float:
    """Draw all of it from `top` on; return where it ends."""
    return _Wired(drawing, picture, found).draw(top)


class _Wired:
    """Where the cards of one drawing are, so that wires find them."""

    def __init__(self, drawing: Drawing, picture: Picture, found: tuple[Group, ...]) -> None:
        self._drawing = drawing
        self._picture = picture
        self._groups = found
        self._names = {container.id: container.name for container in picture.containers}
        self._bridges: dict[str, Point] = {}
        self._cards: dict[str, Point] = {}

    def draw(self, top: float) -> float:
        """Draw containers, networks and uplinks, and wires between them."""
        y = top
        for group in self._groups:
            y = self._group(group, y) + _GROUP_GAP
        outside = self._uplinks(top, y - _GROUP_GAP)
        for network in self._picture.networks:
            if network.leads_out:
                left, middle = self._bridges[network.name]
                for point in outside:
                    self._drawing.wire(point, (left, middle), cut=bool(network.why))
        for container in self._picture.containers:
            self._wires(container)
        for near, far, _wire in spelling.wires(self._picture):
            self._link(self._cards[near], self._cards[far])
        return max(y - _GROUP_GAP, top + 60)

    def _wires(self, container: Container) -> None:
        x, y = self._cards[container.id]
        for at, interface in enumerate(container.interfaces):
            bridge = self._bridges.get(interface.network)
            if bridge:
                start = bridge[0] + _NETWORK_WIDTH, bridge[1]
                end = x, y + 39 + _LINE * at  # at the line of its addresses
                cut = container.state == BROKEN and interface.name in container.why
                self._drawing.wire(start, end, cut=cut or container.state == DEAD)
        if container.state == REFUSED:
            y += 20
            self._drawing.path(f"M{x - 44:g} {y:g}H{x:g}", "cut")
            self._drawing.cross(x - 44, y)

    def _link(self, near: Point, far: Point) -> None:
        """Draw a link of two containers, along their right edges: no bridge is on it."""
        x, out = _CARD_X + _CARD_WIDTH, _CARD_X + _CARD_WIDTH + 18
        one, other = near[1] + 20, far[1] + 20
        self._drawing.path(
            f"M{x:g} {one:g}C{out:g} {one:g} {out:g} {other:g} {x:g} {other:g}", "wire"
        )

    def _group(self, group: Group, top: float) -> float:
        own = [seat for seat in group.seats if seat.first]
        heights = [self._card_height(seat) for seat in own]
        cards = sum(heights) + _GAP * max(0, len(heights) - 1)
        network = group.network
        height = _network_height(network) if network else 0.0
        room = max(height, cards)
        if network:
            y = top + (room - height) / 2
            self._network(network, y, height)
            self._bridges[network.name] = _NETWORK_X, y + height / 2
        y = top + (room - cards) / 2
        for seat, tall in zip(own, heights, strict=True):
            self._card(seat, y, tall)
            self._cards[seat.container.id] = _CARD_X, y
            y += tall + _GAP
        return top + room

    def _uplinks(self, top: float, bottom: float) -> list[Point]:
        uplinks = self._picture.uplinks
        heights = [_uplink_height(uplink) for uplink in uplinks] or [44.0]
        y = top + max(0.0, (bottom - top - sum(heights) - _GAP * (len(heights) - 1)) / 2)
        points: list[Point] = []
        for uplink, height in zip(uplinks, heights, strict=False):
            self._uplink(uplink, y, height)
            points.append((_UPLINK_X + _UPLINK_WIDTH, y + height / 2))
            y += height + _GAP
        if not uplinks:
            self._drawing.box(_UPLINK_X, y, _UPLINK_WIDTH, 44, "dead")
            self._drawing.text(_UPLINK_X + 14, y + 27, "no default route", "text", "dim")
        return points

    def _uplink(self, uplink: Uplink, y: float, height: float) -> None:
        drawing, x = self._drawing, _UPLINK_X + 14
        is_down = uplink.state == DOWN
        drawing.open(f"uplink {uplink.name}, {uplink.state}")
        drawing.box(_UPLINK_X, y, _UPLINK_WIDTH, height, "broken" if is_down else "card")
        drawing.text(x, y + 24, uplink.name, "name")
        told = "uplink DOWN" if is_down else "uplink"
        right = _UPLINK_X + _UPLINK_WIDTH - 14
        drawing.text(right, y + 24, told, "text", "bad" if is_down else "dim", end=True)
        line = y + 24
        for address in uplink.addresses:
            line += _LINE
            drawing.text(x, line, fitting(str(address), "mono", _UPLINK_WIDTH - 28), "mono")
        if uplink.figures:
            drawing.text(x, line + _LINE, _traffic(uplink.figures), "text", "dim")
        drawing.close()

    def _network(self, network: Network, y: float, height: float) -> None:
        drawing, x, room = self._drawing, _NETWORK_X + 14, _NETWORK_WIDTH - 28
        drawing.open(f"network {network.name}, {network.kind} {network.bridge}, {network.state}")
        drawing.box(
            _NETWORK_X, y, _NETWORK_WIDTH, height, "broken" if network.why else "card", round_=12
        )
        drawing.text(x, y + 25, fitting(network.name, "name", room), "name")
        drawing.text(x, y + 43, f"{network.kind} {network.bridge}".strip(), "text", "dim")
        line = y + 43
        for pool in network.pools:
            drawing.text(x, line + _LINE + 2, str(pool.subnet), "mono")
            right = _NETWORK_X + _NETWORK_WIDTH - 14
            told = spelling.used(pool.used, pool.size)
            drawing.text(right, line + _LINE + 2, told, "text", "dim", end=True)
            drawing.bar(x, line + _LINE + 9, room, pool.used / pool.size if pool.size else 0)
            line += _LINE + 16
        if network.state == MISSING and not network.why:
            drawing.text(x, line + _LINE, "nobody was on it yet", "text", "dim")
        for told in _network_why(network):
            line += _LINE
            drawing.text(x, line, told, "text", "bad")
        drawing.close()

    def _card_height(self, seat: Seat) -> float:
        container = seat.container
        rows = len(self._addresses(container)) + len(_why(container)) + bool(container.hint)
        pills = len(_rows_of_pills(container))
        return 40.0 + _LINE * rows + _PILL * pills + (2 if pills else 0)

    def _card(self, seat: Seat, y: float, height: float) -> None:
        drawing, container = self._drawing, seat.container
        x, right = _CARD_X + 36, _CARD_X + _CARD_WIDTH - 14
        word = WORDS.get(container.state, "")
        drawing.open(f"container {container.name}, {container.state}. {container.why}")
        drawing.box(_CARD_X, y, _CARD_WIDTH, height, _CARDS.get(container.state, "card"))
        drawing.sign(_CARD_X + 19, y + 20, container.state)
        total = _total(container)
        beside = text_width(word, "word") + text_width(total, "text") + 30
        name = fitting(container.name, "name", right - x - beside)
        drawing.text(x, y + 25, name, "name")
        bad = ("bad",) if word.isupper() else ("dim",)
        drawing.text(x + text_width(name, "name") + 10, y + 25, word, "word", *bad)
        drawing.text(right, y + 25, total, "text", "dim", end=True)
        line = y + 25
        for told, where in self._addresses(container):
            line += _LINE
            drawing.text(x, line, told, "mono")
            drawing.text(right, line, where, "text", "dim", end=True)
        for row in _rows_of_pills(container):
            line += _PILL
            place = float(x)
            for told in row:
                place = drawing.pill(place, line, told) + 8
        for told in _why(container):
            line += _LINE
            drawing.text(x, line, told, "text", "bad")
        if container.hint:
            line += _LINE
            told = fitting(f"→ {container.hint}", "mono", _CARD_WIDTH - 50)
            drawing.text(x, line, told, "mono", "key")
        drawing.close()

    def _addresses(self, container: Container) -> list[tuple[str, str]]:
        """Return a line for each interface: its addresses, and by which network."""
        lines = []
        for interface in container.interfaces:
            own = "  ".join(spelling.addresses(interface))
            where = f"{interface.name} on {interface.network}"
            lines.append((fitting(own, "mono", _CARD_WIDTH - 180), fitting(where, "text", 130)))
        for wire in container.wires:
            peer = self._names.get(wire.peer, wire.peer[:12])
            own = "  ".join(str(each.address) for each in wire.addresses)
            where = fitting(f"{wire.name}, {wire.link}", "text", 130)
            lines.append((fitting(f"{own} ↔ {peer}", "mono", _CARD_WIDTH - 180), where))
        if container.shares:
            owner = self._names.get(container.shares, container.shares)
            lines.append((fitting(f"shares the network of {owner}", "mono", 400), ""))
        elif not lines and container.mode and container.state != REFUSED:
            lines.append((f"mode {container.mode}", ""))
        return lines


def _uplink_height(uplink: Uplink) -> float:
    return 40.0 + _LINE * (len(uplink.addresses) + bool(uplink.figures))


def _network_height(network: Network) -> float:
    rows = len(_network_why(network)) + (network.state == MISSING and not network.why)
    return 58.0 + (_LINE + 16) * len(network.pools) + _LINE * rows


def _network_why(network: Network) -> list[str]:
    told = f"{network.why}: {network.hint}" if network.hint else network.why
    return wrapped(told, "text", _NETWORK_WIDTH - 28) if network.why else []


def _why(container: Container) -> list[str]:
    return wrapped(container.why, "text", _CARD_WIDTH - 50) if container.why else []


def _rows_of_pills(container: Container) -> list[list[str]]:
    """Return published ports in rows that fit the card; of many the rest is counted."""
    rows: list[list[str]] = []
    room = 0.0
    told = [" → ".join(sides) for sides in spelling.ports(container)]
    shown = told[:12] + ([f"and {len(told) - 12} more"] if len(told) > 12 else [])
    for text in shown:
        width = text_width(text, "small") + 22
        if not rows or room < width:
            rows.append([])
            room = _CARD_WIDTH - 50
        rows[-1].append(text)
        room -= width
    return rows


def _total(container: Container) -> str:
    """Return what has passed all interfaces of a container."""
    figures = [interface.figures for interface in container.interfaces if interface.figures]
    if not figures or container.state not in (RUNNING, BROKEN):
        return ""
    received = sum(each.rx_bytes for each in figures)
    sent = sum(each.tx_bytes for each in figures)
    refused = sum(each.refused or 0 for each in figures)
    told = f"↓ {spelling.size(received)}  ↑ {spelling.size(sent)}"
    return f"{told}  {refused} refused" if refused else told


def _traffic(figures: Figures) -> str:
    return f"↓ {spelling.size(figures.rx_bytes)}  ↑ {spelling.size(figures.tx_bytes)}"
