"""Of our nftables table, and of the chains of others.

What is in the table is asked as whoever comes next would find out: a port that is in
can't be entered again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builders import network_rules
from ocinet.base.address import Address, Subnet
from ocinet.base.errors import ConflictError
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.forward_guard import ForwardGuard
from ocinet.engine.ruleset.access_sets import ALLOW, LEAVE, PAIR, SOURCE
from ocinet.engine.ruleset.elements import Element, port_element, port_of
from ocinet.engine.ruleset.network_sets import guard_elements, network_elements
from ocinet.engine.ruleset.spans import Span

if TYPE_CHECKING:
    from contract.place import Place
    from ocinet.engine.plan.seams import Firewall

WEB4, WEB6 = Address.parse("10.9.0.5"), Address.parse("fd00:9::5")
HTTP = PortRule("tcp", None, 8080, WEB4, 80)
HTTP6 = PortRule("tcp", None, 8080, WEB6, 80)
DNS = PortRule("udp", None, 5353, WEB4, 53)
LOCAL = PortRule("tcp", Address.parse("127.0.0.1"), 8080, WEB4, 80)
LAN = network_rules("br-lan", "10.9.0.0/24", "fd00:9::/64")
DMZ = network_rules("br-dmz", "10.8.0.0/24")
GUARDS = (ForwardGuard(4, ("br0", "br1")), ForwardGuard(6))


def _is_in(firewall: Firewall, port: PortRule) -> bool:
    """Tell whether a port is in; if it was not, it is not afterwards either."""
    try:
        firewall.open((), (port,))
    except ConflictError:
        return True
    firewall.close((port,))
    return False


def open_where_there_is_no_table_makes_it(place: Place) -> None:
    """And says so, for what others had in it is gone."""
    firewall = place.seams().firewall
    assert not firewall.observe().table
    assert firewall.open((LAN,), (HTTP,)) is True
    assert firewall.observe().table
    assert firewall.open((LAN, DMZ), (DNS,)) is False
    place.drop_table()
    assert firewall.open((LAN,), (HTTP,)) is True
    assert not _is_in(firewall, DNS)


def open_of_nothing_makes_no_table(place: Place) -> None:
    """There is nothing to enter."""
    firewall = place.seams().firewall
    assert firewall.open((), ()) is False
    assert firewall.observe().table is False


def open_of_a_port_that_is_in_is_a_conflict(place: Place) -> None:
    """Wherever it leads, also there; and nothing of the batch is in."""
    firewall = place.seams().firewall
    firewall.open((LAN,), (HTTP,))
    for port in (HTTP, HTTP.replace(address=Address.parse("10.9.0.6"))):
        with pytest.raises(ConflictError, match=r"8080/tcp.*10\.9\.0\.5:80"):
            firewall.open((DMZ,), (DNS, port))
    assert not _is_in(firewall, DNS)
    assert _is_in(firewall, HTTP)


def open_of_the_same_port_elsewhere_is_none(place: Place) -> None:
    """Of another family, another protocol, at one address of the host's."""
    firewall = place.seams().firewall
    firewall.open((LAN,), (HTTP,))
    firewall.open((), (HTTP6, LOCAL, HTTP.replace(protocol="udp")))
    assert all(_is_in(firewall, port) for port in (HTTP, HTTP6, LOCAL))


def open_of_the_same_port_twice_at_once_is_fine_if_it_leads_one_way(place: Place) -> None:
    """Two ways are a conflict."""
    firewall = place.seams().firewall
    firewall.open((LAN,), (HTTP, HTTP))
    assert _is_in(firewall, HTTP)
    with pytest.raises(ConflictError):
        firewall.open((), (DNS, DNS.replace(address=Address.parse("10.9.0.6"))))
    assert not _is_in(firewall, DNS)


def open_of_a_network_that_is_in_is_fine(place: Place) -> None:
    """So that a flush is mended by the next attach."""
    firewall = place.seams().firewall
    firewall.open((LAN,), ())
    assert firewall.open((LAN,), ()) is False


def open_of_a_subnet_that_overlaps_is_a_conflict(place: Place) -> None:
    """With that of another network; and the ports of the batch are not in."""
    firewall = place.seams().firewall
    firewall.open((LAN,), ())
    with pytest.raises(ConflictError, match="overlaps"):
        firewall.open((network_rules("br-wide", "10.9.0.0/16"),), (HTTP,))
    assert not _is_in(firewall, HTTP)
    firewall.open((DMZ,), ())


def open_of_a_guard_enters_it_beside_what_is_in(place: Place) -> None:
    """Once more is fine; where there is no table, it makes one."""
    firewall = place.seams().firewall
    assert firewall.open((), (), GUARDS[1:]) is True
    assert firewall.flaws((), (), GUARDS[1:]) == ()
    assert firewall.open((LAN,), (HTTP,), GUARDS) is False
    assert firewall.open((), (), GUARDS) is False
    assert firewall.flaws((LAN,), (HTTP,), GUARDS) == ()


