"""The one parser of `ocinet.*` keys: what it takes, and what it says to the rest."""

from __future__ import annotations

import pytest

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import RequestError
from ocinet.engine.model.request import EndpointRequest, Publish, Request, Route
from ocinet.request.annotations import (
    KEYS,
    is_ours,
    parse_annotations,
)
from ocinet.request.spelling import to_annotations
from ocinet.request.trust import needs_trust


def test_parse_without_our_keys_is_none() -> None:
    """Annotations of others ask for nothing, and neither do those that we keep for ourselves."""
    assert parse_annotations({}) is None
    others = ("org.example/x", "my-ocinet.net", "ocinet", '"my.ocinet.net"', "ocinet-net", "", '"')
    assert parse_annotations(dict.fromkeys(others, "z")) is None
    assert parse_annotations({"ocinet.sandbox": "4:99", "ocinet.bundle": "{}"}) is None


@pytest.mark.parametrize(
    ("net", "request_"),
    [
        ("bridge", Request("bridge", "", (EndpointRequest("bridge"),))),
        ("lan", Request("bridge", "", (EndpointRequest("lan"),))),
        (" lan ", Request("bridge", "", (EndpointRequest("lan"),))),
        ("host", Request("host")),
        ("none", Request("none")),
        ("container:web-1", Request("container", "web-1")),
        ("lan; dmz", Request("bridge", "", (EndpointRequest("lan"), EndpointRequest("dmz")))),
        (
            "lan:ip=10.9.0.5, ifname=eth7;dmz:mtu=1400,ip6=fd00::5,ip=10.8.0.5,ip=10.8.0.6",
            Request(
                "bridge",
                "",
                (
                    EndpointRequest("lan", (Address.parse("10.9.0.5"),), ifname="eth7"),
                    EndpointRequest(
                        "dmz",
                        tuple(map(Address.parse, ("10.8.0.5", "10.8.0.6", "fd00::5"))),
                        mtu=1400,
                    ),
                ),
            ),
        ),
        (
            "lan:routes=10.0.0.0/8 via 10.9.0.1,routes=192.168.0.0/16,gateway=fd00::1",
            Request(
                "bridge",
                "",
                (
                    EndpointRequest(
                        "lan",
                        gateway=Address.parse("fd00::1"),
                        routes=(
                            Route(Subnet.parse("10.0.0.0/8"), Address.parse("10.9.0.1")),
                            Route(Subnet.parse("192.168.0.0/16")),
                        ),
                    ),
                ),
            ),
        ),
    ],
)
def test_parse_net_value_gives_mode_and_endpoints(net: str, request_: Request) -> None:
    """`ocinet.net` takes Docker's words, names, and several networks with options."""
    assert parse_annotations({"ocinet.net": net}) == request_


def test_parse_flat_keys_apply_to_the_first_network() -> None:
    """The flat keys are the first network's, the default one if none is named."""
    flat = {
        "ocinet.ip": "10.9.0.5,10.9.0.6",
        "ocinet.ip6": "fd00::5",
        "ocinet.mac": "02:42:AC:11:00:02",
        "ocinet.ifname": "net0",
        "ocinet.mtu": "1280",
        "ocinet.gateway": "10.9.0.9",
        "ocinet.routes": "10.0.0.0/8 via 10.9.0.1, fd01::/64",
        "ocinet.name": "web",
    }
    first = EndpointRequest(
        "bridge",
        tuple(map(Address.parse, ("10.9.0.5", "10.9.0.6", "fd00::5"))),
        "02:42:ac:11:00:02",
        "net0",
        1280,
        Address.parse("10.9.0.9"),
        (
            Route(Subnet.parse("10.0.0.0/8"), Address.parse("10.9.0.1")),
            Route(Subnet.parse("fd01::/64")),
        ),
    )
    assert parse_annotations(flat) == Request("bridge", "", (first,), (), "web")
    assert parse_annotations({**flat, "ocinet.net": "lan;dmz"}) == Request(
        "bridge", "", (first.replace(network="lan"), EndpointRequest("dmz")), (), "web"
    )


def test_parse_route_takes_the_words_of_ip_route() -> None:
    """Metric and gateway in either order; several to one destination, by their metrics."""
    parsed = parse_annotations(
        {
            "ocinet.routes": "10.0.0.0/8 metric 200 via 10.9.0.1, 10.0.0.0/8,"
            "prohibit  10.7.0.0/16 metric 3,fd01::/64 metric 1024"
        }
    )
    assert parsed is not None
    assert parsed.endpoints[0].routes == (
        Route(Subnet.parse("10.0.0.0/8"), Address.parse("10.9.0.1"), 200),
        Route(Subnet.parse("10.0.0.0/8")),
        Route(Subnet.parse("10.7.0.0/16"), None, 3, "prohibit"),
        Route(Subnet.parse("fd01::/64")),  # what IPv6 takes where nothing is said
    )


