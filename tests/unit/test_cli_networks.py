"""network, ipam, reservation: commands on networks and addresses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from builders import DB_ID, WEB_ID, endpoint, port, record, tcp
from fakes.shell import Shell
from ocinet.base.address import Address
from ocinet.engine.model.attachment import Container
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.request import Publish

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a shell on an installation of its own."""
    return Shell(tmp_path)


@pytest.fixture
def lan(shell: Shell) -> Shell:
    """Return a shell with a network `lan`, 10.9.0.0/24."""
    words = ("--subnet", "10.9.0.0/24", "--label", "team=web", "lan")
    outcome = shell.run("network", "create", *words)
    assert outcome.code == 0, outcome.err
    return shell


# Define.


def test_network_create_prints_the_name(shell: Shell) -> None:
    """As podman; the network is there with what docker would have given it."""
    outcome = shell.run("network", "create", "lan")
    assert (outcome.code, outcome.lines) == (0, ["lan"])
    (shown,) = shell.run("network", "inspect", "lan").data
    assert shown["pools"] == [{"subnet": "10.72.0.0/24", "gateway": "10.72.0.1", "ranges": []}]
    assert shown["containers"] == []


@pytest.mark.parametrize(
    ("flags", "egress"),
    [
        (("--egress-address", "198.51.100.9"), ["198.51.100.9"]),
        (("--egress-address", "198.51.100.9,2001:db8::9"), ["198.51.100.9", "2001:db8::9"]),
        (("--egress-address=2001:db8::9", "--egress-address=198.51.100.9"),
         ["2001:db8::9", "198.51.100.9"]),
        (("-o", "com.docker.network.host_ipv4=198.51.100.9"), ["198.51.100.9"]),
        (("-o", "outbound_addr4=192.0.2.1", "--egress-address", "198.51.100.9"), ["198.51.100.9"]),
    ],
)  # fmt: skip
def test_network_create_with_egress_addresses(
    shell: Shell, flags: tuple[str, ...], egress: list[str]
) -> None:
    """By our flag, or docker's and podman's options; shown by inspect and ls."""
    assert shell.run("network", "create", "--ipv6", *flags, "lan").code == 0
    (shown,) = shell.run("network", "inspect", "lan").data
    assert shown["egress"] == egress
    assert ",".join(f"egress={address}" for address in egress) in shell.run("network", "ls").out


