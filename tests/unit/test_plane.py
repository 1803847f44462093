"""What a data plane decides: whom it believes, what it wishes for, and in which order it acts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocinet.base.address import Address, Interface, Subnet
from ocinet.cluster.model import Cluster, Host, Mine, Peer, Pool
from ocinet.cluster.plane import closing
from ocinet.cluster.plane.believed import believed
from ocinet.cluster.plane.desired import (
    Forward,
    Neighbour,
    Tables,
    Way,
    device_of,
    route_tables,
    tunnel_tables,
    vxlan_tables,
)
from ocinet.cluster.plane.reconcile import Place, acts, difference, told

_GOLDEN = Path(__file__).with_name("golden_cluster")
PLACE = Place("ocx-42", 7, 7)
POOLS = (Pool(Subnet.parse("10.42.0.0/16"), 24), Pool(Subnet.parse("fd42::/48"), 64))
CLUSTER = Cluster("prod", POOLS, vni=42)


def host(number: int, *underlay: str) -> Host:
    """Return a host, at 192.0.2.NUMBER unless it is said."""
    at = tuple(map(Address.parse, underlay or (f"192.0.2.{number}",)))
    return Host(f"{number:08x}-x", f"h{number}", at, f"02:1f:00:00:00:{number:02x}")


def peer(number: int, *shares: str, underlay: tuple[str, ...] = ()) -> Peer:
    """Return a peer, with a share of each pool unless they are said."""
    usual = (f"10.42.{number}.0/24", f"fd42:0:0:{number:x}::/64")
    return Peer(host(number, *underlay), tuple(map(Subnet.parse, shares or usual)))


def mine(number: int = 1, *, cluster: Cluster = CLUSTER) -> Mine:
    """Return this host."""
    like = peer(number)
    return Mine(like.host, like.shares, cluster)


# --- whom it believes ------------------------------------------------------------------------


def test_all_that_can_be_is_believed() -> None:
    """And nothing is told of it."""
    peers = (peer(2), peer(3))
    assert believed(mine(), peers) == (peers, ())


@pytest.mark.parametrize(
    ("share", "why"),
    [
        ("10.43.2.0/24", "in no pool of the cluster"),
        ("10.42.0.0/15", "in no pool of the cluster"),
        ("0.0.0.0/0", "in no pool of the cluster"),
        ("10.42.1.0/24", "is h1's"),
        ("10.42.1.128/25", "is h1's"),
        ("10.42.0.0/16", "is h1's"),
        ("10.42.2.0/24", "is h2 (00000002)'s"),
        ("10.42.2.64/26", "is h2 (00000002)'s"),
        ("10.42.2.0/23", "is h2 (00000002)'s"),
        ("fd42:0:0:2:1::/80", "is h2 (00000002)'s"),
    ],
)
def test_a_share_that_can_not_be_a_peers_costs_it_that_one_alone(share: str, why: str) -> None:
    """It is told; the peer's other share, and who has it, keep theirs."""
    greedy = peer(3, share, "10.42.3.0/24")
    found, left = believed(mine(), (peer(2), greedy))
    assert [str(each) for each in found[1].shares] == ["10.42.3.0/24"]
    assert found[0] == peer(2)
    assert [why in str(reason) for reason in left] == [True]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"mac": "00:00:00:00:00:00"}, "which no data plane has"),
        ({"mac": "ff:ff:ff:ff:ff:ff"}, "which no data plane has"),
        ({"mac": "03:1f:00:00:00:09"}, "which no data plane has"),
        ({"mac": ""}, "which no data plane has"),
        ({"mac": "02:1f:00:00:00:0g"}, "which no data plane has"),
        ({"mac": "02:1F:00:00:00:09"}, "which no data plane has"),
        ({"mac": "02:1f:00:00:00:01"}, "that of h1: one of them is a clone"),
        ({"mac": "02:1f:00:00:00:02"}, "that of h2 (00000002): one of them is a clone"),
        ({"underlay": (Address.parse("192.0.2.1"),)}, "192.0.2.1 is this host's"),
    ],
)
def test_a_peer_that_can_not_be_is_left_out_by_itself(changes: dict[str, object], why: str) -> None:
    """A MAC for frames that nobody knows would have the kernel flood to it."""
    bad = peer(3)
    bad = bad.replace(host=bad.host.replace(**changes))
    found, left = believed(mine(), (peer(2), bad))
    assert found == (peer(2),)
    assert [why in str(reason) for reason in left] == [True]


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(16, 28)), max_size=30))
def test_believed_shares_never_overlap(cuts: list[tuple[int, int]]) -> None:
    """Nor do they overlap this host's, whatever is said."""
    peers = tuple(
        Peer(host(number), (Interface(Address(4, (10 << 24) + (42 << 16) + (third << 8)), length)
                            .subnet,))
        for number, (third, length) in enumerate(cuts, 2)
    )  # fmt: skip
    found = [share for each in believed(mine(), peers)[0] for share in each.shares]
    found += mine().shares
    for place, share in enumerate(found):
        assert not any(share.overlaps(other) for other in found[:place])


