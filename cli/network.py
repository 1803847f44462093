"""network ls, inspect, rm, exists, reload, prune: networks that are defined."""

from __future__ import annotations

from ocinet.base.errors import NotFoundError, OcinetError, failures
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

_SCOPES, _TYPES = ("local",), ("builtin", "custom")


def _configure_ls(parser: Parser) -> None:
    _add_filter(parser, "show")
    # Nothing is cut off; whoever types it for docker's ids gets what there is.
    add_switch(parser, "--no-trunc", says="cut nothing off (default: so)")
    add_template(parser, quiet="names")
    parser.examples("ocinet network ls --format '{{.Name}} {{.Driver}}' --filter label=team=web")


def _add_filter(parser: Parser, act: str) -> None:
    says = f"{act} only those with: name=PART, id=START (of the name), label=KEY[=VALUE], "
    says += "label!=KEY[=VALUE], until=TIME (defined before it), driver=, scope=, type="
    add_text(parser, "-f", "--filter", metavar="KEY=VALUE", says=says, several=True)


def _ls(arguments: Namespace, console: Console) -> None:
    is_wanted = _wanted(arguments.filter)
    with console.engine() as engine:
        networks = [network for network in engine.networks.readable() if is_wanted(network)]
        users = {network.name: engine.networks.users(network.name) for network in networks}
        tell_unreadable(engine, console)
    if arguments.quiet:
        for network in networks:
            console.print(network.name)
        return
    if is_template(arguments.format):
        from ocinet.cli.views import view_network

        show_each(console, arguments.format, [view_network(each, []) for each in networks])
        return
    table = Table("NAME", "BRIDGE", "SUBNET", "GATEWAY", "OPTIONS", "CONTAINERS")
    for network in networks:
        gateways = [str(pool.gateway) for pool in network.pools if pool.gateway]
        table.add(
            network.name,
            network.parent or network.device,
            ",".join(str(pool.subnet) for pool in network.pools),
            ",".join(gateways) or "-",
            _spell_options(network) or "-",
            str(len(users[network.name])),
        )
    shown = [{**encode(network), "containers": list(users[network.name])} for network in networks]
    show(console, arguments, shown, table)


def _wanted(texts: list[str]) -> Callable[[Network], bool]:
    """Return what tells whether a network meets all filters.

    Raises:
        RequestError: one of them makes no sense.
    """
    if not texts:
        return lambda _network: True
    from ocinet.cli.filters import has_label, is_before, read_filters, read_moment

    def until(network: Network, text: str) -> bool:
        return is_before(network.created, read_moment(text, "--filter: until"))

    def among(known: tuple[str, ...]) -> Callable[[Network, str], bool]:
        return lambda _network, text: text in known

    return read_filters(
        texts,
        {
            "name": lambda network, text: text in network.name,
            "id": lambda network, text: network.name.startswith(text),
            "label": lambda network, text: has_label(dict(network.labels), text),
            "label!": lambda network, text: not has_label(dict(network.labels), text),
            "until": until,
            "driver": lambda network, text: network.driver == text,
            "scope": among(_SCOPES),
            "type": lambda network, text: text == _TYPES[network.name != DEFAULT_NETWORK],
        },
    )


def _spell_options(network: Network) -> str:
    if network.is_lan:
        return ",".join(_spell_lan(network))
    options = [
        "" if network.managed else "unmanaged",
        "internal" if network.internal else "",
        "" if network.masquerade else "no-masquerade",
        "" if network.guard else "no-guard",
        "" if network.host else "no-host",
        "" if network.siblings else "isolate-ports",
        "" if network.dns else "no-dns",
        *(f"dns={address}" for address in network.dns_servers),
        *(f"egress={address}" for address in network.egress),
        *(f"no-masquerade-to={subnet}" for subnet in network.unmasked),
        *(f"joined-by={link}" for link in network.joined),
        "closed" if network.closed else "",
        f"mtu={network.mtu}" if network.mtu else "",
        "" if network.default_route else "no-default-route",
        f"metric={network.metric}" if network.metric else "",
        *(f"route={route}" for route in network.routes),
    ]
    return ",".join(option for option in options if option)


def _spell_lan(network: Network) -> list[str]:
    """Return what of a network on the LAN is not as it is by default; its driver always."""
    options = [
        f"{network.driver}={network.mode}",
        *(f"host-access={address}" for address in network.host_access),
        "" if network.dns else "no-dns",
        "closed" if network.closed else "",
        f"mtu={network.mtu}" if network.mtu else "",
        "" if network.default_route else "no-default-route",
        f"metric={network.metric}" if network.metric else "",
        *(f"route={route}" for route in network.routes),
    ]
    return [option for option in options if option]


def _configure_names(parser: Parser) -> None:
    parser.add_argument("names", metavar="NETWORK", nargs="+", help="a network's name")


def _configure_inspect(parser: Parser) -> None:
    _configure_names(parser)
    add_template(parser, "-f", table=False)
    parser.examples("ocinet network inspect -f '{{range .IPAM.Config}}{{.Subnet}}{{end}}' lan")


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
                containers = _containers(engine, name)
                if is_template(arguments.format):
                    from ocinet.cli.views import view_network

                    shown.append(view_network(network, containers))
                else:
                    shown.append({**encode(network), "containers": containers})
    if is_template(arguments.format):
        show_each(console, arguments.format, shown)
    else:
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
    says = "remove only those with: label=KEY[=VALUE], label!=…, until=TIME (defined before it), "
    says += "name=PART, id=START (of the name), driver=, scope=, type="
    add_text(parser, "--filter", metavar="KEY=VALUE", says=says, several=True)


def _prune(arguments: Namespace, console: Console) -> None:
    is_wanted = _wanted(arguments.filter)
    with console.engine() as engine:
        unused = [
            name
            for name in _names(engine, arguments.filter, is_wanted)
            if name != DEFAULT_NETWORK
            # Who keeps an address there for a container that is away wants the network to stay.
            and not engine.addresses.leases.reserved(name)
            and not engine.networks.users(name)
        ]
    if not unused:
        return
    question = f"Remove the networks that nobody is on: {', '.join(unused)}?"
    if not (arguments.force or console.confirm(question)):
        return
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
