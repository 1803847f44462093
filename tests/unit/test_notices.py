"""What a message of the kernel's says that others may have touched, and what is nobody's."""

from __future__ import annotations

from struct import pack

import pytest

from ocinet.engine.firewall import table_notices
from ocinet.engine.kernel.link_messages import RTM_DELLINK, RTM_NEWLINK
from ocinet.engine.kernel.link_notices import Known
from ocinet.engine.model.link import LINK_GROUP
from ocinet.engine.model.scope import HOST_ENDS, NETWORKS, NOTHING, TABLE, of_container, united
from ocinet.engine.netlink.framing import NLA_F_NESTED, attribute, u32
from ocinet.engine.netlink.notices import HERE

BRIDGE, END, FOREIGN = 5, 6, 7
SPACE = 3
WEB = of_container("web-id", inside=False)
IN_WEB = of_container("web-id", inside=True)
_DELADDR, _NEWROUTE, _DELROUTE, _NEWNETCONF = 21, 24, 25, 80
_DELQDISC, _DELTFILTER = 37, 45


def link(ifindex: int, ifname: str, kind: str, **changes: object) -> bytes:
    """Return the body of a message about a link."""
    has = {"up": True, "mtu": 1500, "group": LINK_GROUP, "master": 0, "alias": "",
           "mac": b"", "hairpin": False, "isolated": False, "flags": 0, "port": b"",
           **changes}  # fmt: skip
    port = attribute(4, b"\1" if has["hairpin"] else b"\0")
    port += attribute(33, b"\1" if has["isolated"] else b"\0")
    port += bytes(has["port"]) if isinstance(has["port"], bytes) else b""
    info = attribute(1, kind.encode() + b"\0")
    if has["master"]:
        info += attribute(4, b"bridge\0") + attribute(5 | NLA_F_NESTED, port)
    return (
        pack("=BxHIII", 0, 1, ifindex, int(bool(has["up"])) | int(str(has["flags"])), 0)
        + attribute(3, ifname.encode() + b"\0")
        + u32(4, int(str(has["mtu"])))
        + u32(27, int(str(has["group"])))
        + (u32(10, int(str(has["master"]))) if has["master"] else b"")
        + (attribute(20, str(has["alias"]).encode() + b"\0") if has["alias"] else b"")
        + (attribute(1, has["mac"]) if isinstance(has["mac"], bytes) and has["mac"] else b"")
        + (u32(37, SPACE) if kind == "veth" else b"")
        + attribute(18 | NLA_F_NESTED, info)
    )


def end(**changes: object) -> bytes:
    """Return the body of a message about web's host end."""
    has = {
        "master": BRIDGE,
        "alias": "ocinet:web-id/eth0",
        "hairpin": True,
        "isolated": True,
        **changes,
    }
    return link(END, "oc1", "veth", **has)


def bridge(**changes: object) -> bytes:
    """Return the body of a message about the bridge."""
    return link(BRIDGE, str(changes.pop("ifname", "br-lan")), "bridge", **changes)


@pytest.fixture
def known() -> Known:
    """Return what knows a bridge and a host end."""
    made = Known()
    made.learn(
        [bridge(), end(), link(FOREIGN, "veth7", "veth", group=0)], frozenset({"br-lan", "br0"})
    )
    return made


