"""ps and port: the containers that are wired, and what of them is published."""

from __future__ import annotations

from ocinet.base.errors import NotFoundError, RequestError
from ocinet.base.names import SHOWN_ID
from ocinet.base.value import Value
from ocinet.cli.command_tree import Command
from ocinet.cli.containers import FAILED, STRANDED, status_of
from ocinet.cli.kept_ports import encode_own
from ocinet.cli.parser import Parser, add_switch, add_template, add_text
from ocinet.cli.printing import (
    Table,
    age,
    is_template,
    show,
    show_each,
    spell_addresses,
    spell_ports,
)
from ocinet.cli.targets import HELP, METAVAR, find_record
from ocinet.engine.model.attachment import Attachment
from ocinet.engine.records.attachments import encode
from ocinet.request.publish import parse_publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable
    from typing import Any

    from ocinet.cli.console import Console
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.records.kept_ports import KeptPort
    from ocinet.picture.failures import Failure

_STATES = {
    "running": ("alive", "attaching", "left", STRANDED),
    "exited": ("dead",),
    "created": (FAILED,),
}


class Row(Value):
    """One container of the list.

    Attributes:
        record: its own; None of one that failed, and has none.
        owner: the record of its sandbox.
        status: attaching, alive, left, dead or failed.
        failure: why it could not be attached, or None.
    """

    record: Attachment | None
    owner: Attachment | None
    status: str
    failure: Failure | None = None

    @property
    def id(self) -> str:
        """The whole id."""
        return self.record.container.id if self.record else self.failure.container  # type: ignore[union-attr]  # one of both is there

    @property
    def name(self) -> str:
        """The container's name."""
        return self.record.container.name if self.record else self.failure.name  # type: ignore[union-attr]  # as above

    @property
    def time(self) -> str:
        """When it was attached, or was not."""
        return self.record.time if self.record else self.failure.time  # type: ignore[union-attr]  # as above

    @property
    def networks(self) -> list[str]:
        """The networks that it is on."""
        return [endpoint.network for endpoint in self.owner.endpoints] if self.owner else []

    @property
    def aliases(self) -> list[str]:
        """By which names others find it besides its own, each once."""
        wished = self.record.resolution if self.record else None
        return list(dict.fromkeys(alias.name for alias in wished.aliases)) if wished else []

    @property
    def bandwidths(self) -> list[str]:
        """How fast it may send and be sent to, by the networks that say so."""
        from ocinet.request.bandwidth import spell_bandwidth

        return [
            f"{endpoint.network} {limit}"
            for endpoint in (self.owner.endpoints if self.owner else ())
            if endpoint.bandwidth
            for limit in spell_bandwidth(endpoint.bandwidth)
        ]

    @property
    def ports(self) -> tuple[PortRule, ...]:
        """What is published of it."""
        return self.owner.ports if self.owner else ()


def _configure_ps(parser: Parser) -> None:
    says = "show dead and failed containers too, and why they failed (default: only the living)"
    add_switch(parser, "-a", "--all", says=says)
    says = "show the N that were attached last, whatever their status (default: all)"
    parser.add_argument("-n", "--last", type=int, default=-1, metavar="N", help=says)
    add_switch(parser, "-l", "--latest", says="same as --last 1")
    add_switch(parser, "--no-trunc", says=f"show whole ids (default: {SHOWN_ID} characters)")
    says = "show only containers on that network (default: on any)"
    add_text(parser, "--net", "--network", metavar="NETWORK", says=says)
    says = "show only those with: name=PART, id=START, network=NAME, status=STATUS, publish=PORT"
    add_text(parser, "-f", "--filter", metavar="KEY=VALUE", says=says, several=True)
    add_template(parser, quiet="ids")
    parser.examples(
        "ocinet ps -a --filter network=lan",
        "ocinet ps --format 'table {{.Names}}\\t{{.Addresses}}\\t{{.Ports}}'",
    )


def _ps(arguments: Namespace, console: Console) -> None:
    last = 1 if arguments.latest else arguments.last
    everyone = arguments.all or last >= 0 or any(f[:7] == "status=" for f in arguments.filter)
    is_wanted = _wanted(arguments)
    with console.engine() as engine:
        rows = _rows(engine)
        if arguments.net and not any(arguments.net in row.networks for row in rows):
            engine.networks.get(arguments.net)  # an empty list would look like an answer
        broken = engine.containers.unreadable()
        kept = engine.addresses.ports.all() if arguments.format == "json" else ()
    if everyone:
        from ocinet.picture.failures import read_failures  # JSON of its own: 7 ms

        rows = _with_failures(rows, tuple(read_failures(console.paths.run).values()))
    else:
        rows = [row for row in rows if row.status != "dead"]
    rows = [row for row in rows if is_wanted(row)]
    if last >= 0:
        rows = sorted(rows, key=lambda row: row.time)[len(rows) - min(last, len(rows)) :]
    _show(rows, arguments, console, kept)
    for container_id, why in broken:
        console.say(f"ocinet: the record of {container_id} can't be read: {why}")
        console.say("hint: ocinet gc sets it aside")


def _rows(engine: Engine) -> list[Row]:
    records = {record.container.id: record for record in engine.containers.all()}
    return [
        Row(record, records.get(record.member_of, record), status_of(engine, record))
        for record in records.values()
    ]


