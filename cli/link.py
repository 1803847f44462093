"""link add, rm, ls, inspect, and plan link: two containers linked, with no bridge between them."""

from __future__ import annotations

from contextlib import contextmanager

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.errors import NotFoundError, OcinetError, RequestError, failures
from ocinet.cli.attach import show_plan
from ocinet.cli.command_tree import Command
from ocinet.cli.engine_names import choose, split_engine
from ocinet.cli.parser import Parser, add_format, add_switch, add_template, add_text
from ocinet.cli.printing import Table, is_template, show, show_each, show_json
from ocinet.cli.targets import find_record
from ocinet.engine.plan.new_cable import CableOptions
from ocinet.engine.records.cables import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator
    from typing import Any, TypeVar

    from ocinet.cli.console import Console
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.cable import Cable
    from ocinet.engine.plugging import CableState

    T = TypeVar("T")

_END = "a container's name or id; one that does not run yet is waited for"


def _configure_plan(parser: Parser) -> None:
    _configure_ends(parser)
    add_format(parser)
    parser.examples(
        "ocinet plan link web db",
        "ocinet plan link web db --ip web=10.7.0.1/30 --ip db=10.7.0.2/30 | sh -e",
    )


def _plan(arguments: Namespace, console: Console) -> None:
    with _linking(arguments), console.engine() as engine:
        steps = engine.cables.plan(_options(engine, arguments, console))
    show_plan(arguments, console, steps, "ocinet plan link …")


def _configure_ends(parser: Parser) -> None:
    parser.add_argument("near", metavar="A", help=_END)
    parser.add_argument("far", metavar="B", help=_END)
    says = "subnet of the two, IPv4 or IPv6 (default: a free /31)"
    add_text(parser, "--subnet", metavar="SUBNET", says=says, several=True)
    says = "address of an end, as web=10.7.0.1/30 (default: the subnet's first and second)"
    add_text(parser, "--ip", metavar="CONTAINER=ADDRESS", says=says, several=True)
    add_switch(parser, "--ipv6", says="add an IPv6 subnet, a free /127, where none is given")
    says = "name of the interface in both, or in one as web=wire0 (default: link0, link1 and so on)"
    add_text(parser, "--ifname", metavar="[CONTAINER=]NAME", says=says, several=True)
    says = "what a container reaches through the link, as web=10.5.0.0/16 or web=default"
    add_text(parser, "--route", metavar="CONTAINER=SUBNET", says=says, several=True)
    add_text(parser, "--mtu", metavar="BYTES", says="MTU in bytes (default: 1500)")
    add_text(parser, "--name", metavar="NAME", says="name of the link (default: A-B)")


def _configure_add(parser: Parser) -> None:
    _configure_ends(parser)
    says = "print what would be done, as `ocinet plan link` does, and change nothing"
    add_switch(parser, "--dry-run", says=says)
    parser.examples(
        "ocinet link add web db",
        "ocinet link add web db --subnet 10.7.0.0/30 --ifname wire0",
        "ocinet link add web db --ip web=10.7.0.1/30 --ip db=10.7.0.2/30 --route web=10.5.0.0/16",
        "ocinet link add web db --dry-run",
    )


def _add(arguments: Namespace, console: Console) -> None:
    if arguments.dry_run:
        arguments.format = "table"
        _plan(arguments, console)
        return
    with _linking(arguments), console.engine() as engine:
        cables = engine.cables
        cable, state = cables.add(_options(engine, arguments, console))
        for warning in cables.warnings:
            console.say(f"ocinet: {warning}")
    if state.waits:
        console.say(f"ocinet: the link {cable.name} waits: {state.waits}")
    console.print(cable.name)


@contextmanager
def _linking(arguments: Namespace) -> Iterator[None]:
    """Say of an error which two were to be linked."""
    try:
        yield
    except OcinetError as error:
        raise error.within(f"cannot link {arguments.near} and {arguments.far}") from error


def _options(engine: Engine, arguments: Namespace, console: Console) -> CableOptions:
    said = (arguments.near, arguments.far)
    known = [_resolve(engine, text, console) for text in said]
    return _read_options(arguments, said, (known[0], known[1]))


def _resolve(engine: Engine, text: str, console: Console) -> str:
    """Return by what a container is known when it comes again: its name, or else its whole id.

    Raises:
        RequestError: it is no name, or several have it, or it has no sandbox of its own.
    """
    try:
        record = find_record(engine, text, console.look_up)
    except NotFoundError:
        return _resolve_unknown(text, console)
    container = record.container
    if record.member_of:
        owner = engine.containers.get(record.member_of)
        name = owner.container.name if owner else record.member_of
        raise RequestError("", f"{container.name} shares the sandbox of {name}",
                           f"link {name}: what it has, {container.name} has")  # fmt: skip
    return container.name if split_engine(text)[1] == container.name else container.id


def _resolve_unknown(text: str, console: Console) -> str:
    """Return the same of a container that nothing of ours is known of yet."""
    from ocinet.base.names import check_container

    try:
        found = choose(text, console.look_up)
    except RequestError:
        raise
    except OcinetError:  # an engine that does not answer may have it: it is waited for
        found = None
    if found is None:
        return check_container(split_engine(text)[1], "container")
    # The watcher learns names of Docker; of others a hook is told no more than the id.
    container = found.container
    return container.name if found.engine == "docker" else container.id


