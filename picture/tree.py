"""A picture as a tree for a terminal: a few containers in full, many in columns.

What is wrong comes first, and is told by a sign and a word: colours come on top.
"""

from __future__ import annotations

import re
import textwrap

from ocinet.base.value import Value
from ocinet.picture import spelling
from ocinet.picture.grouping import Group, Seat, groups, is_wrong
from ocinet.picture.values import (
    ATTACHING,
    BROKEN,
    DEAD,
    LEFT,
    MISSING,
    REFUSED,
    RUNNING,
    STATES,
    UP,
    Container,
    Network,
    Picture,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ocinet.picture.values import Wire

# What a text is painted as.
GOOD, BAD, HINT = "good", "bad", "hint"

_FEW = 24  # seats that are shown in full
_LONGEST_NAME = 32
_LEAST_COLUMNS = 40
_SIGNS = {
    RUNNING: ("●", "o"),
    BROKEN: ("✗", "x"),
    REFUSED: ("⊘", "!"),
    ATTACHING: ("◌", "~"),
    LEFT: ("◐", "-"),
    DEAD: ("†", "+"),
}
_WORDS = {BROKEN: "BROKEN", REFUSED: "REFUSED", DEAD: "DEAD"}


_PAINT = re.compile("\033\\[[0-9;]*m")


class Look(Value):
    """How a terminal shows it.

    Attributes:
        columns: of the terminal.
        unicode: whether it has more letters than ASCII's.
        paint: returns a text painted as GOOD, BAD or HINT; or as it is.
    """

    columns: int
    unicode: bool
    paint: Callable[[str, str], str]


def render(picture: Picture, look: Look) -> list[str]:
    """Return a picture as lines.

    Args:
        picture: the whole, or a part of it.
        look: of the terminal.
    """
    return _Tree(picture, look).lines()


class _Tree:
    """One rendering: blocks that hang on a trunk."""

    def __init__(self, picture: Picture, look: Look) -> None:
        self._picture = picture
        self._groups = groups(picture)
        self._look = look
        self._columns = max(_LEAST_COLUMNS, look.columns)
        self._names = {container.id: container.name for container in picture.containers}
        seats = sum(len(group.seats) for group in self._groups)
        self._in_full = seats <= _FEW
        bars = ("├─ ", "└─ ", "│  ") if look.unicode else ("|- ", "`- ", "|  ")
        self._branch, self._last, self._trunk = bars

    def lines(self) -> list[str]:
        """Return all of them."""
        blocks = [self._uplink()]
        flaws = self._flaws()
        if flaws:
            blocks.insert(0, flaws)
        if not self._in_full:
            wrong = [each for each in self._sorted() if is_wrong(each)]
            if wrong:
                heading = self._bad(spelling.counted(len(wrong), "container") + " to look at")
                blocks.append([heading, *self._hang([self._in_words(each) for each in wrong])])
        blocks += [self._group(group) for group in self._groups]
        lines = [self._head(), *self._hang(blocks, spaced=True)]
        if self._look.unicode:
            return lines
        return [line.encode("ascii", "backslashreplace").decode() for line in lines]

    def _sorted(self) -> Iterable[Container]:
        seats = (seat.container for group in self._groups for seat in group.seats if seat.first)
        return sorted(seats, key=lambda each: STATES.index(each.state))

    # -- parts ---------------------------------------------------------------------------

    def _head(self) -> str:
        count = len(self._picture.containers)
        told = self._counts(self._picture.count) or "none"
        about = f"{spelling.counted(count, 'container')}: {told}" if count else "no containers"
        return f"{spelling.shown(self._picture.hostname, 64)}  {about}"

    def _counts(self, count: Callable[[str], int]) -> str:
        parts = []
        for state in STATES:
            number = count(state)
            if number:
                told = f"{number} {_WORDS.get(state, state)}"
                parts.append(self._bad(told) if state in _WORDS else told)
        return ", ".join(parts)

    def _flaws(self) -> list[str]:
        found: list[str] = []
        for flaw in self._picture.flaws:
            found += self._wrapped(f"{self._sign(BROKEN)} {flaw.what}", BAD)
            found += self._hint(flaw.hint)
        return found

    def _uplink(self) -> list[str]:
        uplinks = self._picture.uplinks
        if not uplinks:
            return ["no uplink: this host has no default route"]
        found = []
        for uplink in uplinks:
            cells = [f"uplink {uplink.name}", *(str(each) for each in uplink.addresses)]
            cells += [] if uplink.state == UP else [self._bad(uplink.state.upper())]
            if uplink.figures:
                cells.append(self._traffic(uplink.figures.rx_bytes, uplink.figures.tx_bytes))
            found += self._filled(cells)
        return found

    def _group(self, group: Group) -> list[str]:
        network = group.network
        head = ["on no network"] if network is None else self._network(network)
        if not group.seats:
            return head if network is None or network.why else [*head, "   nobody is on it"]
        if self._in_full:
            widest = self._widest(group.seats)
            return [*head, *self._hang([self._seat(seat, widest) for seat in group.seats])]
        told = self._counts(group.count)
        return [*head, f"   {told}", *(f"   {line}" for line in self._in_columns(group.seats))]

    def _network(self, network: Network) -> list[str]:
        cells = [spelling.shown(network.name, 64)]
        if network.bridge:
            cells.append(f"{network.kind} {network.bridge}")
        for pool in network.pools:
            cells.append(f"{pool.subnet} ({spelling.used(pool.used, pool.size)})")
        if network.state == MISSING and not network.why and network.bridge:
            cells.append("not made yet")
        lines = self._filled(cells)
        if network.why:
            lines += self._wrapped(f"   {self._sign(BROKEN)} {network.why}", BAD)
            lines += self._hint(network.hint)
        return lines

    def _seat(self, seat: Seat, widest: tuple[int, int]) -> list[str]:
        container = seat.container
        name = self._mark(container) + spelling.padded(self._name(container), widest[0])
        own = " ".join(spelling.addresses(seat.interface)) if seat.interface else ""
        cells = [f"{name}  {spelling.padded(own, widest[1])}".rstrip() if own else name]
        if container.state != RUNNING:
            word = _WORDS.get(container.state, container.state)
            cells.append(self._bad(word) if container.state in _WORDS else word)
        if container.shares:
            owner = self._names.get(container.shares, container.shares)
            cells.append(f"shares the network of {spelling.shown(owner, _LONGEST_NAME)}")
        elif not seat.interface and container.mode:
            cells.append(f"mode {container.mode}")
        if seat.first:
            arrow = "→" if self._look.unicode else "->"
            cells += [arrow.join(sides) for sides in spelling.ports(container)]
        figures = seat.interface.figures if seat.interface else None
        if figures:
            cells.append(self._traffic(figures.rx_bytes, figures.tx_bytes))
            if figures.refused:
                cells.append(self._bad(f"{figures.refused} refused by the guard"))
        lines = self._filled(cells)
        if seat.first:
            lines += [line for wire in container.wires for line in self._wire(wire)]
            lines += self._explained(container)
        return lines

    def _wire(self, wire: Wire) -> list[str]:
        sign = "↔" if self._look.unicode else "<->"
        peer = spelling.shown(self._names.get(wire.peer, wire.peer[:12]), _LONGEST_NAME)
        own = " ".join(str(each) for each in wire.addresses)
        return self._filled([f"   {sign} {peer}", f"{wire.name} {own}", f"link {wire.link}"])

    def _widest(self, seats: tuple[Seat, ...]) -> tuple[int, int]:
        """Return how wide names and addresses are; those that are wider than usual stand out."""
        names = [spelling.width(self._name(seat.container)) for seat in seats]
        own = [" ".join(spelling.addresses(seat.interface)) for seat in seats if seat.interface]
        return max(names), max([len(each) for each in own if len(each) < 40], default=0)

    def _in_words(self, container: Container) -> list[str]:
        word = self._bad(_WORDS[container.state])
        return [f"{self._mark(container)}{self._name(container)}  {word}",
                *self._explained(container)]  # fmt: skip

    def _explained(self, container: Container) -> list[str]:
        if not container.why:
            return []
        return [*self._wrapped(f"   {spelling.shown(container.why)}", ""),
                *self._hint(container.hint)]  # fmt: skip

    def _in_columns(self, seats: tuple[Seat, ...]) -> list[str]:
        """Return containers side by side, down the columns as `ls` does."""
        cells = []
        for seat in seats:
            own = spelling.addresses(seat.interface) if seat.interface else []
            cells.append((seat.container, self._name(seat.container), own[0] if own else ""))
        names = max(spelling.width(name) for _container, name, _own in cells)
        addresses = max(len(own) for _container, _name, own in cells)
        across = max(1, (self._columns - 6) // (2 + names + 1 + addresses + 2))
        down = -(-len(cells) // across)
        lines = []
        for row in range(down):
            parts = [
                f"{self._mark(container)}{spelling.padded(name, names)} {own:<{addresses}}"
                for container, name, own in cells[row::down]
            ]
            lines.append("  ".join(parts).rstrip())
        return lines

    # -- how lines are made --------------------------------------------------------------

    def _hang(self, blocks: list[list[str]], *, spaced: bool = False) -> list[str]:
        """Return blocks as branches of a trunk."""
        found: list[str] = []
        for at, block in enumerate(blocks):
            is_last = at == len(blocks) - 1
            first, rest = (self._last, "   ") if is_last else (self._branch, self._trunk)
            found += [self._trunk.rstrip()] if spaced else []
            found += [first + block[0], *(f"{rest}{line}".rstrip() for line in block[1:])]
        return found

    def _filled(self, cells: list[str]) -> list[str]:
        """Return cells on as few lines as the terminal has room for."""
        lines: list[str] = []
        room = self._columns - 9  # of the trunks
        for cell in cells:
            if lines and _width(lines[-1]) + 2 + _width(cell) <= room:
                lines[-1] += f"  {cell}"
            else:
                lines.append(f"     {cell}" if lines else cell)
        return lines

    def _wrapped(self, text: str, kind: str) -> list[str]:
        indent = len(text) - len(text.lstrip())
        lines = textwrap.wrap(
            text.strip(),
            self._columns - 9 - indent,
            initial_indent=" " * indent,
            subsequent_indent=" " * indent,
        )
        return [self._look.paint(line, kind) if kind else line for line in lines]

    def _hint(self, hint: str) -> list[str]:
        sign = "→" if self._look.unicode else "->"
        text = f"   {sign} {spelling.shown(hint)}"
        return [self._look.paint(text, HINT)] if hint else []

    def _bad(self, text: str) -> str:
        return self._look.paint(text, BAD)

    def _mark(self, container: Container) -> str:
        kind = GOOD if container.state == RUNNING else BAD if is_wrong(container) else HINT
        return self._look.paint(self._sign(container.state), kind) + " "

    def _sign(self, state: str) -> str:
        return _SIGNS[state][0 if self._look.unicode else 1]

    def _name(self, container: Container) -> str:
        name = spelling.shown(container.name, _LONGEST_NAME)
        if self._look.unicode:
            return name
        return name.encode("ascii", "backslashreplace").decode()

    def _traffic(self, received: int, sent: int) -> str:
        signs = ("↓", " ↑") if self._look.unicode else ("in ", ", out ")
        return f"{signs[0]}{spelling.size(received)}{signs[1]}{spelling.size(sent)}"


def _width(text: str) -> int:
    return spelling.width(_PAINT.sub("", text))
