"""What a new network on the LAN comes to, and what it can't be."""

from __future__ import annotations

from typing import Any

import pytest

from builders import make_pool, network, span, subnets
from ocinet.base.address import Address, Interface
from ocinet.base.errors import ConflictError, OcinetError, RequestError
from ocinet.base.jsontext import dumps
from ocinet.engine.model.lan import shim_of
from ocinet.engine.model.network import Network
from ocinet.engine.plan.driver import DRIVERS, driver_of
from ocinet.engine.plan.driver_options import with_driver_option
from ocinet.engine.plan.new_network import Device, NetworkOptions, Surroundings
from ocinet.engine.records.networks import decode, encode

ROUTER = Address.parse("192.168.7.1")
BEARS = (Interface.parse("192.168.7.9/24"), Interface.parse("fe80::9/64"))
PARENT = Device("", addresses=BEARS, mtu=1500)
AROUND = Surroundings(device=PARENT, uplink="eth0")
LAN = NetworkOptions(driver="macvlan", parent="eth0")


def at(*texts: str) -> tuple[Address, ...]:
    """Return addresses."""
    return tuple(map(Address.parse, texts))


def define(around: Surroundings = AROUND, **wishes: Any) -> Network:
    """Define one."""
    return driver_of("macvlan").define("home", LAN.replace(**wishes), around)


def test_define_reads_the_subnet_of_its_parent() -> None:
    """The upper half is given out, nothing is guarded, and without a word nobody is the gateway."""
    made = define()
    assert made.pools == (make_pool("192.168.7.0/24", "", "192.168.7.128-192.168.7.255"),)
    assert (made.device, made.parent, made.mode) == (shim_of("home"), "eth0", "bridge")
    said = (made.managed, made.masquerade, made.guard, made.host_access)
    assert said == (False, False, False, ())
    assert len(shim_of("a-name-of-63-characters")) <= 15


def test_define_keeps_what_is_said() -> None:
    """As docker's and podman's users say it; and the file tells the same."""
    made = define(
        subnets=subnets("10.1.0.0/16"), gateways=(Address.parse("10.1.0.1"),), mtu=1400,
        ranges=(span("10.1.9.0", "10.1.9.255"),), mode="private", labels=(("a", "b"),), dns=False,
    )  # fmt: skip
    assert made.pools == (make_pool("10.1.0.0/16", "10.1.0.1", "10.1.9.0-10.1.9.255"),)
    assert (made.mode, made.siblings, made.mtu, made.dns) == ("private", False, 1400, False)
    assert decode("home", dumps(encode(made)).encode(), "f") == made


def test_a_bridges_file_says_nothing_of_drivers() -> None:
    """Versions that know of none read it as ever."""
    assert not {"driver", "parent", "mode", "host_access"} & set(encode(network()))


@pytest.mark.parametrize(
    ("wishes", "address"),
    [
        ({}, "192.168.7.254"),
        ({"ranges": (span("192.168.7.192", "192.168.7.223"),)}, "192.168.7.223"),
        ({"host_addresses": (Address.parse("192.168.7.20"),)}, "192.168.7.20"),
        ({"ranges": (span("192.168.7.8", "192.168.7.9"),)}, "192.168.7.8"),
        (
            {"ranges": (span("192.168.7.1", "192.168.7.2"), span("192.168.7.9", "192.168.7.9"))},
            "192.168.7.2",
        ),
        (
            {
                "ranges": (span("192.168.7.20", "192.168.7.21"),),
                "gateways": (Address.parse("192.168.7.21"),),
            },
            "192.168.7.20",
        ),
    ],
)
def test_host_access_takes_the_ranges_last_address_or_the_one_that_is_said(
    wishes: dict[str, Any], address: str
) -> None:
    """Never the broadcast address, nor the parent's or the router's."""
    assert define(host_access=True, **wishes).host_access == (Address.parse(address),)


