"""exec: run a command in a container's network, with the host's files and tools."""

from __future__ import annotations

import os

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.cli.command_tree import Command
from ocinet.cli.targets import HELP, METAVAR, open_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console
    from ocinet.cli.parser import Parser

_NSENTER = "nsenter"  # of util-linux, which every system has


def _configure(parser: Parser) -> None:
    from argparse import REMAINDER

    parser.add_argument("target", metavar=METAVAR, help=HELP)
    parser.add_argument(
        "command",
        metavar="-- COMMAND",
        nargs=REMAINDER,
        help="the command and its arguments; it sees the host's files",
    )
    parser.examples("ocinet exec web -- ip address", "ocinet exec pid:4711 -- tcpdump -ni eth0")


def _exec(arguments: Namespace, console: Console) -> None:
    command = arguments.command
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        raise RequestError(
            "cannot run anything", "there is no command", "ocinet exec TARGET -- COMMAND"
        )
    with console.engine() as engine:
        sandbox = open_target(engine, arguments.target, console.look_up).sandbox
    with sandbox:
        os.set_inheritable(sandbox.fd, True)  # noqa: FBT003  # it takes no name
        console.write(flush=True)
        try:
            console.execute(
                _NSENTER, [_NSENTER, f"--net=/proc/self/fd/{sandbox.fd}", "--", *command]
            )
        except OSError as error:
            raise SystemFailure(
                f"cannot run {_NSENTER}", error.strerror or str(error), "install util-linux"
            ) from error


COMMANDS = {"exec": Command(_configure, _exec)}
