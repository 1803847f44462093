"""Beside what configures links: systemd-networkd, NetworkManager and udev."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vm.guest.machine import (
    Container,
    configure_uplink,
    host_end,
    journal,
    link,
    ports,
    run,
    said,
    unanswered,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_ETC = Path("/etc/systemd/network")
_NM = Path("/etc/NetworkManager/conf.d")
_MISSING = "runs here and is not kept off ocinet's links"


@pytest.fixture
def networkd(pair: tuple[Container, Container]) -> Iterator[None]:
    """networkd with a file that matches every link, but for the uplink and Docker's bridge."""
    (_ETC / "05-lab.network").write_text("[Match]\nName=uplink0 docker0\n[Link]\nUnmanaged=yes\n")
    (_ETC / "10-all.network").write_text("[Match]\nName=*\n[Network]\nDHCP=yes\n")
    yield
    run("systemctl", "stop", "systemd-networkd.socket", "systemd-networkd")
    for name in ("05-lab", "10-all"):
        (_ETC / f"{name}.network").unlink()
    run("ocinet", "links", "uninstall")


@pytest.fixture
def manager(pair: tuple[Container, Container]) -> Iterator[None]:
    """NetworkManager, stopped behind the test."""
    yield
    run("systemctl", "stop", "NetworkManager")
    run("ocinet", "links", "uninstall")
    (_NM / "10-all.conf").unlink(missing_ok=True)
    configure_uplink()


def _networkd_state(ifname: str) -> str:
    text = Path(f"/run/systemd/netif/links/{link(ifname)['ifindex']}").read_text()
    return next(line for line in text.splitlines() if line.startswith("ADMIN_STATE="))


def test_udev_leaves_the_macs_as_they_were_made(pair: tuple[Container, Container]) -> None:
    """With udev's MAC policy, and no file of ours, bridge and host ends have ocinet's MACs."""
    run("udevadm", "settle")
    assert "ID_NET_LINK_FILE" in run("udevadm", "info", f"/sys/class/net/{host_end(pair[0])}")
    # 3 is NET_ADDR_SET: by whoever made the link. udev's would be another MAC, set once more.
    before = {port["ifname"]: port["address"] for port in ports("ocinet0")}
    assert all(mac.startswith("fe:") for mac in before.values())
    run("udevadm", "trigger", "--action=add", "--subsystem-match=net", "--settle")
    assert {port["ifname"]: port["address"] for port in ports("ocinet0")} == before


def test_networkd_without_our_file_is_told(networkd: None) -> None:
    """`hooks install` and `watch` name networkd, and the command that keeps it off."""
    run("systemctl", "start", "systemd-networkd")
    assert _MISSING in said("ocinet", "hooks", "install", "--podman")
    run("systemctl", "restart", "ocinet-watcher")
    wait_until(lambda: _MISSING in journal("ocinet-watcher"), "the watcher says it")


def test_networkd_with_a_catch_all_is_kept_off(networkd: None) -> None:
    """With `ocinet links install` a `.network` file for every link changes nothing of ours."""
    run("ocinet", "links", "install")
    run("systemctl", "start", "systemd-networkd")
    web = Container.start("docker", "web", "-p", "8080:80")
    other = Container.start("docker", "other")
    assert unanswered(web, other, 8080) == []
    run("networkctl", "reload")
    run("udevadm", "settle")
    assert _networkd_state("ocinet0") == "ADMIN_STATE=unmanaged"
    assert _networkd_state(host_end(web)) == "ADMIN_STATE=unmanaged"
    assert _MISSING not in said("ocinet", "hooks", "install", "--podman")
    assert unanswered(web, other, 8080) == []


def test_network_manager_by_default_leaves_containers_reachable(
    manager: None, pair: tuple[Container, Container]
) -> None:
    """NetworkManager as Debian ships it: all ways to and from containers stay open."""
    run("systemctl", "start", "NetworkManager")
    configure_uplink()
    assert unanswered(*pair, 8080) == []


@pytest.mark.parametrize("section", ["device", "device-all"])
def test_network_manager_that_manages_everything_is_kept_off(
    manager: None, pair: tuple[Container, Container], section: str
) -> None:
    """Told to manage every device, with `ocinet links install` it has none of ours."""
    _NM.mkdir(parents=True, exist_ok=True)
    (_NM / "10-all.conf").write_text(f"[{section}]\nmatch-device=*\nmanaged=1\n")
    run("ocinet", "links", "install")
    run("systemctl", "start", "NetworkManager")
    configure_uplink()
    web = Container.start("docker", "web", "-p", "8080:80")
    assert unanswered(web, pair[1], 8080) == []
    lines = run("nmcli", "-t", "-f", "DEVICE,STATE", "device").splitlines()
    states = dict(line.split(":", 1) for line in lines)
    assert states["ocinet0"] == states[host_end(web)] == "unmanaged"