@pytest.mark.parametrize(
    ("kind", "body", "touched"),
    [
        (RTM_NEWLINK, bridge(), NOTHING),
        (RTM_NEWLINK, bridge(up=False), NETWORKS),
        (RTM_NEWLINK, bridge(mtu=1280), NETWORKS),
        (RTM_NEWLINK, bridge(ifname="other"), NETWORKS),
        (RTM_DELLINK, bridge(), NETWORKS),
        (RTM_NEWLINK, link(9, "br0", "bridge", group=0), NETWORKS | HOST_ENDS),
        (RTM_NEWLINK, end(), NOTHING),
        (RTM_NEWLINK, end(up=False), WEB),
        (RTM_NEWLINK, end(master=0), WEB),
        (RTM_NEWLINK, end(master=FOREIGN), WEB),
        (RTM_NEWLINK, end(mtu=1280), WEB),
        (RTM_NEWLINK, end(hairpin=False), WEB),
        (RTM_NEWLINK, end(isolated=False), WEB),
        (RTM_NEWLINK, end(port=attribute(8, b"\1") + attribute(39, b"\0")), NOTHING),
        (RTM_NEWLINK, end(port=attribute(39, b"\1")), WEB),
        (RTM_NEWLINK, end(port=attribute(30, b"\0")), WEB),
        (RTM_NEWLINK, end(port=attribute(1, b"\0")), NOTHING),  # it has no carrier
        (RTM_NEWLINK, bridge(flags=0x80), NETWORKS),
        (_DELQDISC, pack("=BxxxIIII", 0, END, 0, 0, 0), WEB),
        (_DELTFILTER, pack("=BxxxIIII", 0, BRIDGE, 0, 0, 0), NETWORKS),
        (_DELTFILTER, pack("=BxxxIIII", 0, FOREIGN, 0, 0, 0), NOTHING),
        (RTM_NEWLINK, end(group=0), WEB),
        (RTM_NEWLINK, end(up=False, alias=""), WEB),
        (RTM_DELLINK, end(), WEB),
        (RTM_DELLINK, end(alias=""), WEB),
        (RTM_NEWLINK, link(8, "oc2", "veth", master=BRIDGE, alias="ocinet:new/eth0"), NOTHING),
        (RTM_NEWLINK, link(8, "oc2", "veth"), HOST_ENDS),
        (RTM_NEWLINK, link(FOREIGN, "veth7", "veth", group=0, up=False), NOTHING),
        (RTM_DELLINK, link(FOREIGN, "veth7", "veth", group=0), NOTHING),
        (_DELADDR, pack("=BBBBI", 2, 24, 0, 0, BRIDGE), NETWORKS),
        (_DELADDR, pack("=BBBBI", 2, 24, 0, 0, FOREIGN), NOTHING),
        (_DELROUTE, pack("=BBBBBBBBI", 2, 24, *7 * [0]) + u32(4, BRIDGE), NETWORKS),
        (_DELROUTE, pack("=BBBBBBBBI", 2, 24, *7 * [0]) + u32(4, FOREIGN), NOTHING),
        (_NEWROUTE, pack("=BBBBBBBBI", 2, 24, 0, 0, 254, *4 * [0]) + u32(4, BRIDGE), NOTHING),
        (_NEWROUTE, pack("=BBBBBBBBI", 10, 0, 0, 0, 254, *4 * [0]), NETWORKS),
        (_NEWROUTE, pack("=BBBBBBBBI", 2, 0, 0, 0, 102, *4 * [0]), NOTHING),
        (_DELROUTE, pack("=BBBBBBBBI", 2, 0, 0, 0, 254, *4 * [0]), NETWORKS),
        (32, bytes(12), NETWORKS),
        (33, bytes(12), NETWORKS),
        (_NEWNETCONF, pack("=Bxxx", 2) + u32(1, 0xFFFFFFFF) + u32(2, 0), NETWORKS),
        (_NEWNETCONF, pack("=Bxxx", 2) + u32(1, 0xFFFFFFFF) + u32(2, 1), NOTHING),
        (_NEWNETCONF, pack("=Bxxx", 2) + u32(1, FOREIGN) + u32(2, 0), NOTHING),
        (_NEWNETCONF, pack("=Bxxx", 2) + u32(1, 0xFFFFFFFF) + u32(3, 0), NOTHING),
    ],
)
def test_message_about_the_host_touches(
    known: Known, kind: int, body: bytes, touched: object
) -> None:
    """What is worse than before, of ours; not what is set up, nor what is others'."""
    assert known.judge(HERE, kind, body) == touched


def test_bridge_that_is_set_up_is_followed_by_who_was_on_it(known: Known) -> None:
    """Whoever made it anew does both in two steps, perhaps long after one another."""
    assert known.judge(HERE, RTM_NEWLINK, link(9, "br0", "bridge", group=0, up=False)) == (
        NETWORKS | HOST_ENDS
    )
    assert known.judge(HERE, RTM_NEWLINK, link(9, "br0", "bridge", group=0)) == (
        NETWORKS | HOST_ENDS
    )
    assert known.judge(HERE, RTM_NEWLINK, link(9, "br0", "bridge", group=0)) == NOTHING


def test_hairpin_mode_is_told_by_the_bridge_alone(known: Known) -> None:
    """Once: it is known to be off then."""
    off = pack("=BxHIII", 7, 1, END, 1, 0) + attribute(12 | NLA_F_NESTED, attribute(4, b"\0"))
    assert known.judge(HERE, RTM_NEWLINK, off) == WEB
    assert known.judge(HERE, RTM_NEWLINK, off) == NOTHING
    floods = attribute(4, b"\0") + attribute(33, b"\0") + attribute(9, b"\0")
    deaf = pack("=BxHIII", 7, 1, END, 1, 0) + attribute(12 | NLA_F_NESTED, floods)
    assert known.judge(HERE, RTM_NEWLINK, deaf) == WEB
    assert known.judge(HERE, RTM_NEWLINK, deaf) == NOTHING
    left = pack("=BxHIII", 7, 1, END, 1, 0)
    assert known.judge(HERE, RTM_DELLINK, left) == NOTHING


