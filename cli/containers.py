"""inspect: what is recorded of a container, and what the kernel has of it."""

from __future__ import annotations

from ocinet.base.errors import NotFoundError, OcinetError
from ocinet.base.errors import failures as raise_failures
from ocinet.cli.command_tree import Command
from ocinet.cli.kept_ports import encode_own
from ocinet.cli.parser import Parser, add_template
from ocinet.cli.printing import is_template, show_each, show_json
from ocinet.cli.targets import HELP, METAVAR, find_record
from ocinet.engine.records.attachments import encode
from ocinet.engine.records.routes import ROUTE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from typing import Any

    from ocinet.cli.console import Console
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.link import InsideLink
    from ocinet.picture.failures import Failure


FAILED = "failed"
STRANDED = "stranded"  # in a sandbox that its owner has left


def _failures(console: Console) -> tuple[Failure, ...]:
    """Return the failures that stand, the last one last."""
    from ocinet.picture.failures import read_failures  # JSON of its own: 7 ms

    return tuple(read_failures(console.paths.run).values())


def _encode_failed(failure: Failure) -> dict[str, Any]:
    """Return a container of which there is nothing but its failure."""
    named = {"id": failure.container, "name": failure.name, "status": FAILED}
    return {**named, "failure": failure.encode()}


def status_of(engine: Engine, record: Attachment) -> str:
    """Return how a container is: attaching, alive, left (only members live), stranded or dead."""
    if engine.containers.is_dead(record):
        return "dead"
    if record.stranded:
        return STRANDED
    if record.left:
        return "left"
    return "attaching" if record.state == "attaching" else "alive"


def _configure_inspect(parser: Parser) -> None:
    parser.add_argument("targets", metavar=METAVAR, nargs="+", help=HELP)
    add_template(parser, "-f", table=False)
    parser.examples(
        "ocinet inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' web"
    )


def _inspect(arguments: Namespace, console: Console) -> None:
    from ocinet.picture.failures import find_failure

    shown = []
    errors: list[OcinetError] = []
    with console.engine() as engine:
        failures = {failure.container: failure for failure in _failures(console)}
        kept = engine.addresses.ports.all()
        for text in arguments.targets:
            try:
                record = find_record(engine, text, console.look_up)
            except NotFoundError as error:
                failure = find_failure(failures, text)
                if failure:
                    shown.append(_encode_failed(failure))
                else:
                    errors.append(error.within(f"cannot inspect {text}"))
                continue
            except OcinetError as error:
                errors.append(error.within(f"cannot inspect {text}"))
                continue
            failure = failures.get(record.container.id)
            told = {
                "kept_ports": encode_own(kept, record.container.name),
                "status": status_of(engine, record),
                "failure": failure.encode() if failure else None,
                "kernel": _look(engine, record),
                "refused": _refused(engine, record),
            }
            if is_template(arguments.format):
                from ocinet.cli.views import view_container

                owner = engine.containers.get(record.member_of) if record.member_of else record
                shown.append(view_container(record, owner or record, told))
            else:
                shown.append({**encode(record), **told})
    if is_template(arguments.format):
        show_each(console, arguments.format, shown)
    else:
        show_json(console, shown)
    raise_failures("cannot inspect", errors)


def _refused(engine: Engine, record: Attachment) -> list[dict[str, Any]]:
    """Return what was refused it, and others who wanted it, where somebody's wishes say so."""
    if record.access is None:
        return []
    from ocinet.engine.refusals import encode_refused

    owner = engine.containers.get(record.member_of) if record.member_of else record
    return encode_refused(engine.refused(), owner or record, engine.containers.all())


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
        "routes": list(map(ROUTE.write, link.routes)),
    }


COMMANDS = {
    "inspect": Command(_configure_inspect, _inspect),
}