def test_parse_publish_goes_with_networks() -> None:
    """Published ports belong to the request, whatever its networks are."""
    parsed = parse_annotations({"ocinet.publish": "8080:80"})
    assert parsed is not None
    assert parsed.publish == (Publish("tcp", None, 8080, 80),)
    assert parsed.endpoints == (EndpointRequest("bridge"),)


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ({"ocinet.nett": "lan"}, "there is no such key (hint: did you mean net"),
        ({"ocinet.": "x"}, "annotation 'ocinet.': there is no such key"),
        ({"ocinet.zzzzzzzz": "x"}, "(hint: known are: net, ip, ip6, "),
        ({"ocinet.Net": "lan"}, "annotation 'ocinet.Net': it is no key of ours, but ocinet.net"),
        ({'"ocinet.publish': '80:80,81:81"'}, "but ocinet.publish with quotes, blanks or capitals"),
        ({"'ocinet.net'": "lan"}, "but ocinet.net with quotes"),
        ({" ocinet.net": "lan"}, "(hint: write ocinet.net=…; in --annotation podman 4 alone"),
        ({"ocinet.net ": "lan"}, "but ocinet.net with quotes, blanks"),
        ({'\t " ocinet.net': "lan"}, "but ocinet.net with quotes, blanks"),
        ({"\u201cocinet.net": "lan"}, "but ocinet.net with quotes"),
        ({"\u00a0OCINET.NET": "lan"}, "but ocinet.net with quotes"),
        ({'"ocinet.nett': "lan"}, "but ocinet.nett with quotes"),
        ({'"ocinet.net': "lan", "ocinet.net": "lan"}, "but ocinet.net with quotes"),
        ({"ocinet.ip": ""}, "ocinet.ip: its value is empty"),
        ({"ocinet.net": "  "}, "ocinet.net: its value is empty"),
        ({"ocinet.net": "default"}, "ocinet.net: the network name 'default' is reserved"),
        ({"ocinet.net": "LAN"}, "ocinet.net: 'LAN' is no network name"),
        ({"ocinet.net": "container:"}, "ocinet.net: '' is no container"),
        ({"ocinet.net": "container:../x"}, "ocinet.net: '../x' is no container"),
        ({"ocinet.net": "container"}, "reserved for a mode"),
        ({"ocinet.net": "host:ip=10.0.0.1"}, "reserved for a mode"),
        ({"ocinet.net": "lan;host"}, "reserved for a mode"),
        ({"ocinet.net": "lan;lan"}, "the network lan comes twice"),
        ({"ocinet.net": "lan;"}, "has an empty item"),
        ({"ocinet.net": "lan:"}, "ocinet.net: lan: '' has an empty item"),
        ({"ocinet.net": "lan:ip=10.0.0.1,,"}, "has an empty item"),
        ({"ocinet.net": "lan:adress=10.0.0.1"}, "'adress=10.0.0.1' is no option"),
        ({"ocinet.net": "lan:ifnam=e"}, "did you mean ifname?"),
        ({"ocinet.net": "lan:mac"}, "'mac' is no option"),
        ({"ocinet.net": "lan:mtu=1400,mtu=1500"}, "ocinet.net: lan: mtu: '1500' comes twice"),
        ({"ocinet.net": "lan:ifname=a;dmz:ifname=a"}, "the interface a comes twice"),
        ({"ocinet.net": "lan:ip=10.0.0.1;dmz:ip=10.0.0.1"}, "the address 10.0.0.1 comes twice"),
        ({"ocinet.net": "lan:ip=10.0.0.1", "ocinet.ip": "10.0.0.2"}, "has ip= for lan already"),
        ({"ocinet.net": "host", "ocinet.publish": "80"}, "ocinet.publish: it does not go with"),
        ({"ocinet.net": "none", "ocinet.ip": "10.0.0.1"}, "it does not go with ocinet.net=none"),
        ({"ocinet.net": "container:a", "ocinet.mtu": "1400"}, "ocinet.mtu: it does not go with"),
        ({"ocinet.ip": "10.0.0.1,10.0.0.1"}, "ocinet.ip: '10.0.0.1' comes twice"),
        ({"ocinet.ip": "10.0.0.1/24"}, "ocinet.ip: '10.0.0.1/24' is no IP address"),
        ({"ocinet.ip": "fd00::1"}, "ocinet.ip: fd00::1 is of IPv6 (hint: use ip6 for it)"),
        ({"ocinet.ip6": "10.0.0.1"}, "ocinet.ip6: 10.0.0.1 is of IPv4"),
        ({"ocinet.ip6": "fe80::1"}, "fe80::1 is link-local"),
        ({"ocinet.ip6": "::ffff:10.0.0.1"}, "is no address of a single interface"),
        ({"ocinet.ip": "127.0.0.1"}, "127.0.0.1 is no address of a single interface"),
        ({"ocinet.ip": "0.0.0.0"}, "is no address of a single interface"),
        ({"ocinet.ip": "224.0.0.1"}, "is no address of a single interface"),
        ({"ocinet.ip": "255.255.255.255"}, "is no address of a single interface"),
        ({"ocinet.ip6": "ff02::1"}, "is no address of a single interface"),
        ({"ocinet.mac": "02:42:ac:11:00"}, "ocinet.mac: '02:42:ac:11:00' is no MAC"),
        ({"ocinet.mac": "2:42:ac:11:00:02"}, "is no MAC"),
        ({"ocinet.mac": "01:42:ac:11:00:02"}, "is a multicast MAC"),
        ({"ocinet.mac": "ff:ff:ff:ff:ff:ff"}, "is a multicast MAC"),
        ({"ocinet.mac": "00:00:00:00:00:00"}, "is no MAC of an interface"),
        ({"ocinet.ifname": "lo"}, "ocinet.ifname: 'lo' is no interface name"),
        ({"ocinet.ifname": "eth%d"}, "ocinet.ifname: 'eth%d' is no interface name"),
        ({"ocinet.ifname": "a,b"}, "ocinet.ifname: 'a,b' is no interface name"),
        ({"ocinet.ifname": "0123456789abcdef"}, "'0123456789abcdef' is no interface name"),
        ({"ocinet.mtu": "67"}, "ocinet.mtu: '67' is no MTU (hint: use 68 to 65535 bytes)"),
        ({"ocinet.mtu": "65536"}, "is no MTU"),
        ({"ocinet.mtu": "-1"}, "is no MTU"),
        ({"ocinet.mtu": "\uff11\uff14\uff10\uff10"}, "is no MTU"),
        ({"ocinet.gateway": "10.9.0.1,10.9.0.2"}, "is no IP address"),
        ({"ocinet.routes": "10.0.0.1/8"}, "did you mean 10.0.0.0/8?"),
        ({"ocinet.routes": "0.0.0.0/0 via 10.9.0.1"}, "is the default route (hint: use gateway"),
        ({"ocinet.routes": "10.0.0.0/8 dev eth0"}, "is no route"),
        ({"ocinet.routes": "10.0.0.0/8 via"}, "is no route"),
        ({"ocinet.routes": "10.0.0.0/8 metric 1 metric 2"}, "is no route"),
        ({"ocinet.routes": "blackhole"}, "is no route"),
        ({"ocinet.routes": "throw 10.0.0.0/8"}, "is no route"),
        ({"ocinet.routes": "10.0.0.0/8 metric 4294967296"}, "'4294967296' is no metric"),
        ({"ocinet.routes": "10.0.0.0/8 metric -1"}, "is no metric (hint: use 1 to 4294967295)"),
        ({"ocinet.routes": "blackhole 10.0.0.0/8 via 10.9.0.1"}, "what is blackhole has no gate"),
        ({"ocinet.routes": "unreachable 0.0.0.0/0"}, "default route (hint: use gateway=none, or"),
        ({"ocinet.routes": "fd01::/64,fd01::/64 via fd00::1 metric 1024"}, "fd01::/64 comes twice"),
        ({"ocinet.metric": "0"}, "ocinet.metric: '0' is no metric"),
        ({"ocinet.net": "lan:metric=x"}, "ocinet.net: lan: metric: 'x' is no metric"),
        ({"ocinet.routes": "10.0.0.0/8 via fd00::1"}, "are of different families"),
        ({"ocinet.routes": "10.0.0.0/8,10.0.0.0/8 via 10.9.0.1"}, "10.0.0.0/8 comes twice"),
        ({"ocinet.keep-ports": "yes"}, "ocinet.keep-ports: 'yes' is neither true nor false"),
        ({"ocinet.name": "/web"}, "ocinet.name: '/web' is no container name"),
        ({"ocinet.publish": "80:x"}, "ocinet.publish: '80:x': 'x' is no port"),
    ],
)  # fmt: skip
def test_parse_wrong_value_names_key_and_reason(annotations: dict[str, str], said: str) -> None:
    """Every refusal is one line that names the key, the text and a way out."""
    with pytest.raises(RequestError) as caught:
        parse_annotations(annotations)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parse_error_quotes_control_characters_and_cuts_long_texts() -> None:
    """What a stranger wrote can't break the line or flood the log."""
    with pytest.raises(RequestError) as caught:
        parse_annotations({"ocinet.mac": "\x1b[2J\n" + "x" * 10_000})
    said = str(caught.value)
    assert "\\x1b" in said
    assert "\n" not in said
    assert len(said) < 200