def close_takes_guards_out_and_leaves_the_others(place: Place) -> None:
    """Also where some of it, or the table, is not there."""
    firewall = place.seams().firewall
    firewall.close((), GUARDS)
    firewall.open((LAN,), (HTTP,), GUARDS)
    firewall.close((), (GUARDS[0].replace(bridges=("br0", "br1", "br2")),))
    assert firewall.flaws((LAN,), (HTTP,), GUARDS[1:]) == ()
    assert firewall.flaws((), (), GUARDS[:1]) != ()
    firewall.close((DNS,), GUARDS)
    assert firewall.flaws((), (), GUARDS[1:]) != ()


def rebuild_leaves_exactly_the_guards_that_are_given(place: Place) -> None:
    """Families and bridges."""
    firewall = place.seams().firewall
    firewall.rebuild((LAN,), (), GUARDS[:1])
    assert firewall.flaws((LAN,), (), GUARDS[:1]) == ()
    assert firewall.flaws((LAN,), (), GUARDS) != ()
    firewall.rebuild((LAN,), ())
    assert firewall.flaws((LAN,), (), GUARDS[:1]) != ()


def close_takes_ports_out_and_finds_missing_ones_fine(place: Place) -> None:
    """One that is missing keeps no other in."""
    firewall = place.seams().firewall
    firewall.close((HTTP,))
    firewall.open((LAN,), (HTTP, HTTP6))
    firewall.close((DNS, HTTP, LOCAL))
    assert not _is_in(firewall, HTTP)
    assert _is_in(firewall, HTTP6)
    firewall.close(())


def close_takes_a_row_of_ports_out_where_one_is_missing(place: Place) -> None:
    """Those that follow one another are one element on the way."""
    firewall = place.seams().firewall
    row = tuple(PortRule("tcp", None, 9000 + at, WEB4, 80 + at) for at in range(4))
    firewall.open((LAN,), row)
    firewall.close(row[1:2])
    firewall.close(row)
    assert not any(_is_in(firewall, port) for port in row)


def close_goes_by_the_hosts_side_alone(place: Place) -> None:
    """Whoever entered it: so who closes must hold the port."""
    firewall = place.seams().firewall
    firewall.open((LAN,), (HTTP,))
    firewall.close((HTTP.replace(address=Address(4, 0), port=0),))
    assert not _is_in(firewall, HTTP)


def rebuild_leaves_exactly_what_is_given(place: Place) -> None:
    """Where there is a table, and where there is none."""
    firewall = place.seams().firewall
    for _time in range(2):
        firewall.rebuild((LAN,), (HTTP,))
        assert firewall.observe().table
        assert _is_in(firewall, HTTP)
        assert not _is_in(firewall, DNS)
        firewall.rebuild((DMZ,), (DNS,))
        assert not _is_in(firewall, HTTP)
        assert _is_in(firewall, DNS)
        place.drop_table()


def flaws_are_what_is_missing_not_what_is_there_besides(place: Place) -> None:
    """A network, a port, or the table."""
    firewall = place.seams().firewall
    assert len(firewall.flaws((), ())) == 1
    firewall.open((LAN, DMZ), (HTTP, HTTP6, DNS, LOCAL))
    assert firewall.flaws((DMZ, LAN), (LOCAL, DNS, HTTP6, HTTP)) == ()
    assert firewall.flaws((LAN,), (HTTP,)) == ()
    firewall.close((HTTP, LOCAL))
    told = firewall.flaws((LAN, DMZ), (HTTP, HTTP6, DNS, LOCAL))
    assert len(told) == 2
    assert all("publish4" in line and "lacks" in line for line in told)
    firewall.open((), (HTTP.replace(port=81),))
    assert len(firewall.flaws((LAN,), (HTTP,))) == 1  # it leads elsewhere
    firewall.remove_network(LAN)
    assert firewall.flaws((DMZ,), ()) == ()
    assert len(firewall.flaws((LAN,), ())) > 3


def remove_table_takes_everything(place: Place) -> None:
    """Not there is fine."""
    firewall = place.seams().firewall
    firewall.remove_table()
    firewall.open((LAN,), (HTTP,))
    firewall.remove_table()
    assert not firewall.observe().table
    firewall.remove_table()


def remove_network_makes_room_for_another(place: Place) -> None:
    """Whatever its options are now; not in, and no table, is fine."""
    firewall = place.seams().firewall
    firewall.remove_network(LAN)
    firewall.open((LAN,), (HTTP,))
    firewall.remove_network(LAN.replace(internal=True, masquerade=False))
    firewall.remove_network(LAN)
    firewall.open((network_rules("br-wide", "10.9.0.0/16"),), ())
    assert _is_in(firewall, HTTP)


