"""events: what was done, failed and repaired, as the event log has it, and as it comes."""

from __future__ import annotations

import json

from ocinet.cli.command_tree import Command
from ocinet.cli.event_log import coming
from ocinet.cli.parser import Parser, add_switch, add_template, add_text
from ocinet.cli.printing import is_template, show_json
from ocinet.picture.event_lines import parse, read_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from typing import Any

    from ocinet.cli.console import Console

    Event = dict[str, Any]


def _configure(parser: Parser) -> None:
    says = "show only the last N events (default: all that are kept)"
    parser.add_argument("-n", "--lines", type=int, default=0, metavar="N", help=says)
    says = "go on with what comes, until interrupted or until --until"
    add_switch(parser, "--follow", "--stream", says=says)
    says = "show only those after that time: 10m (ago), 1h30m, RFC 3339, seconds since 1970"
    add_text(parser, "--since", metavar="TIME", says=says)
    add_text(parser, "--until", metavar="TIME", says="show only those before that time, as --since")
    says = "show only those with: container=NAME (or id), event=WORDS, network=NAME, door=DOOR"
    add_text(parser, "-f", "--filter", metavar="KEY=VALUE", says=says, several=True)
    add_template(parser)
    parser.examples(
        "ocinet events --since 10m --filter container=web",
        "ocinet events --follow --format '{{.Time}} {{.Event}}'",
    )


def _events(arguments: Namespace, console: Console) -> None:
    is_wanted = _wanted(arguments)
    tell = _teller(arguments, console)
    if arguments.follow:
        for event in coming(console.paths.run, arguments):
            if is_wanted(event):
                tell(event)
                console.write(flush=True)
        return
    lines = read_lines(console.paths.run)
    if not _is_filtered(arguments) and arguments.lines > 0:
        lines = lines[-arguments.lines :]  # not all of them parsed
    events = [event for event in parse(lines) if is_wanted(event)]
    events = events[-arguments.lines :] if arguments.lines > 0 else events
    if arguments.format == "json":
        show_json(console, events)
        return
    for event in events:
        tell(event)


def _teller(arguments: Namespace, console: Console) -> Callable[[Event], None]:
    """Return what prints one event, in the form that is asked for."""
    if is_template(arguments.format):
        from ocinet.cli.template import Map, compile_template

        render = compile_template(arguments.format)
        return lambda event: console.print(render(Map(event)))
    if arguments.format == "json":  # one on a line, for who reads them as they come
        return lambda event: console.print(json.dumps(event))

    def tell(event: Event) -> None:
        head = (event.pop("time", "?"), event.pop("event", "?"))
        fields = [f"{key}={json.dumps(value)}" for key, value in event.items()]
        console.print("  ".join([*head, *fields]))

    return tell


def _is_filtered(arguments: Namespace) -> bool:
    return bool(arguments.since or arguments.until or arguments.filter)


def _wanted(arguments: Namespace) -> Callable[[Event], bool]:
    """Return what tells whether an event is to be shown.

    Raises:
        RequestError: a filter or a time makes no sense.
    """
    if not _is_filtered(arguments):
        return lambda _event: True
    from ocinet.cli.filters import is_before, read_filters, read_moment

    since = read_moment(arguments.since, "--since") if arguments.since else None
    until = read_moment(arguments.until, "--until") if arguments.until else None
    meets = read_filters(
        arguments.filter,
        {
            "container": _is_of,
            "event": lambda event, text: text in str(event.get("event", "")),
            "network": _is_on,
            "door": lambda event, text: text == event.get("door"),
        },
    )

    def is_wanted(event: Event) -> bool:
        when = str(event.get("time", ""))
        if since and is_before(when, since):
            return False
        return not (until and not is_before(when, until)) and meets(event)

    return is_wanted


def _is_of(event: Event, text: str) -> bool:
    return text == event.get("name") or str(event.get("container", "")).startswith(text)


def _is_on(event: Event, text: str) -> bool:
    return text in (event.get("networks") or ()) or text == event.get("network")


COMMANDS = {"events": Command(_configure, _events)}
