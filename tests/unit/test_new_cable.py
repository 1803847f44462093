"""Links between two containers: what is wished of one, what it comes to, and its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from builders import container, network, subnets
from ocinet.base.address import Address, Subnet
from ocinet.base.errors import ConflictError, NotFoundError, OcinetError
from ocinet.base.paths import Paths
from ocinet.engine.model.cable import Cable
from ocinet.engine.model.link import InsideLink
from ocinet.engine.model.plug import Plug
from ocinet.engine.model.request import Route
from ocinet.engine.plan.new_cable import CableOptions, CableSurroundings, define_cable
from ocinet.engine.records.cables import PLUGS, CableStore, encode

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS = CableOptions(("web", "db"))
AROUND = CableSurroundings(
    networks=(network(),),
    cables=(),
    occupied=subnets("192.0.2.0/24"),
    routed=(),
    pools=subnets("10.72.0.0/13", "fd00:72::/48"),
)


def define(around: CableSurroundings = AROUND, **wishes: Any) -> Cable:
    """Define a link with these wishes."""
    return define_cable(OPTIONS.replace(**wishes), around)


def spelled(cable: Cable) -> list[list[str]]:
    """Return the addresses of both ends."""
    return [[str(own) for own in end.addresses] for end in cable.ends]


def own(*texts: str) -> tuple[tuple[int, Address, int | None], ...]:
    """Return the ends' addresses as flags say them: `0 10.7.0.1/30`."""
    found = []
    for text in texts:
        number, _, rest = text.partition(" ")
        address, _, prefixlen = rest.partition("/")
        length = int(prefixlen) if prefixlen else None
        found.append((int(number), Address.parse(address), length))
    return tuple(found)


def test_link_that_says_nothing_gets_a_free_pair() -> None:
    """A /31 of the pools, interfaces that are free, and MACs of its own."""
    cable = define()
    assert (cable.name, cable.mtu) == ("web-db", 1500)
    assert spelled(cable) == [["10.72.0.0/31"], ["10.72.0.1/31"]]
    assert [end.ifname for end in cable.ends] == ["link0", "link0"]
    assert len({end.mac for end in cable.ends}) == 2


def test_next_link_gets_the_next_pair_and_what_is_free_of_names() -> None:
    """All links together take one /24 of the pools, so that networks have the others."""
    first = define()
    there = InsideLink("link1", up=True, mac="", mtu=1500, addresses=(), routes=())
    second = define(AROUND.replace(cables=(first,), inside=((there,), ())))
    assert second.name == "web-db-2"
    assert spelled(second) == [["10.72.0.2/31"], ["10.72.0.3/31"]]
    assert [end.ifname for end in second.ends] == ["link2", "link1"]


def test_pair_keeps_off_what_either_routes() -> None:
    """And off networks, and off what the host has."""
    route = Route(Subnet.parse("10.72.0.0/16"), Address.parse("10.9.0.1"))
    inside = InsideLink("eth0", up=True, mac="", mtu=1500, addresses=(), routes=(route,))
    around = AROUND.replace(
        inside=((), (inside,)), networks=(network("lan", "10.73.0.0/24"),),
        occupied=subnets("10.73.1.0/24"),
    )  # fmt: skip
    assert spelled(define(around))[0] == ["10.73.2.0/31"]


@pytest.mark.parametrize(
    ("wishes", "expected"),
    [
        ({"subnets": subnets("10.7.0.0/30")}, [["10.7.0.1/30"], ["10.7.0.2/30"]]),
        ({"subnets": subnets("10.7.0.0/24")}, [["10.7.0.1/24"], ["10.7.0.2/24"]]),
        ({"subnets": subnets("fd00:7::/127")}, [["fd00:7::/127"], ["fd00:7::1/127"]]),
        (
            {"subnets": subnets("10.7.0.0/31"), "ipv6": True},
            [["10.7.0.0/31", "fd00:72::/127"], ["10.7.0.1/31", "fd00:72::1/127"]],
        ),
        ({"addresses": own("0 10.7.0.1", "1 10.7.0.0")}, [["10.7.0.1/31"], ["10.7.0.0/31"]]),
        ({"addresses": own("0 10.7.0.2", "1 10.7.0.1")}, [["10.7.0.2/30"], ["10.7.0.1/30"]]),
        ({"addresses": own("1 10.7.0.1/24")}, [["10.7.0.2/24"], ["10.7.0.1/24"]]),
        (
            {"subnets": subnets("10.7.0.0/24"), "addresses": own("0 10.7.0.9")},
            [["10.7.0.9/24"], ["10.7.0.1/24"]],
        ),
    ],
)
def test_addresses_are_as_they_are_said(wishes: dict[str, Any], expected: list[list[str]]) -> None:
    """By subnet, by address, by both; what is left out is filled in."""
    assert spelled(define(**wishes)) == expected


