"""What doctor reads of a host: limits of the kernel, room on disks, routes of others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from ocinet.base.address import Subnet
from ocinet.engine.doctor import overtaken, read_count, room_flaws, unheard
from ocinet.engine.model.network import Network
from ocinet.ipam.pool import Pool

if TYPE_CHECKING:
    from pathlib import Path

ARP_CACHE = "entries allocs destroys\n000003f2 00000400 00000001\n000003f2 00000001 00000000\n"


@pytest.mark.parametrize(
    ("content", "count"),
    [("262144\n", 262144), (ARP_CACHE, 1010), ("", 0), ("nonsense\n", 0), ("a\nb c\n", 11)],
)
def test_counts_are_read_from_a_line_or_from_a_table(
    tmp_path: Path, content: str, count: int
) -> None:
    """/proc/sys has decimal numbers, /proc/net/stat hexadecimal columns."""
    (tmp_path / "file").write_text(content)
    assert read_count(str(tmp_path / "file")) == count
    assert read_count(str(tmp_path / "gone")) == 0


@pytest.mark.parametrize(
    ("blocks", "files", "flags", "flaw"),
    [
        (10_000, 1000, 0, ""),
        (10, 1000, 0, "has no room left"),
        (10_000, 3, 0, "has no inodes left"),
        (0, 0, os.ST_RDONLY, "is read-only"),
    ],
)
def test_room_is_looked_for_where_the_directory_would_be(
    tmp_path: Path, blocks: int, files: int, flags: int, flaw: str
) -> None:
    """A full tmpfs, one without inodes, and one that turned read-only after an error."""
    status = mock.Mock(f_bavail=blocks, f_frsize=4096, f_files=2000, f_favail=files, f_flag=flags)
    with mock.patch("os.statvfs", return_value=status) as asked:
        found = [each.what for each in room_flaws(f"{tmp_path}/not/there/yet")]
    asked.assert_called_once_with(str(tmp_path))
    assert found == ([f"{tmp_path} {flaw}"] if flaw else [])


@pytest.mark.parametrize(
    ("ports", "backlog", "dropped"), [(1000, 1000, 0), (1003, 1000, 3), (1003, 0, 0), (301, 300, 1)]
)
def test_ports_that_a_frame_to_all_does_not_come_to_are_told(
    ports: int, backlog: int, dropped: int
) -> None:
    """With what helps; where the limit is not to be read, as in a namespace, nothing is."""
    network = Network("lan", "ocbr-1", (Pool(Subnet.parse("10.9.0.0/24"), None),))
    found = list(unheard(network, ports, backlog))
    assert len(found) == bool(dropped)
    for each in found:
        assert f"dropped for the oldest {dropped}: " in each.what
        assert each.remedy == f"sysctl -w net.core.netdev_max_backlog={2 * backlog}"


@pytest.mark.parametrize(
    ("routes", "count"),
    [((), 0), (("10.0.0.0/8",), 0), (("10.9.0.0/24",), 1), (("10.9.0.0/25", "10.9.0.128/26"), 2),
     (("10.8.0.0/24", "fd00::/64"), 0)],
)  # fmt: skip
def test_route_takes_a_network_over_if_it_is_as_narrow(routes: tuple[str, ...], count: int) -> None:
    """A wider one, as a VPN's over all of 10/8, loses against the bridge's own."""
    network = Network("lan", "ocbr-1", (Pool(Subnet.parse("10.9.0.0/24"), None),))
    found = list(overtaken(network, tuple(map(Subnet.parse, routes))))
    assert len(found) == count
    assert all(each.place == "network lan" for each in found)
