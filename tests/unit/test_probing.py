"""Packets as they are written, and nft's trace as it is read."""

from __future__ import annotations

import struct

import pytest

from ocinet.base.address import Address
from ocinet.engine.kernel.checksum import internet_checksum as checksum
from ocinet.engine.model.flow import LEAVES, Flow, TracedRule
from ocinet.engine.probing.incoming import packet
from ocinet.engine.probing.trace import commands, parse

WEB, DB, V6 = (Address.parse(text) for text in ("10.72.0.2", "10.72.0.3", "fd00::3"))
FLOW = Flow("tcp", WEB, 40256, DB, 80)
HEAD = 'packet: iif "ocinet0" ip saddr 10.72.0.2 ip daddr 10.72.0.3 ip ttl 64 '
FIRST = f"{HEAD}tcp sport 40256 tcp dport 80 tcp flags == syn tcp window 64240 "
BACK = f"{HEAD}tcp sport 80 tcp dport 40256 tcp flags == 0x14 tcp window 0 "


def read(*lines: str) -> list[TracedRule]:
    """Parse a trace's lines, each without its head."""
    return list(parse([f"trace id {line}" for line in lines], FLOW))


def test_rules_are_read_in_order_without_counters() -> None:
    """With nft's words for them, as 1.0.6 prints them of iptables' rules."""
    assert read(
        f"aa ip filter FORWARD {FIRST}",
        'aa ip filter FORWARD rule iifname "br0" counter packets 0 bytes 0 jump X (verdict jump X)',
        "aa ip filter X rule tcp dport 80  counter packets 7 bytes 420 return (verdict return)",
        "aa ip filter FORWARD policy drop ",
    ) == [
        TracedRule("ip filter FORWARD", 'iifname "br0" jump X', "jump X"),
        TracedRule("ip filter X", "tcp dport 80  return", "return"),
        TracedRule("ip filter FORWARD", "", "drop"),
    ]


def test_answer_is_told_by_its_ports_and_a_reset_by_its_flags() -> None:
    """What follows on the way there is left out: it fares as the first did."""
    there = TracedRule("inet a fw", "", "accept")
    assert read(
        f"aa inet a fw {FIRST}", "aa inet a fw policy accept ",
        f"bb inet a fw {BACK}", "bb inet a fw policy accept ",
        f"cc inet a fw {FIRST}", "cc inet a fw rule ct state established accept (verdict accept)",
    ) == [there, there.replace(is_answer=True, is_reset=True)]  # fmt: skip


def test_of_our_own_rules_the_last_alone_counts() -> None:
    """By it a packet would leave the machine."""
    assert read(
        f"aa inet ocinet-trace in {FIRST}",
        "aa inet ocinet-trace in rule ip saddr 10.72.0.2 meta nftrace set 1 (verdict continue)",
        "aa inet ocinet-trace in policy accept ",
        f"bb inet ocinet-trace kept {FIRST}",
        "bb inet ocinet-trace kept rule ct direction original drop (verdict drop)",
    ) == [TracedRule("", "", LEAVES)]


@pytest.mark.parametrize(
    "line", ["", "aa", "x y z", "aa inet a fw unknown rule handle 7", "\0", "aa inet a fw rule x"]
)
def test_lines_that_say_nothing_of_rules_are_passed_over(line: str) -> None:
    """nft's versions print more than we read."""
    assert read(line) == []


def test_no_command_names_anything_but_the_flow() -> None:
    """Other packets are neither traced nor dropped."""
    for flow in (
        FLOW,
        Flow("udp", V6, 5, V6, 53),
        Flow("icmp", WEB, 77, DB),
        Flow("icmp", V6, 1, V6),
    ):
        for line in commands(flow, "reply"):
            if line.startswith("add rule"):
                assert f"saddr {flow.source}" in line
                assert str(flow.source_port) in line or "l4proto icmp" in line
    assert not [line for line in commands(FLOW) if "drop" in line]


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize(("source", "destination"), [(WEB, DB), (V6, V6)])
def test_packets_have_checksums_that_hold(
    protocol: str, source: Address, destination: Address
) -> None:
    """Summed with their checksums they give nothing, as RFC 1071 has a receiver test it."""
    data = packet(Flow(protocol, source, 40256, destination, 80))
    size = 20 if source.family == 4 else 40
    if source.family == 4:
        assert checksum(data[:20]) == 0
        assert struct.unpack_from("!H", data, 2) == (len(data),)
    number = 6 if protocol == "tcp" else 17
    part = data[size:]
    pseudo = source.packed + destination.packed + struct.pack("!II", len(part), number)
    assert checksum(pseudo + part) == 0
    assert struct.unpack_from("!HH", part) == (40256, 80)


def test_reset_is_in_the_window_of_the_first() -> None:
    """Its sequence number is the next: else the half-open connection would stay."""
    first, reset = packet(FLOW), packet(FLOW, reset=True)
    (number,), (next_number,) = (struct.unpack_from("!I", data, 24) for data in (first, reset))
    assert next_number == number + 1
    assert (first[33], reset[33]) == (0x02, 0x04)
