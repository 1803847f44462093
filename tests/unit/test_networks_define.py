"""How networks are defined: what comes out, what is refused, which bridges are adopted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import network, span, subnets
from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.errors import (
    ConflictError,
    ExhaustedError,
    NotFoundError,
    OcinetError,
    RequestError,
)
from ocinet.engine.model.network import Network
from ocinet.engine.plan.driver_options import with_driver_option
from ocinet.engine.plan.new_network import (
    Device,
    NetworkOptions,
    Surroundings,
    define,
    device_of,
)
from ocinet.ipam.pool import Pool, Range

DOCKER0 = Device("bridge", addresses=(Interface.parse("172.17.0.1/16"),))
BARE = Device("bridge")


def addresses(*texts: str) -> tuple[Address, ...]:
    """Read addresses."""
    return tuple(Address.parse(text) for text in texts)


# --- what a definition comes out as ---------------------------------------------------------


def test_define_without_wishes_takes_the_first_free_subnet() -> None:
    """Name and nothing else: a /24 of the pool, its first address as the gateway."""
    network = define("lan", NetworkOptions(), Surroundings())
    assert network == Network(
        name="lan",
        device=device_of("lan"),
        pools=(Pool(Subnet.parse("10.72.0.0/24"), Address.parse("10.72.0.1")),),
    )


def test_device_of_is_short_and_differs_by_name() -> None:
    """The default network has its own device name, others have eight hex digits."""
    assert device_of("bridge") == "ocinet0"
    names = {device_of(name) for name in ("lan", "dmz", "a" * 63)}
    assert len(names) == 3
    for name in names:
        prefix, _, digits = name.partition("-")
        assert prefix == "ocbr"
        assert len(digits) == 8
        int(digits, 16)


def test_define_automatic_avoids_networks_and_the_host() -> None:
    """What other networks have and what the host routes is passed over."""
    other = define("a", NetworkOptions(), Surroundings())
    around = Surroundings(networks=(other,), occupied=subnets("10.72.1.128/25", "10.72.2.0/23"))
    assert define("b", NetworkOptions(), around).pools[0].subnet == Subnet.parse("10.72.4.0/24")


def test_define_automatic_does_not_count_default_routes() -> None:
    """A default route covers everything and is in nobody's way; so are a VPN's two halves."""
    routed = subnets("0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1", "::/0")
    around = Surroundings(occupied=routed, routed=routed)
    assert define("b", NetworkOptions(), around).pools[0].subnet == Subnet.parse("10.72.0.0/24")


@pytest.mark.parametrize(
    ("occupied", "routed", "chosen"),
    [
        ("10.0.0.0/8", "", "172.16.0.0/24"),
        ("", "10.0.0.0/8", "172.16.0.0/24"),
        ("", "10.0.0.0/8 172.16.0.0/12", "192.168.192.0/24"),
        ("", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16", "10.72.0.0/24"),
        ("", "0.0.0.0/2 64.0.0.0/2 128.0.0.0/2 192.0.0.0/2", "10.72.0.0/24"),
        ("", "0.0.0.0/2 64.0.0.0/2 128.0.0.0/2 192.0.0.0/2 10.0.0.0/8", "172.16.0.0/24"),
        ("172.16.0.0/12 192.168.0.0/16", "10.0.0.0/8 10.72.0.128/25", "10.72.1.0/24"),
        ("172.16.0.0/12 192.168.0.0/16", "10.0.0.0/8 10.72.0.0/24", "10.72.1.0/24"),
    ],
)
def test_define_automatic_goes_on_to_the_next_pool(occupied: str, routed: str, chosen: str) -> None:
    """Clear of routes in any pool; else within the widest one, which a longer prefix beats."""
    around = Surroundings(occupied=subnets(*occupied.split()), routed=subnets(*routed.split()))
    assert define("b", NetworkOptions(), around).pools[0].subnet == Subnet.parse(chosen)


@pytest.mark.parametrize("taken", ["occupied", "routed"])
def test_define_given_subnet_that_would_not_be_reached_names_one_that_is(taken: str) -> None:
    """As specific a route as its own, or a part of it: what the hint says is taken."""
    way = subnets("10.9.0.0/24") if taken == "routed" else subnets("10.9.0.0/16")
    around = Surroundings().replace(**{taken: (*way, *subnets("10.8.1.0/24"))})
    for subnet in subnets("10.9.0.0/24", "10.8.0.0/16"):
        with pytest.raises(ConflictError, match=f"{subnet} overlaps 10") as caught:
            define("b", NetworkOptions(subnets=(subnet,)), around)
        words = caught.value.hint.split()
        free = Subnet.parse(words[words.index("--subnet") + 1])
        assert define("b", NetworkOptions(subnets=(free,)), around).pools[0].subnet == free


def test_define_given_subnet_within_a_route_is_taken() -> None:
    """The bridge's is the longer prefix."""
    around = Surroundings(routed=subnets("10.0.0.0/8", "0.0.0.0/1"))
    subnet = subnets("10.9.0.0/24")
    assert define("b", NetworkOptions(subnets=subnet), around).pools[0].subnet == subnet[0]


