"""check: compare what is recorded with what is there, and repair it if asked."""

from __future__ import annotations

from ocinet.cli.command_tree import Command
from ocinet.cli.findings import show_findings
from ocinet.cli.parser import Parser, add_format, add_switch
from ocinet.cli.targets import HELP, METAVAR, find_record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console


def _configure(parser: Parser) -> None:
    says = f"{HELP}; none: every container"
    parser.add_argument("targets", metavar=METAVAR, nargs="*", help=says)
    add_switch(parser, "--repair", says="put right what is found")
    add_format(parser)
    parser.examples("ocinet check || ocinet check --repair", "ocinet check --format json web")


def _check(arguments: Namespace, console: Console) -> int:
    what = "comparing records with the kernel" + (", repairing" if arguments.repair else "")
    with console.progress(what), console.engine() as engine:
        targets = [
            find_record(engine, text, console.look_up).container.id for text in arguments.targets
        ]
        findings = engine.check(*targets, repair=arguments.repair)
        findings += engine.shadowed(*targets)
    return show_findings(findings, arguments, console)


COMMANDS = {"check": Command(_configure, _check)}
