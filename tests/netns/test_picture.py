"""The picture of a real host: what the kernel and the records have, in one look."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from builders import on, tcp
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import ip_json, run
from hosts.namespace.wired_host import PATHS, WiredHost
from hosts.waiting import wait_until
from ocinet.base.errors import OcinetError
from ocinet.engine.kernel import overview
from ocinet.picture.observe import take
from ocinet.picture.values import BROKEN, DEAD, MISSING, REFUSED, RUNNING, UP

if TYPE_CHECKING:
    from ocinet.engine.model.sight import Overview
    from ocinet.picture.values import Container, Picture

_NAME = '<b>&"x'
_PUBLISH = (tcp(8080, 80), tcp(8081, 81))
# What is done, with END for web's host end; and a word of why web is broken then.
_FAULTS = {
    "bridge down": ("ip link set br-lan down", "the bridge br-lan is down"),
    "bridge deleted": ("ip link del br-lan", "the bridge br-lan is gone"),
    "host end down": ("ip link set END down", "END, the host end of eth0, is down"),
    "host end off": ("ip link set END nomaster", "END, the host end of eth0, is off br-lan"),
    "host end deleted": ("ip link del END", "eth0 is gone, and its host end END"),
    "host end shrunk": ("ip link set END mtu 1280", "has an MTU of 1280"),
    "no hairpin": ("bridge link set dev END hairpin off", "sends nothing back"),
    "inside down": ("ip -n web link set eth0 down", "in the sandbox, eth0 is down"),
}


def _take(host: WiredHost) -> Picture:
    with host.engine() as engine:
        return take(engine, PATHS.run)


def _named(picture: Picture, name: str) -> Container:
    (container,) = [each for each in picture.containers if each.name == name]
    return container


@in_namespaces
def test_picture_has_uplink_networks_containers_and_ports() -> None:
    """With addresses, states and how full each pool is; the networks that nobody uses as well."""
    run("ip link add up0 type bridge")
    run("ip addr add 192.0.2.2/24 dev up0")
    run("ip addr add 2001:db8::2/64 dev up0 nodad")
    run("ip link set up0 up")
    run("ip route add default via 192.0.2.1")
    run("ip -6 route add default via 2001:db8::1")
    with WiredHost() as host:
        web = host.up("web", on("lan", publish=_PUBLISH))
        host.up("db", on("lan", "dmz"))
        host.join("tool", "web")
        picture = _take(host)

    (uplink,) = picture.uplinks
    assert (uplink.name, uplink.state) == ("up0", UP)
    assert [str(address) for address in uplink.addresses] == ["192.0.2.2/24", "2001:db8::2/64"]
    dmz, lan = picture.networks
    assert (dmz.name, lan.name, lan.bridge, lan.state, lan.why) == ("dmz", "lan", "br-lan", UP, "")
    assert [(str(pool.subnet), pool.used) for pool in lan.pools] == [("10.9.0.0/24", 2)]
    assert [container.name for container in picture.containers] == ["db", "tool", "web"]
    assert {container.state for container in picture.containers} == {RUNNING}
    shown = _named(picture, "web")
    (row,) = shown.published
    assert (row.host_port, row.port, row.count, row.network) == (8080, 80, 2, "lan")
    (interface,) = shown.interfaces
    assert (interface.mac, interface.state) == (web.endpoints[0].mac, UP)
    assert [each.network for each in _named(picture, "db").interfaces] == ["lan", "dmz"]
    assert _named(picture, "tool").shares == shown.id
    assert picture.flaws == ()


@in_namespaces
def test_figures_are_the_kernels_as_the_container_sees_them() -> None:
    """What the container sends is what the host end receives; a guard's count beside it."""
    with WiredHost() as host:
        end = host.up("web").endpoints[0].host_ifname
        assert host.pings("web", "10.9.0.1")
        pid = host.sleepers["web"].pid
        run(f"nsenter -t {pid} -n ip addr add 10.9.0.77/24 dev eth0")
        run("sh", "-c", f"! nsenter -t {pid} -n busybox ping -c 1 -W 1 -I 10.9.0.77 10.9.0.1")
        (interface,) = _named(_take(host), "web").interfaces
        told = ip_json(f"-s link show dev {end}")[0]["stats64"]

    figures = interface.figures
    assert figures
    assert figures.refused is not None
    assert figures.refused >= 1
    assert (figures.tx_bytes, figures.tx_packets) == (told["rx"]["bytes"], told["rx"]["packets"])
    assert (figures.rx_bytes, figures.rx_packets) == (told["tx"]["bytes"], told["tx"]["packets"])
    assert figures.tx_packets > 1


