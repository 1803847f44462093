"""Parsing one command's arguments: errors as values, and the flags of all kinds of commands."""

from __future__ import annotations

import os
from argparse import ArgumentParser, RawDescriptionHelpFormatter

from ocinet.base.errors import RequestError
from ocinet.base.names import did_you_mean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import _ActionsContainer  # the one name for parsers and groups
    from typing import NoReturn

_NO_TERMINAL = 80  # columns
_UNKNOWN = "unrecognized arguments: "  # what argparse's message begins with


class HelpAsked(Exception):
    """`--help` was among the arguments; carries the text."""


class _Formatter(RawDescriptionHelpFormatter):
    """Help as wide as the terminal.

    argparse makes one for each argument that is declared, and one without a width
    imports `shutil` to look at the terminal, and with it what unpacks archives.
    """

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)

    def _set_color(self, *_wanted: object) -> None:
        """Be plain: Python 3.14 imports dataclasses and inspect to find out about colours."""
        self._theme = _NoColors()
        self._decolor = str


class _NoColors:
    """What argparse puts before each part of a help, by the part's name: nothing."""

    def __getattr__(self, _part: str) -> str:
        return ""


def _columns() -> int:
    """Return the terminal's width, as `shutil.get_terminal_size` does."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(1).columns or _NO_TERMINAL
    except OSError:
        return _NO_TERMINAL


class Parser(ArgumentParser):
    """An argument parser that raises instead of printing: what is wrong, or its help.

    Args:
        words: of the command, as "network create".
        summary: its line in the list of commands.
    """

    def __init__(self, words: str, summary: str) -> None:
        super().__init__(
            prog=f"ocinet {words}",
            description=f"{summary}.",
            formatter_class=_Formatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """Raise what argparse found.

        Raises:
            RequestError: always.
        """
        from ocinet.cli.words import driver_hint, flag_hint  # for who is told no

        hint = driver_hint(message)
        if message.startswith(_UNKNOWN):
            option = message[len(_UNKNOWN) :].partition(" ")[0].partition("=")[0]
            own = self._option_string_actions
            hint = flag_hint(option, own) or did_you_mean(option, own)
        hint = hint or f"see: {self.prog} --help"
        raise RequestError(f"cannot read '{self.prog}'", message, hint)

    def print_help(self, _file: object = None) -> NoReturn:
        """Raise the help's text.

        Raises:
            HelpAsked: always.
        """
        raise HelpAsked(self.format_help())

    def examples(self, *lines: str) -> None:
        """Show examples at the end of the help."""
        self.epilog = "examples:\n" + "\n".join(f"  {line}" for line in lines)


def add_text(
    group: _ActionsContainer, *names: str, metavar: str, says: str, several: bool = False
) -> None:
    """Add a flag that takes a text.

    Args:
        group: a parser, or a group of its.
        names: as "-p", "--publish".
        metavar: what stands for the text in the help.
        says: one sentence with unit and default.
        several: whether it may be repeated; the value is a list then, else
            None means that it was not given.
    """
    if several:
        group.add_argument(
            *names, metavar=metavar, help=f"{says}; may be repeated", action="append", default=[]
        )
    else:
        group.add_argument(*names, metavar=metavar, help=says)


def add_switch(group: _ActionsContainer, *names: str, says: str) -> None:
    """Add a flag that is there or not."""
    group.add_argument(*names, action="store_true", help=says)


class _Forms(tuple[str, ...]):
    """What may stand after `--format`: words, and templates."""

    __slots__ = ()

    def __contains__(self, form: object) -> bool:
        return tuple.__contains__(self, form) or "{{" in str(form)


def add_template(parser: Parser, *names: str, quiet: str = "", table: bool = True) -> None:
    """Add how data is printed, where a template of docker's may say it.

    Args:
        parser: of the command.
        names: other names of the flag, as "-f".
        quiet: as in `add_format`.
        table: as in `add_format`.
    """
    words = _Forms(("table", "json") if table else ("json",))
    says = f"how to print: {', '.join(words)} or a template as docker's, '{{{{.Name}}}}'"
    says = f"{says} (default: {words[0]})".replace("%", "%%")
    parser.add_argument(
        *names, "--format", choices=words, default=words[0], metavar="FORM", help=says
    )
    add_json(parser)
    if table:
        add_switch(parser, "--noheading", says="print the table without its heading")
    if quiet:
        add_switch(parser, "-q", "--quiet", says=f"print {quiet} alone")


def add_json(parser: Parser) -> None:
    """Add `--json`, as other commands of this machine have it."""
    parser.add_argument(
        "--json", dest="format", action="store_const", const="json", help="same as --format json"
    )


def add_format(
    parser: Parser, *, quiet: str = "", table: bool = True, heading: bool = True
) -> None:
    """Add how data is printed.

    Args:
        parser: of the command.
        quiet: what `-q` prints, as "names"; "" means that there is no `-q`.
        table: False where there is nothing but JSON.
        heading: whether the table can be had without its heading.
    """
    choices = ("table", "json") if table else ("json",)
    says = f"how to print: {' or '.join(choices)} (default: {choices[0]})"
    parser.add_argument("--format", choices=choices, default=choices[0], help=says)
    add_json(parser)
    if table and heading:
        add_switch(parser, "--noheading", says="print the table without its heading")
    if quiet:
        add_switch(parser, "-q", "--quiet", says=f"print {quiet} alone")
