"""Who comes back while others live in the former sandbox: what is had again."""

from __future__ import annotations

import pytest

from builders import endpoint, network, port, record, tcp
from ocinet.base.address import Address, Interface
from ocinet.engine.former import addresses_again, ports_again
from ocinet.engine.model.request import EndpointRequest

FOUR, SIX = Address.parse("10.9.0.5"), Address.parse("fd00:9::5")
FORMER = record(
    endpoints=(endpoint(addresses=(Interface(FOUR, 24), Interface(SIX, 64))),),
    ports=(port(49153), port(8080, 81)),
)


@pytest.mark.parametrize(
    ("wish", "kept", "again"),
    [
        (EndpointRequest("lan"), {}, (FOUR, SIX)),
        (EndpointRequest("lan"), {"10.9.0.5": "db", "10.9.0.9": "db"}, (FOUR, SIX)),
        (EndpointRequest("lan"), {"10.9.0.9": "web"}, (SIX,)),
        (EndpointRequest("lan", (Address.parse("10.9.0.8"),)), {}, (SIX,)),
        (EndpointRequest("lan", (FOUR, SIX)), {}, ()),
        (EndpointRequest("dmz"), {}, ()),
    ],
)
def test_addresses_are_had_again_where_nothing_else_is_said(
    wish: EndpointRequest, kept: dict[str, str], again: tuple[Address, ...]
) -> None:
    """What is asked for, and what is reserved for the name by now, comes first."""
    assert addresses_again(FORMER, wish, network(wish.network), kept) == again


def test_chosen_ports_are_had_again() -> None:
    """Those without a number, and no others."""
    wishes = (tcp(0), tcp(0, 81), tcp(0, 82), tcp(8081, 80))

    assert ports_again(FORMER, wishes) == (tcp(49153), tcp(8080, 81), tcp(0, 82), tcp(8081, 80))


def test_port_with_a_number_is_not_taken_for_the_one_that_was_chosen() -> None:
    """Both lead to one port of the container, whichever comes first; nor is one had twice."""
    former = FORMER.replace(ports=(port(8080), port(49153), port(49154)))
    wishes = (tcp(8080), tcp(0), tcp(0))

    assert ports_again(former, wishes) == (tcp(8080), tcp(49153), tcp(49154))
    assert ports_again(former, wishes[::-1]) == (tcp(49153), tcp(49154), tcp(8080))