@pytest.mark.parametrize("fault", _FAULTS)
@in_namespaces
def test_what_others_have_changed_is_broken_with_why_and_what_helps(fault: str) -> None:
    """In the words of `check`, whose own repair heals it."""
    command, why = _FAULTS[fault]
    with WiredHost() as host:
        end = host.up("web", on("lan", publish=_PUBLISH)).endpoints[0].host_ifname
        assert _named(_take(host), "web").state == RUNNING
        run("sh", "-c", command.replace("END", end))
        web = _named(_take(host), "web")
        assert web.state == BROKEN
        assert why.replace("END", end) in web.why
        assert web.hint == "ocinet check --repair web"
        if fault != "inside down":  # what a container may have done itself is its own
            with host.engine() as engine:
                engine.check(repair=True)
            # The kernel tells that a link is up when its work queue comes to it.
            wait_until(lambda: _named(_take(host), "web").state == RUNNING, "it runs again")


@in_namespaces
def test_who_comes_or_goes_while_it_is_taken_is_not_broken() -> None:
    """Records are read before links, and once more where one's links have gone."""
    look_over = overview.look_over

    def look_amidst() -> Overview:
        with host.engine() as engine:
            assert engine.detach("web-id", force=True)
        seen = look_over()
        host.up("db", on("lan"))
        return seen

    with WiredHost() as host, pytest.MonkeyPatch.context() as patch:
        host.up("web", on("lan"))
        host.up("api", on("lan"))
        patch.setattr(overview, "look_over", look_amidst)
        picture = _take(host)
        assert [(each.name, each.state) for each in picture.containers] == [("api", RUNNING)]


@in_namespaces
def test_refused_dead_and_table_gone_are_told() -> None:
    """Who was not attached, who has ended without a word, and what all share."""
    with WiredHost() as host:
        host.up("web")
        host.up("gone")
        host.sleepers.pop("gone").end()
        late = host.start("late")
        with pytest.raises(OcinetError):
            host.attach(late, on("lann"))
        run("nft delete table inet ocinet")
        Path(f"{PATHS.run}/attachments/odd-id.json").write_text("{")
        picture = _take(host)

    late_one = _named(picture, "late")
    assert (late_one.state, late_one.door) == (REFUSED, "hook")
    assert late_one.why.endswith("there is no network lann")
    assert late_one.hint == "did you mean lan?"
    assert _named(picture, "gone").state == DEAD
    assert _named(picture, "gone").hint == "ocinet gc"
    assert picture.count(REFUSED) == 1
    table, record = picture.flaws
    assert (table.what, table.hint) == ("the table inet ocinet is gone", "ocinet check --repair")
    assert record.what.startswith("the record of odd-id can't be read: ")
    assert record.hint == "ocinet gc"
    assert {interface.state for interface in _named(picture, "gone").interfaces} <= {MISSING, UP}


@in_namespaces
def test_topology_prints_each_format_of_what_is_there() -> None:
    """The command itself, with a name that is hostile to a terminal and to XML."""
    environment = {
        **os.environ, "OCINET_CONFIG_DIR": PATHS.config, "OCINET_STATE_DIR": PATHS.state,
        "OCINET_RUN_DIR": PATHS.run, "COLUMNS": "80",
    }  # fmt: skip

    def print_(*words: str, **more: str) -> str:
        argv = [str(Path(sys.executable).with_name("ocinet")), "topology", *words]
        done = subprocess.run(
            argv, env={**environment, **more}, capture_output=True, check=True, timeout=50
        )
        assert done.stderr == b""
        return done.stdout.decode()

    with WiredHost() as host:
        end = host.up("web", on("lan", publish=_PUBLISH)).endpoints[0].host_ifname
        host.up("db", on("dmz"))
        run(f"ip link set {end} down")
        with host.engine() as engine:
            engine.rename("db-id", _NAME)
        tree = print_("--network", "lan")
        ascii_ = print_("web", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
        told = json.loads(print_("--json"))
        drawing = print_("--format", "svg")
        graph, chart = print_("--format", "dot"), print_("--format", "mermaid")

    assert "✗ web  10.9.0.2  BROKEN  :8080-8081→80-81/tcp" in tree
    assert "dmz" not in tree
    assert "x web  10.9.0.2  BROKEN" in ascii_
    assert ascii_.isascii()
    assert [container["name"] for container in told["containers"]] == [_NAME, "web"]
    root = ET.fromstring(drawing)  # noqa: S314  our own
    assert any(_NAME in (text.text or "") for text in root.iter("{http://www.w3.org/2000/svg}text"))
    assert graph.startswith("graph ocinet {")
    assert chart.startswith("flowchart LR")
