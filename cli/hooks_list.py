"""hooks ls, runtime ls: where ocinet is registered on this machine, and what is wrong there."""

from __future__ import annotations

from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_format
from ocinet.cli.printing import Table, show
from ocinet.hooks.registration import inventory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console


def _configure(parser: Parser) -> None:
    add_format(parser, quiet="places")


def _hooks(arguments: Namespace, console: Console) -> None:
    _list(arguments, console, (inventory.HOOKS, inventory.DEVICES, inventory.IN_BUNDLE))


def _runtimes(arguments: Namespace, console: Console) -> None:
    _list(arguments, console, (inventory.RUNTIME,))


def known_bundles(console: Console) -> list[str]:
    """Return the bundles of all containers that are on record."""
    with console.engine() as engine:
        records = engine.containers.all()
    members = [record.container.bundle for record in records]
    return [bundle for bundle in members if bundle]


def _list(arguments: Namespace, console: Console, kinds: tuple[str, ...]) -> None:
    from ocinet.engine.records.networks import NetworkStore
    from ocinet.hooks.registration.doors import registered_doors

    networks = NetworkStore(console.paths).names()
    doors = registered_doors(networks, console.environment)
    flaws = {(door.kind, door.place): door.flaws for door in doors}
    table = Table("KIND", "PLACE", "STATE")
    shown = []
    for found in inventory.registrations(known_bundles(console)):
        if found.kind in kinds:
            wrong = [flaw.what for flaw in flaws.get((found.kind, found.place), ())]
            table.add(found.kind, found.place, wrong[0] if wrong else "ok")
            shown.append({"kind": found.kind, "place": found.place, "flaws": wrong})
    if arguments.quiet:
        for each in shown:
            console.print(str(each["place"]))
        return
    show(console, arguments, shown, table)


COMMANDS = {
    "hooks ls": Command(_configure, _hooks),
    "runtime ls": Command(_configure, _runtimes),
}
