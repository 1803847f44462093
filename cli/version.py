"""version: of ocinet, and of what it runs on."""

from __future__ import annotations

import os

from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_format
from ocinet.cli.printing import show_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console


def _configure(parser: Parser) -> None:
    add_format(parser)


def _version(arguments: Namespace, console: Console) -> None:
    from importlib.metadata import PackageNotFoundError, version
    from platform import python_version

    try:
        own = version("ocinet")
    except PackageNotFoundError:
        own = "unknown"  # run from its sources
    if arguments.format == "json":
        show_json(
            console, {"version": own, "python": python_version(), "kernel": os.uname().release}
        )
    else:
        console.print(f"ocinet {own}")


COMMANDS = {"version": Command(_configure, _version)}
