"""network create, ls, inspect, rm, exists, prune."""

from __future__ import annotations

from functools import partial

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import NotFoundError, OcinetError, RequestError, failures
from ocinet.base.names import check_ifname
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_format, add_switch, add_text
from ocinet.cli.printing import Table, show, show_json, tell_unreadable
from ocinet.engine.model.request import DEFAULT_NETWORK
from ocinet.engine.plan.new_network import NetworkOptions, with_driver_option
from ocinet.engine.records.networks import encode
from ocinet.ipam.pool import Range

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from typing import Any, TypeVar

    from ocinet.cli.console import Console
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.network import Network

    T = TypeVar("T")

_FILTERS = ("name", "label")


def _configure_create(parser: Parser) -> None:
    parser.add_argument("name", metavar="NETWORK", help="its name: lower-case letters, digits, _.-")
    group = parser.add_argument_group("addresses")
    says = "subnet, IPv4 or IPv6 (default: a free /24)"
    add_text(group, "--subnet", metavar="SUBNET", says=says, several=True)
    says = "gateway of the subnet that it lies in (default: the subnet's first address)"
    add_text(group, "--gateway", metavar="ADDRESS", says=says, several=True)
    says = "give out these addresses alone (default: the whole subnet)"
    add_text(group, "--ip-range", metavar="SUBNET|FIRST-LAST", says=says, several=True)
    add_switch(group, "--ipv6", says="add an IPv6 subnet where none is given")
    group = parser.add_argument_group("bridge")
    says = "name of the bridge (default: made of the network's name)"
    add_text(group, "--bridge", "--interface-name", metavar="DEVICE", says=says)
    says = "use --bridge as it is, and read subnet and gateway from it"
    add_switch(group, "--unmanaged", says=says)
    add_text(group, "--mtu", metavar="BYTES", says="MTU in bytes (default: the uplink's)")
    add_switch(group, "--internal", says="no way out of the network")
    says = "let packets leave with the container's address"
    add_switch(group, "--no-masquerade", says=says)
    says = "driver option as docker or podman has it"
    add_text(group, "-o", "--opt", metavar="KEY=VALUE", says=says, several=True)
    says = "driver (default: bridge, the only one)"
    parser.add_argument("-d", "--driver", choices=("bridge",), default="bridge", help=says)
    says = "note for people and filters"
    add_text(parser, "--label", metavar="KEY[=VALUE]", says=says, several=True)
    add_switch(parser, "--ignore", says="a network of that name is no error, and stays as it is")
    parser.examples(
        "ocinet network create lan",
        "ocinet network create --subnet 10.9.0.0/24 --ip-range 10.9.0.128/25 lan",
        "ocinet network create --subnet 10.9.0.0/24 --subnet fd00:9::/64 dual",
        "ocinet network create --bridge docker0 --unmanaged dock",
    )


def _create(arguments: Namespace, console: Console) -> None:
    options = _read_options(arguments)
    try:
        with console.engine() as engine:
            engine.networks.create(arguments.name, options, ignore=arguments.ignore)
    except OcinetError as error:
        raise error.within(f"cannot create network {arguments.name}") from error
    console.print(arguments.name)


def _read_options(arguments: Namespace) -> NetworkOptions:
    """Turn flags into wishes; `-o` first, so that a flag of our own wins.

    Raises:
        RequestError: one is malformed; names the flag.
    """
    options = NetworkOptions()
    for text in arguments.opt:
        options = _within("--opt", partial(with_driver_option, options), text)
    if arguments.bridge is not None:
        options = options.replace(device=_within("--bridge", check_ifname, arguments.bridge))
    if arguments.mtu is not None:
        options = _within("--mtu", partial(with_driver_option, options), f"mtu={arguments.mtu}")
    return options.replace(
        subnets=tuple(_within("--subnet", Subnet.parse, text) for text in arguments.subnet),
        gateways=tuple(_within("--gateway", Address.parse, text) for text in arguments.gateway),
        ranges=tuple(_within("--ip-range", _read_range, text) for text in arguments.ip_range),
        internal=arguments.internal,
        ipv6=arguments.ipv6,
        unmanaged=arguments.unmanaged or options.unmanaged,
        masquerade=False if arguments.no_masquerade else options.masquerade,
        labels=_read_labels(arguments.label),
    )


def _within(flag: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except RequestError as error:
        raise error.within(flag) from error


def _read_range(text: str) -> Range:
    """Read `10.9.0.128/25` as docker has it, or `10.9.0.10-10.9.0.20`."""
    first, dash, last = text.partition("-")
    if dash:
        return Range(Address.parse(first), Address.parse(last))
    subnet = Subnet.parse(text)
    return Range(subnet.first, subnet.last)


def _read_labels(texts: list[str]) -> tuple[tuple[str, str], ...]:
    labels = {}
    for text in texts:
        key, _, value = text.partition("=")
        if not key:
            raise RequestError("--label", f"{text!r} has no key", "as in --label team=web")
        labels[key] = value
    return tuple(labels.items())


def _configure_ls(parser: Parser) -> None:
    says = "show only those whose name contains, or that have the label: name=…, label=KEY[=VALUE]"
    add_text(parser, "-f", "--filter", metavar="KEY=VALUE", says=says, several=True)
    add_format(parser, quiet="names")


def _ls(arguments: Namespace, console: Console) -> None:
    with console.engine() as engine:
        chosen = [
            network
            for network in engine.networks.readable()
            if all(_matches(network, text) for text in arguments.filter)
        ]
        on_them = {network.name: engine.networks.users(network.name) for network in chosen}
        tell_unreadable(engine, console)
    if arguments.quiet:
        for network in chosen:
            console.print(network.name)
        return
    table = Table("NAME", "BRIDGE", "SUBNET", "GATEWAY", "OPTIONS", "CONTAINERS")
    for network in chosen:
        gateways = [str(pool.gateway) for pool in network.pools if pool.gateway]
        table.add(
            network.name,
            network.device,
            ",".join(str(pool.subnet) for pool in network.pools),
            ",".join(gateways) or "-",
            _spell_options(network) or "-",
            str(len(on_them[network.name])),
        )
    shown = [{**encode(network), "containers": list(on_them[network.name])} for network in chosen]
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


COMMANDS = {
    "network create": Command(_configure_create, _create),
    "network ls": Command(_configure_ls, _ls),
    "network inspect": Command(_configure_inspect, _inspect),
    "network rm": Command(_configure_rm, _rm),
    "network exists": Command(_configure_exists, _exists),
    "network prune": Command(_configure_prune, _prune),
}