@pytest.mark.parametrize(
    ("flags", "keys", "listed"),
    [
        (("--no-default-route",), {"default_route": False}, "no-default-route"),
        (("-o", "no_default_route=1"), {"default_route": False}, "no-default-route"),
        (("--opt", "no_default_route=true"), {"default_route": False}, "no-default-route"),
        (("-o", "no_default_route=false", "-o", "metric=200"), {"metric": 200}, "metric=200"),
        (("-o", "metric=7", "--metric", "8"), {"metric": 8}, "metric=8"),
        (
            ("--route", "10.0.0.0/8,10.72.0.7,100"),
            {"routes": [{"destination": "10.0.0.0/8", "gateway": "10.72.0.7", "metric": 100}]},
            "route=10.0.0.0/8 via 10.72.0.7 metric 100",
        ),
        (
            ("--route=10.0.0.0/8,blackhole", "--route=prohibit,fd07::/64,9",
             "--route=unreachable 10.6.0.0/16"),
            {
                "routes": [
                    {"destination": "10.0.0.0/8", "gateway": None, "kind": "blackhole"},
                    {"destination": "fd07::/64", "gateway": None, "metric": 9, "kind": "prohibit"},
                    {"destination": "10.6.0.0/16", "gateway": None, "kind": "unreachable"},
                ]
            },
            "route=blackhole 10.0.0.0/8,route=prohibit fd07::/64 metric 9",
        ),
    ],
)  # fmt: skip
def test_network_create_with_routes(
    shell: Shell, flags: tuple[str, ...], keys: dict[str, object], listed: str
) -> None:
    """By our flags, or as podman writes it; shown by inspect and ls, and what is usual is not."""
    assert shell.run("network", "create", *flags, "lan").code == 0
    (shown,) = shell.run("network", "inspect", "lan").data
    known = {key: shown[key] for key in ("default_route", "metric", "routes") if key in shown}
    assert known == keys
    assert listed in shell.run("network", "ls").out


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--route", "10.0.0.0/8,10.1.0.7"), "the gateway 10.1.0.7 is not on network lan"),
        (("--route", "10.72.0.0/24,blackhole"), "10.72.0.0/24 is network lan itself"),
        (("--route", "10.0.0.0/8,x"), "--route: 'x' is no IP address"),
        (("--route", "10.0.0.0/8,10.72.0.7,1,2"), "--route: '10.0.0.0/8,10.72.0.7,1,2' is no "),
        (("--route", "10.0.0.0/8", "--route", "10.0.0.0/8,blackhole"), "10.0.0.0/8 comes twice"),
        (("--metric", "x"), "--metric: 'x' is no metric"),
        (("-o", "metric=x"), "metric must be a number, not 'x'"),
        (("-o", "metric=4294967296"), "4294967296 is no metric"),
        (("-o", "no_default_route=maybe"), "no_default_route must be false or true"),
    ],
)
def test_network_create_with_wrong_routes_says_why(
    shell: Shell, flags: tuple[str, ...], why: str
) -> None:
    """And makes none."""
    outcome = shell.run("network", "create", *flags, "lan")
    assert outcome.code != 0
    assert why in outcome.err
    assert shell.run("network", "ls", "-q").lines == []


def test_network_create_with_unmasked_destinations(shell: Shell) -> None:
    """They, and the links by which they get in, are shown by inspect and ls."""
    flags = ("--no-masquerade-to", "10.42.0.0/16", "--no-masquerade-to=10.43.0.0/16")
    assert shell.run("network", "create", *flags, "--joined-by", "wg0", "lan").code == 0
    (shown,) = shell.run("network", "inspect", "lan").data
    assert (shown["unmasked"], shown["joined"]) == (["10.42.0.0/16", "10.43.0.0/16"], ["wg0"])
    assert "no-masquerade-to=10.42.0.0/16" in shell.run("network", "ls").out
    assert "joined-by=wg0" in shell.run("network", "ls").out


def test_network_create_with_a_wrong_egress_address_names_the_flag(shell: Shell) -> None:
    """And says what is wrong."""
    outcome = shell.run("network", "create", "--egress-address", "eth0", "lan")
    assert outcome.code != 0
    assert "--egress-address: 'eth0' is no IP address" in outcome.err