def test_message_about_a_sandbox_touches_its_container(known: Known) -> None:
    """What goes, or is down, or has another MTU or MAC; not what comes."""
    lo = link(1, "lo", "", group=0, mtu=65536)
    assert known.judge(SPACE, RTM_NEWLINK, lo) == NOTHING
    assert known.judge(SPACE, RTM_NEWLINK, lo) == NOTHING
    assert known.judge(SPACE, RTM_NEWLINK, link(1, "lo", "", up=False, mtu=65536)) == IN_WEB
    assert known.judge(SPACE, RTM_NEWLINK, link(1, "lo", "", mtu=1280)) == IN_WEB
    assert known.judge(SPACE, RTM_NEWLINK, link(2, "eth0", "veth", mac=bytes(6))) == NOTHING
    assert known.judge(SPACE, RTM_NEWLINK, link(2, "eth0", "veth", mac=b"\2" * 6)) == IN_WEB
    assert known.judge(SPACE, RTM_NEWLINK, link(2, "eth0", "veth", mac=b"\2" * 6)) == NOTHING
    assert known.judge(SPACE, _DELADDR, pack("=BBBBI", 2, 24, 0, 0, 2)) == IN_WEB
    assert known.judge(SPACE, _DELROUTE, pack("=BBBBBBBBI", 2, 0, *7 * [0])) == IN_WEB
    assert known.judge(SPACE, _NEWROUTE, pack("=BBBBBBBBI", 2, 0, *7 * [0])) == NOTHING
    assert known.judge(SPACE, _NEWNETCONF, b"") == NOTHING
    assert known.judge(SPACE + 1, _DELADDR, pack("=BBBBI", 2, 24, 0, 0, 2)) == NOTHING


def test_nothing_is_remembered_of_a_link_that_is_gone(known: Known) -> None:
    """Nor of its sandbox: its number is another one's next."""
    known.judge(SPACE, RTM_NEWLINK, link(1, "lo", ""))
    known.judge(HERE, RTM_DELLINK, end())
    known.judge(HERE, RTM_DELLINK, bridge())
    assert known.judge(SPACE, _DELADDR, pack("=BBBBI", 2, 24, 0, 0, 2)) == NOTHING
    assert [known._bridges, known._ends, known._sandboxes, known._inside] == 4 * [{}]


@pytest.mark.parametrize(
    ("kind", "family", "table", "touched"),
    [
        (2, 1, "ocinet", TABLE),  # the table deleted
        (5, 1, "ocinet", TABLE),  # a chain
        (6, 1, "ocinet", TABLE),  # a rule added
        (14, 1, "ocinet", TABLE),  # an element deleted
        (12, 1, "ocinet", NOTHING),  # an element added: by an attach
        (8, 2, "filter", NETWORKS),  # a rule of somebody's
        (3, 2, "filter", NETWORKS),
        (2, 2, "ocinet", NETWORKS),  # not ours: it is of ip
    ],
)
def test_message_about_a_table_touches(kind: int, family: int, table: str, touched: object) -> None:
    """Ours, or what others' chains let through."""
    body = pack("=BBH", family, 0, 0) + attribute(1, table.encode() + b"\0")
    assert table_notices.judge(10 << 8 | kind, body) == touched


def test_end_of_a_transaction_touches_nothing() -> None:
    """It has a number, and no table."""
    assert table_notices.judge(10 << 8 | 15, pack("=BBH", 0, 0, 0)) == NOTHING


def test_thousands_of_scopes_are_united_as_two_are() -> None:
    """Each container once, and all else."""
    scopes = [of_container(f"c{number % 700}", inside=False) for number in range(5000)]
    whole = united([*scopes, NOTHING, NETWORKS, of_container("c1", inside=True), TABLE])
    assert whole.containers == tuple(f"c{number}" for number in range(700))
    assert (whole.table, whole.networks, whole.inside) == (True, True, True)
    assert united([]) == NOTHING
    assert united([scopes[0], HOST_ENDS]) == HOST_ENDS
