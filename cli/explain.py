"""explain: a packet's way from one end to another, station by station, and whether it arrives."""

from __future__ import annotations

import os
import re

from ocinet.base.address import Address
from ocinet.base.errors import NotFoundError, OcinetError, RequestError
from ocinet.cli.command_tree import Command
from ocinet.cli.parser import Parser, add_format, add_switch
from ocinet.cli.printing import show_json
from ocinet.cli.targets import find_record
from ocinet.engine.model.flow import ANSWERED, ARRIVED, REFUSED, SILENT, Hop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ocinet.cli.console import Console
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.flow import Explanation

_END = re.compile(
    r"(?:\[(?P<bracketed>[0-9A-Fa-f:.]+)\]|(?P<plain>(?:(?:docker|podman|runc|crun|pid):)?[^:\s]+))(?::(?P<port>\d+)(?:/(?P<protocol>\w+))?)?"
)
_PROTOCOLS = ("tcp", "udp")
_PLACES = ("host", "outside")
_OUTSIDE_PORT = 443
_MOST = 65535


def _configure(parser: Parser) -> None:
    says = "who sends: a container, host, or outside (by the uplink)"
    parser.add_argument("start", metavar="FROM", help=says)
    says = "for whom: a container, host, outside or an address; :PORT is TCP's, and /udp says else"
    parser.add_argument("end", metavar="TO[:PORT[/udp]]", help=says)
    add_switch(parser, "-6", "--ipv6", says="by IPv6 (default: IPv4, or as the address is)")
    add_format(parser, heading=False)
    parser.examples(
        "ocinet explain web db:5432",
        "ocinet explain web outside",
        "ocinet explain outside host:8080",
        "ocinet explain web 192.0.2.7:53/udp",
    )


def _explain(arguments: Namespace, console: Console) -> int:
    end, protocol, port = read_end(arguments.end)
    if end == "outside" and not port:
        protocol, port = "tcp", _OUTSIDE_PORT
    family = 6 if arguments.ipv6 else 4
    try:
        with console.engine() as engine:
            ends = [_end(engine, text, console) for text in (arguments.start, end)]
            told = engine.explain(*ends, protocol=protocol, port=port, family=family, compare=True)
            told = told.replace(hops=(*told.hops, *_across(engine, ends[1], console)))
    except OcinetError as error:
        what = f"cannot explain the way from {arguments.start} to {arguments.end}"
        raise error.within(what) from error
    if arguments.format == "json":
        show_json(console, _encode(told))
    else:
        for hop in told.hops:
            hint = f" (hint: {hop.remedy})" if hop.remedy else ""
            console.print(f"{console.verdict(ok=hop.ok)}   {hop.place}: {hop.what}{hint}")
        console.print(f"{console.verdict(ok=told.ok)}   a packet of its own: {spell(told)}")
    return 0 if told.ok else 1


def _end(engine: Engine, text: str, console: Console) -> str:
    """Return an end of a way with a container's id for whatever it was named by."""
    try:
        return str(Address.parse(text))
    except RequestError:
        pass
    if text in _PLACES:
        return text
    try:
        return find_record(engine, text, console.look_up).container.id
    except NotFoundError:
        elsewhere = _elsewhere(engine, text, console)
        if not elsewhere:
            raise
        return elsewhere


def _elsewhere(engine: Engine, text: str, console: Console) -> str:
    """Return the address of a container on another host of the cluster; "" if there is none."""
    if not _is_in_cluster(console):
        return ""
    from ocinet.cluster.examined import find_elsewhere  # a single host loads nothing of it

    found = find_elsewhere(engine, text)
    return str(found.addresses[0]) if found else ""


def _across(engine: Engine, end: str, console: Console) -> tuple[Hop, ...]:
    """Return the stations between the hosts, where the end is on another one of the cluster."""
    try:
        address = Address.parse(end)
    except RequestError:
        return ()
    if not _is_in_cluster(console):
        return ()
    from ocinet.cluster.examined import way_to

    told = way_to(engine, console.paths, address)
    return tuple(Hop(each.place, each.what, each.ok, each.remedy) for each in told)


def _is_in_cluster(console: Console) -> bool:
    return os.path.isdir(f"{console.paths.state}/cluster")


def read_end(text: str) -> tuple[str, str, int]:
    """Read `NAME`, `ADDRESS`, `[ADDRESS]`, each with `:PORT` and `/tcp` or `/udp` behind.

    Returns:
        The end, tcp, udp or icmp, and the port, 0 for icmp.

    Raises:
        RequestError: it is none of these.
    """
    try:
        return str(Address.parse(text)), "icmp", 0  # of IPv6, whose colons are no port's
    except RequestError:
        pass
    match = _END.fullmatch(text)
    port = int(match["port"] or 0) if match else 0
    if not match or (match["port"] and not 0 < port <= _MOST):
        raise RequestError(
            "TO", f"{text!r} is no end of a way", "as in web:80, or [fd00::2]:53/udp"
        )
    protocol = match["protocol"] or ("tcp" if port else "icmp")
    if port and protocol not in _PROTOCOLS:
        raise RequestError("TO", f"{protocol!r} is no protocol that can be tried", "say tcp or udp")
    return match["bracketed"] or match["plain"], protocol, port


def spell(told: Explanation) -> str:
    """Return in one line what became of the packet."""
    answer = told.answer
    if answer.kind == ANSWERED:
        return "it arrives, and the answer comes back"
    if answer.kind == ARRIVED:
        return f"it arrives {answer.why}"
    if answer.kind == REFUSED:
        return "it is refused"
    if told.drop:
        whose = "its answer" if told.drop.is_answer else "it"
        return f"{whose} is dropped in {told.drop.chain}"
    if answer.kind == SILENT:
        return "no answer comes"
    return f"it is not sent: {answer.why}"


def _encode(told: Explanation) -> dict[str, object]:
    return {
        "ok": told.ok,
        "answer": told.answer.kind,
        "why": spell(told),
        "hops": [
            {"place": hop.place, "what": hop.what, "ok": hop.ok, "remedy": hop.remedy or None}
            for hop in told.hops
        ],
        "rules": [
            {
                "chain": rule.chain or None,
                "rule": rule.rule or None,
                "verdict": rule.verdict,
                "answer": rule.is_answer,
            }
            for rule in told.rules
        ],
    }


COMMANDS = {"explain": Command(_configure, _explain)}
