"""Parsing one command's arguments: errors as values, and flags that many share."""

from __future__ import annotations

import os
from argparse import ArgumentParser, RawDescriptionHelpFormatter

from ocinet.base.errors import RequestError
from ocinet.base.names import did_you_mean
from ocinet.request.annotations import NAME, NET, PREFIX, PUBLISH, parse_annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace, _ActionsContainer  # the one name for parsers and groups
    from typing import NoReturn

    from ocinet.engine.model.request import Request

PORT = "[[ADDR:][PORT]:]PORT[/PROTO]"
_FLAGS = {
    PREFIX + "ip6": "--ip6",
    PREFIX + "ip": "--ip",
    PREFIX + "mac": "--mac-address",
    PREFIX + "ifname": "--ifname",
    PREFIX + "mtu": "--mtu",
    PREFIX + "gateway": "--gateway",
    PREFIX + "routes": "--route",
    PUBLISH: "--publish",
    NAME: "--name",
    NET: "--net",
}


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


def _columns() -> int:
    """Return the terminal's width, as `shutil.get_terminal_size` does."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
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
        hint = f"see: {self.prog} --help"
        if message.startswith(_UNKNOWN):
            option = message[len(_UNKNOWN) :].partition(" ")[0].partition("=")[0]
            hint = did_you_mean(option, self._option_string_actions) or hint
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


def add_format(parser: Parser, *, quiet: str = "", table: bool = True) -> None:
    """Add how data is printed.

    Args:
        parser: of the command.
        quiet: what `-q` prints, as "names"; "" means that there is no `-q`.
        table: False where there is nothing but JSON.
    """
    choices = ("table", "json") if table else ("json",)
    says = f"how to print: {' or '.join(choices)} (default: {choices[0]})"
    parser.add_argument("--format", choices=choices, default=choices[0], help=says)
    parser.add_argument(
        "--json", dest="format", action="store_const", const="json", help="same as --format json"
    )
    if table:
        add_switch(parser, "--noheading", says="print the table without its heading")
    if quiet:
        add_switch(parser, "-q", "--quiet", says=f"print {quiet} alone")


def add_request(parser: Parser) -> None:
    """Add what a container may ask for, spelled as docker and podman spell it."""
    group = parser.add_argument_group("what the container gets")
    network = "NETWORK[:OPT=VALUE,…]"
    options = "network, with options ip, ip6, mac, ifname, mtu, gateway, routes (default: bridge)"
    add_text(group, "--net", "--network", metavar=network, says=options, several=True)
    for family, flag in ((4, "--ip"), (6, "--ip6")):
        says = f"static IPv{family} address on the first network (default: a free one)"
        add_text(group, flag, metavar="ADDRESS", says=says, several=True)
    says = "MAC of the first interface (default: derived from its address)"
    add_text(group, "--mac-address", metavar="MAC", says=says)
    says = "name of the first interface in the container (default: eth0)"
    add_text(group, "--ifname", metavar="NAME", says=says)
    says = "MTU of the first interface in bytes (default: the bridge's)"
    add_text(group, "--mtu", metavar="BYTES", says=says)
    says = "default gateway (default: the first network's)"
    add_text(group, "--gateway", metavar="ADDRESS", says=says)
    says = "one more route through the first interface"
    add_text(group, "--route", metavar="SUBNET[ via ADDRESS]", says=says, several=True)
    says = "publish a container port on the host (default: on every address, on a free port)"
    add_text(group, "-p", "--publish", metavar=PORT, says=says, several=True)
    says = "the container's name (default: its id's first 12 characters)"
    add_text(group, "--name", metavar="NAME", says=says)


def asked(arguments: Namespace) -> dict[str, str]:
    """Return what the flags of `add_request` ask for, as annotations would."""
    single = {
        "mac": arguments.mac_address,
        "ifname": arguments.ifname,
        "mtu": arguments.mtu,
        "gateway": arguments.gateway,
    }
    several = {"ip": arguments.ip, "ip6": arguments.ip6, "routes": arguments.route}
    given = {PREFIX + key: value for key, value in single.items() if value is not None}
    given |= {PREFIX + key: ",".join(values) for key, values in several.items() if values}
    if arguments.net:
        given[NET] = ";".join(arguments.net)
    if arguments.publish:
        given[PUBLISH] = ",".join(arguments.publish)
    if arguments.name is not None:
        given[NAME] = arguments.name
    return given


def read_request(given: dict[str, str]) -> Request:
    """Read annotations that were made from flags; none of them means `bridge`.

    Raises:
        RequestError: as `parse_annotations`, but naming the flag.
    """
    try:
        request = parse_annotations({NET: "bridge", **given})
    except RequestError as error:
        raise in_flags(error) from error
    assert request is not None  # noqa: S101  # there is always a network
    return request


def in_flags(error: RequestError) -> RequestError:
    """Return the error with flags in the place of annotations' keys."""
    what = error.what
    for key, flag in _FLAGS.items():
        if what == key or what.startswith(f"{key}:"):
            what = flag + what[len(key) :]
    return type(error)(what, error.why, error.hint)