def test_network_create_reads_every_flag(shell: Shell) -> None:
    """docker's and podman's flags where the thing is the same."""
    outcome = shell.run(
        "network", "create", "-d", "bridge", "--subnet", "10.9.0.0/24", "--subnet", "fd00:9::/64",
        "--gateway", "10.9.0.254", "--ip-range", "10.9.0.128/26",
        "--ip-range", "fd00:9::10-fd00:9::20", "--internal", "--bridge", "br-web",
        "--opt", "com.docker.network.driver.mtu=9000", "--mtu", "1400", "--no-masquerade",
        "--label", "team=web", "--label", "old", "lan",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    (shown,) = shell.run("network", "inspect", "lan").data
    assert shown.pop("created").endswith("Z")
    assert shown == {
        "name": "lan",
        "device": "br-web",
        "managed": True,
        "internal": True,
        "masquerade": False,
        "mtu": 1400,
        "labels": {"team": "web", "old": ""},
        "pools": [
            {
                "subnet": "10.9.0.0/24",
                "gateway": "10.9.0.254",
                "ranges": [{"first": "10.9.0.128", "last": "10.9.0.191"}],
            },
            {
                "subnet": "fd00:9::/64",
                "gateway": "fd00:9::1",
                "ranges": [{"first": "fd00:9::10", "last": "fd00:9::20"}],
            },
        ],
        "containers": [],
    }


def test_network_create_adopts_a_bridge(shell: Shell) -> None:
    """`--bridge docker0 --unmanaged`, or podman's `-o mode=unmanaged`."""
    assert shell.run("network", "create", "--bridge", "docker0", "--unmanaged", "dock").code == 0
    (shown,) = shell.run("network", "inspect", "dock").data
    assert (shown["managed"], shown["device"]) == (False, "docker0")
    assert shown["pools"][0]["gateway"] == "172.17.0.1"
    shell.run("network", "rm", "dock")
    words = ("-o", "mode=unmanaged", "--interface-name", "docker0")
    assert shell.run("network", "create", *words, "dock").code == 0


@pytest.mark.parametrize(
    ("flags", "code", "why"),
    [
        (("--subnet", "10.9.0.1/24"), 2, "--subnet: '10.9.0.1/24' has host bits set"),
        (("--gateway", "x"), 2, "--gateway: 'x' is no IP address"),
        (("--ip-range", "10.0.0.1-"), 2, "--ip-range: '' is no IP address"),
        (("--mtu", "big"), 2, "--mtu: mtu must be a number of bytes, not 'big'"),
        (("--opt", "vlan=5"), 2, "--opt: unknown option 'vlan'"),
        (("--label", "=x"), 2, "--label: '=x' has no key"),
        (("--bridge", ""), 2, "--bridge: '' is no interface name"),
        (("--subnet", "192.168.1.0/25"), 4,
         "cannot create network lan: 192.168.1.0/25 overlaps 192.168.1.0/24, which the host uses"),
        (("--bridge", "docker0"), 4, "there is a link docker0 that ocinet did not make"),
    ],
)  # fmt: skip
def test_network_create_refuses(shell: Shell, flags: tuple[str, ...], code: int, why: str) -> None:
    """The flag is named, and nothing is kept."""
    outcome = shell.run("network", "create", *flags, "lan")
    assert outcome.code == code
    assert why in outcome.err
    assert shell.engine.records.networks.names() == ()


def test_network_create_of_a_name_that_is_taken(lan: Shell) -> None:
    """An error, unless --ignore."""
    outcome = lan.run("network", "create", "lan")
    assert outcome.code == 4
    assert "there is a network lan already" in outcome.err
    assert "--ignore" in outcome.err
    assert lan.run("network", "create", "--ignore", "lan").lines == ["lan"]


# List.


def test_network_ls_shows_networks(lan: Shell) -> None:
    """One row each, with how many containers are on it."""
    lan.run("network", "create", "--internal", "--mtu", "1400", "dmz")
    lan.engine.records.attachments.put(record())
    outcome = lan.run("network", "ls")
    rows = [line.split() for line in outcome.lines]
    assert rows[0] == ["NAME", "BRIDGE", "SUBNET", "GATEWAY", "OPTIONS", "CONTAINERS"]
    assert rows[1][2:] == ["10.72.0.0/24", "10.72.0.1", "internal,mtu=1400", "0"]
    assert rows[2][2:] == ["10.9.0.0/24", "10.9.0.1", "-", "1"]
    assert lan.run("network", "ls", "-q").lines == ["dmz", "lan"]
    rest = [line.split() for line in lan.run("network", "list", "--noheading").lines]
    assert rest == rows[1:]
    shown = lan.run("network", "ls", "--format", "json").data
    assert [(network["name"], network["containers"]) for network in shown] == [
        ("dmz", []),
        ("lan", ["web"]),
    ]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (("name=la",), ["lan"]),
        (("label=team",), ["lan"]),
        (("label=team=web",), ["lan"]),
        (("label=team=db",), []),
        (("name=", "label=team"), ["lan"]),
        (("name=m", "label=team"), []),
    ],
)
def test_network_ls_filters(lan: Shell, filters: tuple[str, ...], names: list[str]) -> None:
    """All filters must fit."""
    lan.run("network", "create", "dmz")
    words = [word for term in filters for word in ("--filter", term)]
    assert lan.run("network", "ls", "-q", *words).lines == names


