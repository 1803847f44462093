"""doctor: what stops containers from being reached or from getting out, and what helps."""

from __future__ import annotations

import os

from ocinet.base.errors import OcinetError
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_format
from ocinet.cli.printing import show_json
from ocinet.engine.doctor import Diagnosis, Doctor
from ocinet.picture.failures import read_failures

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from ocinet.cli.console import Console
    from ocinet.engine.engine import Engine

_REGISTER = "ocinet hooks install --podman, ocinet runtime install --docker, or ocinet watch"


def _configure(parser: Parser) -> None:
    add_format(parser, heading=False)
    parser.examples("ocinet doctor", "ocinet doctor --format json")


def _doctor(arguments: Namespace, console: Console) -> int:
    with console.progress("sending probes through each network"), console.engine() as engine:
        networks = engine.networks.names()
        found = [*_doors(networks, console), *Doctor(engine, console.paths).examine()]
        found += _cluster(engine, console)
    for failure in read_failures(console.paths.run).values():
        found.append(Diagnosis(failure.name or failure.container, failure.error))
    if arguments.format == "json":
        shown = [
            {"place": each.place, "what": each.what, "remedy": each.remedy or None}
            for each in found
        ]
        show_json(console, shown)
    else:
        for each in found:
            hint = f" (hint: {each.remedy})" if each.remedy else ""
            console.print(f"{each.place}: {each.what}{hint}")
        if not found:
            console.print("nothing stops containers from being reached or from getting out")
    return 1 if found else 0


def _doors(networks: tuple[str, ...], console: Console) -> Iterator[Diagnosis]:
    """Look at registrations and the watcher."""
    from ocinet.hooks.registration.doors import registered_doors
    from ocinet.watcher.bulletin import LISTENING, read_news

    doors = registered_doors(networks, console.environment)
    for door in doors:
        for flaw in door.flaws:
            yield Diagnosis("host", f"{door.kind} in {door.place}: {flaw.what}", flaw.hint)
    try:
        news = read_news(console.paths.run)
    except OcinetError as error:
        yield Diagnosis("host", str(error.within("the watcher")), error.hint)
        return
    if news and not news.is_alive:
        yield Diagnosis("host", f"the watcher, process {news.pid}, has ended", "ocinet watch")
    elif news:
        for engine in news.engines.values():
            if engine.state != LISTENING and os.path.exists(engine.socket):
                what = f"the watcher does not hear {engine.socket}: {engine.state} {engine.error}"
                yield Diagnosis("host", what.strip(), "systemctl restart ocinet-watcher")
    elif not doors:
        what = "no container is wired by itself: nothing is registered, and nobody watches"
        yield Diagnosis("host", what, _REGISTER)


def _cluster(engine: Engine, console: Console) -> Iterator[Diagnosis]:
    """Look at the cluster that this host is in, if it is in one."""
    if not os.path.isdir(f"{console.paths.state}/cluster"):
        return
    from ocinet.cluster.examined import examine  # a single host loads nothing of it

    try:
        for found in examine(engine, console.paths):
            yield Diagnosis(found.place, found.what, found.remedy)
    except OcinetError as error:
        yield Diagnosis("cluster", str(error), error.hint)


COMMANDS = {"doctor": Command(_configure, _doctor)}
