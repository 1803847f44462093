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

_REF = "ref: "
_SHORT = 10  # digits of a commit


def _configure(parser: Parser) -> None:
    add_format(parser)


def _version(arguments: Namespace, console: Console) -> None:
    from platform import python_version

    from ocinet.base.version import own_version

    own = own_version()
    build = built_from(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    if arguments.format == "json":
        machine = {"python": python_version(), "kernel": os.uname().release}
        show_json(console, {"version": own, "build": build or None, **machine})
    else:
        console.print(f"ocinet {own} ({build})" if build else f"ocinet {own}")


def built_from(site: str) -> str:
    """Return what tells this build from others of its version, or "".

    Args:
        site: the directory that `ocinet` is imported from. An installed one has VERSION
            there, by its content; one that is linked to a working tree, that tree's commit.
    """
    installed = _first_line(f"{site}/VERSION")
    if installed:
        return f"build {installed.rpartition('-')[2]}"
    tree = os.path.dirname(os.path.realpath(f"{site}/ocinet/cli"))
    place = _first_line(f"{tree}/.git").removeprefix("gitdir: ") or f"{tree}/.git"
    head = _first_line(f"{place}/HEAD")
    if not head.startswith(_REF):
        return f"commit {head[:_SHORT]}" if head else ""
    ref = head.removeprefix(_REF)
    shared = os.path.join(place, _first_line(f"{place}/commondir"))  # of a linked work tree
    commit = _first_line(f"{shared}/{ref}") or _packed(f"{shared}/packed-refs", ref)
    return f"commit {commit[:_SHORT]}" if commit else ""


def _first_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _packed(path: str, ref: str) -> str:
    """Return the commit of a branch that git keeps among many in one file."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.split() for line in file]
    except (OSError, UnicodeDecodeError):
        return ""
    return next((words[0] for words in lines if words[1:] == [ref]), "")


COMMANDS = {"version": Command(_configure, _version)}
