"""gc: remove what nobody holds any more, and put right what others changed."""

from __future__ import annotations

from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_format, add_switch
from ocinet.cli.printing import Table, show
from ocinet.engine.gc import Leftover

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console
    from ocinet.engine.check import Finding


def _configure(parser: Parser) -> None:
    add_switch(parser, "-n", "--dry-run", says="show what would be removed, and remove nothing")
    add_format(parser)


def _gc(arguments: Namespace, console: Console) -> int:
    with console.progress("looking for what nobody holds any more"), console.engine() as engine:
        leftovers = engine.gc(dry_run=arguments.dry_run)
        # What it meets of those who live is put right as well, or at least named.
        leftovers += tuple(map(_as_leftover, engine.check(repair=not arguments.dry_run)))
    table = Table("KIND", "NAME", "WHY", "REMOVED")
    for leftover in leftovers:
        would_be = arguments.dry_run and leftover.kind != "network"  # that, a person has to mend
        removed = "would be" if would_be else "yes" if leftover.removed else "no"
        table.add(leftover.kind, leftover.name, leftover.why, removed)
    shown = [
        {
            "kind": leftover.kind,
            "name": leftover.name,
            "why": leftover.why,
            "removed": leftover.removed,
        }
        for leftover in leftovers
    ]
    if leftovers or arguments.format == "json":
        show(console, arguments, shown, table)
    return 0 if arguments.dry_run or all(leftover.removed for leftover in leftovers) else 1


def _as_leftover(finding: Finding) -> Leftover:
    """Return damage as one more thing that is there and ought not to be."""
    why = f"{finding.what}; not repaired: {finding.why_not}" if finding.why_not else finding.what
    return Leftover("damage", finding.container or "-", why, finding.repaired)


COMMANDS = {"gc": Command(_configure, _gc)}
