"""gc, events, version."""

from __future__ import annotations

import json
import os

from ocinet.base.errors import SystemFailure
from ocinet.base.events import NAME as EVENTS
from ocinet.cli.commands import Command
from ocinet.cli.output import Table, show, show_json
from ocinet.cli.parser import Parser, add_format, add_switch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console


def _configure_gc(parser: Parser) -> None:
    add_switch(parser, "-n", "--dry-run", says="show what would be removed, and remove nothing")
    add_format(parser)


def _gc(arguments: Namespace, console: Console) -> int:
    with console.engine() as engine:
        findings = engine.gc(dry_run=arguments.dry_run)
    table = Table("KIND", "NAME", "WHY", "REMOVED")
    for one in findings:
        would_be = arguments.dry_run and one.kind != "network"  # that, a person has to mend
        removed = "would be" if would_be else "yes" if one.removed else "no"
        table.add(one.kind, one.name, one.why, removed)
    shown = [
        {"kind": one.kind, "name": one.name, "why": one.why, "removed": one.removed}
        for one in findings
    ]
    if findings or arguments.format == "json":
        show(console, arguments, shown, table)
    return 0 if arguments.dry_run or all(one.removed for one in findings) else 1


def _configure_events(parser: Parser) -> None:
    says = "show only the last N events (default: all that are kept)"
    parser.add_argument("-n", "--lines", type=int, default=0, metavar="N", help=says)
    add_format(parser)


def _events(arguments: Namespace, console: Console) -> None:
    lines: list[str] = []
    for name in (f"{EVENTS}.1", EVENTS):
        path = f"{console.paths.run}/{name}"
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines += file.read().splitlines()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SystemFailure(f"cannot read {path}", error.strerror or str(error)) from error
    events = []
    for line in lines[-arguments.lines :] if arguments.lines > 0 else lines:
        try:
            events.append(json.loads(line))
        except ValueError:
            continue  # a line that a full disk cut
    if arguments.format == "json":
        show_json(console, events)
        return
    for event in events:
        head = (event.pop("time", "?"), event.pop("event", "?"))
        fields = [f"{key}={json.dumps(value)}" for key, value in event.items()]
        console.print("  ".join([*head, *fields]))


def _configure_version(parser: Parser) -> None:
    add_format(parser)


def _version(arguments: Namespace, console: Console) -> None:
    from importlib.metadata import PackageNotFoundError, version
    from platform import python_version

    try:
        own = version("ocinet")
    except PackageNotFoundError:
        own = "unknown"  # run from its sources
    if arguments.format == "json":
        show_json(
            console, {"version": own, "python": python_version(), "kernel": os.uname().release}
        )
    else:
        console.print(f"ocinet {own}")


COMMANDS = {
    "gc": Command(_configure_gc, _gc),
    "events": Command(_configure_events, _events),
    "version": Command(_configure_version, _version),
}
