"""Who reaches whom, in one table, asked of ocinet and of a real Docker.

The containers, names and ports are those of `topology`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import pytest

from hosts.engine.versions import version_of
from hosts.lab.machine import LAB_V4, OUTSIDE_V4
from hosts.lab.namespace import Unreachable
from hosts.lab.topology import (
    AT_UPLINK,
    EVERY,
    HOST_SERVICE,
    LOOP,
    NO_ROUTE,
    OUTSIDE_SERVICE,
    REFUSED,
    SERVICE,
    SILENT,
    Question,
    Topology,
    attach,
    bridge_netfilter,
    detach_all,
    make_docker_world,
    make_world,
    run_attached,
)

if TYPE_CHECKING:
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Protocol
    from hosts.lab.topology import Family


_EVER = (999, 0)
# Since then docker-proxy asks for IP_PKTINFO, and answers from the address that was asked.
_PROXY_MENDED = (28, 0)


class Row(NamedTuple):
    """One question and its answers.

    Attributes:
        asker: a container, `host` or `outside`.
        target: whose address is asked.
        port: of that address.
        answer: ocinet's; Docker's as well where nothing else is said.
        v6: over IPv6, if it differs.
        docker: with the userland proxy, its default, if it differs.
        docker_udp: over UDP, if that differs again; up to Docker 27.
        unproxied: Docker without the userland proxy, if it differs.
        why: the reason that we differ.
        until: version of Docker that answers as we do.
    """

    asker: str
    target: str
    port: int
    answer: str
    v6: str = ""
    docker: str = ""
    docker_udp: str = ""
    unproxied: str = ""
    why: str = ""
    until: tuple[int, int] = _EVER


_LOCALHOST = "the kernel never lets a packet for ::1 leave lo"
_PROXY = "Docker's proxy stands between, and hides who asks; we have no proxy"
_PROXY_UDP = "up to 27 Docker's proxy answers UDP from an address that nobody asked: it is lost"
_HIDDEN = "Docker without a proxy masquerades whatever the host itself asks"
_CLOSED = "Docker 20.10 opens a published port at the container's own address, too; 28 closed that"
_INWARD = "our internal networks have no default route, as Docker's by version 26"
_SEEN = "Docker leaves siblings' packets as they are, and relies on bridge-nf-call-iptables=1"
_BETWEEN = "Docker's networks don't reach each other's ports without its proxy; ours do, as outside"
_OUR_HOST = "to another network of the host the source stays as the host chose it"

TABLE = (
    # a container and itself, its siblings and other networks' containers
    Row("web", "web", SERVICE, "web sees web"),
    Row("web", "sibling", SERVICE, "sibling sees web"),
    Row("sibling", "web", SERVICE, "web sees sibling"),
    Row("web", "other", SERVICE, SILENT),
    Row("other", "web", SERVICE, SILENT),
    Row("web", "sibling", OUTSIDE_SERVICE, REFUSED),
    # containers and the host
    Row("web", "lan gateway", HOST_SERVICE, "host sees web"),
    Row("web", "dmz gateway", HOST_SERVICE, "host sees web"),
    Row("web", "uplink", HOST_SERVICE, "host sees web"),
    Row("host", "web", SERVICE, "web sees lan gateway"),
    Row("host", "sibling", SERVICE, "sibling sees lan gateway"),
    Row("host", "other", SERVICE, "other sees dmz gateway"),
    # containers and the outside
    Row("web", "outside", OUTSIDE_SERVICE, "outside sees uplink"),
    Row("other", "outside", OUTSIDE_SERVICE, "outside sees uplink"),
    Row("outside", "web", SERVICE, SILENT, docker="web sees outside",
        unproxied="web sees outside", why=_CLOSED, until=(28, 0)),
    Row("outside", "sibling", SERVICE, SILENT),
    Row("outside", "other", SERVICE, SILENT),
    # a port that is published on every address
    Row("outside", "uplink", EVERY, "web sees outside"),
    Row("outside", "lan gateway", EVERY, "web sees outside"),
    Row("host", "uplink", EVERY, "web sees uplink", unproxied="web sees lan gateway", why=_HIDDEN),
    Row("host", "lan gateway", EVERY, "web sees lan gateway"),
    Row("host", "dmz gateway", EVERY, "web sees dmz gateway", docker="web sees lan gateway",
        unproxied="web sees lan gateway", why=_OUR_HOST),
    Row("host", "loopback", EVERY, "web sees lan gateway", v6=REFUSED, why=_LOCALHOST),
    Row("sibling", "lan gateway", EVERY, "web sees lan gateway",
        unproxied="web sees sibling", why=_SEEN),
    Row("sibling", "uplink", EVERY, "web sees lan gateway", docker_udp=SILENT,
        unproxied="web sees sibling", why=f"{_PROXY_UDP}; {_SEEN}"),
    Row("web", "lan gateway", EVERY, "web sees lan gateway"),
    Row("web", "uplink", EVERY, "web sees lan gateway", docker_udp=SILENT, why=_PROXY_UDP),
    Row("other", "dmz gateway", EVERY, "web sees other", docker="web sees lan gateway",
        unproxied=SILENT, why=f"{_PROXY}; {_BETWEEN}"),
    Row("other", "uplink", EVERY, "web sees other", docker="web sees lan gateway",
        docker_udp=SILENT, unproxied=SILENT, why=f"{_PROXY}; {_PROXY_UDP}; {_BETWEEN}"),
    # a port that is published on 127.0.0.1
    Row("host", "loopback", LOOP, "web sees lan gateway", v6=REFUSED, why=_LOCALHOST),
    Row("host", "uplink", LOOP, REFUSED),
    Row("host", "lan gateway", LOOP, REFUSED),
    Row("outside", "uplink", LOOP, REFUSED),
    Row("sibling", "lan gateway", LOOP, REFUSED),
    Row("web", "uplink", LOOP, REFUSED),
    Row("other", "uplink", LOOP, REFUSED),
    # a port that is published on the uplink's address
    Row("outside", "uplink", AT_UPLINK, "web sees outside"),
    Row("host", "uplink", AT_UPLINK, "web sees uplink",
        unproxied="web sees lan gateway", why=_HIDDEN),
    Row("host", "loopback", AT_UPLINK, REFUSED),
    Row("sibling", "lan gateway", AT_UPLINK, REFUSED),
    Row("sibling", "uplink", AT_UPLINK, "web sees lan gateway",
        unproxied="web sees sibling", why=_SEEN),
    Row("web", "uplink", AT_UPLINK, "web sees lan gateway"),
    Row("other", "uplink", AT_UPLINK, "web sees other", docker="web sees lan gateway",
        unproxied=SILENT, why=f"{_PROXY}; {_BETWEEN}"),
    # an internal network
    Row("kept", "keeper", SERVICE, "keeper sees kept"),
    Row("kept", "vault gateway", HOST_SERVICE, "host sees kept"),
    Row("host", "kept", SERVICE, "kept sees vault gateway"),
    Row("outside", "kept", SERVICE, SILENT),
    Row("web", "kept", SERVICE, SILENT),
    Row("kept", "web", SERVICE, NO_ROUTE, docker=SILENT, unproxied=SILENT,
        why=_INWARD, until=(26, 0)),
    Row("kept", "outside", OUTSIDE_SERVICE, NO_ROUTE, docker=SILENT, unproxied=SILENT,
        why=_INWARD, until=(26, 0)),
    Row("kept", "uplink", HOST_SERVICE, NO_ROUTE, docker="host sees kept",
        unproxied="host sees kept", why=_INWARD, until=(26, 0)),
    Row("kept", "uplink", EVERY, NO_ROUTE, docker=SILENT, unproxied=SILENT,
        why=_INWARD, until=(26, 0)),
    Row("kept", "vault gateway", EVERY, SILENT),
)  # fmt: skip
_IPV6_LOOPBACK = re.compile(r" *inet6 ::1/128 scope host.*\n *valid_lft forever.*\n")
PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp")
FAMILIES: tuple[Family, ...] = (4, 6)


def _question(row: Row, protocol: Protocol, family: Family) -> Question:
    return Question(row.asker, row.target, row.port, protocol, family)


@pytest.mark.parametrize("bridge_nf", [False, True])
def test_ask_everyone_in_our_networks_answers_as_the_table_says(lab: Lab, bridge_nf: bool) -> None:
    """ocinet's column holds for TCP and UDP, IPv4 and IPv6, whatever bridge-nf-call-iptables is."""
    bridge_netfilter(lab, on=bridge_nf)
    world = make_world(lab, ipv6=True)
    world.open_ways_in()
    world.serve()
    expected = {
        _question(row, protocol, family): row.v6 or row.answer if family == 6 else row.answer
        for row in TABLE
        for protocol in PROTOCOLS
        for family in FAMILIES
    }

    assert world.ask_all(expected) == expected
    detach_all(lab)


