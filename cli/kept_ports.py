"""reservation add-port, ports, rm-port: host ports that are kept for containers' names."""

from __future__ import annotations

from ocinet.base.clock import now
from ocinet.base.errors import ConflictError, NotFoundError, OcinetError, RequestError
from ocinet.base.names import check_container, did_you_mean
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_format
from ocinet.cli.printing import Table, age, show
from ocinet.cli.request_flags import PORT
from ocinet.engine.model.request import Publish
from ocinet.engine.records.kept_ports import KeptPort
from ocinet.request.publish import parse_publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable
    from typing import Any

    from ocinet.cli.console import Console
    from ocinet.engine.engine import Engine


def _configure_add(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="a container's name: ids change, names stay")
    says = "as docker's -p; without a host port the one that it has now (default: all it has now)"
    parser.add_argument("ports", metavar=PORT, nargs="*", help=says)
    parser.examples(
        "ocinet reservation add-port web", "ocinet reservation add-port web 127.0.0.1:49153:80"
    )


def _add(arguments: Namespace, console: Console) -> None:
    try:
        name = check_container(arguments.name, "container name")
        asked = parse_publish(",".join(arguments.ports), "PORT") if arguments.ports else ()
        with console.engine() as engine:
            present = _present(engine, name)
            wanted = tuple(_with_port(wish, present, name) for wish in asked) or present
            if not wanted:
                why = f"{name} has none that are published to keep"
                raise RequestError("", why, "say which: [ADDRESS:]HOST-PORT:PORT")
            for publish in wanted:
                kept = KeptPort(name, publish, now())
                _check_free(engine, kept)
                engine.addresses.ports.add(kept)
                console.print(_spell(kept))
    except OcinetError as error:
        raise error.within(f"cannot keep ports for {arguments.name}") from error


def _present(engine: Engine, name: str) -> tuple[Publish, ...]:
    """Return what is published of a container of that name now."""
    records = [record for record in engine.containers.all() if record.container.name == name]
    claims = engine.addresses.claims.all()
    found = {
        # Its claim alone tells whether it was asked for at every address, or at 0.0.0.0.
        Publish(port.protocol, claim.host_address, port.host_port, port.port): None
        for record in records
        for port in record.ports
        for claim in claims
        if claim.container == record.container.id
        and claim.protocol == port.protocol
        and port.host_port in claim.ports
        and claim.is_for(port)
    }
    return tuple(found)


def _with_port(wish: Publish, present: tuple[Publish, ...], name: str) -> Publish:
    """Return what is to be kept of a wish; the host port that it does not name is that of now."""
    if wish.host_port:
        return wish
    for publish in present:
        if KeptPort(name, publish).is_for(wish):
            return publish
    why = f"{wish.container_port}/{wish.protocol} of {name} is not published now"
    raise RequestError("", why, "say which host port: [ADDRESS:]HOST-PORT:PORT")


def _check_free(engine: Engine, kept: KeptPort) -> None:
    for claim in engine.addresses.claims.all():
        if kept.meets(claim) and claim.name != kept.name:
            why = f"{claim.name} has the host's port {kept.claim} now"
            raise ConflictError("", why, f"keep another one, or: ocinet detach {claim.name}")


def _configure_ls(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="a container's name (default: all)")
    add_format(parser)


def _ls(arguments: Namespace, console: Console) -> None:
    with console.engine() as engine:
        ports = engine.addresses.ports.all()
        found = [kept for kept in ports if arguments.name in (None, kept.name)]
    table = Table("NAME", "HOST PORT", "PORT", "AGE")
    for kept in found:
        port = f"{kept.publish.container_port}/{kept.publish.protocol}"
        table.add(kept.name, _host_end(kept), port, age(kept.created))
    show(console, arguments, [encode_kept(kept) for kept in found], table)


def encode_kept(kept: KeptPort) -> dict[str, Any]:
    """Return a kept port as a JSON object."""
    publish = kept.publish
    return {
        "name": kept.name,
        "protocol": publish.protocol,
        "host_address": str(publish.host_address) if publish.host_address else None,
        "host_port": publish.host_port,
        "port": publish.container_port,
        "created": kept.created,
    }


def encode_own(ports: Iterable[KeptPort], name: str) -> list[dict[str, Any]]:
    """Return what of it is kept for one name, as JSON objects."""
    return [encode_kept(kept) for kept in ports if kept.name == name]


def _host_end(kept: KeptPort) -> str:
    return str(kept.claim).partition("/")[0]


def _spell(kept: KeptPort) -> str:
    """Spell as `ocinet ps` does."""
    return f"{_host_end(kept)}->{kept.publish.container_port}/{kept.publish.protocol}"


def _configure_rm(parser: Parser) -> None:
    parser.add_argument("name", metavar="NAME", help="a container's name")
    says = "the container's ports (default: all that are kept for it)"
    parser.add_argument("ports", metavar="PORT[/PROTO]", nargs="*", help=says)


def _rm(arguments: Namespace, console: Console) -> None:
    asked = parse_publish(",".join(arguments.ports), "PORT") if arguments.ports else ()
    with console.engine() as engine:
        store = engine.addresses.ports
        gone = store.remove(arguments.name, asked)
        names = [kept.name for kept in store.all()]
    for kept in gone:
        console.print(_spell(kept))
    if not gone:
        hint = did_you_mean(arguments.name, names) or "see: ocinet reservation ports"
        what = f"cannot give up ports of {arguments.name}"
        raise NotFoundError(what, "none of these is kept for it", hint)


COMMANDS = {
    "reservation add-port": Command(_configure_add, _add),
    "reservation ports": Command(_configure_ls, _ls),
    "reservation rm-port": Command(_configure_rm, _rm),
}
