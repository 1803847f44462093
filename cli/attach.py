"""attach, detach, plan, publish, unpublish: change a container that runs."""

from __future__ import annotations

import os

from ocinet.base.errors import NotFoundError, OcinetError, failures
from ocinet.cli.command_tree import Command
from ocinet.cli.engine_names import exposed_by
from ocinet.cli.parser import Parser, add_format, add_switch, add_text
from ocinet.cli.printing import Table, show, show_json, spell_ports
from ocinet.cli.request_flags import PORT, add_request, read_annotations, read_request
from ocinet.cli.targets import (
    HELP,
    METAVAR,
    Target,
    find_record,
    open_target,
    read_shared,
    record_shared,
)
from ocinet.engine.model.request import DEFAULT_NETWORK, EndpointRequest
from ocinet.engine.records.attachments import encode
from ocinet.request.bindings import parse_bindings, with_publishes
from ocinet.request.publish import parse_publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.attachment import Attachment, Container
    from ocinet.engine.model.request import Publish, Request
    from ocinet.engine.plan.steps import Step


# By the package's name, what plans are made of; the shell has the rest.
_NEEDED = (
    ("iproute2", "ip"),
    ("iproute2 (tc)", "tc"),
    ("iproute2 (bridge)", "bridge"),
    ("nftables", "nft"),
    ("procps", "sysctl"),
    ("util-linux", "nsenter"),
    ("conntrack", "conntrack"),
    ("iptables", "iptables"),
)
_INSIDE = ("nsenter ", "ip netns exec ")


def _configure_attach(parser: Parser) -> None:
    parser.add_argument("target", metavar=METAVAR, help=HELP)
    add_request(parser)
    _add_publish_all(parser)
    _add_id(parser)
    add_format(parser)
    parser.examples(
        "ocinet attach pid:4711 --name web",
        "ocinet attach netns:/run/netns/blue --net lan:ip=10.9.0.5 --net dmz",
        "ocinet attach web -p 127.0.0.1:8080:80",
        "ocinet attach web -P",
    )


def _add_publish_all(parser: Parser) -> None:
    says = "publish all ports that its engine or image says it exposes, on free host ports"
    add_switch(parser, "-P", "--publish-all", says=says)


def _add_id(parser: Parser) -> None:
    says = "the container's id, where there is none yet (default: --name, or made of TARGET)"
    add_text(parser, "--id", metavar="ID", says=says)


def _attach(arguments: Namespace, console: Console) -> None:
    asked = read_annotations(arguments)
    request = read_request(asked)
    with console.engine() as engine:
        request, shared = read_shared(engine, request, asked, console.look_up)
        record_shared(engine, shared)
        target = _open(arguments, engine, request, console)
        with target.sandbox as sandbox:
            request = _beyond_what_is_there(request, engine, target, arguments)
            if arguments.publish_all:
                request = _with_exposed(request, target.container, console)
            attachment = engine.attach(target.container, request, sandbox)
            for warning in engine.warnings:
                console.say(f"ocinet: {warning}")
    if request.mode == "none" and attachment.endpoints:
        name = attachment.container.name
        console.say(f"ocinet: {name} keeps the networks that it has")
        console.say(f"hint: ocinet detach {name} takes them")
    show_attached(arguments, console, attachment)


def show_attached(arguments: Namespace, console: Console, attachment: Attachment) -> None:
    """Print what a container has now."""
    table = Table("INTERFACE", "ADDRESS", "NETWORK", "MAC")
    for endpoint in attachment.endpoints:
        for address in endpoint.addresses:
            table.add(endpoint.ifname, str(address), endpoint.network, endpoint.mac)
    show(console, arguments, encode(attachment), table)
    if attachment.ports and arguments.format == "table":
        console.print(spell_ports(attachment.ports))


def _open(arguments: Namespace, engine: Engine, request: Request, console: Console) -> Target:
    """Open the target of a command that may give it an id and a name."""
    own_id = arguments.id or ""
    return open_target(
        engine, arguments.target, console.look_up, container_id=own_id, name=request.name
    )


def _beyond_what_is_there(
    request: Request, engine: Engine, target: Target, arguments: Namespace
) -> Request:
    """Leave the default network out where a container has its networks, and none is asked for."""
    record = engine.containers.get(target.container.id)
    default = (EndpointRequest(DEFAULT_NETWORK),)
    if record and record.endpoints and not arguments.net and request.endpoints == default:
        return request.replace(endpoints=())
    return request


def _with_exposed(request: Request, container: Container, console: Console) -> Request:
    """Return a request with the ports that a container exposes, but for those that it names."""
    named = {(publish.protocol, publish.container_port) for publish in request.publish}
    exposed = parse_bindings(None, exposed_by(container, console.look_up))
    more = (port for port in exposed if (port.protocol, port.container_port) not in named)
    return with_publishes(request, tuple(more))


def disconnect(engine: Engine, console: Console, record: Attachment, network: str) -> None:
    """Take a container off a network, and say which ports went with it.

    Raises:
        OcinetError: it can't be.
    """
    left = engine.disconnect(record.container.id, network)
    owner = engine.containers.get(record.member_of) if record.member_of else record
    closed = [port for port in (owner or record).ports if port not in left.ports]
    for warning in engine.warnings:
        console.say(f"ocinet: {warning}")
    if closed:
        console.say(f"ocinet: what was published there is not any more: {spell_ports(closed)}")


