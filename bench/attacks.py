"""Attacks what ocinet and its peers wire, and prints who of them lets it in, as a table.

    bench/attacks.py [CONTESTANT…] [--only WORD]

All of it is sent for real, and what is looked at is whether it arrives, or is believed.
`bare` is a bridge without anything that stops anybody: what does not get in there proves
nothing elsewhere. Each host is a machine of its own namespaces; root.
"""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import attack_frames as frames
from arena import BenchError
from attack_field import (
    BEYOND,
    HOST,
    LAN,
    LOOPBACK_SERVICE,
    PUBLISHED,
    PUBLISHED_ON_LOOPBACK,
    SERVICE,
    Field,
    Place,
    checked,
    datagram,
    first_of,
)
from attack_frames import DROPPED, IN, MARK, NONE_SUCH, verdict
from attack_wirings import (
    LINKS,
    NETWORKS,
    BareBridge,
    CniBridge,
    DockerBridge,
    Ocinet,
    PodmanBridge,
)
from hosts.namespace.frames import ipv6, link_local, udp
from machine import make_image, remove_cgroups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attack_wirings import Wiring

_ANYWHERE, _ANYWHERE_6 = "0.0.0.0", "::"  # noqa: S104  # in namespaces
_PORT, _OLD_PORT, _KEPT = 9005, 4444, "10.50.1.77"
_UDP = 17
# By version, what became of each attack: as it comes, and with its options.
Columns = dict[str, dict[bool, dict[str, str]]]


def _reach(source: Place, target: Place, address: str, port: int, bound: int = 0) -> str:
    """Tell whether a datagram that any program sends gets there."""
    anywhere = _ANYWHERE_6 if ":" in address else _ANYWHERE
    with target.udp(anywhere, bound or port) as opened:
        source.send(address, port, MARK)
        return verdict(first_of(opened, MARK))


def _any_of(*verdicts: str) -> str:
    return verdict(IN in verdicts)


def published(field: Field) -> str:
    """The neighbour reaches what is published: without this, no row about it means a thing."""
    return _reach(field.lan, field.victim, HOST, PUBLISHED.outer, PUBLISHED.inner)


def outwards(field: Field) -> str:
    """A container reaches the LAN."""
    return _reach(field.evil, field.lan, LAN, _PORT)


def other_network(field: Field) -> str:
    """One of another network, by either address."""
    other = field.other
    return _any_of(*(_reach(field.evil, other, address, _PORT) for address in (other.v4, other.v6)))


def out_of_internal(field: Field) -> str:
    """From an internal network to the LAN and to another network; a default route is taken."""
    gateway = NETWORKS["inner"].gateways[0]
    try:
        field.shut.run("ip", "route", "replace", "default", "via", gateway)
    except BenchError:
        return DROPPED
    return _any_of(
        _reach(field.shut, field.lan, LAN, _PORT),
        _reach(field.shut, field.victim, field.victim.v4, _PORT),
    )


def into_loopback(field: Field) -> str:
    """A frame for 127.0.0.1 gets to a service of the host's that is nowhere else."""
    with field.host.udp("127.0.0.1", LOOPBACK_SERVICE) as opened:
        to = (field.host.mac, "127.0.0.1", LOOPBACK_SERVICE)
        field.evil.send_raw(datagram(field.evil.mac, field.evil.v4, to, MARK))
        return verdict(first_of(opened, MARK))


def host_services(field: Field) -> str:
    """Those of the host at all its addresses."""
    return _reach(field.evil, field.host, NETWORKS["one"].gateways[0], SERVICE)


def siblings(field: Field) -> str:
    """One on the same network, straight or by way of the gateway."""
    to = (field.host.mac, field.victim.v4, _PORT)
    with field.victim.udp(_ANYWHERE, _PORT) as opened:
        field.evil.send_raw(datagram(field.evil.mac, field.evil.v4, to, MARK))
        by_gateway = verdict(first_of(opened, MARK))
    return _any_of(by_gateway, _reach(field.evil, field.victim, field.victim.v4, _PORT))


def link_local_service(field: Field) -> str:
    """A service at [::], from a network without IPv6, by the bridge's link-local address."""
    host, four = field.host_at("four"), field.four
    target = host.link_local() or link_local(host.mac)
    frame = ipv6(four.mac, link_local(four.mac), udp(1, SERVICE, MARK), header=_UDP, target=target)
    with host.udp(_ANYWHERE_6, SERVICE) as opened:
        four.send_raw(checked(frame, host.mac))
        return verdict(first_of(opened, MARK))


