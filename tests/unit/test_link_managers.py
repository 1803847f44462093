"""The files that keep what configures links off ours, and noticing that they are missing."""

from __future__ import annotations

import fnmatch
import os
import re
from pathlib import Path

import pytest

from builders import processes
from ocinet.engine.plan.endpoint import host_ifname
from ocinet.engine.plan.new_network import device_of
from ocinet.hooks.registration import link_managers
from ocinet.hooks.registration.foreign_files import Installed

PACKAGING = Path(__file__).parents[2] / "packaging"
FILES = {
    "systemd/network/00-ocinet.network": "networkd/00-ocinet.network",
    "systemd/network/00-ocinet.link": "networkd/00-ocinet.link",
    "NetworkManager/conf.d/99-ocinet.conf": "NetworkManager/99-ocinet.conf",
}


def names(managers: tuple[link_managers.LinkManager, ...]) -> list[str]:
    return [manager.name for manager in managers]


@pytest.mark.parametrize(("installed", "shipped"), FILES.items())
def test_install_writes_what_packages_ship(tmp_path: Path, installed: str, shipped: str) -> None:
    """One text, below a line that says whose the file is."""
    done = link_managers.install(str(tmp_path))
    assert f"/etc/{installed}" in done.changed
    head, _, text = (tmp_path / "etc" / installed).read_text().partition("\n")
    assert "ocinet links install" in head
    assert text == (PACKAGING / shipped).read_text()


@pytest.mark.parametrize("shipped", FILES.values())
def test_files_name_every_link_of_ours_and_no_other(shipped: str) -> None:
    """The default bridge, other networks' bridges and host ends; not the uplinks of hosts."""
    text = (PACKAGING / shipped).read_text()
    line = re.search(r"^(?:Name|OriginalName|unmanaged-devices\+)=(.*)$", text, re.MULTILINE)
    assert line is not None
    patterns = re.split(r"[ ;]", line[1].replace("interface-name:", ""))

    def named(ifname: str) -> bool:
        return any(fnmatch.fnmatchcase(ifname, pattern) for pattern in patterns)

    ours = (device_of("lan"), host_ifname("6f2a", "eth0", "4:4026"))
    assert all(named(ifname) for ifname in ours)
    assert not any(named(other) for other in ("eth0", "oc0", "enp3s0", "docker0", "ocean"))


def test_install_again_changes_nothing(tmp_path: Path) -> None:
    """The second time there is nothing to write, nor to say."""
    link_managers.install(str(tmp_path))
    assert link_managers.install(str(tmp_path)) == Installed(())


@pytest.mark.parametrize("masked", [True, False])
def test_install_leaves_the_admins_file_alone(tmp_path: Path, masked: bool) -> None:
    """One of that name that is not ours stays, as does a mask, and it is said."""
    path = tmp_path / "etc/systemd/network/00-ocinet.network"
    path.parent.mkdir(parents=True)
    if masked:
        path.symlink_to("/dev/null")
    else:
        path.write_text("[Match]\nName=*\n")
    before = path.read_text()
    done = link_managers.install(str(tmp_path))
    assert done.warnings == (
        "/etc/systemd/network/00-ocinet.network is not ocinet's, and stays as it is",
    )
    assert path.read_text() == before
    link_managers.uninstall(str(tmp_path))
    assert path.is_symlink() == masked
    assert os.path.lexists(path)


def test_uninstall_removes_what_install_wrote(tmp_path: Path) -> None:
    """All three files, and only those."""
    link_managers.install(str(tmp_path))
    (tmp_path / "etc/systemd/network/10-all.network").write_text("")
    assert len(link_managers.uninstall(str(tmp_path)).changed) == len(FILES)
    files = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert files == ["10-all.network"]


def test_manager_that_runs_here_without_our_file_is_named(tmp_path: Path) -> None:
    """By its process, in this network alone: one in a container does not see our links."""
    proc = processes(
        tmp_path / "proc", ("systemd-network", "host"), ("NetworkManager", "other"),
        ("systemd-udevd", "host"),
    )  # fmt: skip
    found = link_managers.unguarded(str(tmp_path), proc)
    assert names(found) == ["systemd-networkd"]
    told = link_managers.describe(found[0])
    assert "ocinet links install && networkctl reload" in told


@pytest.mark.parametrize("directory", ["etc", "run", "usr/lib"])
def test_manager_that_is_kept_off_is_not_named(tmp_path: Path, directory: str) -> None:
    """The file may be the package's, or the admin's own of that name."""
    proc = processes(tmp_path / "proc", ("NetworkManager", "host"))
    path = tmp_path / directory / "NetworkManager/conf.d/99-ocinet.conf"
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/null")
    assert names(link_managers.running(proc)) == ["NetworkManager"]
    assert link_managers.unguarded(str(tmp_path), proc) == ()