def _configure_detach(parser: Parser) -> None:
    parser.add_argument("targets", metavar=METAVAR, nargs="+", help=HELP)
    says = "take it off that network alone (default: off all of them)"
    add_text(parser, "--net", "--network", metavar="NETWORK", says=says, several=True)
    says = "forget the record even if something can't be removed; not there is no error"
    add_switch(parser, "-f", "--force", says=says)


def _detach(arguments: Namespace, console: Console) -> None:
    errors: list[OcinetError] = []
    with console.engine() as engine:
        for text in arguments.targets:
            try:
                record = find_record(engine, text, console.look_up)
                for network in arguments.net:
                    disconnect(engine, console, record, network)
                if not arguments.net:
                    told = len(engine.warnings)
                    engine.detach(record.container.id, force=arguments.force)
                    for warning in engine.warnings[told:]:
                        console.say(f"ocinet: {warning}")
                console.print(record.container.name)
            except NotFoundError as error:
                if not arguments.force:
                    errors.append(error.within(f"cannot detach {text}"))
            except OcinetError as error:
                errors.append(error)
    failures("cannot detach", errors)


def _configure_plan(parser: Parser) -> None:
    says = f"{HELP}; or the directory of a bundle that is not started"
    parser.add_argument("target", metavar="TARGET|BUNDLE", help=says)
    add_request(parser)
    _add_publish_all(parser)
    _add_id(parser)
    add_format(parser)
    parser.examples("ocinet plan web --net dmz", "ocinet plan /run/bundles/web -p 8080:80 | less")


def _plan(arguments: Namespace, console: Console) -> None:
    with console.engine() as engine:
        if os.path.isfile(f"{arguments.target}/config.json"):
            from ocinet.cli.unstarted_bundle import empty_sandbox, read_bundle

            container, annotations = read_bundle(arguments.target, arguments.id or "")
            request = read_request({**annotations, **read_annotations(arguments)})
            target = Target(container, empty_sandbox(container.name))
        else:
            request = read_request(read_annotations(arguments))
            target = _open(arguments, engine, request, console)
        with target.sandbox as sandbox:
            request = _beyond_what_is_there(request, engine, target, arguments)
            if arguments.publish_all:
                request = _with_exposed(request, target.container, console)
            steps = engine.plan(target.container, request, sandbox)
    show_plan(arguments, console, steps, "ocinet plan …")


def show_plan(
    arguments: Namespace, console: Console, steps: tuple[Step, ...], command: str
) -> None:
    """Print steps as the commands that do the same, and what these need.

    Args:
        arguments: with the format.
        console: where it is printed.
        steps: of a plan.
        command: that has printed them.
    """
    if arguments.format == "json":
        show_json(console, [_describe(step) for step in steps])
        return
    commands = [command for step in steps for command in step.describe()]
    packages = [package for package, word in _NEEDED if any(_runs(word, text) for text in commands)]
    if packages:
        console.print(f"# needs {', '.join(packages)}; as a script: {command} | sh -e")
    for text in commands:
        console.print(text)


def _runs(program: str, command: str) -> bool:
    """Tell whether a command runs a program, or has another one run it in a sandbox."""
    return any(
        line.startswith(f"{program} ") or (line.startswith(_INSIDE) and f" {program} " in line)
        for line in command.splitlines()
    )


def _describe(step: Step) -> dict[str, object]:
    return {
        "step": type(step).__name__,
        "shared": step.shared,
        "commands": list(step.describe()),
    }


def _configure_ports(parser: Parser) -> None:
    parser.add_argument("target", metavar=METAVAR, help=HELP)
    says = "as docker's -p: a host port that is left out is any free one"
    parser.add_argument("ports", metavar=PORT, nargs="+", help=says)
    add_format(parser)
    parser.examples(f"{parser.prog} web 8080:80 127.0.0.1:5353:53/udp")


def _read_ports(arguments: Namespace) -> tuple[Publish, ...]:
    return parse_publish(",".join(arguments.ports), "PORT")


def _publish(arguments: Namespace, console: Console) -> None:
    publishes = _read_ports(arguments)
    with console.engine() as engine:
        container = find_record(engine, arguments.target, console.look_up).container
        attachment = engine.publish(container.id, publishes)
    _show_ports(arguments, console, attachment)


def _unpublish(arguments: Namespace, console: Console) -> None:
    publishes = _read_ports(arguments)
    with console.engine() as engine:
        container = find_record(engine, arguments.target, console.look_up).container
        attachment = engine.unpublish(container.id, publishes)
    _show_ports(arguments, console, attachment)


def _show_ports(arguments: Namespace, console: Console, attachment: Attachment) -> None:
    """Print what is published now."""
    if arguments.format == "json":
        show_json(console, encode(attachment)["ports"])
    elif attachment.ports:
        console.print(spell_ports(attachment.ports))


COMMANDS = {
    "attach": Command(_configure_attach, _attach),
    "detach": Command(_configure_detach, _detach),
    "plan": Command(_configure_plan, _plan),
    "publish": Command(_configure_ports, _publish),
    "unpublish": Command(_configure_ports, _unpublish),
}
