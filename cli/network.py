"""network ls, inspect, rm, exists, reload, prune: networks that are defined."""

from __future__ import annotations

from ocinet.base.errors import NotFoundError, OcinetError, RequestError, failures
from ocinet.cli.command_tree import Command
from ocinet.cli.findings import show_findings
from ocinet.cli.parser import Parser, add_format, add_switch, add_template, add_text
from ocinet.cli.printing import (
    Table,
    is_template,
    show,
    show_each,
    show_json,
    tell_unreadable,
)
from ocinet.engine.model.request import DEFAULT_NETWORK
from ocinet.engine.records.networks import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from typing import Any

    from ocinet.cli.console import Console
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.network import Network

_FILTERS = ("name", "label")


def _configure_ls(parser: Parser) -> None:
    says = "show only those whose name contains, or that have the label: name=…, label=KEY[=VALUE]"
    add_text(parser, "-f", "--filter", metavar="KEY=VALUE", says=says, several=True)
    add_format(parser, quiet="names")


def _ls(arguments: Namespace, console: Console) -> None:
    with console.engine() as engine:
        networks = [
            network
            for network in engine.networks.readable()
            if all(_matches(network, text) for text in arguments.filter)
        ]
        users = {network.name: engine.networks.users(network.name) for network in networks}
        tell_unreadable(engine, console)
    if arguments.quiet:
        for network in networks:
            console.print(network.name)
        return
    table = Table("NAME", "BRIDGE", "SUBNET", "GATEWAY", "OPTIONS", "CONTAINERS")
    for network in networks:
        gateways = [str(pool.gateway) for pool in network.pools if pool.gateway]
        table.add(
            network.name,
            network.device,
            ",".join(str(pool.subnet) for pool in network.pools),
            ",".join(gateways) or "-",
            _spell_options(network) or "-",
            str(len(users[network.name])),
        )
    shown = [{**encode(network), "containers": list(users[network.name])} for network in networks]
    show(console, arguments, shown, table)


def _matches(network: Network, text: str) -> bool:
    key, equals, wanted = text.partition("=")
    if key not in _FILTERS or not equals:
        raise RequestError("--filter", f"{text!r} is no filter", "as in name=lan or label=team=web")
    if key == "name":
        return wanted in network.name
    label, equals, value = wanted.partition("=")
    labels = dict(network.labels)
    return label in labels and (not equals or labels[label] == value)


def _spell_options(network: Network) -> str:
    options = [
        "" if network.managed else "unmanaged",
        "internal" if network.internal else "",
        "" if network.masquerade else "no-masquerade",
        f"mtu={network.mtu}" if network.mtu else "",
    ]
    return ",".join(option for option in options if option)


def _configure_names(parser: Parser) -> None:
    parser.add_argument("names", metavar="NETWORK", nargs="+", help="a network's name")


def _configure_inspect(parser: Parser) -> None:
    _configure_names(parser)
    add_format(parser, table=False)


def _inspect(arguments: Namespace, console: Console) -> None:
    shown = []
    errors: list[OcinetError] = []
    with console.engine() as engine:
        for name in arguments.names:
            try:
                network = engine.networks.get(name)
            except OcinetError as error:
                errors.append(error.within(f"cannot inspect network {name}"))
            else:
                shown.append({**encode(network), "containers": _containers(engine, name)})
    show_json(console, shown)
    failures("cannot inspect all networks", errors)


def _containers(engine: Engine, name: str) -> list[dict[str, Any]]:
    return [
        {
            "id": record.container.id,
            "name": record.container.name,
            "ifname": endpoint.ifname,
            "mac": endpoint.mac,
            "addresses": [str(address) for address in endpoint.addresses],
        }
        for record in engine.containers.all()
        for endpoint in record.endpoints
        if endpoint.network == name
    ]


def _configure_rm(parser: Parser) -> None:
    _configure_names(parser)
    says = "detach dead containers first; not there is no error"
    add_switch(parser, "-f", "--force", says=says)


def _rm(arguments: Namespace, console: Console) -> None:
    errors: list[OcinetError] = []
    with console.engine() as engine:
        for name in arguments.names:
            try:
                engine.networks.get(name)
                if arguments.force:
                    engine.networks.detach_dead(name)
                engine.networks.remove(name)
                console.print(name)
            except NotFoundError as error:
                if not arguments.force:
                    errors.append(error.within(f"cannot remove network {name}"))
            except OcinetError as error:
                errors.append(error)
    failures("cannot remove all networks", errors)


def _configure_exists(parser: Parser) -> None:
    parser.add_argument("name", metavar="NETWORK", help="a network's name")


def _exists(arguments: Namespace, console: Console) -> int:
    with console.engine() as engine:
        return 0 if engine.networks.find(arguments.name) else 1


def _configure_prune(parser: Parser) -> None:
    add_switch(parser, "-f", "--force", says="do not ask")


def _prune(arguments: Namespace, console: Console) -> None:
    with console.engine() as engine:
        unused = [
            name
            for name in engine.networks.names()
            if name != DEFAULT_NETWORK
            and not engine.addresses.leases.reserved(name)
            and not engine.networks.users(name)
        ]
    if not unused:
        return
    if not arguments.force:
        console.confirm(f"Remove the networks that nobody is on: {', '.join(unused)}?")
    errors: list[OcinetError] = []
    with console.engine() as engine:  # another one: the first one's time may be up by now
        for name in unused:
            try:
                engine.networks.remove(name)
                console.print(name)
            except OcinetError as error:
                errors.append(error)
    failures("cannot remove all networks", errors)


def _names(
    engine: Engine, texts: list[str], is_wanted: Callable[[Network], bool]
) -> tuple[str, ...]:
    """Return the networks that are meant; what can't be read meets no filter."""
    if not texts:
        return engine.networks.names()
    return tuple(network.name for network in engine.networks.readable() if is_wanted(network))


def _configure_reload(parser: Parser) -> None:
    parser.add_argument(
        "names", metavar="NETWORK", nargs="*", help="a network's name; none: every network"
    )
    add_format(parser)


def _reload(arguments: Namespace, console: Console) -> int:
    with console.engine() as engine:
        findings = engine.reload(*arguments.names)
    return show_findings(findings, arguments, console)


COMMANDS = {
    "network ls": Command(_configure_ls, _ls),
    "network inspect": Command(_configure_inspect, _inspect),
    "network rm": Command(_configure_rm, _rm),
    "network exists": Command(_configure_exists, _exists),
    "network reload": Command(_configure_reload, _reload),
    "network prune": Command(_configure_prune, _prune),
}