def test_define_automatic_says_when_nothing_is_left() -> None:
    """No free subnet is told with what to do, and that works."""
    around = Surroundings(pools=subnets("10.72.0.0/24"), occupied=subnets("10.0.0.0/9"))
    with pytest.raises(ExhaustedError, match=r"no free /24 is left in 10\.72\.0\.0/24") as caught:
        define("b", NetworkOptions(), around)
    assert caught.value.hint == (
        "ocinet network create --subnet 10.128.0.0/24 b; or set pools in ocinet.toml"
    )
    subnet = subnets("10.128.0.0/24")
    assert define("b", NetworkOptions(subnets=subnet), around).pools[0].subnet == subnet[0]


def test_define_automatic_ipv6_skips_a_whole_route_at_once() -> None:
    """A pool of 2^24 subnets that is routed in one piece takes no time."""
    around = Surroundings(
        pools=subnets("10.72.0.0/13", "fd00::/40", "fd01::/48"), occupied=subnets("fd00::/40")
    )
    network = define("b", NetworkOptions(ipv6=True), around)
    assert network.pools[1] == Pool(Subnet.parse("fd01::/64"), Address.parse("fd01::1"))


@pytest.mark.parametrize(
    ("options", "setting", "families"),
    [
        (NetworkOptions(), False, (4,)),
        (NetworkOptions(ipv6=True), False, (4, 6)),
        (NetworkOptions(), True, (4, 6)),
        (NetworkOptions(subnets=subnets("10.9.0.0/24")), True, (4,)),
        (NetworkOptions(subnets=subnets("10.9.0.0/24"), ipv6=True), False, (4, 6)),
        (NetworkOptions(subnets=subnets("fd00:9::/64"), ipv6=True), False, (6,)),
        (NetworkOptions(subnets=subnets("fd00:9::/64")), False, (6,)),
        (NetworkOptions(subnets=subnets("10.9.0.0/24", "fd00:9::/64")), False, (4, 6)),
    ],
)
def test_define_has_the_families_that_are_asked_for(
    options: NetworkOptions, setting: bool, families: tuple[int, ...]
) -> None:
    """As podman: given subnets are all there is, but for --ipv6."""
    around = Surroundings(pools=subnets("10.72.0.0/13", "fd01::/48"), ipv6=setting)
    assert define("lan", options, around).families == families


@pytest.mark.parametrize(
    ("subnet", "given_gateway", "gateway"),
    [
        ("10.9.0.0/24", None, "10.9.0.1"),
        ("10.9.0.0/24", "10.9.0.254", "10.9.0.254"),
        ("10.9.0.0/31", None, "10.9.0.0"),
        ("10.9.0.0/31", "10.9.0.1", "10.9.0.1"),
        ("10.9.0.0/30", None, "10.9.0.1"),
        ("fd00:9::/64", None, "fd00:9::1"),
        ("fd00:9::/64", "fd00:9::ffff:ffff:ffff:ffff", "fd00:9::ffff:ffff:ffff:ffff"),
        ("fd00:9::/127", None, "fd00:9::"),
    ],
)
def test_define_chooses_the_gateway(subnet: str, given_gateway: str | None, gateway: str) -> None:
    """The first usable address, or the one that is asked for."""
    wished = addresses(given_gateway) if given_gateway else ()
    network = define("n", NetworkOptions(subnets=subnets(subnet), gateways=wished), Surroundings())
    assert network.pools == (Pool(Subnet.parse(subnet), Address.parse(gateway)),)