def test_parse_more_networks_than_allowed_is_refused() -> None:
    """The number of networks is bounded."""
    with pytest.raises(RequestError, match="more than 32 networks"):
        parse_annotations({"ocinet.net": ";".join(f"n{number}" for number in range(33))})
    addresses = ",".join(f"ip=10.0.0.{number}" for number in range(1, 70))
    with pytest.raises(RequestError, match="more than 64 of them"):
        parse_annotations({"ocinet.net": f"lan:{addresses}"})


def test_parse_error_in_a_list_names_key_network_and_option() -> None:
    """However many there are, it is known which one is meant."""
    with pytest.raises(RequestError, match=r"^ocinet\.net: lan: mtu: '1' is no MTU"):
        parse_annotations({"ocinet.net": "dmz;lan:mtu=1"})


@pytest.mark.parametrize(
    ("annotations", "asks"),
    [
        ({"ocinet.net": "lan"}, ("ocinet.net=lan",)),
        ({"ocinet.net": "none"}, ()),
        ({"ocinet.net": "bridge:ifname=e0"}, ()),
        ({"ocinet.net": "bridge;lan"}, ("ocinet.net=lan",)),
        ({"ocinet.mtu": "1400"}, ("an MTU",)),
        ({"ocinet.net": "bridge:gateway=10.0.0.9,routes=10.8.0.0/16"}, ("a gateway", "routes")),
        ({"ocinet.metric": "7"}, ("a metric",)),
        ({"ocinet.egress-address": "198.51.100.9"}, ("an egress address",)),
        ({"ocinet.net": "host"}, ("ocinet.net=host",)),
        ({"ocinet.net": "container:db"}, ("ocinet.net=container:db",)),
        (
            {"ocinet.net": "lan;dmz:ip=10.0.0.5"},
            ("ocinet.net=lan", "ocinet.net=dmz", "a static address"),
        ),
        ({"ocinet.ip6": "fd00::5"}, ("a static address",)),
        ({"ocinet.mac": "02:42:ac:11:00:02"}, ("a MAC",)),
        ({"ocinet.publish": "22:22"}, ("ocinet.publish",)),
        ({"ocinet.name": "db"}, ("ocinet.name",)),
        ({"ocinet.keep-ports": "true"}, ("ocinet.keep-ports",)),
        ({"ocinet.keep-ports": "false"}, ()),
    ],
)
def test_needs_trust_names_what_an_image_must_not_ask(
    annotations: dict[str, str], asks: tuple[str, ...]
) -> None:
    """All but the default network, and what an interface is called in there."""
    parsed = parse_annotations(annotations)
    assert parsed is not None
    assert needs_trust(parsed) == asks
    kept = tuple(ask for ask in asks if ask not in ("ocinet.net=lan", "ocinet.net=dmz"))
    assert needs_trust(parsed, ("lan", "dmz")) == kept