def former_holder(field: Field) -> str:
    """What answers a container that is gone comes to the next one with its address."""
    wiring = field.wiring
    old = Place(wiring.start("old", "one", _KEPT))
    with field.lan.udp(_ANYWHERE, SERVICE) as peer:
        old.send(LAN, SERVICE, b"first", _OLD_PORT)
        met = first_of(peer, b"first", 2)
        wiring.stop("old")
        if met is None:
            return NONE_SUCH
        new = Place(wiring.start("new", "one", _KEPT))
        new.ping(NETWORKS["one"].gateways[0])  # or the host has the MAC of the old one
        with new.udp(_ANYWHERE, _OLD_PORT) as opened:
            peer.sendto(MARK, (met.source, met.port))
            came = first_of(opened, MARK)
    wiring.stop("new")
    return verdict(came)


def by_route(field: Field) -> str:
    """The neighbour sends to a container's own address, port published or not, by the host."""
    one = NETWORKS["one"]
    for subnet, gateway in zip(one.subnets, LINKS["lan"][0], strict=True):
        field.lan.run("ip", "route", "replace", subnet, "via", gateway)
    victim = field.victim
    return _any_of(*(
        _reach(field.lan, victim, address, port)
        for address in (victim.v4, victim.v6) for port in (_PORT, PUBLISHED.inner)
    ))  # fmt: skip


def published_on_loopback(field: Field) -> str:
    """The neighbour sends a frame for 127.0.0.1 and the port that is published there."""
    port = PUBLISHED_ON_LOOPBACK
    with field.victim.udp(_ANYWHERE, port.inner) as opened:
        to = (field.uplink.mac, "127.0.0.1", port.outer)
        field.lan.send_raw(datagram(field.lan.mac, LAN, to, MARK))
        return verdict(first_of(opened, MARK))


def as_container(field: Field) -> str:
    """The neighbour sends to a service of the host's with the victim's address."""
    with field.uplink.udp(_ANYWHERE, SERVICE) as opened:
        to = (field.uplink.mac, HOST, SERVICE)
        field.lan.send_raw(datagram(field.lan.mac, field.victim.v4, to, MARK))
        met = first_of(opened, MARK)
    return verdict(met and met.source == field.victim.v4)


def through_host(field: Field) -> str:
    """The neighbour reaches the other one, by the host, who did not forward before."""
    field.lan.run("ip", "route", "replace", "203.0.113.0/24", "via", HOST)
    return _reach(field.lan, field.beyond, BEYOND, _PORT)


class Attack(NamedTuple):
    """One row.

    Attributes:
        who: the attacker: "RAW", a container with CAP_NET_RAW; "any" container; "LAN".
        what: the row's words.
        act: does it.
        again: whether it is tried once more after `nft flush ruleset`.
    """

    who: str
    what: str
    act: Callable[[Field], str]
    again: bool = False


CONTROLS = (
    Attack("", "a published port is reached", published),
    Attack("", "a container reaches the LAN", outwards),
)
ATTACKS = (
    Attack("RAW", "ARP as the gateway", frames.arp_as_gateway, again=True),
    Attack("RAW", "ARP as a sibling", frames.arp_as_sibling),
    Attack("RAW", "neighbour discovery as the gateway", frames.nd_as_gateway),
    Attack("RAW", "neighbour discovery as a sibling", frames.nd_as_sibling),
    Attack("RAW", "a sibling's MAC, and what is sent to it", frames.take_mac, again=True),
    Attack("RAW", "a sibling's IPv4, to the host", frames.v4_as_sibling, again=True),
    Attack("RAW", "a sibling's IPv6, to the host", frames.v6_as_sibling),
    Attack("RAW", "another network's IPv4, to the host", frames.v4_of_other_network),
    Attack("RAW", "nobody's IPv4, to the LAN", frames.v4_outwards),
    Attack("RAW", "a router's advertisement", frames.router),
    Attack("RAW", "a DHCP server", frames.dhcp_server),
    Attack("RAW", "spanning tree", frames.spanning_tree),
    Attack("RAW", "a tagged frame with a sibling's IPv4", frames.tagged),
    Attack("RAW", "another protocol", frames.other_protocol),
    Attack("RAW", "3,000 MACs for the bridge to keep", frames.fill_table),
    Attack("RAW", "claims all addresses: who starts next gets none", frames.claim_all),
    Attack("any", "another network", other_network, again=True),
    Attack("any", "out of an internal network", out_of_internal, again=True),
    Attack("any", "a service at the host's 127.0.0.1", into_loopback, again=True),
    Attack("any", "other services of the host", host_services),
    Attack("any", "a sibling", siblings),
    Attack("any", "a service at [::], from a network without IPv6", link_local_service),
    Attack("any", "what answers who had its address before", former_holder),
    Attack("LAN", "a container's address, by a route", by_route, again=True),
    Attack("LAN", "a port published on 127.0.0.1", published_on_loopback),
    Attack("LAN", "services of the host, as a container", as_container, again=True),
    Attack("LAN", "through the host to another link", through_host, again=True),
)


