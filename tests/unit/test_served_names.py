"""By which names a container is found on its networks."""

from __future__ import annotations

import pytest

from builders import WEB_ID, endpoint, record
from ocinet.engine.model.attachment import Container
from ocinet.engine.plan.served_names import label, served_names


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