def elements_are_what_was_entered(place: Place) -> None:
    """Of every set, by the same values; without a table there are none."""
    firewall, elements = place.seams().firewall, place.seams().elements
    assert elements.all() == ()
    egress = (Address.parse("198.51.100.9"), Address.parse("2001:db8::9"))
    lan = LAN.replace(isolated=True, egress=egress)
    dmz = DMZ.replace(internal=True)
    far = PortRule("sctp", Address.parse("fd00::1"), 9, WEB6, 65535)
    ports = (HTTP, HTTP6, DNS, LOCAL, far)
    firewall.open((lan, dmz), ports, GUARDS)
    wanted = (
        *network_elements(lan),
        *network_elements(dmz),
        *map(port_element, ports),
        *(element for guard in GUARDS for element in guard_elements(guard)),
    )
    assert sorted(map(repr, elements.all())) == sorted(map(repr, wanted))
    assert {port for port in map(port_of, elements.all()) if port} == set(ports)


def elements_of_a_subnet_up_to_the_last_address_come_back(place: Place) -> None:
    """Nothing comes after it that could end it; and two that touch are two."""
    firewall, elements = place.seams().firewall, place.seams().elements
    last = network_rules("br-last", "255.255.255.0/24", "255.255.254.0/24")
    firewall.open((last,), ())
    assert set(elements.all()) == set(network_elements(last))


def added_elements_come_back_and_a_part_of_one_is_refused(place: Place) -> None:
    """Those that are in are fine; without a table there is nowhere to enter them."""
    firewall, elements = place.seams().firewall, place.seams().elements
    own, subnet = Subnet.parse("10.7.0.2/32"), Subnet.parse("10.7.0.0/28")
    pair = Element(PAIR[4], (own.first, subnet.last, "tcp", 80))
    allowed = Element(ALLOW[4], (own, subnet, Span(0, 255), Span(0, 65535)))
    cut = Element(LEAVE[4], (own, Span(own.first, subnet.last), "udp", Span(53, 54)))
    assert not elements.add((pair,))
    firewall.open((LAN,), ())
    before = set(elements.all())
    for _twice in range(2):
        assert elements.add((pair, allowed, cut))
        assert set(elements.all()) - before == {pair, allowed, cut}
    with pytest.raises(ConflictError, match="a part of it is open"):
        elements.add((Element(ALLOW[4], (own, own, "tcp", 80)),))
    elements.delete((pair, allowed, cut))
    assert set(elements.all()) == before


def sources_are_who_leaves_with_an_address_of_its_own(place: Place) -> None:
    """Each with that address; without a table, nobody."""
    firewall, elements = place.seams().firewall, place.seams().elements
    assert elements.sources() == ()
    firewall.open((LAN,), ())
    ways = {
        Address.parse("10.7.0.2"): Address.parse("198.51.100.9"),
        Address.parse("fd00:7::2"): Address.parse("2001:db8::9"),
    }
    entered = tuple(Element(SOURCE[own.family], (own,), (to,)) for own, to in ways.items())
    assert elements.add(entered)
    assert dict(elements.sources()) == ways
    elements.delete(entered)
    assert elements.sources() == ()


def deleted_elements_are_gone_and_the_others_stay(place: Place) -> None:
    """One that is missing keeps no other in; so does no table."""
    firewall, elements = place.seams().firewall, place.seams().elements
    firewall.open((LAN, DMZ), (HTTP, DNS), GUARDS)
    gone = (*network_elements(LAN), port_element(LOCAL), port_element(HTTP))
    elements.delete(gone)
    left = set(elements.all())
    assert left.isdisjoint(gone)
    assert left >= {*network_elements(DMZ), port_element(DNS)}
    elements.delete(())
    place.drop_table()
    elements.delete(gone)


def flush_of_flows_that_nobody_has_is_fine(place: Place) -> None:
    """TCP's end by themselves, and are passed over."""
    place.seams().firewall.forget_flows(
        (HTTP, DNS, DNS.replace(address=WEB6)), (HTTP.address, WEB6)
    )


def observe_counts_what_anybody_changes(place: Place) -> None:
    """And entering a network that is in already is no change."""
    firewall = place.seams().firewall
    firewall.open((LAN,), ())
    before = firewall.observe().generation
    firewall.open((LAN,), ())
    assert firewall.observe().generation == before
    firewall.open((LAN,), (HTTP,))
    assert firewall.observe().generation == before + 1
    firewall.close((HTTP,))
    assert firewall.observe().generation == before + 2
    place.raise_wall()
    assert firewall.observe().generation > before + 2
