"""ps and inspect: what is recorded, and what the kernel has."""

from __future__ import annotations

from ocinet.base.errors import OcinetError, failures
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_format, add_switch, add_text
from ocinet.cli.printing import SHORT_ID, Table, age, show, show_json, spell_ports
from ocinet.cli.targets import HELP, METAVAR, find_record
from ocinet.engine.records.attachments import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ocinet.cli.console import Console
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.link import InsideLink


def _configure_ps(parser: Parser) -> None:
    add_switch(parser, "-a", "--all", says="show dead containers too (default: only the living)")
    add_switch(parser, "--no-trunc", says=f"show whole ids (default: {SHORT_ID} characters)")
    says = "show only containers on that network (default: on any)"
    add_text(parser, "--net", "--network", metavar="NETWORK", says=says)
    add_format(parser, quiet="ids")


def _ps(arguments: Namespace, console: Console) -> None:
    table = Table(
        "CONTAINER ID", "NAME", "MODE", "NETWORK", "ADDRESS", "PORTS", "PID", "STATUS", "AGE"
    )
    shown = []
    ids = []
    with console.engine() as engine:
        records = {record.container.id: record for record in engine.containers.all()}
        for record in records.values():
            status = status_of(engine, record)
            owner = records.get(record.member_of, record)
            networks = [endpoint.network for endpoint in owner.endpoints]
            if status == "dead" and not arguments.all:
                continue
            if arguments.net and arguments.net not in networks:
                continue
            container_id = record.container.id
            ids.append(container_id if arguments.no_trunc else container_id[:SHORT_ID])
            shown.append({**encode(record), "status": status})
            table.add(ids[-1], *_cells(record, owner), status, age(record.time))
        broken = engine.containers.unreadable()
    if arguments.quiet:
        for container_id in ids:
            console.print(container_id)
    else:
        show(console, arguments, shown, table)
    for container_id, why in broken:
        console.say(f"ocinet: the record of {container_id} can't be read: {why}")
        console.say("hint: ocinet gc sets it aside")


def _cells(record: Attachment, owner: Attachment) -> tuple[str, ...]:
    addresses = [
        str(interface.address) for endpoint in owner.endpoints for interface in endpoint.addresses
    ]
    process = record.container.process
    return (
        record.container.name,
        f"container:{owner.container.name}" if record.member_of else record.mode,
        ",".join(endpoint.network for endpoint in owner.endpoints) or "-",
        ",".join(addresses) or "-",
        spell_ports(owner.ports) or "-",
        str(process.pid) if process else "-",
    )


def status_of(engine: Engine, record: Attachment) -> str:
    """Return how a container is: attaching, alive, left (only members live) or dead."""
    if engine.containers.is_dead(record):
        return "dead"
    if record.left:
        return "left"
    return "attaching" if record.state == "attaching" else "alive"


def _configure_inspect(parser: Parser) -> None:
    parser.add_argument("targets", metavar=METAVAR, nargs="+", help=HELP)
    add_format(parser, table=False)


def _inspect(arguments: Namespace, console: Console) -> None:
    shown = []
    errors: list[OcinetError] = []
    with console.engine() as engine:
        for text in arguments.targets:
            try:
                record = find_record(engine, text)
            except OcinetError as error:
                errors.append(error.within(f"cannot inspect {text}"))
                continue
            shown.append(
                {
                    **encode(record),
                    "status": status_of(engine, record),
                    "kernel": _look(engine, record),
                }
            )
    show_json(console, shown)
    failures("cannot inspect", errors)


def _look(engine: Engine, record: Attachment) -> dict[str, Any]:
    """Return what the kernel has now, both ends; or why it can't be told."""
    host = [
        {
            "ifname": link.ifname,
            "ifindex": link.ifindex,
            "up": link.up,
            "mtu": link.mtu,
            "mac": link.mac,
            "alias": link.alias,
        }
        for link in engine.containers.host_links(record)
    ]
    try:
        with engine.open_sandbox(record) as sandbox:
            inside = [_encode_link(link) for link in engine.containers.inside(sandbox)]
    except OcinetError as error:
        return {"host": host, "sandbox": None, "error": str(error)}
    return {"host": host, "sandbox": inside, "error": None}


def _encode_link(link: InsideLink) -> dict[str, Any]:
    return {
        "ifname": link.ifname,
        "up": link.up,
        "mac": link.mac,
        "mtu": link.mtu,
        "addresses": [str(address) for address in link.addresses],
        "routes": [
            {
                "destination": str(route.destination),
                "gateway": str(route.gateway) if route.gateway else None,
            }
            for route in link.routes
        ],
    }


COMMANDS = {
    "ps": Command(_configure_ps, _ps),
    "inspect": Command(_configure_inspect, _inspect),
}
