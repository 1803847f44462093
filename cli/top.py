"""top: what passes containers' interfaces each second, as it changes."""

from __future__ import annotations

from ocinet.base.errors import NotFoundError, RequestError
from ocinet.base.names import did_you_mean
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_format, add_switch
from ocinet.cli.printing import Table, show_json
from ocinet.picture.rates import COUNTED, Look, Rates, rates_of
from ocinet.picture.spelling import shown, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator
    from typing import Any

    from ocinet.cli.console import Console
    from ocinet.picture.values import Container

    Row = tuple[Container, Rates]

_SHORTEST_S, _LONGEST_S = 0.1, 3600.0
_ORDERS: dict[str, tuple[str, ...]] = {
    "traffic": ("rx_bytes", "tx_bytes"),
    "rx": ("rx_bytes",),
    "tx": ("tx_bytes",),
    "packets": ("rx_packets", "tx_packets"),
    "drops": ("dropped",),
    "name": (),
}
_HEADINGS = ("CONTAINER", "NETWORKS", "RX/S", "TX/S", "RX PKT/S", "TX PKT/S", "DROP/S",
             "RX", "TX", "DROPPED")  # fmt: skip
_LONGEST = 48  # characters of a name
_LIMITS = ("RX MAX/S", "TX MAX/S")  # where anybody has one
_UNKNOWN, _UNLIMITED = "--", "-"
_HOME, _LINE_END, _REST = "\033[H", "\033[K", "\033[J"  # ECMA-48: CUP, EL, ED
_CLEAR = "\033[2J"


def _configure(parser: Parser) -> None:
    says = "a container's name, its id or the start of that; none: every container"
    parser.add_argument("targets", metavar="CONTAINER", nargs="*", help=says)
    says = "how often to look (default: until interrupted)"
    parser.add_argument("-n", "--count", type=int, metavar="N", help=says)
    says = "seconds between looks, from 0.1 to 3600 (default: 1)"
    parser.add_argument("--interval", type=float, default=1.0, metavar="SECONDS", help=says)
    says = f"what comes first: {', '.join(_ORDERS)} (default: traffic)"
    parser.add_argument("--sort", choices=_ORDERS, default="traffic", metavar="BY", help=says)
    add_switch(parser, "--no-stream", says="look once, as -n 1")
    add_format(parser)
    parser.examples("ocinet top", "ocinet top --no-stream --sort drops", "ocinet top -n 5 web db")


def _top(arguments: Namespace, console: Console) -> None:
    count = 1 if arguments.no_stream else arguments.count
    if count is not None and count < 1:
        raise RequestError("", f"-n {count} makes no sense", "1 or more")
    if not _SHORTEST_S <= arguments.interval <= _LONGEST_S:
        why = f"an interval of {arguments.interval:g} s makes no sense"
        raise RequestError("", why, "from 0.1 to 3600 seconds")
    show = _shower(arguments, console, streams=count != 1)
    for number, rows in enumerate(_turns(arguments, console), 1):
        show(rows)
        if number == count:
            return


def _turns(arguments: Namespace, console: Console) -> Iterator[list[Row]]:
    """Yield the containers with their rates, at each interval; the first after one.

    Raises:
        NotFoundError: at the first look, nobody is called so. Who comes or goes later, may.
        OcinetError: the kernel would not say, or something can't be read.
    """
    from time import monotonic, sleep

    from ocinet.picture.observe import take  # what it takes is loaded by then

    def look() -> tuple[tuple[Container, ...], Look]:
        with console.engine() as engine:
            at_s = monotonic()
            containers = take(engine, console.paths.run).containers
        return containers, Look.at(at_s, containers)

    containers, before = look()
    for target in arguments.targets:
        if not any(_is_meant(container, target) for container in containers):
            names = [container.name for container in containers]
            hint = did_you_mean(target, names) or "see: ocinet ps"
            raise NotFoundError("", f"no container {target} is known", hint)
    while True:
        # By the clock, and not after each look: a look takes time, too.
        sleep(max(0.0, before.at_s + arguments.interval - monotonic()))
        containers, now = look()
        rows = [
            (container, rates_of(container, before, now))
            for container in containers
            if container.interfaces and _is_wanted(container, arguments.targets)
        ]
        yield sorted(rows, key=_order(arguments.sort))
        before = now