@pytest.mark.parametrize("proxy", [True, False])
def test_ask_everyone_in_dockers_networks_answers_as_the_table_says(lab: Lab, proxy: bool) -> None:
    """Docker's columns hold: what we claim to be the same, and where we say that we differ."""
    lab.ignored += ("br-",)  # its networks' bridges, and the rules that name them
    with lab.docker(f"--userland-proxy={str(proxy).lower()}") as docker:
        world = make_docker_world(docker)
        world.open_ways_in()
        world.serve()
        expected = {}
        for row in TABLE:
            for protocol in PROTOCOLS:
                answer = row.answer
                if version_of("docker") < row.until:
                    answer = (row.docker if proxy else row.unproxied) or answer
                    if proxy and protocol == "udp" and version_of("docker") < _PROXY_MENDED:
                        answer = row.docker_udp or answer
                expected[_question(row, protocol, 4)] = answer

        assert world.ask_all(expected) == expected


def test_table_differs_from_docker_only_with_a_reason() -> None:
    """Every row in which we are unlike Docker says why."""
    for row in TABLE:
        differs = bool(row.v6 or row.docker or row.docker_udp or row.unproxied)
        assert differs is bool(row.why), row


def _shape(shown: str) -> list[str]:
    """Return the lines with the numbers of this container taken out.

    An address's length is one of the subnet, a queue's of a device that has none.
    """
    if version_of("docker") < (26, 0):
        shown = _IPV6_LOOPBACK.sub("", shown)
    text = re.sub(r"\b(\d+\.){3}\d+\b", "ADDRESS", shown)
    text = re.sub(r"\b([0-9a-f]{2}:){5}[0-9a-f]{2}\b(?= brd)", "MAC", text)
    text = re.sub(r"ADDRESS/\d+", "ADDRESS/LENGTH", text).replace("127.0.0.1", "ADDRESS")
    text = re.sub(r"^\d+: (\w+)(@if\d+)?:", r"N: \1:", text, flags=re.MULTILINE)
    lines = re.sub(r" qlen \d+", "", text).splitlines()
    return [re.sub(r"(?<=\S) +", " ", line).rstrip() for line in lines]