def test_network_ls_with_an_unknown_filter_fails(lan: Shell) -> None:
    """A filter that would be ignored is an error."""
    outcome = lan.run("network", "ls", "--filter", "drivers=bridge")
    assert outcome.code == 2
    assert "did you mean driver?" in outcome.err


def test_network_exists_tells_by_its_exit_code(lan: Shell) -> None:
    """0 or 1, nothing printed; a name that can't be one is a usage error."""
    assert lan.run("network", "exists", "lan").code == 0
    outcome = lan.run("network", "exists", "dmz")
    assert (outcome.code, outcome.out, outcome.err) == (1, "", "")
    assert lan.run("network", "exists", "DMZ").code == 2


def test_network_inspect_shows_who_is_on_it(lan: Shell) -> None:
    """With addresses and MAC, as docker network inspect."""
    lan.engine.records.attachments.put(record())
    (shown,) = lan.run("network", "inspect", "lan").data
    assert shown["containers"] == [
        {"id": WEB_ID, "name": "web", "ifname": "eth0", "mac": "02:6f:63:00:00:05",
         "addresses": ["10.9.0.5/24"]}
    ]  # fmt: skip


def test_network_inspect_of_an_unknown_one_shows_the_others(lan: Shell) -> None:
    """The array has what there is; the error tells the nearest name."""
    outcome = lan.run("network", "inspect", "lann", "lan")
    assert outcome.code == 3
    assert [network["name"] for network in outcome.data] == ["lan"]
    assert outcome.err == (
        "ocinet: cannot inspect network lann: there is no network lann\nhint: did you mean lan?\n"
    )


def test_looking_at_the_default_network_defines_nothing(shell: Shell) -> None:
    """inspect, rm and exists do not choose a subnet."""
    for command in ("inspect", "rm", "exists"):
        outcome = shell.run("network", command, "bridge")
        assert outcome.code != 0
    assert "the network bridge is not defined yet" in shell.run("network", "rm", "bridge").err
    assert shell.engine.records.networks.names() == ()


# Remove.


def test_network_rm_removes_and_prints(lan: Shell) -> None:
    """Several at once."""
    lan.run("network", "create", "dmz")
    outcome = lan.run("network", "rm", "lan", "dmz")
    assert (outcome.code, outcome.lines) == (0, ["lan", "dmz"])
    assert lan.engine.records.networks.names() == ()


def test_network_rm_refuses_while_it_is_used(lan: Shell) -> None:
    """Even with --force, for a live container; the others go."""
    lan.run("network", "create", "dmz")
    lan.engine.records.attachments.put(record())
    for flags in ((), ("--force",)):
        outcome = lan.run("network", "rm", *flags, "lan")
        assert outcome.code == 4
        assert outcome.err.startswith("ocinet: cannot remove network lan: web is on it")
    assert lan.run("network", "rm", "lan", "dmz").lines == ["dmz"]


def test_network_rm_force_detaches_the_dead(lan: Shell) -> None:
    """What a dead container left is in nobody's way."""
    lan.engine.records.attachments.put(record(boot_id="another"))
    assert lan.run("network", "rm", "lan").code == 4
    assert lan.run("network", "rm", "-f", "lan").code == 0


def test_network_rm_of_an_unknown_one(lan: Shell) -> None:
    """An error with the nearest name; none with --force, as docker."""
    outcome = lan.run("network", "rm", "lna")
    assert outcome.code == 3
    assert "hint: did you mean lan?" in outcome.err
    outcome = lan.run("network", "rm", "--force", "xyz", "lan")
    assert (outcome.code, outcome.lines) == (0, ["lan"])


