"""network create: what is wished of a network, read from flags, and the network defined."""

from __future__ import annotations

import os
from functools import partial

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import OcinetError, RequestError
from ocinet.base.names import check_ifname
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_switch, add_text
from ocinet.engine.model.request import REFUSING, Route
from ocinet.engine.plan.driver import DRIVERS
from ocinet.engine.plan.driver_options import with_driver_option
from ocinet.engine.plan.new_network import NetworkOptions
from ocinet.ipam.pool import Range
from ocinet.request.grammar import first_repeated, read_metric, read_route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace, _ActionsContainer
    from collections.abc import Callable
    from typing import TypeVar

    from ocinet.cli.console import Console

    T = TypeVar("T")


def _configure(parser: Parser) -> None:
    parser.add_argument("name", metavar="NETWORK", help="its name: lower-case letters, digits, _.-")
    _add_addresses(parser.add_argument_group("addresses"))
    group = parser.add_argument_group("bridge")
    _add_bridge(group)
    _add_names(group)
    _add_limits(group)
    says = "driver option as docker or podman has it"
    add_text(group, "-o", "--opt", metavar="KEY=VALUE", says=says, several=True)
    _add_lan(parser.add_argument_group("on the LAN itself"))
    says = "note for people and filters"
    add_text(parser, "--label", metavar="KEY[=VALUE]", says=says, several=True)
    add_switch(parser, "--ignore", says="a network of that name is no error, and stays as it is")
    parser.examples(
        "ocinet network create lan",
        "ocinet network create --subnet 10.9.0.0/24 --ip-range 10.9.0.128/25 lan",
        "ocinet network create --subnet 10.9.0.0/24 --subnet fd00:9::/64 dual",
        "ocinet network create --bridge docker0 --unmanaged dock",
        "ocinet network create --cluster prod web",
        "ocinet network create -d macvlan -o parent=eth0 --gateway 192.168.1.1 \\\n"
        "    --subnet 192.168.1.0/24 --ip-range 192.168.1.192/27 --host-access home",
    )


def _add_addresses(group: _ActionsContainer) -> None:
    says = "subnet, IPv4 or IPv6 (default: a free /24)"
    add_text(group, "--subnet", metavar="SUBNET", says=says, several=True)
    says = "be on this host's share of a cluster: all of it, or what --subnet says"
    add_text(group, "--cluster", metavar="CLUSTER", says=says)
    says = "gateway of the subnet that it lies in (default: the subnet's first address)"
    add_text(group, "--gateway", metavar="ADDRESS", says=says, several=True)
    says = "give out these addresses alone (default: the whole subnet)"
    add_text(group, "--ip-range", metavar="SUBNET|FIRST-LAST", says=says, several=True)
    add_switch(group, "--ipv6", says="add an IPv6 subnet where none is given")


def _add_bridge(group: _ActionsContainer) -> None:
    says = "name of the bridge (default: made of the network's name)"
    add_text(group, "--bridge", "--interface-name", metavar="DEVICE", says=says)
    says = "use --bridge as it is, and read subnet and gateway from it"
    add_switch(group, "--unmanaged", says=says)
    add_text(group, "--mtu", metavar="BYTES", says="MTU in bytes (default: the uplink's)")
    add_switch(group, "--internal", says="no way out of the network")
    says = "let packets leave with the container's address"
    add_switch(group, "--no-masquerade", says=says)
    says = "destination for which they leave with the container's address"
    add_text(group, "--no-masquerade-to", metavar="SUBNET", says=says, several=True)
    says = "link by which those destinations reach the containers, as these reach each other"
    add_text(group, "--joined-by", metavar="LINK", says=says, several=True)
    says = "the host's address that packets leave with (default: the kernel chooses)"
    add_text(group, "--egress-address", metavar="ADDRESS", says=says, several=True)
    says = "give its containers no default route, unless they ask for one"
    add_switch(group, "--no-default-route", says=says)
    says = "metric of its containers' default route (default: none said)"
    add_text(group, "--metric", metavar="NUMBER", says=says)
    says = "route that all its containers get, also as podman writes it: SUBNET,ADDRESS[,METRIC]"
    add_text(group, "--route", metavar="ROUTE", says=says, several=True)


def _add_lan(group: _ActionsContainer) -> None:
    says = "how containers get onto it; macvlan: on the LAN, by -o parent=LINK (default: bridge)"
    group.add_argument("-d", "--driver", choices=DRIVERS, default="bridge", help=says)
    says = "let the host reach its own containers there (-o host_access=ADDRESS: by that address)"
    add_switch(group, "--host-access", says=says)


def _add_names(group: _ActionsContainer) -> None:
    says = "let its containers not find each other by name"
    add_switch(group, "--no-dns", "--disable-dns", says=says)
    says = "resolver that is asked for all other names (default: those of the host)"
    add_text(group, "--dns", metavar="ADDRESS", says=says, several=True)


def _add_limits(group: _ActionsContainer) -> None:
    """Add whom a network's containers reach, and as whom."""
    says = "keep its containers from the host's own services"
    add_switch(group, "--no-host", says=says)
    says = "whether its containers reach each other, or only as allowed (default: true)"
    group.add_argument("--icc", choices=("true", "false"), help=says)
    add_switch(group, "--isolate-ports", says="the same as --icc=false")
    says = "let its containers send with any address, as virtual machines on it need"
    add_switch(group, "--no-guard", says=says)


