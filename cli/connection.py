"""network connect and disconnect: one network more, or less, for a container that runs."""

from __future__ import annotations

from ocinet.base.errors import NotFoundError
from ocinet.cli.attach import disconnect, show_attached
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_format, add_switch
from ocinet.cli.request_flags import add_endpoint, read_annotations, read_request
from ocinet.cli.targets import HELP, METAVAR, find_record, open_target
from ocinet.engine.plan.endpoint import assign_ifnames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console
    from ocinet.cli.targets import Target
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.request import Request


def _configure_connect(parser: Parser) -> None:
    parser.add_argument("network", metavar="NETWORK", help="a network's name")
    parser.add_argument("target", metavar=METAVAR, help=HELP)
    add_endpoint(parser)
    add_format(parser)
    parser.examples("ocinet network connect --ip 10.8.0.5 dmz web")


def _connect(arguments: Namespace, console: Console) -> None:
    arguments.net, arguments.publish, arguments.name = [arguments.network], [], None
    arguments.keep_ports = False
    request = _of_network(read_request(read_annotations(arguments)), arguments.network)
    with console.engine() as engine:
        engine.networks.get(arguments.network)
        target = open_target(engine, arguments.target, console.look_up)
        with target.sandbox as sandbox:
            request = _beside_what_is_there(request, engine, target)
            attachment = engine.attach(target.container, request, sandbox)
            for warning in engine.warnings:
                console.say(f"ocinet: {warning}")
    show_attached(arguments, console, attachment)


def _of_network(request: Request, network: str) -> Request:
    """Have aliases be of that network alone, as docker's and podman's are here."""
    wished = request.resolution
    if wished is None or not wished.aliases:
        return request
    aliases = tuple(alias.replace(network=network) for alias in wished.aliases)
    return request.replace(resolution=wished.replace(aliases=aliases))


def _beside_what_is_there(request: Request, engine: Engine, target: Target) -> Request:
    """Have an endpoint come in addition to what a sandbox has of others, as Docker's bridge.

    Under the first name that is free there, and without a default route where there is one.
    """
    record = engine.containers.get(target.container.id)
    own = record.endpoints if record else ()
    (wish,) = request.endpoints
    if target.sandbox.is_host or wish.network in [endpoint.network for endpoint in own]:
        return request  # refused, or nothing to do
    inside = engine.containers.inside(target.sandbox)
    (wish,) = assign_ifnames((wish,), tuple(link.ifname for link in inside))
    ours = [endpoint.ifname for endpoint in own]
    routed = any(
        not route.destination.prefixlen
        for link in inside
        if link.ifname not in ours
        for route in link.routes
    )
    return request.replace(
        endpoints=(wish.replace(default_route=wish.default_route and not routed),)
    )


def _configure_disconnect(parser: Parser) -> None:
    parser.add_argument("network", metavar="NETWORK", help="a network's name")
    parser.add_argument("target", metavar=METAVAR, help=HELP)
    add_switch(parser, "-f", "--force", says="that it is not on the network is no error")


def _disconnect(arguments: Namespace, console: Console) -> None:
    with console.engine() as engine:
        try:
            record = find_record(engine, arguments.target, console.look_up)
            disconnect(engine, console, record, arguments.network)
        except NotFoundError:
            if not arguments.force:
                raise


COMMANDS = {
    "network connect": Command(_configure_connect, _connect),
    "network disconnect": Command(_configure_disconnect, _disconnect),
}
