"""How data is printed: tables for people, JSON for programs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from typing import Any

    from ocinet.cli.console import Console
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.endpoint import Endpoint, PortRule

_GAP = "   "
_TABLE = "table "  # what docker's templates begin with
_AGES = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


class Table:
    """Rows under headings.

    Args:
        headings: of the columns.
    """

    def __init__(self, *headings: str) -> None:
        self._headings = headings
        self._rows: list[tuple[str, ...]] = []

    def add(self, *cells: str) -> None:
        """Add a row, one cell for each heading."""
        if len(cells) != len(self._headings):
            raise ValueError(f"{len(cells)} cells for {len(self._headings)} columns")
        self._rows.append(cells)

    def lines(self, *, heading: bool = True) -> list[str]:
        """Return the table, its columns as wide as their widest cell."""
        rows = [self._headings, *self._rows] if heading else self._rows
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return [
            _GAP.join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]


def show(console: Console, arguments: Namespace, value: Any, table: Table) -> None:
    """Print data in the form that the flags of `add_format` ask for.

    Args:
        console: where to.
        arguments: with `format` and `noheading`.
        value: the data as a JSON value.
        table: the same data for people.
    """
    if arguments.format == "json":
        show_json(console, value)
        return
    for line in table.lines(heading=not arguments.noheading):
        console.print(line)


def is_template(form: str) -> bool:
    """Tell whether `--format` has a template, and not a word of ours."""
    return "{{" in form


def show_each(console: Console, form: str, values: Iterable[Any]) -> None:
    """Print each value by a template, on a line of its own; `table …` has a heading.

    Raises:
        RequestError: the template makes no sense, or names what is not there.
    """
    # Here, for nobody else needs it: 10 ms.
    from ocinet.cli.template import compile_template, headings_of

    text = form.removeprefix(_TABLE).lstrip()
    render = compile_template(text)
    rows = [render(value) for value in values]
    if not form.startswith(_TABLE):
        for row in rows:
            console.print(row)
        return
    table = Table(*headings_of(text))
    for row in rows:
        table.add(*row.split("\t"))
    for line in table.lines():
        console.print(line)


def show_json(console: Console, value: Any) -> None:
    """Print a JSON value over several lines."""
    # Here, for tables need none of it: 7 ms.
    import json

    console.print(json.dumps(value, indent=4))


def tell_unreadable(engine: Engine, console: Console) -> None:
    """Say which networks are left out, because their file can't be read."""
    for name, why in engine.networks.unreadable():
        console.say(f"ocinet: the network {name} is left out, for it can't be read: {why}")


def age(time: str, now: datetime | None = None) -> str:
    """Return how long ago an RFC 3339 time was, in its largest unit: `5s`, `3h`.

    A time that makes no sense, as in a damaged file, gives `?`.
    """
    from datetime import UTC, datetime

    try:
        then = datetime.fromisoformat(time)
        seconds = max(0, int(((now or datetime.now(UTC)) - then).total_seconds()))
    except (ValueError, TypeError):
        return "?"
    for length, unit in _AGES:
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return "0s"


def spell_addresses(endpoints: Iterable[Endpoint]) -> list[str]:
    """Return all addresses of endpoints, those of IPv4 first."""
    interfaces = [interface for endpoint in endpoints for interface in endpoint.addresses]
    interfaces.sort(key=lambda interface: interface.address.family)
    return [str(interface.address) for interface in interfaces]


def spell_ports(ports: Iterable[PortRule]) -> str:
    """Return published ports as `docker ps` shows them, runs of ports as one.

    As `0.0.0.0:8080->80/tcp, [::]:9000-9010->9000-9010/tcp`.
    """
    runs: list[list[PortRule]] = []
    for port in sorted(ports, key=_port_order):
        if runs and _follows(runs[-1][-1], port):
            runs[-1].append(port)
        else:
            runs.append([port])
    return ", ".join(_spell_run(run) for run in runs)


def _port_order(port: PortRule) -> tuple[str, int, str, int]:
    return (port.protocol, port.address.family, str(port.host_address or ""), port.host_port)


def _follows(last: PortRule, port: PortRule) -> bool:
    return port == last.replace(host_port=last.host_port + 1, port=last.port + 1)


def _spell_run(run: Sequence[PortRule]) -> str:
    first, last = run[0], run[-1]
    host = str(first.host_address or ("0.0.0.0" if first.address.family == 4 else "::"))  # noqa: S104  # shown, not bound
    shown = f"[{host}]" if ":" in host else host
    if len(run) == 1:
        return f"{shown}:{first.host_port}->{first.port}/{first.protocol}"
    span = f"{first.host_port}-{last.host_port}->{first.port}-{last.port}"
    return f"{shown}:{span}/{first.protocol}"