def test_show_addresses_and_routes_inside_reads_as_in_dockers_container(lab: Lab) -> None:
    """`ip a` and `ip r` have Docker's lines, in its order, with other numbers.

    But for one: Docker 20.10 takes `::1` from a container without IPv6, and with it
    whoever listens on localhost; we leave it, as does 26.
    """
    commands = (("ip", "address"), ("ip", "route"), ("ip", "link"), ("ip", "-4", "address"))
    with lab.docker() as docker:
        ours = run_attached(lab, "web", "bridge")
        theirs = docker.run(network="bridge")
        for command in commands:
            expected = _shape(theirs.exec(*command).stdout)
            found = ours.exec(*command).stdout
            assert _shape(found) == expected
        # iproute2 tells more than busybox: scope, protocol, state
        for command in commands:
            expected = _shape(theirs.namespace.run(*command).stdout)
            found = ours.namespace.run(*command).stdout
            assert _shape(found) == expected
    detach_all(lab)


_CLIENT = (OUTSIDE_V4, 4711)  # the same flow each time


def _ask_again(lab: Lab) -> str:
    """Send one more packet of a flow to the published UDP port; who answers?"""
    try:
        return lab.outside.ask("udp", LAB_V4, EVERY, source=_CLIENT, timeout_s=5).server
    except Unreachable as error:
        return str(error)


def test_attach_takes_running_udp_flow_over_from_former_container(lab: Lab) -> None:
    """A client that goes on sending is answered by whoever has the port at the time."""
    first = run_attached(lab, "first", "bridge", f"{EVERY}:80/udp")
    first.namespace.serve("udp", SERVICE, name="first")
    second = lab.runc.run(lab.bundle("second"))
    second.namespace.serve("udp", SERVICE, name="second")

    answers = [_ask_again(lab), _ask_again(lab)]
    lab.ocinet("detach", "--force", "first")
    answers += [_ask_again(lab), _ask_again(lab)]
    attach(second, "bridge", f"{EVERY}:80/udp")
    answers.append(_ask_again(lab))

    assert answers == ["first", "first", "ECONNREFUSED", "ECONNREFUSED", "second"]
    detach_all(lab)


def test_enter_udp_port_without_forgetting_flows_leaves_running_flow_where_it_was(
    lab: Lab,
) -> None:
    """It is the forgetting that moves a flow: a port entered by hand gets none that is running."""
    container = run_attached(lab, "web", "bridge")
    container.namespace.serve("udp", SERVICE, name="web")
    address = container.namespace.addresses("eth0")[0].partition("/")[0]
    Topology(lab, {}, {})  # refusals at any rate
    element = f"{{ udp . {EVERY} : {address} . {SERVICE} }}"
    answers = [_ask_again(lab)]

    lab.run("nft", f"add element inet ocinet publish4 {element}")
    answers.append(_ask_again(lab))
    lab.run("conntrack", "-D", "-p", "udp", "--orig-port-dst", str(EVERY))
    answers.append(_ask_again(lab))

    assert answers == ["ECONNREFUSED", "ECONNREFUSED", "web"]
    lab.run("nft", f"delete element inet ocinet publish4 {element}")
    detach_all(lab)
