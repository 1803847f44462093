"""The frames that ask who uses an address, and what is read out of others' frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocinet.base.address import Address
from ocinet.engine.kernel.probe import FAR, NEAR, claimed, patience, question

OURS = bytes.fromhex("0242aabbcc01")
THEIRS = bytes.fromhex("0242ac110005")
V4 = Address.parse("172.17.0.5")
V6 = Address.parse("fd00:17::242:ac11:5")
OTHER_V4 = Address.parse("172.17.0.9")


def arp(
    act: int, sender: str, target: str, mac: bytes = THEIRS, head: str = "0001080006040"
) -> bytes:
    """Spell an Ethernet frame with an ARP packet (RFC 826)."""
    packet = bytes.fromhex(f"{head}00{act}") + mac + Address.parse(sender).packed
    return bytes(6) + mac + b"\x08\x06" + packet + OURS + Address.parse(target).packed


def neighbour(
    kind: int, source: str, target: Address = V6, hop_limit: int = 255, code: int = 0
) -> bytes:
    """Spell an Ethernet frame with a neighbour solicitation or advertisement (RFC 4861)."""
    message = bytes((kind, code)) + b"\xab\xcd" + bytes.fromhex("60000000") + target.packed
    message += bytes.fromhex("0201") + THEIRS
    header = bytes.fromhex("60000000") + len(message).to_bytes(2, "big") + bytes((58, hop_limit))
    header += Address.parse(source).packed + Address.parse("ff02::1").packed
    return bytes.fromhex("333300000001") + THEIRS + b"\x86\xdd" + header + message


def test_question_for_ipv4_is_an_arp_probe() -> None:
    """A broadcast request for the address, by a sender who has none: RFC 5227 section 2.1.1."""
    assert question(V4, OURS).hex(" ", 1) == (
        "ff ff ff ff ff ff 02 42 aa bb cc 01 08 06 "  # to everyone, ARP
        "00 01 08 00 06 04 00 01 "  # Ethernet and IPv4, a request
        "02 42 aa bb cc 01 00 00 00 00 "  # from us, of no address
        "00 00 00 00 00 00 ac 11 00 05"  # for the address
    )


def test_question_for_ipv6_is_a_solicitation_from_nowhere() -> None:
    """To the solicited-node group, hop limit 255, source `::`: RFC 4862 section 5.4.2."""
    frame = question(V6, OURS)

    assert frame[:14].hex(" ", 1) == "33 33 ff 11 00 05 02 42 aa bb cc 01 86 dd"
    assert frame[14:22].hex(" ", 1) == "60 00 00 00 00 18 3a ff"
    assert Address.unpack(frame[22:38]) == Address.parse("::")
    assert Address.unpack(frame[38:54]) == Address.parse("ff02::1:ff11:5")
    assert frame[54:56].hex(" ", 1) == "87 00"
    assert Address.unpack(frame[62:]) == V6


@given(value=st.integers(0, 2**128 - 1), mac=st.binary(min_size=6, max_size=6))
def test_question_for_any_ipv6_address_has_a_right_checksum(value: int, mac: bytes) -> None:
    """With the pseudo-header, its 16-bit words add up to 0 (RFC 8200 section 8.1, RFC 1071)."""
    frame = question(Address(6, value), mac)
    pseudo = frame[22:54] + len(frame[54:]).to_bytes(4, "big") + (58).to_bytes(4, "big")
    assert int.from_bytes(pseudo + frame[54:], "big") % 0xFFFF == 0


@given(
    address=st.one_of(
        st.integers(1, 2**32 - 1).map(lambda value: Address(4, value)),
        st.integers(1, 2**128 - 1).map(lambda value: Address(6, value)),
    ),
    mac=st.binary(min_size=6, max_size=6),
)
def test_claimed_of_another_ones_question_is_what_it_asks_for(address: Address, mac: bytes) -> None:
    """Who asks for an address without having one is about to take it."""
    assert claimed(question(address, mac)) == (address, mac)


@pytest.mark.parametrize(
    ("frame", "claim"),
    [
        pytest.param(arp(2, "172.17.0.5", "0.0.0.0"), V4, id="answer"),
        pytest.param(arp(1, "172.17.0.5", "172.17.0.5"), V4, id="announcement"),
        pytest.param(arp(1, "172.17.0.5", "172.17.0.9"), V4, id="user asks for another one"),
        pytest.param(arp(1, "0.0.0.0", "172.17.0.9"), OTHER_V4, id="somebody probes"),
        pytest.param(neighbour(136, "fe80::5"), V6, id="advertisement"),
        pytest.param(neighbour(135, "::"), V6, id="somebody else's duplicate detection"),
        pytest.param(neighbour(135, str(V6), Address.parse("fd00:17::1")), V6,
                     id="user solicits another one"),
    ],
)  # fmt: skip
def test_claimed_of_a_frame_is_the_address_that_its_sender_uses(
    frame: bytes, claim: Address
) -> None:
    """Answers count, and whatever else shows whose an address is; with the sender's MAC."""
    assert claimed(frame) == (claim, THEIRS)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(arp(2, "0.0.0.0", "172.17.0.5"), id="answer by nobody"),
        pytest.param(arp(2, "172.17.0.5", "0.0.0.0", head="0006080006040"), id="other hardware"),
        pytest.param(arp(2, "172.17.0.5", "0.0.0.0", head="000186dd06040"), id="other protocol"),
        pytest.param(arp(2, "172.17.0.5", "0.0.0.0")[:-1], id="cut ARP"),
        pytest.param(neighbour(136, "fe80::5", hop_limit=254), id="from behind a router"),
        pytest.param(neighbour(136, "fe80::5", code=1), id="unknown code"),
        pytest.param(neighbour(134, "fe80::5"), id="router advertisement"),
        pytest.param(neighbour(136, "fe80::5")[:70], id="cut advertisement"),
        pytest.param(bytes(12) + b"\x08\x00" + bytes(60), id="IPv4"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_claimed_of_what_shows_no_user_is_none(frame: bytes) -> None:
    """Nothing is read out of what says nothing."""
    assert claimed(frame) is None


@given(frame=st.binary(max_size=128), protocol=st.sampled_from(["0806", "86dd"]))
def test_claimed_of_any_bytes_never_fails(frame: bytes, protocol: str) -> None:
    """Anybody on the segment may send anything; only those kinds come to an address."""
    found = claimed(bytes(12) + bytes.fromhex(protocol) + frame)
    assert found is None or found[0].family == (4 if protocol == "0806" else 6)


@pytest.mark.parametrize(
    ("kinds", "waits_s"),
    [(set(), ()), ({"veth"}, NEAR), ({"veth", ""}, FAR), ({"tun"}, FAR)],
)
def test_patience_goes_by_who_is_behind_the_ports(
    kinds: set[str], waits_s: tuple[float, ...]
) -> None:
    """Containers answer at once, other machines take their time, nobody is not waited for."""
    assert patience(kinds) == waits_s


def test_patience_is_never_longer_than_a_tenth_of_a_second() -> None:
    """A container waits for it; each question is asked more than once all the same."""
    assert 2 * sum(NEAR) < sum(FAR) <= 0.1
    assert min(len(NEAR), len(FAR)) > 1