def test_define_sorts_gateways_and_ranges_by_subnet() -> None:
    """Each goes to the subnet that it lies in, whatever the order of the flags."""
    options = NetworkOptions(
        subnets=subnets("10.9.0.0/24", "fd00:9::/64", "10.10.0.0/16"),
        gateways=addresses("fd00:9::9", "10.10.0.9"),
        ranges=(
            span("fd00:9::100", "fd00:9::1ff"),
            span("10.10.1.0", "10.10.1.255"),
            span("10.10.3.0", "10.10.3.9"),
        ),
    )
    assert define("n", options, Surroundings()).pools == (
        Pool(Subnet.parse("10.9.0.0/24"), Address.parse("10.9.0.1")),
        Pool(
            Subnet.parse("fd00:9::/64"),
            Address.parse("fd00:9::9"),
            (span("fd00:9::100", "fd00:9::1ff"),),
        ),
        Pool(
            Subnet.parse("10.10.0.0/16"),
            Address.parse("10.10.0.9"),
            (span("10.10.1.0", "10.10.1.255"), span("10.10.3.0", "10.10.3.9")),
        ),
    )


def test_define_keeps_the_other_wishes() -> None:
    """internal, mtu, device, labels and masquerade are taken over."""
    options = NetworkOptions(
        internal=True, mtu=9000, device="br-web", masquerade=False, labels=(("a", "b"),)
    )
    network = define("n", options, Surroundings())
    assert (network.internal, network.mtu, network.device) == (True, 9000, "br-web")
    assert (network.masquerade, network.labels, network.managed) == (False, (("a", "b"),), True)


LAN = network()
AROUND = Surroundings(networks=(LAN,), occupied=subnets("192.168.1.0/24", "0.0.0.0/0"))


@pytest.mark.parametrize(
    ("name", "options", "kind", "why"),
    [
        ("lan", NetworkOptions(), ConflictError, "there is a network lan already"),
        ("LAN", NetworkOptions(), RequestError, "'LAN' is no network name"),
        ("../x", NetworkOptions(), RequestError, "'../x' is no network name"),
        ("host", NetworkOptions(), RequestError, "'host' is reserved"),
        ("b", NetworkOptions(device="br-lan"), ConflictError, "br-lan is network lan's"),
        ("b", NetworkOptions(device="a/b"), RequestError, "'a/b' is no interface name"),
        ("b", NetworkOptions(subnets=subnets("10.9.0.128/25")), ConflictError,
         "10.9.0.128/25 overlaps 10.9.0.0/24 of lan"),
        ("b", NetworkOptions(subnets=subnets("10.0.0.0/8")), ConflictError,
         "10.0.0.0/8 overlaps 10.9.0.0/24 of lan"),
        ("b", NetworkOptions(subnets=subnets("192.168.0.0/16")), ConflictError,
         "192.168.0.0/16 overlaps 192.168.1.0/24, which the host uses"),
        ("b", NetworkOptions(subnets=subnets("10.8.0.0/24", "10.8.0.0/25")), RequestError,
         "10.8.0.0/25 overlaps 10.8.0.0/24, which is given too"),
        ("b", NetworkOptions(subnets=subnets("10.8.0.1/32")), RequestError,
         "10.8.0.1/32 is no subnet for containers"),
        ("b", NetworkOptions(subnets=subnets("fd00::1/128")), RequestError,
         "fd00::1/128 is no subnet for containers"),
        ("b", NetworkOptions(subnets=subnets("0.0.0.0/0")), RequestError,
         "0.0.0.0/0 is no subnet for containers"),
        ("b", NetworkOptions(subnets=subnets("127.1.0.0/16")), RequestError,
         "overlaps 127.0.0.0/8, which no container can use"),
        ("b", NetworkOptions(subnets=subnets("fe80::/64")), RequestError, "overlaps fe80::/10"),
        ("b", NetworkOptions(subnets=subnets("240.0.0.0/24")), RequestError, "224.0.0.0/3"),
        ("b", NetworkOptions(gateways=addresses("10.8.0.1")), RequestError,
         "the gateway 10.8.0.1 is not in 10.72.0.0/24"),
        ("b", NetworkOptions(subnets=subnets("10.8.0.0/24"), gateways=addresses("fd00::1")),
         RequestError, "the gateway fd00::1 is not in 10.8.0.0/24"),
        ("b", NetworkOptions(subnets=subnets("10.8.0.0/24"), gateways=addresses("10.8.0.0")),
         RequestError, "10.8.0.0 is the network address of 10.8.0.0/24"),
        ("b", NetworkOptions(subnets=subnets("10.8.0.0/24"), gateways=addresses("10.8.0.255")),
         RequestError, "10.8.0.255 is the broadcast address of 10.8.0.0/24"),
        ("b", NetworkOptions(subnets=subnets("10.8.0.0/24"),
                             gateways=addresses("10.8.0.1", "10.8.0.2")),
         RequestError, "10.8.0.0/24 has two gateways: 10.8.0.1 and 10.8.0.2"),
        ("b", NetworkOptions(subnets=subnets("10.8.0.0/24"),
                             ranges=(span("10.8.0.200", "10.8.1.4"),)),
         RequestError, "the range 10.8.0.200-10.8.1.4 is not in 10.8.0.0/24"),
        ("b", NetworkOptions(subnets=subnets("10.8.0.0/24"),
                             ranges=(span("10.8.0.9", "10.8.0.4"),)),
         RequestError, "the range 10.8.0.9-10.8.0.4 runs backwards"),
        ("b", NetworkOptions(mtu=67), RequestError, "67 is no MTU"),
        ("b", NetworkOptions(mtu=65536), RequestError, "65536 is no MTU"),
        ("b", NetworkOptions(mtu=1279, subnets=subnets("fd00:9::/64")), RequestError,
         "1279 is no MTU"),
        ("b", NetworkOptions(mtu=1279, subnets=subnets("10.8.0.0/24", "fd00:9::/64")),
         RequestError, "1279 is no MTU"),
    ],
)  # fmt: skip
def test_define_refuses(
    name: str, options: NetworkOptions, kind: type[OcinetError], why: str
) -> None:
    """What can't work is refused, and the error names what is in the way."""
    with pytest.raises(OcinetError) as caught:
        define(name, options, AROUND)
    assert type(caught.value) is kind
    assert why in caught.value.why


