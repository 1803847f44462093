"""What a name server is told: which networks, whom of which container, and as which lines."""

from __future__ import annotations

import pytest

from builders import WEB_ID, endpoint, network, record
from ocinet.base.address import Address, Interface
from ocinet.engine.model.access import Access
from ocinet.engine.model.attachment import Attachment, Container
from ocinet.engine.model.network import Network, rules_of
from ocinet.engine.model.resolution import Resolution
from ocinet.engine.model.served import (
    ServedContainer,
    ServedNetwork,
    has_containers,
    lines_by_id,
    network_of,
    with_line,
    without_line,
)
from ocinet.engine.plan.serving import (
    resolvers_of,
    served_container,
    served_network,
)

ONE, TWO = Address.parse("10.9.0.1"), Address.parse("fd00:9::1")
OWN, ELSE = Address.parse("192.0.2.53"), Address.parse("192.0.2.54")
HEAD = "10.9.0.1\n@lan 10.9.0.1  host.ocinet.internal\n"


def _lan(**changes: object) -> Network:
    return network().replace(**changes)


def _record(*servers: Address, on: tuple[str, ...] = ("lan",)) -> Attachment:
    addresses = {"lan": "10.9.0.2/24", "dmz": "10.8.0.2/24", "vault": "10.7.0.2/24"}
    return record(
        container=Container(WEB_ID, "web"),
        endpoints=tuple(endpoint(name, addresses[name]) for name in on),
        resolution=Resolution(servers) if servers else None,
        served=on,
    )


def test_head_says_where_it_listens_and_whom_it_asks() -> None:
    """The host has a name where it is reached; of an internal network nobody is asked."""
    lan = ServedNetwork("lan", (ONE, TWO), (OWN, ELSE))
    assert lan.head == (
        "10.9.0.1,fd00:9::1 192.0.2.53,192.0.2.54\n@lan 10.9.0.1 fd00:9::1 host.ocinet.internal\n"
    )
    assert lan.replace(host=False, upstreams=()).head == "10.9.0.1,fd00:9::1\n"
    vault = lan.replace(internal=True, host=False)
    assert (vault.file, vault.head) == ("net-lan%int", "10.9.0.1,fd00:9::1 255.255.255.255\n")
    assert lan.replace(gateways=(TWO,)).head.endswith("@lan  fd00:9::1 host.ocinet.internal\n")


def test_firewall_keeps_names_to_those_networks_whose_are_served() -> None:
    """Ours, unless it says no; an adopted one that says whom to ask; none without a gateway."""
    bare = tuple(pool.replace(gateway=None) for pool in _lan().pools)
    for wanted, changes in (
        (True, {}),
        (False, {"dns": False}),
        (False, {"pools": bare}),
        (False, {"managed": False}),
        (True, {"managed": False, "dns_servers": (ELSE,)}),
        (False, {"managed": False, "dns_servers": (ELSE,), "dns": False}),
    ):
        lan = _lan(**changes)
        assert (served_network(lan) is not None) is rules_of(lan).names is wanted


def test_line_has_an_empty_word_for_what_is_not_there() -> None:
    """The server splits it at each blank."""
    web = ServedContainer("4f0c", (ONE, TWO), ("web", "shop"), (OWN,))
    assert web.line == "4f0c 10.9.0.1 fd00:9::1 web,shop 192.0.2.53\n"
    assert web.replace(addresses=(TWO,), upstreams=()).line == "4f0c  fd00:9::1 web,shop\n"


@pytest.mark.parametrize("head", ["10.9.0.1\n", HEAD])
def test_file_keeps_who_else_is_on_the_network(head: str) -> None:
    """Whose line is there already, changes nothing; with the last one, nobody is left."""
    web, db = "4f0c 10.9.0.2  web\n", "4f0c9 10.9.0.3  db\n"
    both = with_line(with_line("", head, web), head, db)
    assert both == f"{head}{web}{db}"
    assert with_line(both, head, web) == both
    assert lines_by_id(both) == {"4f0c": web, "4f0c9": db}
    moved = web.replace("10.9.0.2", "10.9.0.9")
    assert with_line(both, head, moved) == f"{head}{db}{moved}"
    assert with_line(both, f"10.9.0.1 192.0.2.1\n{head[9:]}", web).endswith(f"{db}{web}")
    left = without_line(both, "4f0c")
    assert left == f"{head}{db}"
    assert has_containers(left)
    assert not has_containers(without_line(left, "4f0c9"))


def test_file_of_a_network_is_none_that_the_server_has_itself() -> None:
    """Whatever the network is called."""
    assert network_of(ServedNetwork("aardvark.pid", (ONE,)).file) == "aardvark.pid"
    assert network_of(ServedNetwork("lan", (ONE,), internal=True).file) == "lan"
    assert network_of("aardvark.pid") == ""


@pytest.mark.parametrize(
    ("lan", "served"),
    [
        (_lan(), True),
        (_lan(dns=False), False),
        (_lan(internal=True), True),
        (_lan(managed=False), False),
        (_lan(managed=False, dns_servers=(OWN,)), True),
        (_lan(pools=()), False),
    ],
)
def test_network_is_served_as_its_definition_says(lan: Network, served: bool) -> None:
    """One of ours unless it says no, an adopted one if it says whom to ask."""
    assert bool(served_network(lan)) is served


def test_container_asks_whom_its_user_wants_to_be_asked() -> None:
    """Where the server can: not from a network that asks nobody, nor at the container's own."""

    def upstreams(known: Attachment, *defined: Network) -> tuple[Address, ...]:
        found = served_container(known, "lan", {net.name: net for net in defined}, (ELSE,))
        assert found
        return found.upstreams

    lan, dmz = _lan(), network("dmz", "10.8.0.0/24")
    vault = network("vault", "10.7.0.0/24", internal=True)
    assert upstreams(_record(), lan) == ()
    assert upstreams(_record(), lan, dmz) == ()
    assert upstreams(_record(OWN), lan) == (OWN,)
    assert upstreams(_record(OWN), lan.replace(internal=True)) == ()
    assert upstreams(_record(Address.parse("127.0.0.1")), lan) == ()
    assert upstreams(_record(on=("lan", "vault")), lan, vault) == (ELSE,)
    kept = _record(OWN).replace(access=Access(egress=()))
    assert upstreams(kept, lan) == (Address.parse("255.255.255.255"),)
    given = lan.replace(dns_servers=(OWN,))
    assert upstreams(_record(on=("lan", "vault")), given, vault) == (OWN,)


def test_container_has_the_gateways_of_its_networks_for_resolvers() -> None:
    """In its order, of families that it has; and none where its own are asked by itself."""
    lan, dmz = network("lan", "10.9.0.0/24", "fd00:9::/64"), network("dmz", "10.8.0.0/24")
    gateways = (Address.parse("10.8.0.1"), ONE)
    assert resolvers_of(_record(on=("dmz", "lan")), (dmz, lan)) == gateways
    both = _record().replace(
        endpoints=(endpoint("lan").replace(addresses=(
            Interface.parse("10.9.0.2/24"), Interface.parse("fd00:9::2/64"))),)
    )  # fmt: skip
    assert resolvers_of(both, (lan,)) == (ONE, TWO)
    assert resolvers_of(both.replace(served=()), (lan,)) == ()
    assert resolvers_of(_record(OWN), (lan,)) == (ONE,)
    assert resolvers_of(_record(Address.parse("127.0.0.1")), (lan,)) == ()
    assert resolvers_of(_record(OWN), (lan.replace(internal=True),)) == ()
    assert resolvers_of(_record(), (lan.replace(internal=True),)) == (ONE,)