def test_to_annotations_of_one_network_uses_the_flat_keys() -> None:
    """What `hooks add` writes for one network is what a person would write."""
    annotations = {
        "ocinet.net": "lan",
        "ocinet.ip": "10.9.0.5",
        "ocinet.routes": "10.0.0.0/8 via 10.9.0.1 metric 200,fd01::/64,blackhole 10.7.0.0/16",
        "ocinet.metric": "50",
        "ocinet.egress-address": "198.51.100.9,2001:db8::9",
        "ocinet.publish": "127.0.0.1::53/udp,[fd00::5]:80:80/tcp,8080:80/tcp,90/sctp",
        "ocinet.name": "web",
        "ocinet.keep-ports": "true",
    }
    parsed = parse_annotations(annotations)
    assert parsed is not None
    assert to_annotations(parsed) == annotations


def test_keys_are_those_of_the_manual() -> None:
    """The twenty-six public keys and the three internal ones are all there are."""
    assert len(KEYS) == 29
    assert set(KEYS) >= {"ocinet.net", "ocinet.ip", "ocinet.publish", "ocinet.routes"}


def test_whatever_is_called_space_may_stand_around_a_key() -> None:
    """What `str.strip` takes off, a key is without, wherever it came from."""
    blanks = [character for character in map(chr, range(0x10000)) if character.isspace()]
    assert all(is_ours(f"{blank}ocinet.net") for blank in blanks)
