"""Of the filters of bridges, and of what they rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builders import network
from ocinet.base.errors import KernelError
from ocinet.engine.model.bridge_filters import BridgeFilters
from ocinet.engine.model.link import Veth
from ocinet.engine.ruleset.filters import LOOPBACK_ALONE, filters_of

if TYPE_CHECKING:
    from contract.place import Place

BOTH = filters_of(network())
OTHER = filters_of(network("dmz", "10.8.0.0/24"))
NONE = BridgeFilters(b"", b"")


def put_gives_a_bridge_its_filters_once(place: Place) -> None:
    """A second time there is nothing to do; what is otherwise is replaced."""
    filters = place.seams().bridge_filters
    place.add_bridge("br-lan")
    assert filters.present("br-lan") == NONE
    assert filters.put("br-lan", BOTH)
    assert filters.present("br-lan") == BOTH
    assert not filters.put("br-lan", BOTH)
    assert filters.put("br-lan", OTHER)
    assert filters.present("br-lan") == OTHER != BOTH


def put_leaves_what_is_not_said_as_it_is(place: Place) -> None:
    """And takes away what is said not to be."""
    filters = place.seams().bridge_filters
    place.add_bridge("br-lan")
    assert filters.put("br-lan", LOOPBACK_ALONE)
    assert filters.present("br-lan") == LOOPBACK_ALONE.replace(egress=b"")
    assert filters.put("br-lan", BOTH)
    assert not filters.put("br-lan", LOOPBACK_ALONE)
    assert filters.present("br-lan") == BOTH
    assert filters.put("br-lan", BridgeFilters(egress=b""))
    assert filters.present("br-lan") == BOTH.replace(egress=b"")


def put_on_no_bridge_is_refused(place: Place) -> None:
    """It is the kernel's to say."""
    filters = place.seams().bridge_filters
    assert filters.present("gone") == NONE
    with pytest.raises(KernelError):
        filters.put("gone", BOTH)


def guards_are_those_of_each_port_that_is_asked_for(place: Place) -> None:
    """Of more than fit one request; b"" where there is none, where it is another's, or no link."""
    host = place.seams()
    names = [f"br-{number}" for number in range(40)]
    for name in names:
        place.add_bridge(name)
    ports = [link for link in map(host.links.link, names) if link]
    for name in names[::2]:
        host.bridge_filters.put(name, BOTH)
    gone = ports[0].replace(ifname="gone", ifindex=9999)
    found = host.bridge_filters.guards((*ports, gone))
    wanted = [BOTH.ingress if not at % 2 else b"" for at in range(40)]
    assert list(found.items()) == list(zip([*names, "gone"], [*wanted, b""], strict=True))
    assert host.bridge_filters.guards(()) == {}


def port_names_are_those_of_the_one_bridge(place: Place) -> None:
    """Whoever made the port, and it need not be up."""
    host = place.seams()
    place.add_bridge("br-lan")
    place.add_bridge("br-dmz")
    with place.open_sandbox(place.start()) as sandbox:
        for bridge, name, end in (
            ("br-lan", "oc0123456789abc", "eth0"),
            ("br-dmz", "tap0", "eth1"),
        ):
            host.links.add_veth(Veth(name, end, bridge, mtu=1500), sandbox)
        found = {name: host.links.link(name) for name in ("br-lan", "br-dmz")}
        assert found["br-lan"]
        assert found["br-dmz"]
        assert host.bridge_filters.port_names(found["br-lan"]) == ["oc0123456789abc"]
        assert host.bridge_filters.port_names(found["br-dmz"]) == ["tap0"]


def remove_takes_all_of_ours(place: Place) -> None:
    """Not there is fine, nor is the bridge."""
    filters = place.seams().bridge_filters
    place.add_bridge("br-lan")
    filters.remove("br-lan")
    filters.put("br-lan", BOTH)
    filters.remove("br-lan")
    filters.remove("gone")
    assert filters.present("br-lan") == NONE


def filters_go_with_their_bridge(place: Place) -> None:
    """One that is made again has none."""
    filters = place.seams().bridge_filters
    place.add_bridge("br-lan")
    filters.put("br-lan", BOTH)
    place.delete_link("br-lan")
    place.add_bridge("br-lan")
    assert filters.present("br-lan") == NONE


def table_of_ours_marks_what_it_lets_pass(place: Place) -> None:
    """So nothing comes by without a mark, nor where there is no table at all."""
    host = place.seams()
    assert host.bridge_filters.unmarked() == ()
    host.firewall.rebuild((), ())
    assert host.bridge_filters.unmarked() == ()


def nothing_was_dropped_where_nothing_was_sent(place: Place) -> None:
    """Nor by a link that is not there."""
    filters = place.seams().bridge_filters
    place.add_bridge("br-lan")
    assert filters.put("br-lan", BOTH)
    assert filters.dropped("br-lan") == filters.dropped("gone") == 0