def test_define_refuses_a_strangers_link_as_its_bridge() -> None:
    """A bridge that somebody else made is not taken over in silence."""
    around = Surroundings(device=DOCKER0)
    with pytest.raises(ConflictError, match="docker0 that ocinet did not make") as caught:
        define("b", NetworkOptions(device="docker0"), around)
    assert "--unmanaged" in caught.value.hint


def test_define_takes_a_bridge_that_ocinet_left() -> None:
    """A bridge of ours that outlived its network is used again."""
    around = Surroundings(device=Device("bridge", ours=True))
    assert define("b", NetworkOptions(device="br-b"), around).device == "br-b"


# --- adopted bridges ------------------------------------------------------------------------


def test_define_unmanaged_reads_subnet_and_gateway_from_the_bridge() -> None:
    """`--bridge docker0 --unmanaged` needs nothing else, its own route notwithstanding."""
    options = NetworkOptions(device="docker0", unmanaged=True)
    around = Surroundings(device=DOCKER0, occupied=subnets("172.17.0.0/16"))
    network = define("dock", options, around)
    (pool,) = network.pools
    assert (pool.subnet, pool.gateway) == (
        Subnet.parse("172.17.0.0/16"), Address.parse("172.17.0.1"),
    )  # fmt: skip
    assert not network.managed


@pytest.mark.parametrize(
    ("subnet", "ranges"),
    [
        ("172.17.0.0/16", (span("172.17.128.0", "172.17.255.255"),)),
        ("172.30.0.0/27", (span("172.30.0.16", "172.30.0.31"),)),
        ("10.1.0.0/29", (span("10.1.0.4", "10.1.0.7"),)),
        ("10.1.0.0/30", ()),
        ("10.1.0.0/31", ()),
        ("fd00:1::/64", (span("fd00:1:0:0:8000::", "fd00:1::ffff:ffff:ffff:ffff"),)),
        ("fd00:1::/126", ()),
    ],
)
def test_define_unmanaged_gives_out_the_upper_half(subnet: str, ranges: tuple[Range, ...]) -> None:
    """Whoever runs the bridge gives out from the bottom; what is tiny is not halved."""
    options = NetworkOptions(device="br0", unmanaged=True, subnets=subnets(subnet))
    (pool,) = define("site", options, Surroundings(device=BARE)).pools
    assert pool.ranges == ranges
    (managed,) = define("lan", NetworkOptions(subnets=subnets(subnet)), Surroundings()).pools
    assert managed.ranges == ()


