"""Which ports of the host are held while they are published."""

from __future__ import annotations

import pytest

from builders import BOOT, port, record
from ocinet.base.address import Address
from ocinet.engine.model.listener import Place
from ocinet.engine.plan.holding import Turn, Wanted, places_of

ANY4, ANY6 = Address.parse("0.0.0.0"), Address.parse("::")
WEB, DNS = Place("tcp", ANY4, 8080), Place("udp", ANY4, 53)
RECORD = record(
    boot_id=BOOT,
    ports=(
        port(8080),
        port(8080, to="fd00:9::5"),
        port(53, 53, protocol="udp"),
        port(443, at="192.0.2.1"),
        port(444, at="2001:db8::1", to="fd00:9::5"),
        port(3868, protocol="sctp"),
    ),
)


def test_places_of_a_record_are_its_ports_by_family() -> None:
    """Every address of one family alone where none is said."""
    assert places_of(RECORD, BOOT) == {
        WEB,
        Place("tcp", ANY6, 8080),
        DNS,
        Place("tcp", Address.parse("192.0.2.1"), 443),
        Place("tcp", Address.parse("2001:db8::1"), 444),
        Place("sctp", ANY4, 3868),
    }
    assert sorted(map(str, places_of(RECORD, BOOT)))[-2:] == [
        "[2001:db8::1]:444/tcp", "[::]:8080/tcp",
    ]  # fmt: skip


def test_places_of_another_boot_or_of_no_record_are_none() -> None:
    """What a reboot has left is published by nobody."""
    assert places_of(None, BOOT) == places_of(RECORD, "another") == frozenset()


@pytest.mark.parametrize("again", [False, True])
def test_container_that_comes_and_goes_is_followed(again: bool) -> None:
    """Only what changes is to be done, and nothing twice."""
    wanted = Wanted()
    both = frozenset({WEB, DNS})
    assert wanted.tell("web", frozenset({WEB})) == Turn(take=frozenset({WEB}))
    if again:
        assert wanted.tell("web", frozenset({WEB})) == Turn()
    assert wanted.tell("web", both) == Turn(take=frozenset({DNS}))
    assert list(wanted.containers) == ["web"]
    assert wanted.tell("web", frozenset()) == Turn(let_go=both)
    assert wanted.tell("web", frozenset()) == Turn()
    assert not wanted.containers


def test_port_that_another_container_takes_over_stays_held() -> None:
    """In whatever order the two are told, it is let go with the last one."""
    wanted = Wanted()
    wanted.tell("dead", frozenset({WEB, DNS}))
    assert wanted.tell("new", frozenset({WEB})) == Turn()
    assert wanted.tell("dead", frozenset()) == Turn(let_go=frozenset({DNS}))
    assert wanted.tell("new", frozenset()) == Turn(let_go=frozenset({WEB}))
