"""The nfnetlink encoder against pyroute2, which decodes all that it can make."""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroute2.netlink.nfnetlink.nftsocket import nft_set_elem_list_msg

from builders import network_rules
from ocinet.base.address import Address, Subnet
from ocinet.engine.firewall import nfnetlink
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.network import NetworkRules
from ocinet.engine.netlink.framing import Answer, Refusal, attribute
from ocinet.engine.ruleset.elements import port_element, port_elements
from ocinet.engine.ruleset.network_sets import network_elements

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEWSETELEM, _DELSETELEM, _DELTABLE = 0xA0C, 0xA0E, 0xA02
_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}


def _messages(encoded: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield type, flags, sequence and the whole of each message."""
    while encoded:
        length, kind, flags, sequence, _port = struct.unpack_from("=IHHII", encoded)
        yield kind, flags, sequence, encoded[:length]
        encoded = encoded[length:]


def _decoded(batch: nfnetlink.Batch) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the set and the elements of each message, as pyroute2 reads them."""
    found = []
    for kind, _flags, _sequence, data in _messages(batch.encode()):
        if kind in (_NEWSETELEM, _DELSETELEM):
            read = nft_set_elem_list_msg(data)
            read.decode()
            assert read["nfgen_family"] == 1
            assert read.get_attr("NFTA_SET_ELEM_LIST_TABLE") == "ocinet"
            listed = read.get_attr("NFTA_SET_ELEM_LIST_ELEMENTS")
            found.append(
                (
                    read.get_attr("NFTA_SET_ELEM_LIST_SET"),
                    [dict(element["attrs"]) for element in (nla for nla in listed)],
                )
            )
    return found


def _value(element: dict[str, Any], part: str) -> bytes:
    value = element[f"NFTA_SET_ELEM_{part}"].get_attr("NFTA_DATA_VALUE")
    assert isinstance(value, bytes)
    return value


def _packed(address: Address) -> bytes:
    return ipaddress.ip_address(str(address)).packed


_ports = st.integers(1, 65535)
_addresses = {
    4: st.integers(1, 2**32 - 1).map(lambda number: Address(4, number)),
    6: st.integers(1, 2**128 - 1).map(lambda number: Address(6, number)),
}


@st.composite
def port_rules(draw: st.DrawFn) -> PortRule:
    """Draw a published port of any kind."""
    family = draw(st.sampled_from((4, 6)))
    return PortRule(
        draw(st.sampled_from(("tcp", "udp", "sctp"))),
        draw(st.none() | _addresses[family]),
        draw(_ports),
        draw(_addresses[family]),
        draw(_ports),
    )


@given(port_rules(), st.booleans())
def test_port_is_decoded_by_pyroute2_as_meant(port: PortRule, exclusive: bool) -> None:
    """Protocol, addresses and ports come out as they went in, each padded to 4 bytes."""
    batch = nfnetlink.Batch("ocinet")
    batch.add((port_element(port),), exclusive=exclusive)
    [(name, [element])] = _decoded(batch)
    assert name == f"publish{port.address.family}" + ("_at" if port.host_address else "")
    key = struct.pack("B3x", _NUMBERS[port.protocol])
    if port.host_address:
        key += _packed(port.host_address)
    assert _value(element, "KEY") == key + struct.pack(">H2x", port.host_port)
    assert _value(element, "DATA") == _packed(port.address) + struct.pack(">H2x", port.port)
    flags = [flags for kind, flags, _, _ in _messages(batch.encode()) if kind == _NEWSETELEM]
    assert bool(flags[0] & 0x200) is exclusive


@given(port_rules())
def test_deleted_port_is_named_by_its_key_alone(port: PortRule) -> None:
    """The kernel takes an element to delete without its data."""
    batch = nfnetlink.Batch("ocinet")
    batch.delete((port_element(port),))
    [(_name, [element])] = _decoded(batch)
    assert list(element) == ["NFTA_SET_ELEM_KEY"]


@st.composite
def subnets(draw: st.DrawFn) -> Subnet:
    """Draw a subnet of any length that a network may have."""
    family = draw(st.sampled_from((4, 6)))
    bits = 32 if family == 4 else 128
    prefixlen = draw(st.integers(1, bits - 1))
    first = draw(st.integers(0, 2**prefixlen - 1)) << (bits - prefixlen)
    return Subnet(family, first, prefixlen)


@given(subnets())
def test_subnet_is_decoded_by_pyroute2_from_end_to_end(subnet: Subnet) -> None:
    """An interval set gets a start and an element after the end, a concatenation both ends."""
    network = ipaddress.ip_network(str(subnet))
    device = b"ocinet0".ljust(16, b"\0")
    batch = nfnetlink.Batch("ocinet")
    batch.add(network_elements(NetworkRules("ocinet0", (subnet,))))
    sets = dict(_decoded(batch))
    [home] = sets[f"home{subnet.family}"]
    assert _value(home, "KEY") == network[0].packed + device
    assert _value(home, "KEY_END") == network[-1].packed + device
    start, *ends = sets[f"masquerade{subnet.family}"]
    assert _value(start, "KEY") == network[0].packed
    assert "NFTA_SET_ELEM_FLAGS" not in start
    if int(network[-1]) + 1 == 2**network.max_prefixlen:
        assert not ends  # there is no address after it
    else:
        assert [_value(end, "KEY") for end in ends] == [(network[-1] + 1).packed]
        assert ends[0]["NFTA_SET_ELEM_FLAGS"] == {1}


@settings(max_examples=20)
@given(st.lists(port_rules(), min_size=1, max_size=30))
def test_batch_begins_and_ends_and_asks_for_one_ack(ports: list[PortRule]) -> None:
    """A transaction is framed for nftables, and only its last change is acknowledged."""
    batch = nfnetlink.Batch("ocinet")
    batch.add(map(port_element, ports))
    messages = list(_messages(batch.encode()))
    assert [messages[0][0], messages[-1][0]] == [16, 17]
    assert messages[0][3][16:] == messages[-1][3][16:] == b"\0\0\0\x0a"
    acks = [bool(flags & 0x4) for _, flags, _, _ in messages]
    assert acks == [False] * (len(acks) - 2) + [True, False]
    assert [sequence for _, _, sequence, _ in messages] == list(range(len(messages)))


def test_batch_of_many_ports_is_cut_where_a_length_ends() -> None:
    """A list's length has 16 bits: the longest elements fit, and none is lost."""
    address = Address.parse("fd00::2")
    ports = [PortRule("tcp", address, number, address, number) for number in range(1, 3000)]
    batch = nfnetlink.Batch("ocinet")
    batch.add(map(port_element, ports))
    keys = [_value(element, "KEY") for _, listed in _decoded(batch) for element in listed]
    assert len(set(keys)) == 2999
    assert len(_decoded(batch)) > 1


@given(port_rules(), st.integers(2, 5))
def test_row_of_ports_is_encoded_as_its_ports_are(port: PortRule, count: int) -> None:
    """What is encoded at once, to add and to delete, is what each by itself would be."""
    ports = [
        port.replace(
            host_port=min(port.host_port, 65000) + number, port=min(port.port, 65000) + number
        )
        for number in range(count)
    ]
    single, joined = nfnetlink.Batch("ocinet"), nfnetlink.Batch("ocinet")
    for batch, elements in (
        (single, tuple(map(port_element, ports))),
        (joined, port_elements(ports)),
    ):
        batch.add(elements, exclusive=True)
        batch.delete(elements)

    assert joined.encode() == single.encode()
    [row] = port_elements(ports)
    assert row.each() == tuple(map(port_element, ports))


def test_batch_of_nothing_is_false() -> None:
    """An attach without networks and ports sends nothing."""
    batch = nfnetlink.Batch("ocinet")
    batch.add(())
    assert not batch


def test_element_given_twice_goes_in_once() -> None:
    """Two networks on one bridge do not enter it twice."""
    rules = network_rules("ocinet0")
    batch = nfnetlink.Batch("ocinet")
    batch.add((*network_elements(rules), *network_elements(rules)))
    assert [len(listed) for _, listed in _decoded(batch)] == [1, 1, 1]


def test_refused_set_is_that_of_the_message() -> None:
    """A refusal leads to the set that its message was for, and to none outside of the batch."""
    batch = nfnetlink.Batch("ocinet")
    batch.add(network_elements(network_rules("ocinet0")))
    batch.delete_table()
    names = [batch.refused_set(Refusal(sequence, 2, "")) for sequence in range(6)]
    assert [kind and kind.name for kind in names] == [
        None, "bridges", "same", "isolated", None, None,
    ]  # fmt: skip
    assert _DELTABLE in [kind for kind, *_ in _messages(batch.encode())]


def _chain(hook: int, policy: int, kind: bytes = b"filter\0") -> bytes:
    hooks = attribute(1, struct.pack(">I", hook)) + attribute(2, struct.pack(">I", 0))
    return (
        b"\x02\0\0\0" + attribute(1, b"filter\0") + attribute(3, b"FORWARD\0")
        + nfnetlink.nested(4, hooks) + attribute(5, struct.pack(">I", policy)) + attribute(7, kind)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "drops"),
    [
        (_chain(2, 0), True),
        (_chain(2, 1), False),
        (_chain(1, 0), False),
        (_chain(2, 0, b"nat\0"), False),
        (b"\x07" + _chain(2, 0)[1:], False),  # of family bridge: another hook's number
    ],
)
def test_chain_drops_what_is_forwarded_only_with_hook_policy_and_family(
    body: bytes, *, drops: bool
) -> None:
    """Hook forward, policy drop, type filter, of an IP family: all of it is needed."""
    chain = nfnetlink.decode_chain(body)
    assert chain.policy_drops is drops
    assert (chain.table, chain.name) == ("filter", "FORWARD")


def test_chain_without_a_hook_drops_nothing() -> None:
    """A chain that is only jumped to has no policy."""
    body = b"\x02\0\0\0" + attribute(1, b"filter\0") + attribute(3, b"DOCKER-USER\0")
    assert str(nfnetlink.decode_chain(body)) == "ip filter DOCKER-USER"
    assert not nfnetlink.decode_chain(body).hook


@given(port_rules())
def test_answer_for_an_element_tells_where_it_leads(port: PortRule) -> None:
    """What is encoded as an element's data is read back as address and port."""
    batch = nfnetlink.Batch("ocinet")
    batch.add((port_element(port),))
    [body] = [data[16:] for kind, _, _, data in _messages(batch.encode()) if kind == _NEWSETELEM]
    assert nfnetlink.decode_element_data(Answer(_NEWSETELEM, 1, 0, body)) == (
        port.address,
        port.port,
    )
