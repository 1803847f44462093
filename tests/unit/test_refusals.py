"""Who was refused what: counts compared, and told by names."""

from __future__ import annotations

from builders import access_record
from ocinet.base.address import Address
from ocinet.engine.model.refused import Refused
from ocinet.engine.refusals import counts_of, newly_refused, tell_refusals

WEB, DB = access_record("web", "10.7.0.2", "fd00:7::2"), access_record("db", "10.7.0.3")


def refused(target: str, port: int, packets: int, source: str = "10.7.0.2") -> Refused:
    """Return packets of TCP that were refused; ICMP's with no port."""
    protocol = "tcp" if port else "icmp"
    return Refused(Address.parse(source), Address.parse(target), protocol, port, packets)


def test_what_came_since_is_more_than_before_or_all_of_what_began_anew() -> None:
    """What stays as it was is nothing new."""
    before = counts_of((refused("10.7.0.3", 80, 2), refused("10.7.0.3", 81, 9),
                        refused("10.7.0.3", 82, 1)))  # fmt: skip
    now = counts_of((refused("10.7.0.3", 80, 5), refused("10.7.0.3", 81, 4),
                     refused("10.7.0.3", 82, 1), refused("10.7.0.3", 0, 7)))  # fmt: skip
    assert newly_refused(before, now) == (
        refused("10.7.0.3", 0, 7), refused("10.7.0.3", 81, 4), refused("10.7.0.3", 80, 3)
    )  # fmt: skip


def test_each_container_is_told_once_with_the_first_ones_and_how_many_more() -> None:
    """By both of its addresses; of who is nobody's, nothing."""
    found = (
        refused("10.7.0.3", 80, 5),
        refused("192.0.2.1", 25, 3),
        refused("2001:db8::1", 53, 2, "fd00:7::2"),
        refused("10.7.0.3", 0, 1),
        refused("10.7.0.3", 22, 9, "10.7.0.99"),
    )
    (told,) = tell_refusals(found, (WEB, DB))
    assert told.container == WEB.container
    assert told.what == "db 80/tcp (5), 192.0.2.1 25/tcp (3), 2001:db8::1 53/tcp (2), 1 more"
    assert told.hint == "ocinet explain web db:80"
    (told,) = tell_refusals(found[2:3], (WEB, DB))
    assert told.hint == "ocinet explain web [2001:db8::1]:53"
