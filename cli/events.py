"""events: what was done, failed and repaired, as the event log has it."""

from __future__ import annotations

import json

from ocinet.base.errors import SystemFailure
from ocinet.base.events import NAME
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_format
from ocinet.cli.printing import show_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ocinet.cli.console import Console


def _configure(parser: Parser) -> None:
    says = "show only the last N events (default: all that are kept)"
    parser.add_argument("-n", "--lines", type=int, default=0, metavar="N", help=says)
    add_format(parser)


def _events(arguments: Namespace, console: Console) -> None:
    lines = _read_lines(console.paths.run)
    events = _parse(lines[-arguments.lines :] if arguments.lines > 0 else lines)
    if arguments.format == "json":
        show_json(console, events)
        return
    for event in events:
        head = (event.pop("time", "?"), event.pop("event", "?"))
        fields = [f"{key}={json.dumps(value)}" for key, value in event.items()]
        console.print("  ".join([*head, *fields]))


def _read_lines(directory: str) -> list[str]:
    """Return the lines of the event log, those of the file that it was renamed to first.

    Raises:
        SystemFailure: it is there and can't be read.
    """
    lines: list[str] = []
    for name in (f"{NAME}.1", NAME):
        path = f"{directory}/{name}"
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines += file.read().splitlines()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SystemFailure(f"cannot read {path}", error.strerror or str(error)) from error
    return lines


def _parse(lines: list[str]) -> list[dict[str, Any]]:
    events = []
    for line in lines:
        try:
            events.append(json.loads(line))
        except ValueError:
            continue  # a line that a full disk cut
    return events


COMMANDS = {"events": Command(_configure, _events)}
