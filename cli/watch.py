"""watch: be the watcher."""

from __future__ import annotations

from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_text
from ocinet.watcher.logs import FORMATS, LEVELS, make_log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console


def _configure(parser: Parser) -> None:
    says = "an engine's socket (default: the settings' engines, and DOCKER_HOST for Docker's)"
    add_text(parser, "--engine", metavar="SOCKET", says=says, several=True)
    says = f"the least that is logged: {', '.join(LEVELS)} (default: info)"
    parser.add_argument("--log-level", choices=LEVELS, default="info", metavar="LEVEL", help=says)
    says = "how it is logged: auto (console on a terminal, else json), console, json"
    parser.add_argument("--log-format", choices=FORMATS, default="auto", metavar="FORM", help=says)
    parser.examples(
        "ocinet watch",
        "ocinet watch --engine /run/docker.sock --log-level debug",
    )


def _run(arguments: Namespace, console: Console) -> None:
    from ocinet.engine.records.settings import socket_path
    from ocinet.watcher.service import Service

    sockets = tuple(socket_path(text) for text in arguments.engine)
    log = make_log(arguments.log_level, arguments.log_format, environment=console.environment)
    Service(console.paths, log, sockets, console.environment).run()


COMMANDS = {"watch": Command(_configure, _run)}