def _wirings(image: Path) -> dict[str, Wiring]:
    icc = "--opt=com.docker.network.bridge.enable_icc=false"
    return {
        "bare": BareBridge(),
        "ocinet": Ocinet(),
        "ocinet-options": Ocinet("--no-host", "--isolate-ports"),
        "docker": DockerBridge(image),
        "docker-options": DockerBridge(image, icc),
        "netavark": PodmanBridge(image),
        "netavark-options": PodmanBridge(image, "--opt=isolate=true"),
        "cni": CniBridge(),
        "cni-options": CniBridge("macspoofchk", "portIsolation"),
    }


def _try(field: Field, attack: Attack) -> str:
    try:
        field.settle()
        came = attack.act(field)
    except (BenchError, OSError, IndexError) as error:
        traceback.print_exc()
        came = f"? {type(error).__name__}"
    print(f"  {attack.what}: {came}", file=sys.stderr, flush=True)
    return came


def _column(wiring: Wiring, chosen: Sequence[Attack]) -> tuple[str, dict[str, str]]:
    """Attack one; returns its version, and what became of each attack."""
    found = {}
    with Field(wiring) as field:
        version = wiring.version()
        for attack in (*CONTROLS, *chosen):
            found[attack.what] = _try(field, attack)
        field.host.run("nft", "flush", "ruleset")
        for attack in chosen:
            if attack.again:
                found[_after(attack)] = _try(field, attack)
    return version, found


def _after(attack: Attack) -> str:
    return f"{attack.what}, after a flush"


def rows(columns: Columns, chosen: Sequence[Attack]) -> list[str]:
    """Return the table; what comes of options stands beside what comes without, if it differs.

    Args:
        columns: what became of each attack.
        chosen: the attacks.
    """
    names = [(attack.who, attack.what) for attack in (*CONTROLS, *chosen)]
    names += [(attack.who, _after(attack)) for attack in chosen if attack.again]
    head = ("", "it tries", *columns)
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for who, what in names:
        cells = (_cell(column, what) for column in columns.values())
        lines.append(f"| {who} | {what} | {' | '.join(cells)} |")
    return lines


def _cell(column: dict[bool, dict[str, str]], what: str) -> str:
    usual, narrow = (column.get(options, {}).get(what, "") for options in (False, True))
    told = f"{narrow} with options" if narrow not in ("", usual) else ""
    return "; ".join(filter(None, (usual, told)))


def main() -> int:
    """Attack whom one names, or all; returns 1 if one of them could not be wired."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("contestants", nargs="*", metavar="CONTESTANT",
                        help=f"of {', '.join(_wirings(Path()))} (default: all)")  # fmt: skip
    parser.add_argument("--only", default="", metavar="WORD", help="rows with this word in them")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    chosen = [attack for attack in ATTACKS if arguments.only in attack.what]
    columns: Columns = {}
    status = 0
    with TemporaryDirectory() as directory:
        wirings = _wirings(make_image(Path(directory), {"wait": "exec sleep 86400\n"}))
        for name in arguments.contestants or wirings:
            wiring = wirings[name]
            print(f"{name}…", file=sys.stderr, flush=True)
            try:
                version, found = _column(wiring, chosen)
            except (BenchError, OSError) as error:
                print(f"{name}: {error}", file=sys.stderr)
                status = 1
            else:
                columns.setdefault(version, {})[bool(wiring.options)] = found
    remove_cgroups()
    print("\n".join(rows(columns, chosen)))
    return status


if __name__ == "__main__":
    sys.exit(main())
