"""links install, uninstall: files that keep what configures links off ocinet's."""

from __future__ import annotations

from ocinet.cli.command_tree import Command
from ocinet.cli.registration import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console
    from ocinet.cli.parser import Parser


def _configure_install(parser: Parser) -> None:
    parser.examples("ocinet links install && networkctl reload")


def _configure_uninstall(parser: Parser) -> None:
    parser.examples("ocinet links uninstall")


def _install(_arguments: Namespace, console: Console) -> None:
    from ocinet.hooks.registration import link_managers

    done = link_managers.install()
    report(done, console)
    if done.changed:
        _tell_of_reload(console)


def _uninstall(_arguments: Namespace, console: Console) -> None:
    from ocinet.hooks.registration import link_managers

    done = link_managers.uninstall()
    report(done, console)
    if done.changed:
        _tell_of_reload(console)


def _tell_of_reload(console: Console) -> None:
    from ocinet.hooks.registration.link_managers import running

    for manager in running():
        console.say(f"to make {manager.name} take it: {manager.reload}")


COMMANDS = {
    "links install": Command(_configure_install, _install),
    "links uninstall": Command(_configure_uninstall, _uninstall),
}