def test_define_unmanaged_with_a_range_gives_out_that_alone() -> None:
    """--ip-range keeps clear of what the bridge's owner gives out."""
    options = NetworkOptions(
        device="docker0", unmanaged=True, ranges=(span("172.17.200.0", "172.17.200.255"),)
    )
    pool = define("dock", options, Surroundings(device=DOCKER0)).pools[0]
    assert pool.ranges == (span("172.17.200.0", "172.17.200.255"),)


def test_define_unmanaged_with_a_range_halves_the_other_subnet() -> None:
    """A range of one subnet says nothing of another's."""
    options = NetworkOptions(
        device="br0", unmanaged=True, subnets=subnets("10.1.0.0/24", "fd00:1::/64"),
        ranges=(span("10.1.0.0", "10.1.0.255"),),
    )  # fmt: skip
    first, second = define("site", options, Surroundings(device=BARE)).pools
    assert first.ranges == options.ranges
    assert second.ranges == (span("fd00:1:0:0:8000::", "fd00:1::ffff:ffff:ffff:ffff"),)


def test_define_unmanaged_takes_the_gateway_that_is_given() -> None:
    """It may be another router than the host."""
    options = NetworkOptions(
        device="br0", unmanaged=True, subnets=subnets("10.1.0.0/24"),
        gateways=addresses("10.1.0.254"),
    )  # fmt: skip
    (pool,) = define("site", options, Surroundings(device=BARE)).pools
    assert pool.gateway == Address.parse("10.1.0.254")


@pytest.mark.parametrize("wished", [None, False])
def test_define_unmanaged_masquerades_nothing(wished: bool | None) -> None:
    """Docker hides what leaves docker0, or does not, and that holds for ours as well."""
    options = NetworkOptions(device="docker0", unmanaged=True, masquerade=wished)
    assert not define("dock", options, Surroundings(device=DOCKER0)).masquerade


def test_define_unmanaged_without_any_gateway_has_none() -> None:
    """A bridge without an address and no --gateway: containers reach their subnet alone."""
    options = NetworkOptions(device="br0", unmanaged=True, subnets=subnets("10.1.0.0/24"))
    assert define("site", options, Surroundings(device=BARE)).pools[0].gateway is None


@pytest.mark.parametrize(
    ("ipv6", "expected"),
    [(False, ("10.1.0.0/24",)), (True, ("10.1.0.0/24", "fd00:1::/64"))],
)
def test_define_unmanaged_takes_ipv6_when_it_is_wished(
    ipv6: bool, expected: tuple[str, ...]
) -> None:
    """Link-local addresses tell nothing; global ones count with --ipv6."""
    bears = ("10.1.0.1/24", "fe80::1/64", "fd00:1::1/64", "169.254.1.1/16")
    device = Device("bridge", addresses=tuple(Interface.parse(text) for text in bears))
    options = NetworkOptions(device="br0", unmanaged=True, ipv6=ipv6)
    pools = define("site", options, Surroundings(device=device)).pools
    assert tuple(str(pool.subnet) for pool in pools) == expected


def test_define_unmanaged_on_an_ipv6_only_bridge_needs_no_flag() -> None:
    """Where there is nothing but IPv6, it is meant."""
    device = Device("bridge", addresses=(Interface.parse("fd00:1::1/64"),))
    options = NetworkOptions(device="br0", unmanaged=True)
    assert define("site", options, Surroundings(device=device)).families == (6,)


