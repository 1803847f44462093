"""Records: what is read is a value, or an error that names the field; what is written is read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.errors import RequestError
from ocinet.base.records import (
    ADDRESS,
    FLAG,
    INTERFACE,
    NUMBER,
    OBJECT,
    SUBNET,
    TEXT,
    WORD,
    Defaulted,
    Kind,
    Record,
    listed,
    load_record,
    one_of,
    optional,
)
from ocinet.base.value import Value


class Route(Value):
    """A record in a record."""

    to: Subnet
    via: Address | None


class Link(Value):
    """A record with a field of each kind."""

    name: str
    note: str
    mtu: int
    up: bool
    mode: str
    addresses: tuple[Interface, ...]
    routes: tuple[Route, ...]
    peer: Address | None


ROUTE = Record(Route, to=SUBNET, via=optional(ADDRESS))
LINK = Record(
    Link,
    name=WORD,
    note=TEXT,
    mtu=NUMBER,
    up=FLAG,
    mode=one_of("bridge", "host"),
    addresses=listed(INTERFACE),
    routes=listed(ROUTE),
    peer=optional(ADDRESS, ""),
)
GOOD = {
    "name": "eth0",
    "note": "",
    "mtu": 1500,
    "up": True,
    "mode": "bridge",
    "addresses": ["10.9.0.5/24", "fd00:9::5/64"],
    "routes": [{"to": "0.0.0.0/0", "via": "10.9.0.1"}, {"to": "10.8.0.0/24", "via": None}],
    "peer": "",
}


def test_record_is_read_into_its_value() -> None:
    """Each field as its kind says."""
    link = load_record(LINK, json.dumps(GOOD).encode())

    assert link == Link(
        "eth0", "", 1500, up=True, mode="bridge",
        addresses=(Interface.parse("10.9.0.5/24"), Interface.parse("fd00:9::5/64")),
        routes=(Route(Subnet.parse("0.0.0.0/0"), Address.parse("10.9.0.1")),
                Route(Subnet.parse("10.8.0.0/24"), None)),
        peer=None,
    )  # fmt: skip


def test_record_is_written_as_it_was_read_in_the_order_of_its_fields() -> None:
    """Keys that are not known are passed over, and not written."""
    written = LINK.write(load_record(LINK, json.dumps({"colour": "red", **GOOD}).encode()))

    assert json.dumps(written) == json.dumps(GOOD)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": 5}, "name is no text"),
        ({"name": ""}, "name is empty"),
        ({"note": None}, "note is no text"),
        ({"mtu": "1500"}, "mtu is no number"),
        ({"mtu": True}, "mtu is no number"),
        ({"mtu": 1.5}, "mtu is no number"),
        ({"mtu": -1}, "mtu is no number"),
        ({"up": 1}, "up is neither true nor false"),
        ({"mode": "none"}, "mode is none of bridge, host"),
        ({"mode": []}, "mode is none of bridge, host"),
        ({"addresses": "10.9.0.5/24"}, "addresses is no list"),
        ({"addresses": [5]}, "addresses holds what is no text"),
        ({"addresses": ["10.9.0.5"]}, "addresses: '10.9.0.5' is no ADDRESS/PREFIXLEN"),
        ({"routes": [[]]}, "routes holds what is no JSON object"),
        ({"routes": [{"to": "0.0.0.0/0"}]}, "routes: it has no via"),
        ({"routes": [{"to": "0.0.0.0/0", "via": 0}]}, "routes: via is no text"),
        ({"peer": None}, "peer is no text"),
        ({"peer": "x"}, "peer: 'x' is no IP address"),
    ],
)
def test_record_with_a_wrong_field_names_it(change: dict[str, object], why: str) -> None:
    """What is wrong, and with which one."""
    with pytest.raises(RequestError) as raised:
        load_record(LINK, json.dumps({**GOOD, **change}).encode())
    assert str(raised.value) == why


@pytest.mark.parametrize("name", GOOD)
def test_record_without_a_field_names_it(name: str) -> None:
    """None is guessed."""
    fields = {key: value for key, value in GOOD.items() if key != name}

    with pytest.raises(RequestError, match=rf"^it has no {name}$"):
        load_record(LINK, json.dumps(fields).encode())


class Later(Value):
    """A record that was given a field."""

    name: str
    peers: tuple[Address, ...] = ()


LATER = Record(Later, name=WORD, peers=Defaulted(listed(ADDRESS), ()))
PEER = Address.parse("10.9.0.9")


def test_record_of_before_a_field_is_read_with_its_default() -> None:
    """And written as it was, so that a version without the field reads it again."""
    earlier = Record(dict, name=WORD)
    data = json.dumps(earlier.write_fields({"name": "lan"})).encode()
    assert load_record(LATER, data) == Later("lan")
    assert LATER.write(Later("lan")) == {"name": "lan"}


def test_record_with_a_later_field_is_written_and_read_with_it() -> None:
    """Of its kind, or refused by its name."""
    written = LATER.write(Later("lan", (PEER,)))
    assert written == {"name": "lan", "peers": ["10.9.0.9"]}
    assert load_record(LATER, json.dumps(written).encode()) == Later("lan", (PEER,))
    for wrong, why in (("null", "peers is no list"), ("[7]", "peers holds what is no text")):
        with pytest.raises(RequestError, match=f"^{why}$"):
            load_record(LATER, f'{{"name": "lan", "peers": {wrong}}}'.encode())


@pytest.mark.parametrize(
    ("data", "why"),
    [(b"", "it is not JSON"), (b"{", "it is not JSON"), (b"[]", "it is no JSON object")],
)
def test_load_of_what_is_no_record_is_refused(data: bytes, why: str) -> None:
    """Neither JSON, nor an object."""
    for kind in (LINK, OBJECT):
        with pytest.raises(RequestError, match=f"^{why}"):
            load_record(kind, data)


def test_maker_may_refuse_the_fields_together() -> None:
    """Its error is told as that of the field that holds the record."""

    def refuse(**_fields: object) -> None:
        raise RequestError("", "they do not go together")

    outer = Record(dict, inner=Record(refuse, x=NUMBER))

    with pytest.raises(RequestError, match=r"^inner: they do not go together$"):
        load_record(outer, b'{"inner": {"x": 1}}')


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["eth0", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "colour"]), _JSON), _JSON)
def test_load_of_any_json_is_a_value_or_a_request_error(
    changes: dict[str, object], whole: object
) -> None:
    """Whatever somebody wrote into a file; and what is a value is written as it was read."""
    for document in ({**GOOD, **changes}, whole):
        try:
            link = load_record(LINK, json.dumps(document).encode())
        except RequestError:
            continue
        assert load_record(LINK, json.dumps(LINK.write(link)).encode()) == link


_TEXTS = Kind(str, str)


def test_kind_of_ones_own_reads_and_writes() -> None:
    """Where none of those here fits."""
    record = Record(dict, x=_TEXTS)

    assert record.write_fields(load_record(record, b'{"x": 5}')) == {"x": "5"}