def _is_wanted(container: Container, targets: list[str]) -> bool:
    return not targets or any(_is_meant(container, target) for target in targets)


def _is_meant(container: Container, target: str) -> bool:
    return target == container.name or (bool(target) and container.id.startswith(target))


def _order(by: str) -> Callable[[Row], tuple[float, str, str]]:
    """Return what rows are sorted by: the most first, and by name who has the same."""

    def key(row: Row) -> tuple[float, str, str]:
        container, rates = row
        most = sum((rates.per_s or {}).get(word, -1.0) for word in _ORDERS[by])
        return -most, container.name, container.id

    return key


def _shower(
    arguments: Namespace, console: Console, *, streams: bool
) -> Callable[[list[Row]], None]:
    """Return what prints one turn, in the form that is asked for."""
    if arguments.format == "json":
        if not streams:
            return lambda rows: show_json(console, [_encode(row) for row in rows])
        from json import dumps

        def print_line(rows: list[Row]) -> None:  # for who reads them as they come
            console.print(dumps([_encode(row) for row in rows]))
            console.write(flush=True)

        return print_line
    is_redrawn = streams and console.stdout.isatty() and console.environment.get("TERM") != "dumb"
    is_first = True

    def print_table(rows: list[Row]) -> None:
        nonlocal is_first
        lines = _table(rows).lines(heading=not arguments.noheading)
        if is_redrawn:
            text = _screen(lines)
            console.write((_CLEAR if is_first else "") + text, flush=True)
        else:
            between = "" if is_first else "\n"  # turns are told from one another
            console.write(between + "".join(f"{line}\n" for line in lines), flush=True)
        is_first = False

    return print_table


def _screen(lines: list[str]) -> str:
    """Return lines over those that a terminal shows, without a moment of darkness."""
    from os import get_terminal_size

    try:
        screen = get_terminal_size(1)
        columns, rows = screen.columns or 80, screen.lines or 24
    except OSError:
        columns, rows = 80, 24
    room = max(2, rows - 1)
    if len(lines) > room:
        lines = [*lines[: room - 1], f"and {len(lines) - room + 1} more"]
    text = "".join(f"{line[:columns]}{_LINE_END}\n" for line in lines)
    return f"{_HOME}{text}{_REST}"


def _table(rows: list[Row]) -> Table:
    has_limits = any(_most(container) for container, _rates in rows)
    table = Table(*_HEADINGS, *(_LIMITS if has_limits else ()))
    for container, rates in rows:
        networks = dict.fromkeys(interface.network for interface in container.interfaces)
        per_s, total = rates.per_s, rates.total
        told = (
            [size(round(per_s["rx_bytes"])), size(round(per_s["tx_bytes"])),
             *(_spell_rate(per_s[word]) for word in ("rx_packets", "tx_packets", "dropped"))]
            if per_s else [_UNKNOWN] * len(COUNTED)
        )  # fmt: skip
        table.add(
            shown(container.name, _LONGEST), ",".join(networks), *told,
            size(total.rx_bytes), size(total.tx_bytes), str(total.dropped),
            *(_spell_limits(container) if has_limits else ()),
        )  # fmt: skip
    return table


def _most(container: Container) -> dict[str, int] | None:
    """Return how many bytes per second a container may receive and send, as its limits say.

    Of each direction 0 if an interface has no limit; None if none has any.
    """
    ends = container.interfaces
    found = {
        "rx_bytes": [end.most_in for end in ends],
        "tx_bytes": [end.most_out for end in ends],
    }
    if not any(map(any, found.values())):
        return None
    return {key: sum(rates) // 8 if all(rates) else 0 for key, rates in found.items()}


def _spell_limits(container: Container) -> list[str]:
    limits = _most(container) or dict.fromkeys(_LIMITS, 0)
    return [size(limit) if limit else _UNLIMITED for limit in limits.values()]


def _spell_rate(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"


def _encode(row: Row) -> dict[str, Any]:
    container, rates = row
    total = rates.total
    return {
        "id": container.id,
        "name": container.name,
        "state": container.state,
        "networks": list(dict.fromkeys(each.network for each in container.interfaces)),
        "per_second": rates.per_s and {key: round(rate, 3) for key, rate in rates.per_s.items()},
        "total": {key: getattr(total, key) for key in COUNTED},
        "most_per_second": _most(container),
    }


COMMANDS = {"top": Command(_configure, _top)}