@pytest.mark.parametrize(
    ("options", "device", "kind", "why"),
    [
        (NetworkOptions(unmanaged=True), BARE, RequestError,
         "--unmanaged needs to know the bridge"),
        (NetworkOptions(unmanaged=True, device="br0"), None, NotFoundError, "no bridge br0"),
        (NetworkOptions(unmanaged=True, device="br0"), Device("veth"), RequestError,
         "br0 is no bridge but veth"),
        (NetworkOptions(unmanaged=True, device="br0"), Device(""), RequestError, "a plain link"),
        (NetworkOptions(unmanaged=True, device="br0"), BARE, RequestError, "br0 has no address"),
        (NetworkOptions(unmanaged=True, device="br-lan"), BARE, ConflictError, "network lan's"),
        (NetworkOptions(unmanaged=True, device="docker0", subnets=subnets("172.17.5.0/24")),
         DOCKER0, RequestError, "docker0 has 172.17.0.0/16, not 172.17.5.0/24"),
        (NetworkOptions(unmanaged=True, device="docker0", gateways=addresses("10.1.1.1")),
         DOCKER0, RequestError, "the gateway 10.1.1.1 is not in 172.17.0.0/16"),
        (NetworkOptions(unmanaged=True, device="br0", subnets=subnets("10.9.0.0/16")), BARE,
         ConflictError, "10.9.0.0/16 overlaps 10.9.0.0/24 of lan"),
        (NetworkOptions(unmanaged=True, device="docker0", masquerade=True), DOCKER0,
         RequestError, "what leaves docker0 is its owner's to masquerade"),
        (NetworkOptions(unmanaged=True, device="docker0", mtu=1400), DOCKER0,
         RequestError, "docker0 has an MTU, which is its owner's to set"),
    ],
)  # fmt: skip
def test_define_unmanaged_refuses(
    options: NetworkOptions, device: Device | None, kind: type[OcinetError], why: str
) -> None:
    """What can't be adopted is refused with the reason."""
    with pytest.raises(OcinetError) as caught:
        define("site", options, AROUND.replace(device=device))
    assert type(caught.value) is kind
    assert why in caught.value.why


def test_define_around_an_address_that_is_the_subnets_own_takes_it() -> None:
    """An overlay's device bears the first one, alone: no container could have it."""
    around = AROUND.replace(occupied=subnets("10.7.0.0/32", "fd00:7::/128"))
    options = NetworkOptions(subnets=subnets("10.7.0.0/24", "fd00:7::/64"))
    assert define("web", options, around).pools[0].subnet == options.subnets[0]
    for other in ("10.7.0.5/32", "10.7.0.0/31", "fd00:7::1/128"):
        with pytest.raises(ConflictError, match="which the host uses"):
            define("web", options, around.replace(occupied=subnets(other)))


# --- with which address packets leave -------------------------------------------------------

EGRESS = addresses("198.51.100.9", "2001:db8::9")


def test_define_with_egress_addresses_keeps_them() -> None:
    """One of each family, or of one alone."""
    for egress in (EGRESS, EGRESS[:1], ()):
        options = NetworkOptions(subnets=subnets("10.7.0.0/24", "fd00:7::/64"), egress=egress)
        assert define("web", options, AROUND).egress == egress


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"internal": True}, "nothing leaves an internal network"),
        ({"masquerade": False}, "packets leave with the container's address"),
        ({"egress": addresses("198.51.100.9", "198.51.100.8")}, "one of each family"),
        ({"egress": EGRESS[1:]}, "2001:db8::9 is of IPv6, and the network has no such subnet"),
        ({"egress": addresses("10.7.0.9")}, "10.7.0.9 is in the network itself"),
        ({"egress": addresses("127.0.0.1")}, "127.0.0.1 is no address that a packet can leave"),
        ({"egress": addresses("0.0.0.0")}, "0.0.0.0 is no address"),
        ({"egress": addresses("224.0.0.1")}, "224.0.0.1 is no address"),
        ({"unmanaged": True, "device": "docker0", "subnets": ()}, "its owner's to masquerade"),
    ],
)
def test_define_with_an_egress_address_that_cannot_be_is_refused(
    change: dict[str, Any], why: str
) -> None:
    """Where nothing leaves, or with another one's address."""
    options = NetworkOptions(subnets=subnets("10.7.0.0/24"), egress=EGRESS[:1]).replace(**change)
    with pytest.raises(RequestError) as caught:
        define("web", options, AROUND.replace(device=DOCKER0 if options.unmanaged else None))
    assert why in caught.value.why


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"internal": True}, "nothing leaves an internal network"),
        ({"unmasked": subnets("fd42::/16")}, "fd42::/16 is of IPv6, and the network has no such"),
        ({"unmasked": subnets("10.7.0.0/25")}, "10.7.0.0/25 is in the network itself"),
        ({"unmasked": subnets("10.42.0.0/16", "10.0.0.0/8")}, "have addresses in common"),
        ({"unmasked": (), "joined": ("eth0",)}, "and none is given"),
        ({"unmanaged": True, "device": "docker0", "subnets": ()}, "its owner's to masquerade"),
    ],
)
def test_define_with_an_unmasked_destination_that_cannot_be_is_refused(
    change: dict[str, Any], why: str
) -> None:
    """Where nothing leaves, nothing is there that could go, or two rules would meet."""
    options = NetworkOptions(subnets=subnets("10.7.0.0/24"), unmasked=subnets("10.42.0.0/16"))
    assert define("web", options, AROUND).unmasked == options.unmasked
    options = options.replace(**change)
    with pytest.raises(RequestError) as caught:
        define("web", options, AROUND.replace(device=DOCKER0 if options.unmanaged else None))
    assert why in caught.value.why