def test_network_prune_asks_first(lan: Shell) -> None:
    """Only a yes goes on; a no is no error, and nobody to answer is one."""
    for answer, code in (("", 2), ("n\n", 0), ("maybe\n", 0)):
        outcome = lan.run("network", "prune", stdin=answer)
        assert outcome.code == code
        assert "nobody is on: lan? [y/N]" in outcome.err
        assert "nothing was done" in outcome.err
        assert outcome.out == ""
    outcome = lan.run("network", "prune", stdin="y\n")
    assert (outcome.code, outcome.lines) == (0, ["lan"])


def test_network_prune_keeps_what_is_used_and_the_default(lan: Shell) -> None:
    """`bridge` stays, and so does a network that anybody is on."""
    lan.run("network", "create", "bridge")
    lan.run("network", "create", "dmz")
    lan.engine.records.attachments.put(record())
    assert lan.run("network", "prune", "--force").lines == ["dmz"]
    assert lan.engine.records.networks.names() == ("bridge", "lan")
    assert lan.run("network", "prune").code == 0, "there is nothing to ask"


# Addresses.


def test_ipam_ls_shows_how_full_networks_are(lan: Shell) -> None:
    """One row for each subnet."""
    lan.run("network", "create", "--subnet", "10.10.0.0/31", "pair")
    lan.lease("10.9.0.5", WEB_ID)
    lan.run("reservation", "add", "lan", "db", "--ip", "10.9.0.7")
    rows = [line.split() for line in lan.run("ipam", "ls").lines]
    assert rows[0] == ["NETWORK", "SUBNET", "ALLOCATABLE", "HELD", "RESERVED", "UNREADABLE"]
    assert rows[1] == ["lan", "10.9.0.0/24", "253", "1", "1", "0"]
    assert rows[2] == ["pair", "10.10.0.0/31", "1", "0", "0", "0"]


def test_ipam_ls_of_a_network_shows_whose_each_address_is(lan: Shell) -> None:
    """With the names that records know."""
    lan.lease("10.9.0.5", WEB_ID)
    lan.lease("10.9.0.10", DB_ID)
    lan.engine.records.attachments.put(record())
    rows = [line.split() for line in lan.run("ipam", "ls", "lan").lines]
    assert rows[1][:4] == ["10.9.0.5", WEB_ID[:12], "web", "eth0"]
    assert rows[2][:4] == ["10.9.0.10", DB_ID[:12], "-", "eth0"]
    assert WEB_ID in lan.run("ipam", "ls", "lan", "--no-trunc").out
    (shown,) = lan.run("ipam", "ls", "lan", "--json").data
    assert shown["pools"][0]["held"] == 2
    assert [lease["address"] for lease in shown["leases"]] == ["10.9.0.5", "10.9.0.10"]
    assert shown["leases"][0].keys() == {
        "address", "container", "ifname", "host_ifname", "sandbox", "pid", "time"}  # fmt: skip
    assert shown["unreadable"] == []


def test_ipam_ls_of_an_unknown_network_tells_the_nearest(lan: Shell) -> None:
    """A typo."""
    outcome = lan.run("ipam", "ls", "lam")
    assert outcome.code == 3
    assert "hint: did you mean lan?" in outcome.err


def test_ipam_release_frees_what_cannot_be_read(lan: Shell) -> None:
    """On purpose, by hand; nothing that is properly held."""
    lan.lease("10.9.0.5", WEB_ID)
    lan.lease("10.9.0.6", DB_ID)
    with open(f"{lan.paths.run}/ipam/lan/10.9.0.5", "w", encoding="utf-8") as file:
        file.write("{")
    assert lan.run("ipam", "ls", "lan", "--json").data[0]["unreadable"] == ["10.9.0.5"]
    assert "(its lease can't be read)" in lan.run("ipam", "ls", "lan").out
    assert lan.run("ipam", "release", "lan", "10.9.0.5").lines == ["10.9.0.5"]
    outcome = lan.run("ipam", "release", "lan", "10.9.0.5")
    assert outcome.code == 3
    assert "it is free" in outcome.err
    outcome = lan.run("ipam", "release", "lan", "10.9.0.6")
    assert outcome.code == 4
    assert f"hint: ocinet detach {DB_ID}" in outcome.err