@pytest.mark.parametrize(
    ("wishes", "why"),
    [
        ({"containers": ("web", "web")}, "web can't be linked with itself"),
        ({"subnets": subnets("10.7.0.0/32")}, "no subnet for containers"),
        ({"subnets": subnets("10.7.0.0/30", "10.8.0.0/30")}, "are of one family"),
        ({"subnets": subnets("10.9.0.128/25")}, "overlaps 10.9.0.0/24 of lan"),
        ({"addresses": own("0 10.7.0.1", "1 10.9.9.9")}, "in no subnet of two addresses"),
        ({"addresses": own("0 10.7.0.0/30")}, "10.7.0.0 is no address of an end"),
        ({"addresses": own("0 10.7.0.1/30", "1 10.7.0.1/30")}, "both ends are given 10.7.0.1"),
        ({"addresses": own("0 10.7.0.1/30", "1 10.8.0.1/30")}, "not in 10.7.0.0/30"),
        ({"addresses": own("0 10.7.0.1/30", "0 10.7.0.2/30")}, "web is given 10.7.0.1 and"),
        ({"name": "Web!"}, "no network name"),
        ({"ifnames": ("lo", "")}, "no interface name"),
        ({"mtu": 60}, "60 is no MTU"),
        ({"mtu": 1000, "subnets": subnets("fd00:7::/127")}, "1000 is no MTU"),
        ({"routes": ((0, Subnet.parse("::/0")),)}, "a link without IPv6"),
        ({"routes": ((0, Subnet.parse("10.5.0.0/16")),) * 2}, "given 10.5.0.0/16 twice"),
    ],
)
def test_wish_that_can_not_be_is_refused_in_a_line(wishes: dict[str, Any], why: str) -> None:
    """It says what is wrong."""
    with pytest.raises(OcinetError, match=why.replace(".", r"\.")):
        define(**wishes)


def test_names_that_are_taken_are_refused() -> None:
    """The link's, and an interface's, by whom."""
    around = AROUND.replace(cables=(define(),))
    with pytest.raises(ConflictError, match="there is a link web-db already"):
        define(around, name="web-db")
    with pytest.raises(ConflictError, match="link0 in db is the link web-db's"):
        define(around, ifnames=("", "link0"))
    with pytest.raises(ConflictError, match="of the link web-db"):
        define(around, subnets=subnets("10.72.0.0/30"))


def test_routes_lead_by_the_other_end() -> None:
    """Of the family that they are of."""
    cable = define(routes=((1, Subnet.parse("0.0.0.0/0")),))
    assert cable.ends[0].routes == ()
    assert cable.ends[1].routes == (Route(Subnet.parse("0.0.0.0/0"), Address.parse("10.72.0.0")),)


@pytest.fixture
def store(tmp_path: Path) -> CableStore:
    """Return an empty store."""
    return CableStore(Paths(config=f"{tmp_path}/etc"))


def test_route_of_a_link_keeps_all_that_it_says(store: CableStore) -> None:
    """In its file, and on record of an end: metric and kind as well."""
    cable = define()
    routes = (
        Route(Subnet.parse("10.5.0.0/16"), Address.parse("10.72.0.1"), metric=200),
        Route(Subnet.parse("10.6.0.0/16"), kind="blackhole"),
    )
    near, far = cable.ends
    store.add(cable.replace(ends=(near.replace(routes=routes), far)))
    assert store.get(cable.name).ends[0].routes == routes
    plug = Plug(cable.name, "link0", near.mac, "db-id", "0:1", near.addresses, routes)
    assert PLUGS.read(PLUGS.write((plug,))) == (plug,)


def test_store_returns_what_was_added(store: CableStore) -> None:
    """Until it is removed; and who asks by container gets those that name it."""
    assert store.names() == ()
    assert store.naming(container("web")) == ()
    cable = define(routes=((0, Subnet.parse("10.5.0.0/16")),))
    store.add(cable)
    assert store.all() == store.naming(container("db")) == (cable,)
    assert store.naming(container("d")) == ()
    assert store.get("web-db") == cable
    with pytest.raises(ConflictError, match="already"):
        store.add(cable)
    with pytest.raises(NotFoundError, match="there is no link web-d") as missing:
        store.get("web-d")
    assert "web-db" in missing.value.hint
    assert store.remove("web-db")
    assert not store.remove("web-db")
    assert store.names() == ()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"ends": []}, "it has 0 ends, not 2"),
        ({"name": "other"}, "it says that it is 'other'"),
        ({"mtu": "x"}, "mtu is no number"),
    ],
)
def test_file_that_makes_no_sense_is_named(
    store: CableStore, tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    """With what is wrong; those beside it are read."""
    from ocinet.base.jsontext import dumps

    store.add(define(name="good"))
    store.add(define())
    (tmp_path / "etc/links/web-db.json").write_text(dumps({**encode(define()), **change}))
    cables, flaws = store.sorted_out()
    assert [cable.name for cable in cables] == ["good"]
    ((name, told),) = flaws
    assert name == "web-db"
    assert why in told


def test_interface_in_a_file_never_leads_elsewhere(store: CableStore, tmp_path: Path) -> None:
    """It becomes part of a sysctl's path."""
    store.add(define())
    path = tmp_path / "etc/links/web-db.json"
    path.write_text(path.read_text().replace("link0", "../x"))
    with pytest.raises(OcinetError, match="no interface name"):
        store.get("web-db")