# --- docker's and podman's driver options ---------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wished"),
    [
        ("com.docker.network.driver.mtu=1400", NetworkOptions(mtu=1400)),
        ("mtu=1400", NetworkOptions(mtu=1400)),
        ("com.docker.network.bridge.name=br-web", NetworkOptions(device="br-web")),
        ("com.docker.network.bridge.enable_ip_masquerade=false", NetworkOptions(masquerade=False)),
        ("com.docker.network.bridge.enable_ip_masquerade=true", NetworkOptions(masquerade=True)),
        ("mode=unmanaged", NetworkOptions(unmanaged=True)),
        ("com.docker.network.host_ipv4=198.51.100.9", NetworkOptions(egress=EGRESS[:1])),
        ("com.docker.network.host_ipv6=2001:db8::9", NetworkOptions(egress=EGRESS[1:])),
        ("outbound_addr4=198.51.100.9", NetworkOptions(egress=EGRESS[:1])),
        ("outbound_addr6=2001:db8::9", NetworkOptions(egress=EGRESS[1:])),
        ("mode=managed", NetworkOptions()),
    ],
)
def test_with_driver_option_maps_what_is_known(text: str, wished: NetworkOptions) -> None:
    """The options that docker's and podman's users know mean the same here."""
    assert with_driver_option(NetworkOptions(), text) == wished


@pytest.mark.parametrize(
    ("text", "why", "hint"),
    [
        ("com.docker.network.driver.mtux=1", "unknown option", "did you mean"),
        ("vlan=5", "unknown option 'vlan'", "known are: com.docker.network.driver.mtu"),
        ("", "unknown option ''", "known are"),
        ("mtu", "mtu must be a number of bytes, not ''", ""),
        ("mtu=²", "mtu must be a number of bytes, not '²'", ""),
        ("com.docker.network.bridge.enable_ip_masquerade=no", "must be false or true", ""),
        ("outbound_addr4=x", "'x' is no IP address", ""),
        ("outbound_addr4=2001:db8::9", "outbound_addr4 must be an IPv4 address", ""),
        ("mode=macvlan", "mode must be managed or unmanaged", ""),
        ("com.docker.network.bridge.name=a b", "'a b' is no interface name", ""),
    ],
)
def test_with_driver_option_refuses_what_is_not(text: str, why: str, hint: str) -> None:
    """An option that would be ignored is an error."""
    with pytest.raises(RequestError) as caught:
        with_driver_option(NetworkOptions(), text)
    assert why in caught.value.why
    assert caught.value.hint.startswith(hint)


@given(
    occupied=st.lists(
        st.builds(
            lambda value, length: Interface(Address(4, 10 << 24 | value), length).subnet,
            st.integers(0, (1 << 24) - 1),
            st.integers(9, 32),
        ),
        max_size=20,
    )
)
def test_define_automatic_never_overlaps(occupied: list[Subnet]) -> None:
    """Whatever the host routes, an automatic subnet is clear of it and in the pool."""
    around = Surroundings(occupied=tuple(occupied), pools=subnets("10.72.0.0/16"))
    try:
        subnet = define("lan", NetworkOptions(), around).pools[0].subnet
    except ExhaustedError:
        candidates = [Subnet(4, 10 << 24 | 72 << 16 | third << 8, 24) for third in range(256)]
        assert all(any(candidate.overlaps(taken) for taken in occupied) for candidate in candidates)
        return
    assert subnet.prefixlen == 24
    assert subnet.overlaps(around.pools[0])
    assert not any(subnet.overlaps(other) for other in occupied)
