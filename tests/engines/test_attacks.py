"""Attacks on what ocinet wires, as packets; each succeeds once its guard is taken out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hosts.lab.machine import LAB_V4
from hosts.lab.namespace import Unreachable
from hosts.lab.topology import (
    EVERY,
    HOST_SERVICE,
    LOOP,
    REFUSED,
    SERVICE,
    SILENT,
    Question,
    Topology,
    cut_rule,
    detach_all,
    make_world,
    run_attached,
)
from ocinet.engine.records.port_claim import file_of

if TYPE_CHECKING:
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Namespace

_NO_LOOPBACK = 'comment "ip daddr 127.0.0.0/8"'
_LOCAL_ONLY = "fib daddr type local"
_ISOLATED = "oifname @isolated drop"


def _send_loopback_to(place: Namespace, gateway: str) -> None:
    """Have a place send what is for 127.0.0.0/8 to the host, as its root can."""
    for name in ("all", "eth0"):
        place.set_sysctl(f"net/ipv4/conf/{name}/route_localnet", "1")
    place.run("ip", "address", "delete", "127.0.0.1/8", "dev", "lo")
    place.run("ip", "route", "add", "127.0.0.0/8", "via", gateway)


def _device_of(lab: Lab, network: str) -> str:
    (shown,) = lab.ocinet("network", "inspect", network).json()
    return str(shown["device"])


def test_route_loopback_from_container_meets_no_service_of_the_host(lab: Lab) -> None:
    """Even where a bridge routes 127.0.0.0/8, for a published port, a container's packets don't."""
    world = make_world(lab, "web", "sibling")
    lab.serve("tcp", HOST_SERVICE, "127.0.0.1", name="host")
    _send_loopback_to(world.places["sibling"], world.address("lan gateway"))
    attack = Question("sibling", "loopback", HOST_SERVICE)
    assert lab.sysctl(f"net/ipv4/conf/{_device_of(lab, 'lan')}/route_localnet") != "0"

    assert world.ask(attack, expected=SILENT) == SILENT

    cut_rule(lab, "raw_prerouting", _NO_LOOPBACK)
    assert world.ask(attack) == "host sees sibling"
    detach_all(lab)


def test_route_loopback_without_published_port_meets_the_kernels_own_check(lab: Lab) -> None:
    """A bridge that publishes nothing doesn't route 127.0.0.0/8: a second guard for its host."""
    world = make_world(lab, "sibling")
    lab.serve("tcp", HOST_SERVICE, "127.0.0.1", name="host")
    _send_loopback_to(world.places["sibling"], world.address("lan gateway"))
    attack = Question("sibling", "loopback", HOST_SERVICE)
    cut_rule(lab, "raw_prerouting", _NO_LOOPBACK)

    assert world.ask(attack, expected=SILENT) == SILENT

    lab.set_sysctl(f"net/ipv4/conf/{_device_of(lab, 'lan')}/route_localnet", "1")
    assert world.ask(attack) == "host sees sibling"
    detach_all(lab)


def test_claim_loopback_source_from_container_is_dropped(lab: Lab) -> None:
    """A container does not pass for the host's own loopback, which services trust."""
    world = make_world(lab, "web", "sibling")
    sibling = world.places["sibling"]
    lab.serve("udp", HOST_SERVICE, name="host")
    _send_loopback_to(sibling, world.address("lan gateway"))
    sibling.run("ip", "address", "add", "127.0.0.2/32", "dev", "eth0")

    gateway = world.address("lan gateway")

    with pytest.raises(Unreachable, match="ETIMEDOUT"):
        sibling.ask("udp", gateway, HOST_SERVICE, timeout_s=0.4, source=("127.0.0.2", 0))

    cut_rule(lab, "raw_prerouting", 'comment "ip saddr 127.0.0.0/8"')
    lab.run("tc", "filter", "delete", "dev", _device_of(lab, "lan"), "ingress")
    (end,) = lab.records()["sibling"]["endpoints"]
    lab.run("tc", "filter", "delete", "dev", end["host_ifname"], "ingress")  # its own guard
    reply = sibling.ask("udp", gateway, HOST_SERVICE, source=("127.0.0.2", 0))
    assert reply.peer[0] == "127.0.0.2"
    detach_all(lab)


def test_route_loopback_from_neighbour_meets_no_port_published_on_loopback(lab: Lab) -> None:
    """A neighbour that sends packets for 127.0.0.1 to the host gets none through."""
    world = make_world(lab, "web")
    world.serve("web")
    _send_loopback_to(lab.outside, LAB_V4)
    attack = Question("outside", "loopback", LOOP)

    assert world.ask(attack, expected=SILENT) == SILENT

    cut_rule(lab, "raw_prerouting", _NO_LOOPBACK)
    assert world.ask(attack) == "web sees outside"
    detach_all(lab)