def _read_options(
    arguments: Namespace, said: tuple[str, str], known: tuple[str, str]
) -> CableOptions:
    """Turn flags into wishes.

    Raises:
        RequestError: one is malformed; names the flag.
    """

    def number_of(flag: str, text: str) -> tuple[int, str]:
        end, equals, value = text.partition("=")
        if not (equals and value and end in (*said, *known)):
            raise RequestError(flag, f"{text!r} is of neither of the two",
                               f"write {flag} {said[0]}=…")  # fmt: skip
        return (said.index(end) if end in said else known.index(end)), value

    ifnames = ["", ""]
    for text in arguments.ifname:
        if "=" not in text:
            ifnames = [text, text]
        else:
            number, ifnames_value = number_of("--ifname", text)
            ifnames[number] = ifnames_value
    addresses = [number_of("--ip", text) for text in arguments.ip]
    routes = [number_of("--route", text) for text in arguments.route]
    return CableOptions(
        containers=known,
        name=arguments.name or "",
        subnets=tuple(_within("--subnet", Subnet.parse, text) for text in arguments.subnet),
        addresses=tuple(
            (number, *_within("--ip", _read_address, text)) for number, text in addresses
        ),
        ifnames=(ifnames[0], ifnames[1]),
        mtu=_within("--mtu", _read_mtu, arguments.mtu) if arguments.mtu else 0,
        routes=tuple((number, _within("--route", _read_route, text)) for number, text in routes),
        ipv6=arguments.ipv6,
    )


def _within(flag: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except RequestError as error:
        raise error.within(flag) from error


def _read_address(text: str) -> tuple[Address, int | None]:
    """Read `10.7.0.1/30`, or an address alone."""
    from ocinet.request.grammar import read_gateway

    if "/" not in text:
        return read_gateway(text), None
    interface = Interface.parse(text)
    return read_gateway(str(interface.address)), interface.prefixlen


def _read_mtu(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) <= 65535):
        raise RequestError("", f"{text[:20]!r} is no MTU", "as in --mtu 9000")
    return int(text)


def _read_route(text: str) -> Subnet:
    """Read `10.5.0.0/16`, or `default` for all of IPv4; `::/0` is all of IPv6."""
    return Subnet.parse("0.0.0.0/0" if text == "default" else text)


def _configure_names(parser: Parser) -> None:
    parser.add_argument("names", metavar="LINK", nargs="+", help="a link's name")


def _configure_rm(parser: Parser) -> None:
    _configure_names(parser)
    add_switch(parser, "-f", "--force", says="not there is no error")


def _rm(arguments: Namespace, console: Console) -> None:
    errors: list[OcinetError] = []
    with console.engine() as engine:
        for name in arguments.names:
            try:
                engine.cables.remove(name)
                console.print(name)
            except NotFoundError as error:
                if not arguments.force:
                    errors.append(error.within(f"cannot remove link {name}"))
            except OcinetError as error:
                errors.append(error.within(f"cannot remove link {name}"))
    failures("cannot remove all links", errors)


def _configure_ls(parser: Parser) -> None:
    add_template(parser, quiet="names")
    parser.examples("ocinet link ls", "ocinet link ls --format '{{.Name}} {{.State}}'")


def _ls(arguments: Namespace, console: Console) -> None:
    with console.engine() as engine:
        cables, flaws = engine.cables.sorted_out()
        shown = [] if arguments.quiet else [_encode(engine, cable) for cable in cables]
    for name, why in flaws:
        console.say(f"ocinet: the link {name} is left out, for it can't be read: {why}")
    if arguments.quiet:
        for cable in cables:
            console.print(cable.name)
        return
    if is_template(arguments.format):
        show_each(console, arguments.format, [_view(told) for told in shown])
        return
    table = Table("NAME", "A", "ADDRESS", "B", "ADDRESS", "STATE")
    for cable, told in zip(cables, shown, strict=True):
        cells = []
        for end in cable.ends:
            cells.append(f"{end.container[:32]}:{end.ifname}")
            cells.append(",".join(str(own) for own in end.addresses))
        table.add(cable.name, *cells, told["state"])
    show(console, arguments, shown, table)


def _configure_inspect(parser: Parser) -> None:
    _configure_names(parser)
    add_template(parser, "-f", table=False)
    parser.examples("ocinet link inspect -f '{{.State}} {{.Waits}}' web-db")


def _inspect(arguments: Namespace, console: Console) -> None:
    shown = []
    errors: list[OcinetError] = []
    with console.engine() as engine:
        for name in arguments.names:
            try:
                shown.append(_encode(engine, engine.cables.get(name)))
            except OcinetError as error:
                errors.append(error.within(f"cannot inspect link {name}"))
    if is_template(arguments.format):
        show_each(console, arguments.format, [_view(told) for told in shown])
    else:
        show_json(console, shown)
    failures("cannot inspect all links", errors)


def _encode(engine: Engine, cable: Cable) -> dict[str, Any]:
    """Return a link as it is defined, and how it is."""
    try:
        state: CableState | None = engine.cables.state(cable)
        why = ""
    except OcinetError as error:
        state, why = None, str(error)
    return {
        **encode(cable),
        "state": state.word if state else "unknown",
        "waits": state.waits if state else "",
        "flaws": list(state.flaws) if state else [why],
    }


def _view(told: dict[str, Any]) -> dict[str, Any]:
    """Return a link under names as docker's templates have them, and under ours."""
    ends = [{**end, **{key.capitalize(): value for key, value in end.items()}}
            for end in told["ends"]]  # fmt: skip
    named = {**told, "ends": ends}
    return {**named, **{key.capitalize(): value for key, value in named.items()}}


COMMANDS = {
    "plan link": Command(_configure_plan, _plan),
    "link add": Command(_configure_add, _add),
    "link rm": Command(_configure_rm, _rm),
    "link ls": Command(_configure_ls, _ls),
    "link inspect": Command(_configure_inspect, _inspect),
}
