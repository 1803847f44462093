"""Of the name server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocinet.base.address import Address
from ocinet.engine.model.elsewhere import Elsewhere
from ocinet.engine.model.name_holders import OWN_END, Contested
from ocinet.engine.model.served import ServedContainer, ServedNetwork

if TYPE_CHECKING:
    from contract.place import Place

LAN = ServedNetwork("lan", (Address.parse("10.9.0.1"),))
WEB = ServedContainer("4f0c", (Address.parse("10.9.0.2"),), ("web", "4f0c"))
DB = ServedContainer("77b1", (Address.parse("10.9.0.3"),), ("db",))


def name_that_is_entered_is_served_until_it_is_left(place: Place) -> None:
    """Each a second time is so already; others stay."""
    server = place.seams().name_server()
    assert server.enter(LAN, WEB) is True
    assert server.enter(LAN, WEB) is False
    assert server.enter(LAN, DB) is True
    assert place.served("lan") == {"4f0c": "10.9.0.2 web,4f0c", "77b1": "10.9.0.3 db"}
    assert server.leave("lan", "4f0c") is True
    assert server.leave("lan", "4f0c") is False
    assert place.served("lan") == {"77b1": "10.9.0.3 db"}
    assert server.leave("lan", "77b1") is True
    assert place.served("lan") == {}


def name_of_one_that_has_another_by_now_takes_the_place_of_the_former(place: Place) -> None:
    """And an address; nothing of before is found any more."""
    server = place.seams().name_server()
    server.enter(LAN, WEB)
    server.enter(LAN, DB)
    moved = WEB.replace(addresses=(Address.parse("10.9.0.9"),), names=("shop",))
    assert server.enter(LAN, moved) is True
    assert place.served("lan") == {"4f0c": "10.9.0.9 shop", "77b1": "10.9.0.3 db"}
    server.leave("lan", "4f0c")
    server.leave("lan", "77b1")


def name_on_one_network_is_none_on_another(place: Place) -> None:
    """Even of the same container; and a network that becomes internal has its names still."""
    server = place.seams().name_server()
    server.enter(LAN, WEB)
    assert server.leave("dmz", "4f0c") is False
    server.enter(LAN.replace(name="dmz", internal=True), WEB)
    assert place.served("dmz") == {"4f0c": "10.9.0.2 web,4f0c"}
    server.leave("lan", "4f0c")
    assert place.served("dmz") == {"4f0c": "10.9.0.2 web,4f0c"}
    server.leave("dmz", "4f0c")


def name_that_two_want_is_the_firsts_and_told_once(place: Place) -> None:
    """An alias gives way to who is called so; the host's name is nobody's."""
    server = place.seams().name_server()
    contested: list[tuple[str, Contested]] = []
    server.enter(LAN, WEB.replace(names=("web", "4f0c", "db", "www")), contested)
    assert contested == []
    server.enter(LAN, DB.replace(names=("db", "77b1", "web", "www")), contested)
    assert place.served("lan") == {"4f0c": "10.9.0.2 web,4f0c,www", "77b1": "10.9.0.3 db,77b1,www"}
    assert contested == [
        ("lan", Contested("db", "77b1", "4f0c")), ("lan", Contested("web", "4f0c", "77b1"))
    ]  # fmt: skip
    server.leave("lan", "4f0c")
    server.leave("lan", "77b1")


def name_that_can_not_be_served_is_told_once(place: Place) -> None:
    """Another reason is news again."""
    server = place.seams().name_server()
    assert server.is_news("lan", "no program") is True
    assert server.is_news("lan", "no program") is False
    assert server.is_news("dmz", "no program") is True
    assert server.is_news("lan", "no port") is True
    server.enter(LAN, WEB)
    assert server.is_news("lan", "no port") is True
    server.leave("lan", "4f0c")


def name_of_one_on_another_host_is_served_as_long_as_somebody_here_is_on_the_network(
    place: Place,
) -> None:
    """Whoever comes first; the same again is no change; nobody's is forgotten by a last stop."""
    server, elsewhere = place.seams().name_server(), place.seams().names_elsewhere()
    far = Elsewhere("host2", "4f0c", (Address.parse("10.9.7.2"),), ("shop", "4f0c"), ("www",), "2")
    assert elsewhere.tell("lan", (far,), None, []) is False
    assert place.served("lan") == {}
    assert server.enter(LAN, WEB) is True
    there = f"10.9.7.2 shop,4f0c,{OWN_END},www"
    assert place.served("lan") == {"~host2/4f0c": there, "4f0c": f"10.9.0.2 web,{OWN_END}"}
    assert server.enter(LAN, DB) is True
    server.leave("lan", "4f0c")
    assert place.served("lan") == {"~host2/4f0c": there, "77b1": "10.9.0.3 db"}
    assert elsewhere.tell("lan", (far,), None, []) is False
    assert (elsewhere.networks(), elsewhere.there("lan")) == (("lan",), (far,))
    server.leave("lan", "77b1")
    assert place.served("lan") == {}
    server.enter(LAN, WEB.replace(names=("web",)))
    assert elsewhere.tell("lan", (), None, []) is True
    assert (elsewhere.networks(), elsewhere.there("lan")) == ((), ())
    assert place.served("lan") == {"4f0c": "10.9.0.2 web"}
    server.leave("lan", "4f0c")


def name_that_one_here_and_one_elsewhere_want_is_the_firsts(place: Place) -> None:
    """By when they came; an alias gives way; what becomes free goes to who is left."""
    server, elsewhere = place.seams().name_server(), place.seams().names_elsewhere()
    far = Elsewhere("host2", "aaaa", (Address.parse("10.9.7.2"),), ("web", "aaaa"), ("db",), "2")
    contested: list[tuple[str, Contested]] = []
    server.enter(LAN, WEB.replace(names=("web", "4f0c", "aaaa")))
    server.enter(LAN, DB)
    elsewhere.tell("lan", (far,), lambda own: ("3" if own == "4f0c" else "1", "h1", own), contested)
    assert contested == [
        ("lan", Contested("web", "~host2/aaaa", "4f0c")),
        ("lan", Contested("aaaa", "~host2/aaaa", "4f0c")),
    ]
    assert place.served("lan") == {
        "~host2/aaaa": f"10.9.7.2 web,aaaa,{OWN_END},db", "4f0c": "10.9.0.2 4f0c",
        "77b1": "10.9.0.3 db",
    }  # fmt: skip
    elsewhere.tell("lan", (far.replace(since="4"),), lambda own: ("3", "h1", own), contested)
    assert place.served("lan")["~host2/aaaa"].startswith("10.9.7.2 web")
    contested.clear()
    server.enter(LAN, WEB, contested)
    assert contested == [("lan", Contested("web", "~host2/aaaa", "4f0c"))]
    server.leave("lan", "77b1")
    server.leave("lan", "4f0c")
    elsewhere.tell("lan", (), None, [])
