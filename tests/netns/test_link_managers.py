"""systemd-networkd on a host with a `.network` file that matches every link."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from builders import network, on
from fakes.shell import Shell
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import addresses_json, link_json, run, spelled
from hosts.namespace.wired_host import WiredHost
from hosts.requirements import missing
from hosts.waiting import wait_until
from ocinet.hooks.registration import link_managers

if TYPE_CHECKING:
    from collections.abc import Iterator

_NETWORKD = "/lib/systemd/systemd-networkd"
_CATCH_ALL = "[Match]\nName=*\n[Network]\nDHCP=yes\n"
_ETC = Path("/etc/systemd/network")
_NM = "/etc/NetworkManager/conf.d/99-ocinet.conf"
_DEVICE = "ocbr-1a2b3c4d"


def wired(host: WiredHost, name: str) -> str:
    """Wire a container on a bridge with a name of ours; return its host end's."""
    return host.up(name, on("net")).endpoints[0].host_ifname


@contextmanager
def host_of_ours() -> Iterator[WiredHost]:
    """A host with the network `net`, on a bridge named as ocinet names them."""
    with WiredHost() as host, host.engine() as engine:
        engine.records.networks.add(network("net", "10.7.0.0/24", device=_DEVICE))
        yield host


@contextmanager
def networkd(*, guarded: bool) -> Iterator[None]:
    """Run the real networkd until it has seen every link, with a catch-all file of the admin's.

    Without udev: where /sys is read-only networkd waits for nobody to announce a link.
    """
    if not os.path.exists(_NETWORKD):
        missing("systemd-networkd is not installed: apt-get install systemd")
    # What is written to /etc must not be the machine's.
    run("mount -t tmpfs tmpfs /mnt")
    os.makedirs("/mnt/above")
    os.makedirs("/mnt/work")
    run("mount -t overlay -o lowerdir=/etc,upperdir=/mnt/above,workdir=/mnt/work overlay /etc")
    run("mount -t sysfs -o ro sysfs /sys")
    (_ETC / "10-all.network").write_text(_CATCH_ALL)
    if guarded:
        link_managers.install("/run/root")
        for file in Path("/run/root/etc/systemd/network").iterdir():
            (_ETC / file.name).write_text(file.read_text())
    os.makedirs("/run/systemd/netif")
    run("chown systemd-network:systemd-network /run/systemd/netif")
    process = subprocess.Popen([_NETWORKD], stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def state(ifname: str) -> str:
    """Return what networkd says that it does with a link; "" if it has not seen it yet."""
    found = link_json(ifname)
    assert found is not None
    path = Path(f"/run/systemd/netif/links/{found['ifindex']}")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line[12:] for line in lines if line.startswith("ADMIN_STATE=")), "")


def settled(ifname: str) -> str:
    """Return networkd's state of a link once it has made up its mind."""

    def found() -> str:
        said = state(ifname)
        return "" if said in ("pending", "initialized") else said

    return wait_until(found, f"networkd knows {ifname}", timeout_s=30)


@in_namespaces
def test_catch_all_network_without_our_file_takes_the_container_off_its_bridge() -> None:
    """That is what the file is for: networkd takes the host's end for its own."""
    with host_of_ours() as host:
        host_end = wired(host, "web")
        with networkd(guarded=False):
            assert settled(host_end) in ("configuring", "configured")
            wait_until(lambda: "master" not in (link_json(host_end) or {}), "off", timeout_s=30)


@in_namespaces
def test_our_file_keeps_networkd_off_bridge_and_host_ends() -> None:
    """Those of before it started and of after: addresses, master and traffic are as they were."""
    with host_of_ours() as host:
        first = wired(host, "web")
        with networkd(guarded=True):
            assert settled("lo") in ("configuring", "configured")  # the catch-all is in force
            assert settled(_DEVICE) == settled(first) == "unmanaged"
            assert settled(wired(host, "late")) == "unmanaged"
            assert spelled(addresses_json(_DEVICE)) == ["10.7.0.1/24"]
            assert host.pings("late", host.addresses("web")[0].partition("/")[0])


@in_namespaces
def test_hooks_install_beside_networkd_says_what_is_missing() -> None:
    """The command that mends it is named, and followed to the letter nothing is said any more."""
    with networkd(guarded=False):
        shell = Shell(Path("/run/shell"))
        outcome = shell.run("hooks", "install", "--hooks-dir", "/run/hooks.d")
        assert "systemd-networkd runs here" in outcome.err
        assert "(hint: ocinet links install && networkctl reload)" in outcome.err

        done = shell.run("links", "install")
        assert done.lines == [str(_ETC / "00-ocinet.network"), str(_ETC / "00-ocinet.link"), _NM]
        assert done.err == "to make systemd-networkd take it: networkctl reload\n"
        outcome = shell.run("hooks", "install", "--hooks-dir", "/run/hooks.d")
        assert "systemd-networkd" not in outcome.err
        assert shell.run("links", "uninstall").lines == done.lines


@in_namespaces
def test_watch_beside_networkd_says_what_is_missing() -> None:
    """In the log's first lines, with the command that mends it."""
    with networkd(guarded=False):
        words = ("from ocinet.cli.main import main; main()", "watch", "--log-format=json")
        watcher = subprocess.Popen(
            [sys.executable, "-c", *words], stderr=subprocess.PIPE, text=True,
            env={f"OCINET_{name}_DIR": f"/run/{name}" for name in ("RUN", "STATE", "CONFIG")},
        )  # fmt: skip
        with watcher:
            assert watcher.stderr
            line = json.loads(watcher.stderr.readline())
            watcher.terminate()
        assert line["level"] == "warning"
        assert "systemd-networkd runs here" in line["error"]
        assert "ocinet links install" in line["error"]
