"""Whether a new network's names are served, and whom their server asks."""

from __future__ import annotations

from typing import Any

import pytest

from builders import subnets
from ocinet.base.address import Address, Interface
from ocinet.base.errors import RequestError
from ocinet.engine.plan.new_network import Device, NetworkOptions, Surroundings, define
from ocinet.engine.plan.serving import served_network

ASKED = (Address.parse("192.0.2.53"), Address.parse("2001:db8::53"))
_FOUR = tuple(Address.parse(f"192.0.2.{last}") for last in range(1, 5))
LAN = Address.parse("10.9.0.1")
_LAN: dict[str, Any] = {"subnets": subnets("10.9.0.0/24")}
_ADOPTED: dict[str, Any] = {"device": "br0", "unmanaged": True}
_BR0 = Device("bridge", addresses=(Interface.parse("192.0.2.1/24"),))


def test_define_serves_names_unless_it_is_said_otherwise() -> None:
    """And asks whom the host asks, or those that are named."""
    plain = define("lan", NetworkOptions(**_LAN), Surroundings())
    assert (plain.dns, plain.dns_servers) == (True, ())
    off = define("lan", NetworkOptions(**_LAN, dns=False), Surroundings())
    assert served_network(off) is None
    asking = define("lan", NetworkOptions(**_LAN, dns_servers=ASKED), Surroundings())
    served = served_network(asking)
    assert served
    assert served.upstreams == ASKED


def test_define_of_an_adopted_bridge_serves_where_the_host_is_there_and_somebody_is_named() -> None:
    """Whoever runs the bridge may have a name server of his own."""
    around = Surroundings(device=_BR0)
    assert served_network(define("lan", NetworkOptions(**_ADOPTED), around)) is None
    asking = define("lan", NetworkOptions(**_ADOPTED, dns_servers=ASKED), around)
    served = served_network(asking)
    assert served
    assert served.gateways == (Address.parse("192.0.2.1"),)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({**_LAN, "dns": False}, "leave --no-dns out"),
        ({**_LAN, "internal": True}, "an internal network asks nobody"),
        ({**_LAN, "dns_servers": _FOUR}, "nobody asks a fourth"),
        ({**_LAN, "dns_servers": (Address.parse("fe80::1"),)}, "no address that the host could"),
        ({**_ADOPTED, "gateways": (Address.parse("192.0.2.254"),)}, "no address of the host's"),
    ],
)
def test_define_refuses_upstreams_that_nobody_would_ask(options: dict[str, Any], why: str) -> None:
    """It is said why."""
    wished = NetworkOptions(**{"dns_servers": ASKED, **options})
    with pytest.raises(RequestError, match=why):
        define("lan", wished, Surroundings(device=_BR0 if "unmanaged" in options else None))


def test_define_refuses_a_name_server_of_ours_for_an_upstream() -> None:
    """Its own would ask itself; another network's tells its names to nobody else."""
    lan = define("lan", NetworkOptions(**_LAN, gateways=(LAN,)), Surroundings())
    own = NetworkOptions(**_LAN, gateways=(LAN,), dns_servers=(LAN,))
    with pytest.raises(RequestError, match="is the network's own name server"):
        define("lan", own, Surroundings())
    dmz = NetworkOptions(subnets=subnets("10.8.0.0/24"), dns_servers=(LAN,))
    with pytest.raises(RequestError, match="is lan's name server"):
        define("dmz", dmz, Surroundings(networks=(lan,)))
    quiet = Surroundings(networks=(lan.replace(dns=False),))
    assert define("dmz", dmz, quiet).dns_servers == (LAN,)  # a resolver of somebody's is there