@pytest.mark.parametrize(
    ("wishes", "why"),
    [
        ({"parent": ""}, "say -o parent=eth0"),
        ({"mode": "l2"}, "none of macvlan's.*passthru"),
        ({"internal": True}, "--internal"),
        ({"egress": (ROUTER,)}, "--egress-address"),
        ({"masquerade": False}, "--no-masquerade"),
        ({"dns_servers": (ROUTER,)}, "--dns"),
        ({"device": "br0"}, "-o parent=LINK"),
        ({"unmanaged": True}, "--unmanaged"),
        ({"guard": False}, "--no-guard"),
        ({"host": False}, "--no-host"),
        ({"siblings": False}, "mode=private"),
        ({"host_access": True, "mode": "vepa"}, "mode=bridge"),
        ({"host_access": True, "host_addresses": (Address.parse("10.0.0.1"),)}, "is not in"),
        ({"host_access": True, "gateways": (ROUTER,), "host_addresses": (ROUTER,)}, "gateway"),
        ({"mtu": 9000}, "--mtu.*more than eth0 has, which is 1500"),
        ({"mtu": 10}, "no MTU"),
        ({"host_access": True, "host_addresses": at("192.168.7.255")}, "broadcast"),
        ({"host_access": True, "host_addresses": at("192.168.7.0")}, "the network address"),
        ({"host_access": True, "host_addresses": at("192.168.7.9")}, "is eth0's own"),
        ({"host_access": True, "host_addresses": at("192.168.7.20", "192.168.7.21")}, "one subnet"),
        ({"host_access": True, "ranges": (span("192.168.7.9", "192.168.7.9"),)}, "had by others"),
    ],
)
def test_define_refuses_what_the_host_could_not_hold(wishes: dict[str, Any], why: str) -> None:
    """With the flag and what helps."""
    with pytest.raises((RequestError, ConflictError), match=why):
        define(**wishes)


def test_define_refuses_a_parent_that_can_not_be_one() -> None:
    """Not there, or with the kernel's reason."""
    with pytest.raises(OcinetError, match=r"no link eth0.*eth1"):
        define(Surroundings(uplink="eth1"))
    port = PARENT.replace(why_not="is a port of the bridge br0", hint="say -o parent=br0")
    with pytest.raises(ConflictError, match=r"is a port of the bridge br0.*parent=br0"):
        define(Surroundings(device=port))
    with pytest.raises(RequestError, match="say --subnet"):
        define(Surroundings(device=Device("veth")))


def test_networks_of_one_parent_share_a_subnet_by_their_ranges() -> None:
    """Of another parent, or a bridge's, it is taken."""
    first = define(ranges=(span("192.168.7.100", "192.168.7.119"),)).replace(name="first")
    around = AROUND.replace(networks=(first,))
    define(around, ranges=(span("192.168.7.120", "192.168.7.139"),))
    for start in ("192.168.7.119", "192.168.7.90"):
        with pytest.raises(ConflictError, match="first on eth0"):
            define(around, ranges=(span(start, "192.168.7.130"),))
    for other in (first.replace(parent="eth1"), network("first", "192.168.7.0/24")):
        with pytest.raises(ConflictError, match="of first"):
            define(AROUND.replace(networks=(other,)))


def test_host_access_takes_nothing_that_another_network_of_the_parent_has() -> None:
    """What it gives out, or the host's there: passed over, refused if it is said."""
    first = define(
        ranges=(span("192.168.7.100", "192.168.7.119"),),
        host_access=True, host_addresses=at("192.168.7.139"),
    ).replace(name="first")  # fmt: skip
    around = AROUND.replace(networks=(first,))
    wishes: dict[str, Any] = {"host_access": True}
    wishes["ranges"] = (span("192.168.7.120", "192.168.7.139"),)
    assert define(around, **wishes).host_access == at("192.168.7.138")
    for address, whose in (("192.168.7.101", "gives out"), ("192.168.7.139", "host's on")):
        with pytest.raises(ConflictError, match=whose):
            define(around, **wishes, host_addresses=at(address))


def test_options_are_spelled_as_docker_and_podman_have_them() -> None:
    """And `mode` is the bridge's own where the driver is."""
    said = NetworkOptions(driver="macvlan")
    for text in ("parent=eth0.100", "macvlan_mode=vepa", "host_access=192.168.7.250"):
        said = with_driver_option(said, text)
    assert (said.parent, said.mode, said.host_access) == ("eth0.100", "vepa", True)
    assert said.host_addresses == (Address.parse("192.168.7.250"),)
    assert with_driver_option(NetworkOptions(), "mode=unmanaged").unmanaged
    with pytest.raises(RequestError, match="managed or unmanaged"):
        with_driver_option(NetworkOptions(), "mode=private")
    with pytest.raises(RequestError, match="-d macvlan"):
        driver_of("bridge").define("home", NetworkOptions(parent="eth0"), Surroundings())


def test_every_driver_is_one_module_with_all_that_is_asked_of_it() -> None:
    """And one that is not known is told."""
    for name in DRIVERS:
        assert callable(driver_of(name).connect)
    with pytest.raises(RequestError, match="no driver 'ipvlan'"):
        driver_of("ipvlan")