# --- what it wishes for ----------------------------------------------------------------------


def test_vxlan_has_one_entry_of_each_kind_for_each_peer_and_family() -> None:
    """The base of a share stands for its host."""
    tables, unreached = vxlan_tables(mine(), (peer(2),))
    mac, base4, base6 = "02:1f:00:00:00:02", "10.42.2.0", "fd42:0:0:2::"
    own4, own6 = Address.parse("10.42.1.0"), Address.parse("fd42:0:0:1::")
    assert unreached == ()
    assert tables == Tables(
        frozenset({Interface(own4, 32), Interface(own6, 128)}),
        frozenset(Neighbour(Address.parse(base), mac) for base in (base4, base6)),
        frozenset({Forward(mac, Address.parse("192.0.2.2"))}),
        frozenset(
            {
                Way(Subnet.parse("10.42.2.0/24"), Address.parse(base4), own4),
                Way(Subnet.parse("fd42:0:0:2::/64"), Address.parse(base6), own6),
            }
        ),
    )


def test_a_peer_that_is_not_heard_keeps_its_way() -> None:
    """What is lost is its voice; its containers may well be reached."""
    silent = peer(2).replace(heard=False)
    assert vxlan_tables(mine(), (silent,)) == vxlan_tables(mine(), (peer(2),))


def test_hosts_without_shares_have_no_way_and_no_address() -> None:
    """Neither a peer, nor this one: it has no address of the pool to speak with."""
    bare = Peer(host(3), ())
    assert vxlan_tables(mine(), (bare,))[0].ways == frozenset()
    assert vxlan_tables(mine().replace(shares=()), (peer(2),))[0] == Tables()


def test_a_peer_without_an_underlay_of_that_family_is_told() -> None:
    """With what would help."""
    far = peer(2, underlay=("2001:db8::2",))
    tables, (reason,) = vxlan_tables(mine(), (far,))
    assert tables.ways == frozenset()
    assert str(reason).startswith("h2 (00000002): it has no underlay address of IPv4")


def test_plain_routes_lead_by_the_underlay_and_who_is_behind_a_router_is_told() -> None:
    """No route is made that the kernel would refuse."""
    near = peer(2, "10.42.2.0/24")
    far = peer(3, "10.42.3.0/24", underlay=("203.0.113.3",))
    tables, (reason,) = route_tables(mine(), (near, far), 4, (Subnet.parse("192.0.2.0/24"),))
    own = Address.parse("10.42.1.0")
    way = Way(Subnet.parse("10.42.2.0/24"), Address.parse("192.0.2.2"), own, 4)
    assert tables.ways == {way}
    assert "203.0.113.3 is not on the link of 192.0.2.1" in str(reason)


def test_a_tunnel_has_routes_alone() -> None:
    """Who is behind it, it knows by itself."""
    tables = tunnel_tables(mine(), (peer(2, "10.42.2.0/24"),))
    own = Address.parse("10.42.1.0")
    assert tables.ways == {Way(Subnet.parse("10.42.2.0/24"), None, own)}
    assert not tables.neighbours


def test_device_name_fits_an_interface() -> None:
    """Also of the highest VNI."""
    assert device_of(CLUSTER.replace(vni=(1 << 24) - 1)) == "ocx-16777215"


# --- in which order --------------------------------------------------------------------------


def there(*numbers: int) -> Tables:
    """Return what is there for peers of IPv4."""
    return vxlan_tables(mine(), [peer(each, f"10.42.{each}.0/24") for each in numbers])[0]