# Reservations.


def test_reservation_is_kept_and_shown_and_given_up(lan: Shell) -> None:
    """`reserve` is another word for it."""
    words = ("add", "lan", "db", "--ip", "10.9.0.7", "--mac", "02:00:00:00:00:07")
    assert lan.run("reserve", *words).lines == ["10.9.0.7"]
    (shown,) = lan.run("reservation", "ls", "--json").data
    assert shown.pop("created").endswith("Z")
    assert shown == {"network": "lan", "name": "db", "address": "10.9.0.7",
                     "mac": "02:00:00:00:00:07"}  # fmt: skip
    rows = [line.split() for line in lan.run("reservation", "ls", "lan").lines]
    assert rows[1][:4] == ["lan", "db", "10.9.0.7", "02:00:00:00:00:07"]
    assert lan.run("reservation", "rm", "lan", "db").lines == ["10.9.0.7"]
    assert lan.run("reservation", "ls", "--json").data == []


def test_reservation_without_an_address_keeps_the_present_one(lan: Shell) -> None:
    """What the container of that name has now, it has tomorrow."""
    lan.engine.records.attachments.put(record())
    lan.lease("10.9.0.5", WEB_ID)
    assert lan.run("reservation", "add", "lan", "web").lines == ["10.9.0.5"]


def _publish_web(lan: Shell) -> None:
    """Record a web that publishes two ports, one at every address and one at 127.0.0.1."""
    home = Address.parse("127.0.0.1")
    engine = lan.engine
    engine.records.ports.claim(WEB_ID, "web", (tcp(49153), Publish("udp", home, 49154, 53)))
    inside = Address.parse("10.9.0.5")
    ports = (port(49153), PortRule("udp", home, 49154, inside, 53))
    engine.records.attachments.put(record(ports=ports))


