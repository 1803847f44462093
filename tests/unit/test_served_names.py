"""By which names a container is found on its networks."""

from __future__ import annotations

import pytest

from builders import WEB_ID, endpoint, record
from ocinet.engine.model.attachment import Container
from ocinet.engine.model.resolution import Alias, Resolution
from ocinet.engine.plan.served_names import label, own_names, served_names, unserved_names


def test_served_a_container_by_its_name_and_its_short_id() -> None:
    """The name first: it is what an address is told to be."""
    known = record(endpoints=(endpoint("lan"),), container=Container(WEB_ID, "Web_1"))
    assert served_names(known, "lan") == ("web_1", WEB_ID[:12])


def test_served_one_that_is_not_on_the_network_by_none() -> None:
    """Names are a network's."""
    known = record(endpoints=(endpoint("lan"),), container=Container(WEB_ID, "web"))
    assert served_names(known, "dmz") == ()


def test_served_without_a_name_by_the_id_alone_once() -> None:
    """A hook that knows no name has the id's first characters for one."""
    known = record(endpoints=(endpoint("lan"),), container=Container(WEB_ID, WEB_ID[:12]))
    assert served_names(known, "lan") == (WEB_ID[:12],)


@pytest.mark.parametrize(
    "name",
    ["", "-web", "_dns", "web.example", "a" * 64, "wéb", "web shop", "localhost", "LocalHost",
     "web,db", "web\n", "\u212a"],
)  # fmt: skip
def test_label_of_what_is_none_is_nothing(name: str) -> None:
    """It could be a public name, the host's, or a second line of the server's file."""
    assert label(name) == ""


def test_served_by_hostname_and_aliases_of_that_network() -> None:
    """Its own names come first, up to the id's start: what follows is its user's word."""
    wished = Resolution(
        hostname="web1", aliases=(Alias("www.example"), Alias("db", "dmz"), Alias("web"))
    )
    known = record(
        endpoints=(endpoint("lan"), endpoint("dmz")), container=Container(WEB_ID, "Web"),
        resolution=wished,
    )  # fmt: skip
    own = ("web", "web1", WEB_ID[:12])
    assert served_names(known, "lan") == (*own, "www.example")
    assert served_names(known, "dmz") == (*own, "www.example", "db")
    assert own_names(known) == own
    assert unserved_names(known) == ()


def test_what_a_container_calls_itself_with_a_dot_is_told_and_not_served() -> None:
    """It could be a public name: bank.example is as quickly said as web."""
    known = record(
        endpoints=(endpoint("lan"),), container=Container(WEB_ID, "bank.example"),
        resolution=Resolution(hostname="www.bank.example"),
    )  # fmt: skip
    assert served_names(known, "lan") == (WEB_ID[:12],)
    first, second = unserved_names(known)
    assert "its name bank.example, which has a dot" in first
    assert "its hostname www.bank.example" in second
    assert "ocinet.alias" in second
    odd = known.replace(container=Container(WEB_ID, "a+b"), resolution=None)
    assert "is none in the DNS" in unserved_names(odd)[0]