def test_pass_through_host_to_published_number_reaches_whom_it_was_sent_to(lab: Lab) -> None:
    """A connection of others that the host forwards is theirs, whatever its port number."""
    lab.set_sysctl("net/ipv4/ip_forward", "1")
    world = make_world(lab, "web", "sibling")
    world.serve("web")
    beyond = lab.add_neighbour(
        "beyond", "downlink", ("203.0.113.1", "203.0.113.2"), ("2001:db8:200::1", "2001:db8:200::2")
    )
    beyond.run("ip", "route", "add", "default", "via", "203.0.113.1")
    lab.outside.run("ip", "route", "add", "203.0.113.0/24", "via", LAB_V4)
    lab.outside.serve("tcp", EVERY, name="outside")
    world.places["beyond"] = beyond
    passing = Question("beyond", "outside", EVERY)
    from_container = Question("sibling", "outside", EVERY)

    assert world.ask(passing) == "outside sees 203.0.113.2"
    assert world.ask(from_container) == "outside sees uplink"

    cut_rule(lab, "prerouting", _LOCAL_ONLY)
    lab.run("nft", "add rule inet ocinet prerouting meta l4proto { tcp, udp } jump publish")
    assert world.ask(passing) == "web sees 203.0.113.2"
    assert world.ask(from_container) == "web sees lan gateway"
    lab.run("ip", "link", "delete", "downlink")
    detach_all(lab)


def test_connect_from_neighbour_to_containers_own_address_is_dropped(lab: Lab) -> None:
    """A neighbour that knows the way gets to no container address, published port or not."""
    world = make_world(lab, "web", "sibling", ipv6=True)
    world.open_ways_in()
    world.serve("web", "sibling", protocols=("tcp",))
    attacks = {
        Question("outside", "web", SERVICE): "web sees outside",
        Question("outside", "sibling", SERVICE): "sibling sees outside",
        Question("outside", "web", SERVICE, family=6): "web sees outside",
    }
    nobody = dict.fromkeys(attacks, SILENT)

    assert world.ask_all(nobody) == nobody

    cut_rule(lab, "forward", _ISOLATED)
    assert world.ask_all(attacks) == attacks
    detach_all(lab)


def test_connect_from_other_network_to_containers_own_address_is_dropped(lab: Lab) -> None:
    """Networks are apart from each other as each one is entered into the set of isolated ones."""
    world = make_world(lab, "web", "other", ipv6=True)
    world.serve("web", protocols=("tcp",))
    attacks = {
        Question("other", "web", SERVICE): "web sees other",
        Question("other", "web", SERVICE, family=6): "web sees other",
    }
    nobody = dict.fromkeys(attacks, SILENT)

    assert world.ask_all(nobody) == nobody

    device = _device_of(lab, "lan")
    lab.run("nft", f'delete element inet ocinet isolated {{ "{device}" }}')
    assert world.ask_all(nobody) == nobody  # what is not marked does not get to the bridge
    lab.run("tc", "filter", "delete", "dev", device, "egress")
    assert world.ask_all(attacks) == attacks
    detach_all(lab)


def _succeed_first(lab: Lab) -> Topology:
    """Let `second` have what `first` had, and `first` have a detach that is late.

    Its record is put back, as one that the detach had read before.
    """
    first = run_attached(lab, "first", "bridge:ip=10.72.0.9", f"{EVERY}:80")
    record = lab.path("/run/ocinet/attachments/first.json")
    late = record.read_bytes()
    first.kill()
    second = run_attached(lab, "second", "bridge:ip=10.72.0.9", f"{EVERY}:80")
    assert not record.exists()
    record.touch(mode=0o600)
    record.write_bytes(late)
    world = Topology(lab, {"second": second.namespace}, {"second": "bridge"})
    world.serve("second", protocols=("tcp",))
    return world


def test_detach_late_leaves_what_another_container_owns_by_now(lab: Lab) -> None:
    """The detach of a container that is gone takes no port and no address of its successor's."""
    world = _succeed_first(lab)
    published = Question("outside", "uplink", EVERY)

    lab.ocinet("detach", "--force", "first")

    assert world.ask(published) == "second sees outside"
    (shown,) = lab.ocinet("ipam", "ls", "bridge", "--format", "json").json()
    held = {lease["address"]: lease["container"] for lease in shown["leases"]}
    assert held == {"10.72.0.9": "second"}
    detach_all(lab)
    lab.ocinet("gc")  # it sweeps the note that `first` once had an address


def test_detach_late_takes_port_and_address_that_the_store_gives_it(lab: Lab) -> None:
    """It is the store that keeps a successor's port and address, and nothing else."""
    world = _succeed_first(lab)
    published = Question("outside", "uplink", EVERY)
    for place in (f"ports/{file_of('tcp', EVERY)}", "ipam/bridge/10.72.0.9"):
        held = lab.path(f"/run/ocinet/{place}")
        held.write_text(held.read_text().replace('"second"', '"first"'))

    lab.ocinet("detach", "--force", "first")

    assert world.ask(published) == REFUSED
    assert not lab.path("/run/ocinet/ipam/bridge/10.72.0.9").exists()
    detach_all(lab)
    lab.ocinet("gc")  # it sweeps the note that `first` once had an address