def test_ports_are_kept_and_shown_and_given_up(lan: Shell) -> None:
    """All that a container has, one of them, or one by its number."""
    _publish_web(lan)
    kept = ["49153->80/tcp", "127.0.0.1:49154->53/udp"]
    assert sorted(lan.run("reservation", "add-port", "web").lines) == sorted(kept)
    assert lan.run("reservation", "add-port", "web", "127.0.0.1::53/udp").lines == kept[1:]
    assert lan.run("reserve", "add-port", "db", "49160:5432").lines == ["49160->5432/tcp"]
    shown = lan.run("reservation", "ports", "--json").data
    assert shown[0].pop("created").endswith("Z")
    assert shown[0] == {"name": "db", "protocol": "tcp", "host_address": None,
                        "host_port": 49160, "port": 5432}  # fmt: skip
    rows = [line.split()[:3] for line in lan.run("reservation", "ports", "web").lines]
    assert rows[1:] == [["web", "49153", "80/tcp"], ["web", "127.0.0.1:49154", "53/udp"]]
    (listed,) = lan.run("ps", "--all", "--json").data
    assert [each["host_port"] for each in listed["kept_ports"]] == [49153, 49154]
    (told,) = lan.run("inspect", "web").data
    assert told["kept_ports"] == listed["kept_ports"]
    assert lan.run("reservation", "rm-port", "web", "80").lines == kept[:1]
    assert lan.run("reservation", "rm-port", "web").lines == kept[1:]
    outcome = lan.run("reservation", "rm-port", "web")
    assert (outcome.code, "none of these is kept for it" in outcome.err) == (3, True)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("db",), 2, "db has none that are published to keep"),
        (("web", "81"), 2, "81/tcp of web is not published now"),
        (("db", "49153:80"), 4, "web has the host's port 49153/tcp now"),
        (("d/b", "49160:80"), 2, "'d/b' is no container name"),
        (("db", "x"), 2, "'x' is no port"),
        (("old", "49160:81"), 4, "old has 49161/tcp kept for its 81/tcp"),
    ],
)
def test_keeping_ports_that_are_not_to_be_had_is_refused(
    lan: Shell, words: tuple[str, ...], code: int, why: str
) -> None:
    """It says why, and keeps none."""
    _publish_web(lan)
    lan.run("reservation", "add-port", "old", "49161:81")
    outcome = lan.run("reservation", "add-port", *words)
    assert (outcome.code, why in outcome.err) == (code, True), outcome.err
    assert [each["name"] for each in lan.run("reservation", "ports", "--json").data] == ["old"]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("lan", "db"), 2, "db has none on lan to keep"),
        (("lan", "db", "--ip", "10.8.0.1"), 2, "10.8.0.1 is not in 10.9.0.0/24"),
        (("lan", "db", "--ip", "10.9.0.1"), 4, "10.9.0.1 is the network's gateway"),
        (("lan", "db", "--ip", "10.9.0.255"), 2, "10.9.0.255 is the broadcast address"),
        (("lan", "db", "--ip", "x"), 2, "'x' is no IP address"),
        (("lan", "db", "--ip", "10.9.0.8", "--ip", "10.9.0.9"), 2, "two addresses of one family"),
        (("lan", "db", "--ip", "10.9.0.5"), 4, "web holds 10.9.0.5 now"),
        (("lan", "db", "--ip", "10.9.0.6"), 4, "old has 10.9.0.6 reserved"),
        (("lan", "d/b", "--ip", "10.9.0.8"), 2, "'d/b' is no container name"),
        (("lan", "db", "--ip", "10.9.0.8", "--mac", "x"), 2, "'x'"),
        (("lam", "db", "--ip", "10.9.0.8"), 3, "there is no network lam"),
    ],
)
def test_reservation_add_refuses(lan: Shell, words: tuple[str, ...], code: int, why: str) -> None:
    """Whose it is, or what it is, is told."""
    lan.engine.records.attachments.put(record())
    lan.lease("10.9.0.5", WEB_ID)
    assert lan.run("reservation", "add", "lan", "old", "--ip", "10.9.0.6").code == 0
    outcome = lan.run("reservation", "add", *words)
    assert outcome.code == code
    assert outcome.err.startswith("ocinet: cannot reserve an address for ")
    if "reserved" not in why:
        assert why in outcome.err
    assert [reservation["name"] for reservation in lan.run("reserve", "ls", "--json").data] == [
        "old"
    ]


def test_reservation_of_ones_own_lease_is_fine(lan: Shell) -> None:
    """The container that has the address may keep it."""
    lan.engine.records.attachments.put(record())
    lan.lease("10.9.0.5", WEB_ID)
    assert lan.run("reservation", "add", "lan", "web", "--ip", "10.9.0.5").code == 0


def test_reservation_rm_goes_on_past_an_unknown_name(lan: Shell) -> None:
    """The nearest is told."""
    lan.run("reservation", "add", "lan", "db", "--ip", "10.9.0.7")
    lan.run("reservation", "add", "lan", "web", "--ip", "10.9.0.8")
    outcome = lan.run("reservation", "rm", "lan", "wbe", "db")
    assert outcome.code == 3
    assert outcome.lines == ["10.9.0.7"]
    assert "hint: did you mean web?" in outcome.err


def test_reservation_of_a_member_counts_addresses_of_its_networks_alone(lan: Shell) -> None:
    """Addresses on other networks are not kept by accident."""
    process = record().container.process
    lan.engine.records.attachments.put(
        record(container=Container(WEB_ID, "web", process=process),
               endpoints=(endpoint("dmz", "10.5.0.5/24"),))
    )  # fmt: skip
    assert lan.run("reservation", "add", "lan", "web").code == 2


def test_commands_read_the_environments_directories(shell: Shell) -> None:
    """OCINET_CONFIG_DIR is where networks lie."""
    shell.run("network", "create", "lan")
    assert os.path.exists(f"{shell.environment['OCINET_CONFIG_DIR']}/networks/lan.json")
