"""Addresses, subnets and interfaces, judged by the standard library."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocinet.base.address import Address, Interface, Subnet, is_address
from ocinet.base.errors import RequestError

V4 = st.ip_addresses(v=4)
V6 = st.ip_addresses(v=6)
NETWORKS = st.builds(
    lambda address, length: ipaddress.ip_network(
        (address, length % (address.max_prefixlen + 1)), strict=False
    ),
    V4 | V6,
    st.integers(0, 128),
)  # fmt: skip


@given(V4 | V6)
def test_parse_reads_every_address(known: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Text, number and bytes are those of the standard library, there and back."""
    address = Address.parse(str(known))

    assert (address.family, address.value) == (known.version, int(known))
    assert address.packed == known.packed
    assert Address.unpack(known.packed) == address
    assert Address.parse(str(address)) == address
    assert ipaddress.ip_address(str(address)) == known
    assert address.is_loopback == known.is_loopback


@given(NETWORKS)
def test_subnet_reads_every_network(known: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
    """Size and ends are those of the standard library."""
    subnet = Subnet.parse(str(known))

    assert str(subnet.first) == str(Address.parse(str(known[0])))
    assert str(subnet.last) == str(Address.parse(str(known[-1])))
    assert (subnet.size, subnet.prefixlen) == (known.num_addresses, known.prefixlen)
    assert Subnet.parse(str(subnet)) == subnet


@given(NETWORKS, NETWORKS)
def test_overlaps_is_symmetric_and_right(
    one: ipaddress.IPv4Network | ipaddress.IPv6Network,
    two: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> None:
    """Two subnets overlap if one holds the other's first address."""
    left, right = Subnet.parse(str(one)), Subnet.parse(str(two))

    assert left.overlaps(right) == right.overlaps(left)
    assert left.overlaps(right) == (one.version == two.version and (one[0] in two or two[0] in one))


@given(NETWORKS, V4 | V6)
def test_contains_is_right(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """Families never mix."""
    assert (Address.parse(str(address)) in Subnet.parse(str(network))) == (address in network)


@given(st.text(max_size=20) | st.text("0123456789abcdef.:/%", max_size=20))
def test_parse_of_any_text_is_an_address_or_a_request_error(text: str) -> None:
    """No other exception, whatever the text."""
    for parse in (Address.parse, Subnet.parse, Interface.parse):
        try:
            line = str(parse(text))
        except RequestError as error:
            line = str(error)
        assert "\n" not in line


@pytest.mark.parametrize(
    "text",
    ["", "10.9.0", "10.9.0.256", "010.9.0.1", "10.9.0.1/24", "fe80::1%eth0", "::g", "1.2.3.4\0",
     " 10.9.0.1", "\udc80", "\u0661.1.1.1"],
)  # fmt: skip
def test_parse_of_no_address_is_refused(text: str) -> None:
    """What `inet_pton` does not take, we do not."""
    with pytest.raises(RequestError, match="is no IP address"):
        Address.parse(text)


@pytest.mark.parametrize("text", ["10.9.0.5", "10.9.0.5/", "10.9.0.5/33", "10.9.0.5/-1",
                                  "10.9.0.5/+1", "fd00::/129", "10.9.0.5/0024"])  # fmt: skip
def test_interface_of_no_prefix_length_is_refused(text: str) -> None:
    """The length is a plain number of at most the family's bits."""
    with pytest.raises(RequestError):
        Interface.parse(text)


def test_interface_knows_its_subnet() -> None:
    """Host bits are kept in the address and cleared in the subnet."""
    interface = Interface.parse("10.9.0.5/24")

    assert str(interface) == "10.9.0.5/24"
    assert str(interface.subnet) == "10.9.0.0/24"


def test_subnet_with_host_bits_says_what_was_meant() -> None:
    """The error names the subnet that the address lies in."""
    with pytest.raises(RequestError, match=r"did you mean 10\.9\.0\.0/24\?"):
        Subnet.parse("10.9.0.5/24")


def test_add_moves_on_within_the_family() -> None:
    """One past .255 is the next .0."""
    assert Address.parse("10.9.0.255") + 1 == Address.parse("10.9.1.0")
    assert Address.parse("10.9.0.1") != Address(6, Address.parse("10.9.0.1").value)


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ("10.9.0.5", True),
        ("fd00::5", True),
        ("10.9.0.05", False),
        ("fd00:0::5", False),
        ("FD00::5", False),
        ("lock", False),
        ("", False),
        ("\udc80", False),
        ("1.2.3.4\0", False),
    ],
)
def test_is_address_takes_the_one_spelling(text: str, is_so: bool) -> None:
    """An address has one name; what is spelled otherwise is none."""
    assert is_address(text) is is_so
