"""attach, detach, plan, publish, unpublish: change a container that runs."""

from __future__ import annotations

import os

from ocinet.base.errors import NotFoundError, OcinetError, failures
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_format, add_switch, add_text
from ocinet.cli.printing import Table, show, show_json, spell_ports
from ocinet.cli.request_flags import PORT, add_request, read_annotations, read_request
from ocinet.cli.targets import HELP, METAVAR, Target, find_record, open_target
from ocinet.engine.model.request import DEFAULT_NETWORK, EndpointRequest
from ocinet.engine.records.attachments import encode
from ocinet.request.publish import parse_publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Publish, Request
    from ocinet.engine.plan.steps import Step


def _configure_attach(parser: Parser) -> None:
    parser.add_argument("target", metavar=METAVAR, help=HELP)
    add_request(parser)
    _add_id(parser)
    add_format(parser)
    parser.examples(
        "ocinet attach pid:4711 --name web",
        "ocinet attach netns:/run/netns/blue --net lan:ip=10.9.0.5 --net dmz",
        "ocinet attach web -p 127.0.0.1:8080:80",
    )


def _add_id(parser: Parser) -> None:
    says = "the container's id, where there is none yet (default: --name, or made of TARGET)"
    add_text(parser, "--id", metavar="ID", says=says)


def _attach(arguments: Namespace, console: Console) -> None:
    request = read_request(read_annotations(arguments))
    with console.engine() as engine:
        target = _open(arguments, engine, request)
        request = _beyond_what_is_there(request, engine, target, arguments)
        with target.sandbox as sandbox:
            attachment = engine.attach(target.container, request, sandbox)
            for warning in engine.warnings:
                console.say(f"ocinet: {warning}")
    table = Table("INTERFACE", "ADDRESS", "NETWORK", "MAC")
    for endpoint in attachment.endpoints:
        for address in endpoint.addresses:
            table.add(endpoint.ifname, str(address), endpoint.network, endpoint.mac)
    show(console, arguments, encode(attachment), table)
    if attachment.ports and arguments.format == "table":
        console.print(spell_ports(attachment.ports))


def _open(arguments: Namespace, engine: Engine, request: Request) -> Target:
    """Open the target of a command that may give it an id and a name."""
    return open_target(engine, arguments.target, container_id=arguments.id or "", name=request.name)


def _beyond_what_is_there(
    request: Request, engine: Engine, target: Target, arguments: Namespace
) -> Request:
    """Leave the default network out where a container has its networks, and none is asked for."""
    record = engine.containers.get(target.container.id)
    default = (EndpointRequest(DEFAULT_NETWORK),)
    if record and record.endpoints and not arguments.net and request.endpoints == default:
        return request.replace(endpoints=())
    return request


def _configure_detach(parser: Parser) -> None:
    parser.add_argument("targets", metavar=METAVAR, nargs="+", help=HELP)
    says = "forget the record even if something can't be removed; not there is no error"
    add_switch(parser, "-f", "--force", says=says)


def _detach(arguments: Namespace, console: Console) -> None:
    errors: list[OcinetError] = []
    with console.engine() as engine:
        for text in arguments.targets:
            try:
                record = find_record(engine, text)
                engine.detach(record.container.id, force=arguments.force)
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
            target = _open(arguments, engine, request)
        request = _beyond_what_is_there(request, engine, target, arguments)
        with target.sandbox as sandbox:
            steps = engine.plan(target.container, request, sandbox)
    if arguments.format == "json":
        show_json(console, [_describe(step) for step in steps])
        return
    for step in steps:
        for command in step.describe():
            console.print(command)


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
        container = find_record(engine, arguments.target).container
        attachment = engine.publish(container.id, publishes)
    _show_ports(arguments, console, attachment)


def _unpublish(arguments: Namespace, console: Console) -> None:
    publishes = _read_ports(arguments)
    with console.engine() as engine:
        container = find_record(engine, arguments.target).container
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