def _create(arguments: Namespace, console: Console) -> None:
    options = _read_options(arguments)
    try:
        if arguments.cluster is None:
            if options.subnets and os.path.isdir(f"{console.paths.state}/cluster"):
                from ocinet.cluster.new_network import check_apart  # for who has one

                check_apart(console.paths, options)
            warnings = _make(arguments, console, options)
        else:
            from ocinet.cluster.new_network import with_cluster  # for who has one

            with with_cluster(console.paths, arguments.cluster, options) as options:
                warnings = _make(arguments, console, options)
    except OcinetError as error:
        raise error.within(f"cannot create network {arguments.name}") from error
    for warning in warnings:
        console.say(f"ocinet: {warning}")
    console.print(arguments.name)


def _make(arguments: Namespace, console: Console, options: NetworkOptions) -> tuple[str, ...]:
    """Make it; return what there is to be said of it."""
    with console.engine() as engine:
        networks = engine.networks
        networks.create(arguments.name, options, ignore=arguments.ignore)
        return tuple(networks.warnings)


def _read_options(arguments: Namespace) -> NetworkOptions:
    """Turn flags into wishes; `-o` first, so that a flag of our own wins.

    Raises:
        RequestError: one is malformed; names the flag.
    """
    options = NetworkOptions(driver=arguments.driver)
    for text in arguments.opt:
        options = _within("--opt", partial(with_driver_option, options), text)
    if arguments.bridge is not None:
        options = options.replace(device=_within("--bridge", check_ifname, arguments.bridge))
    if arguments.metric is not None:
        options = options.replace(metric=_within("--metric", read_metric, arguments.metric))
    if arguments.mtu is not None:
        options = _within("--mtu", partial(with_driver_option, options), f"mtu={arguments.mtu}")
    return options.replace(
        subnets=tuple(_within("--subnet", Subnet.parse, text) for text in arguments.subnet),
        gateways=tuple(_within("--gateway", Address.parse, text) for text in arguments.gateway),
        ranges=tuple(_within("--ip-range", _read_range, text) for text in arguments.ip_range),
        internal=arguments.internal,
        ipv6=arguments.ipv6,
        unmanaged=arguments.unmanaged or options.unmanaged,
        egress=_read_addresses("--egress-address", arguments.egress_address) or options.egress,
        masquerade=False if arguments.no_masquerade else options.masquerade,
        labels=_read_labels(arguments.label),
        guard=not arguments.no_guard,
        host=not arguments.no_host,
        dns=not arguments.no_dns,
        dns_servers=_read_addresses("--dns", arguments.dns),
        siblings=_siblings(arguments, options),
        default_route=options.default_route and not arguments.no_default_route,
        routes=_read_routes(arguments.route),
        unmasked=tuple(
            _within("--no-masquerade-to", Subnet.parse, text) for text in arguments.no_masquerade_to
        ),
        host_access=arguments.host_access or options.host_access,
        joined=tuple(_within("--joined-by", check_ifname, text) for text in arguments.joined_by),
    )


def _siblings(arguments: Namespace, options: NetworkOptions) -> bool:
    """Read whether containers reach each other; `--icc` goes before `-o`, as all our own do."""
    if arguments.icc == "true" and arguments.isolate_ports:
        raise RequestError("--icc", "with --isolate-ports they do not reach each other",
                           "leave one of them out")  # fmt: skip
    if arguments.icc is not None:
        return bool(arguments.icc == "true")
    return options.siblings and not arguments.isolate_ports


def _within(flag: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except RequestError as error:
        raise error.within(flag) from error


def _read_addresses(flag: str, texts: list[str]) -> tuple[Address, ...]:
    """Read `198.51.100.9`, or several with commas between, as often as it is said."""
    parts = [part for text in texts for part in text.split(",")]
    return tuple(dict.fromkeys(_within(flag, Address.parse, part) for part in parts))


def _read_routes(texts: list[str]) -> tuple[Route, ...]:
    routes = tuple(_within("--route", _read_route, text) for text in texts)
    places = [f"{route.destination} {route.metric}" for route in routes]
    twice = first_repeated(places)
    if twice:
        why = f"{twice.split()[0]} comes twice"
        raise RequestError("--route", why, "give one route to it, or another metric")
    return routes


def _read_route(text: str) -> Route:
    """Read a route as `ip route add` has it, or `10.0.0.0/8,10.9.0.1,100` as podman does.

    With a kind for the gateway, as `10.0.0.0/8,blackhole`, in either order.
    """
    parts = [part.strip() for part in text.split(",")]
    if len(parts) not in (2, 3):
        return read_route(text)
    kind = next((part for part in parts[:2] if part in REFUSING), "")
    metric = f"metric {parts[2]}" if len(parts) == 3 else ""
    subnet = next(part for part in parts if part != kind)
    via = "" if kind else f"via {parts[1]}"
    return read_route(" ".join(filter(None, (kind, subnet, via, metric))))


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


COMMANDS = {"network create": Command(_configure, _create)}