def test_nothing_to_do_is_nothing() -> None:
    """What is as wished gives no act and no line."""
    same = difference(there(2, 3), there(2, 3), there(2, 3).ways)
    assert acts(same, PLACE) == ()
    assert told(same, PLACE) == ()


def test_a_new_peer_is_known_before_its_route() -> None:
    """No packet leaves for somebody whom the kernel would have to ask for."""
    lines = [act.what for act in acts(difference(there(2, 3), there(2), there(2).ways), PLACE)]
    assert lines == [
        "frames for 02:1f:00:00:00:03 to 192.0.2.3 on ocx-42",
        "neighbour 10.42.3.0 at 02:1f:00:00:00:03 on ocx-42",
        "route 10.42.3.0/24 via 10.42.3.0 dev ocx-42",
    ]


def test_a_peer_that_moved_is_found_before_its_old_place_is_forgotten() -> None:
    """Its neighbour and route stay as they are."""
    moved = peer(2, "10.42.2.0/24", underlay=("192.0.2.22",))
    found = difference(vxlan_tables(mine(), (moved,))[0], there(2), there(2).ways)
    assert [(act.made, act.what) for act in acts(found, PLACE)] == [
        (True, "frames for 02:1f:00:00:00:02 to 192.0.2.22 on ocx-42"),
        (False, "frames for 02:1f:00:00:00:02 to 192.0.2.2 on ocx-42"),
    ]


def test_what_is_replaced_is_not_taken_away_first() -> None:
    """A neighbour with another MAC, and a route of ours that leads elsewhere."""
    wished = there(2)
    old = Way(Subnet.parse("10.42.2.0/24"), Address.parse("10.42.9.0"))
    other = Neighbour(Address.parse("10.42.2.0"), "02:00:00:00:00:99")
    now = wished.replace(ways=frozenset({old}), neighbours=frozenset({other}))
    assert all(act.made for act in acts(difference(wished, now, now.ways), PLACE))
    # Another's route has to go first: it would refuse ours.
    first = acts(difference(wished, now, frozenset()), PLACE)[1]
    assert (first.made, first.what) == (False, "route 10.42.2.0/24 via 10.42.9.0 dev ocx-42")


def test_differences_are_told_by_line() -> None:
    """What is missing, and what is not the cluster's."""
    assert told(difference(there(2), there(3), there(3).ways), PLACE) == (
        "frames for 02:1f:00:00:00:02 to 192.0.2.2 on ocx-42 is missing",
        "neighbour 10.42.2.0 at 02:1f:00:00:00:02 on ocx-42 is missing",
        "route 10.42.2.0/24 via 10.42.2.0 dev ocx-42 is missing",
        "frames for 02:1f:00:00:00:03 to 192.0.2.3 on ocx-42 is not the cluster's",
        "neighbour 10.42.3.0 at 02:1f:00:00:00:03 on ocx-42 is not the cluster's",
        "route 10.42.3.0/24 via 10.42.3.0 dev ocx-42 is not the cluster's",
    )


# --- who is let in: one text of each kind, which also documents it -----------------------------

PEERS = (peer(2), peer(3, "10.42.3.0/24"))
OVER_6 = mine().replace(host=host(1, "2001:db8::1"))
TEXTS = {
    "vxlan": closing.vxlan_text("ocinet-ocx-42", "ocx-42", 7, mine(), PEERS),
    "vxlan_over_ipv6": closing.vxlan_text(
        "ocinet-ocx-42", "ocx-42", 7, OVER_6, (peer(2, underlay=("2001:db8::2",)),)
    ),
    "vxlan_alone": closing.vxlan_text("ocinet-ocx-42", "ocx-42", 7, mine(), ()),
    "routes": closing.routes_text("ocinet-ocx-42", "eth0", mine(), PEERS),
    "wireguard": closing.tunnel_text("ocinet-ocx-42", "ocx-42", mine(), PEERS),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_text_of_the_closing_table_is_the_golden_one(kind: str) -> None:
    """Byte for byte; to renew them, `OCINET_GOLDEN=write pytest tests/unit/test_plane.py`."""
    path = _GOLDEN / f"{kind}.nft"
    if os.environ.get("OCINET_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(TEXTS[kind])
    assert TEXTS[kind] == path.read_text()