def _with_failures(rows: list[Row], failures: tuple[Failure, ...]) -> list[Row]:
    """Add who could not be attached; of those with a record, why."""
    by_id = {failure.container: failure for failure in failures}
    known = [row.replace(failure=by_id.pop(row.id, None)) for row in rows]
    return [*known, *(Row(None, None, FAILED, failure) for failure in by_id.values())]


def _wanted(arguments: Namespace) -> Callable[[Row], bool]:
    """Return what tells whether a row is to be shown."""
    texts = list(arguments.filter)
    if arguments.net:
        texts.append(f"network={arguments.net}")
    if not texts:
        return lambda _row: True
    from ocinet.cli.filters import read_filters  # for who asks for some of them alone

    return read_filters(
        texts,
        {
            "name": lambda row, text: text in row.name,
            "id": lambda row, text: row.id.startswith(text),
            "network": lambda row, text: text in row.networks,
            "status": _has_status,
            "publish": _publishes,
        },
    )


def _has_status(row: Row, text: str) -> bool:
    known = ("attaching", "alive", "left", STRANDED, "dead", FAILED, *_STATES)
    if text not in known:
        why = f"there is no status {text}"
        raise RequestError("--filter", why, f"known are: {', '.join(known)}")
    return row.status in _STATES.get(text, (text,))


def _publishes(row: Row, text: str) -> bool:
    port, _, protocol = text.partition("/")
    return any(
        str(rule.host_port) == port and protocol in ("", rule.protocol) for rule in row.ports
    )


def _show(
    rows: list[Row], arguments: Namespace, console: Console, kept: tuple[KeptPort, ...]
) -> None:
    def own_id(row: Row) -> str:
        return row.id if arguments.no_trunc else row.id[:SHOWN_ID]

    if arguments.quiet:
        for row in rows:
            if row.record:
                console.print(own_id(row))
        return
    if is_template(arguments.format):
        shown = [_view(row, own_id(row)) for row in rows]
        show_each(console, arguments.format, shown)
    else:
        heads = ("CONTAINER ID", "NAME", "MODE", "NETWORK", "ADDRESS", "PORTS", "PID")
        table = Table(*heads, "STATUS", "AGE")
        for row in rows:
            table.add(own_id(row), *_cells(row), row.status, age(row.time))
        show(console, arguments, [_encode(row, kept) for row in rows], table)
    for row in rows:
        if row.failure:
            console.say(f"ocinet: {row.failure.error}")


def _view(row: Row, own_id: str) -> dict[str, Any]:
    """Return a container as `docker ps` has it.

    Args:
        row: of the list.
        own_id: as it is to be shown.
    """
    record, endpoints = row.record, row.owner.endpoints if row.owner else ()
    return {
        "ID": own_id,
        "Names": row.name,
        "Name": row.name,
        "Aliases": ",".join(row.aliases),
        "Networks": ",".join(row.networks),
        "Addresses": ",".join(spell_addresses(endpoints)),
        "Bandwidth": ", ".join(row.bandwidths),
        "Ports": spell_ports(row.ports),
        "Mode": record.mode if record else "",
        "Pid": record.container.process.pid if record and record.container.process else 0,
        "State": "running" if row.status in _STATES["running"] else "exited",
        "Status": row.status,
        "RunningFor": age(row.time),
        "CreatedAt": row.time,
    }


def _encode(row: Row, kept: tuple[KeptPort, ...]) -> dict[str, Any]:
    failure = {"failure": row.failure.encode()} if row.failure else {}
    if row.record is None:
        return {"id": row.id, "name": row.name, "status": row.status, **failure}
    told = {"kept_ports": encode_own(kept, row.name), "status": row.status}
    return {**encode(row.record), **told, **failure}


def _cells(row: Row) -> tuple[str, ...]:
    record, owner = row.record, row.owner
    if record is None or owner is None:
        return (row.name, "-", "-", "-", "-", "-")
    process = record.container.process
    return (
        row.name,
        f"container:{owner.container.name}" if record.member_of else record.mode,
        ",".join(row.networks) or "-",
        ",".join(spell_addresses(owner.endpoints)) or "-",
        spell_ports(owner.ports) or "-",
        str(process.pid) if process else "-",
    )


def _configure_port(parser: Parser) -> None:
    parser.add_argument("target", metavar=METAVAR, help=HELP)
    says = "one of the container's ports (default: all that are published)"
    parser.add_argument("port", metavar="PORT[/PROTO]", nargs="?", help=says)
    parser.examples("ocinet port web", "ocinet port web 80/tcp")


def _port(arguments: Namespace, console: Console) -> None:
    wish = parse_publish(arguments.port, "PORT")[0] if arguments.port else None
    with console.engine() as engine:
        record = find_record(engine, arguments.target, console.look_up)
        owner = engine.containers.get(record.member_of) if record.member_of else record
    ports = (owner or record).ports
    if wish is None:
        for rule in ports:
            console.print(f"{rule.port}/{rule.protocol} -> {_host_end(rule)}")
        return
    meant = [
        rule for rule in ports if (rule.port, rule.protocol) == (wish.container_port, wish.protocol)
    ]
    if not meant:
        why = f"{wish.container_port}/{wish.protocol} of {record.container.name} is not published"
        raise NotFoundError("", why, f"ocinet port {record.container.name} shows what is")
    for rule in meant:
        console.print(_host_end(rule))


def _host_end(rule: PortRule) -> str:
    """Return at which address and port of the host a port is had, as `docker port` does."""
    return spell_ports((rule,)).partition("->")[0]


COMMANDS = {"ps": Command(_configure_ps, _ps), "port": Command(_configure_port, _port)}
