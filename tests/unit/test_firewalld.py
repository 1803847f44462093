"""firewalld's zone for our bridges: its files, who is in it by name, and what is said of it."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from builders import processes
from ocinet.engine.model.passage import ForwardDrop, Zoned
from ocinet.engine.plan.new_network import DEFAULT_DEVICE, device_of
from ocinet.engine.ruleset import firewalld as rules
from ocinet.hooks.registration import firewalld
from ocinet.hooks.registration.foreign_files import Installed

PACKAGING = Path(__file__).parents[2] / "packaging"
ZONE, POLICY = "firewalld/zones/ocinet.xml", "firewalld/policies/ocinet-out.xml"
CHAIN = "inet firewalld filter_FORWARD"
RELOAD = "firewall-cmd --reload"


@pytest.mark.parametrize("file", [ZONE, POLICY])
def test_install_writes_what_packages_ship(tmp_path: Path, file: str) -> None:
    """One text, below a comment that says whose the file is; and it is XML."""
    done = firewalld.install(str(tmp_path))
    assert f"/etc/{file}" in done.changed
    head, _, text = (tmp_path / "etc" / file).read_text().partition("\n")
    assert "ocinet firewalld install" in head
    assert text == (PACKAGING / file).read_text()
    ElementTree.fromstring(f"{head}\n{text}")  # noqa: S314  # our own


def test_install_again_changes_nothing_and_uninstall_takes_it_back(tmp_path: Path) -> None:
    """The admin's own file of that name stays in either case."""
    firewalld.install(str(tmp_path))
    assert firewalld.install(str(tmp_path)) == Installed(())
    (tmp_path / "etc" / ZONE).write_text("<zone/>\n")
    assert firewalld.install(str(tmp_path)).warnings == (
        f"/etc/{ZONE} is not ocinet's, and stays as it is",
    )
    assert firewalld.uninstall(str(tmp_path)) == Installed((f"/etc/{POLICY}",))
    assert (tmp_path / "etc" / ZONE).exists()


def test_files_agree_with_what_the_engine_looks_for() -> None:
    """The names of zone, policy and bridges; firewalld writes + where shells write *."""
    zone = ElementTree.parse(PACKAGING / ZONE).getroot()  # noqa: S314  # our own
    policy = ElementTree.parse(PACKAGING / POLICY).getroot()  # noqa: S314  # our own
    bridges = [one.attrib["name"].replace("+", "*") for one in zone.findall("interface")]
    assert tuple(bridges) == rules.BRIDGES
    assert (Path(ZONE).stem, Path(POLICY).stem) == (rules.ZONE, rules.POLICY)
    assert [one.attrib["name"] for one in policy.findall("ingress-zone")] == [rules.ZONE]


def test_bridges_that_ocinet_names_are_in_the_zone_by_its_file() -> None:
    """All of them, and nobody else's."""
    assert all(map(rules.is_in_file, (DEFAULT_DEVICE, device_of("lan"))))
    assert not any(map(rules.is_in_file, ("ocinet1", "br0", "docker0", "ocbr")))


@pytest.mark.parametrize(
    ("runs", "directory", "told"),
    [
        (True, "", True),
        (True, "etc", False),
        (True, "usr/lib", False),
        (False, "", False),
    ],
)
def test_firewalld_that_runs_without_our_zone_is_named(
    tmp_path: Path, runs: bool, directory: str, told: bool
) -> None:
    """The zone may be the package's; one in another network is not this host's."""
    proc = processes(tmp_path / "proc", ("firewalld", "host" if runs else "other"))
    if directory:
        for file in (ZONE, POLICY):
            path = tmp_path / directory / file
            path.parent.mkdir(parents=True)
            path.write_text((PACKAGING / file).read_text())
    found = firewalld.what_is_missing(str(tmp_path), proc)
    assert (f"ocinet firewalld install && {RELOAD}" in found) == told
    assert bool(found) == told


@pytest.mark.parametrize(
    ("device", "zoned", "commands"),
    [
        ("ocinet0", Zoned("public"), ["ocinet firewalld install", RELOAD]),
        (
            "br-lan",
            Zoned("public"),
            ["ocinet firewalld install", RELOAD,
             "firewall-cmd --permanent --zone=ocinet --change-interface=br-lan", RELOAD],
        ),
        (
            "ocinet0",
            Zoned("dmz", bound=True, joinable=True),
            ["firewall-cmd --permanent --zone=ocinet --change-interface=ocinet0", RELOAD],
        ),
    ],
)  # fmt: skip
def test_explain_names_each_command_that_is_needed(
    device: str, zoned: Zoned, commands: list[str]
) -> None:
    """The files, and where they don't name the bridge, a place in them."""
    told = rules.explain(ForwardDrop(CHAIN, "filter_FORWARD", zoned=zoned), zoned, device)
    assert told.startswith(f"{CHAIN} (firewalld's, zone {zoned.zone}) drops packets of {device}")
    assert told.partition(": ")[2] == " && ".join(commands)
