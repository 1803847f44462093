"""firewalld install, uninstall: a zone of firewalld's for ocinet's bridges."""

from __future__ import annotations

from ocinet.cli.command_tree import Command
from ocinet.cli.registration import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console
    from ocinet.cli.parser import Parser
    from ocinet.hooks.registration.foreign_files import Installed


def _configure_install(parser: Parser) -> None:
    parser.examples("ocinet firewalld install && firewall-cmd --reload")


def _configure_uninstall(parser: Parser) -> None:
    parser.examples("ocinet firewalld uninstall && firewall-cmd --reload")


def _install(_arguments: Namespace, console: Console) -> None:
    from ocinet.hooks.registration import firewalld

    _tell(firewalld.install(), console)


def _uninstall(_arguments: Namespace, console: Console) -> None:
    from ocinet.hooks.registration import firewalld

    _tell(firewalld.uninstall(), console)


def _tell(done: Installed, console: Console) -> None:
    from ocinet.hooks.registration.firewalld import RELOAD, runs

    report(done, console)
    if done.changed and runs():
        console.say(f"to make firewalld take it: {RELOAD}")


COMMANDS = {
    "firewalld install": Command(_configure_install, _install),
    "firewalld uninstall": Command(_configure_uninstall, _uninstall),
}
