"""A container on two networks, and who asks it where: it answers there, also a strict host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hosts.engine.hooked_runtime import start
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import LAB_V4, LAB_V6

if TYPE_CHECKING:
    from hosts.engine.runtimes import Container
    from hosts.lab.machine import Lab

_LAN, _DMZ = ("10.9.0.0/24", "fd00:9::/64"), ("10.8.0.0/24", "fd00:8::/64")
_GATEWAYS = {4: ("10.9.0.1", "10.8.0.1", LAB_V4), 6: ("fd00:9::1", "fd00:8::1", LAB_V6)}


def _be_strict(lab: Lab, web: Container) -> None:
    """Have host and container refuse what comes in by another way than the answer's."""
    for place in (lab, web.namespace):
        place.set_sysctl("net/ipv4/conf/all/rp_filter", "1")


@each_runtime
@pytest.mark.parametrize("bridged_too", ["0", "1"])
def test_port_of_a_container_on_two_networks_answers_at_every_address(
    lab: Lab, runtime: str, bridged_too: str
) -> None:
    """Asked by the host, and by the second network's others, who are seen as who they are."""
    lab.set_sysctl("net/bridge/bridge-nf-call-iptables", bridged_too)
    lab.set_sysctl("net/bridge/bridge-nf-call-ip6tables", bridged_too)
    lab.make_network("lan", *_LAN)
    lab.make_network("dmz", *_DMZ)
    web = start(lab, runtime, "web", "--net", "lan", "--net", "dmz", "-p", "8080:80")
    other = start(lab, runtime, "other", "--net", "dmz")
    _be_strict(lab, web)
    web.namespace.serve("tcp", 80)
    found = [text.partition("/")[0] for text in other.namespace.addresses("eth0")]
    seen = {6 if ":" in text else 4: text for text in found}
    for family, addresses in _GATEWAYS.items():
        for address in addresses:
            assert lab.ask("tcp", address, 8080).server == "web"
            told = other.namespace.ask("tcp", address, 8080)
            assert (told.server, told.peer[0]) == ("web", seen[family])
    assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"
    assert lab.outside.ask("tcp", LAB_V6, 8080).server == "web"
    for container in (web, other):
        container.end()


def test_second_network_that_comes_later_is_answered_by_too(lab: Lab) -> None:
    """And after its interface was lost, and put back."""
    lab.make_network("lan", *_LAN)
    lab.make_network("dmz", *_DMZ)
    web = start(lab, "runc", "web", "--net", "lan", "-p", "8080:80")
    assert "lookup" not in web.namespace.run("ip", "rule", "show", "priority", "28515").stdout
    lab.ocinet("attach", "web", "--net", "lan", "--net", "dmz")
    _be_strict(lab, web)
    web.namespace.serve("tcp", 80)
    assert lab.ask("tcp", "10.8.0.1", 8080).server == "web"
    web.namespace.run("ip", "link", "del", "eth1")
    lab.ocinet("check", "--repair")
    assert lab.ocinet("check").stdout == ""
    assert lab.ask("tcp", "10.8.0.1", 8080).server == "web"
    web.end()
