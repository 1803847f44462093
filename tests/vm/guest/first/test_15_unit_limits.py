"""The limits of the watcher's unit: in force, and wide enough for what it does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from vm.guest.machine import (
    HOST,
    UNIT,
    Container,
    bind_refusal,
    host_end,
    journal,
    main_pid,
    run,
    said,
    unanswered,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_CGROUP = Path(f"/sys/fs/cgroup/system.slice/{UNIT}.service")
_DENIED = ("Operation not permitted", "Permission denied", "Too many open files", "out of memory")
_MANY = 700  # ports; of two containers more than the 1,024 files that a process has by default
_REPAIR_S = 60  # all is emulated
_CONNECT = f"import socket; socket.create_connection(({HOST!r}, 8080), 10)"


def _within(*words: str) -> str:
    """Run a command in the unit's control group, and return what it said."""
    script = f'echo 0 > {_CGROUP}/cgroup.procs; exec "$@"'
    return said("sh", "-c", script, "sh", *words)


def test_limits_are_the_kernels_own() -> None:
    """Memory, tasks, files, umask and capabilities are limited as the unit says."""
    assert (_CGROUP / "memory.max").read_text() == f"{1 << 30}\n"
    assert (_CGROUP / "pids.max").read_text() == "128\n"
    process = Path(f"/proc/{main_pid()}")
    [files] = [line for line in (process / "limits").read_text().splitlines() if "files" in line]
    assert files.split()[3:5] == ["16384", "16384"]
    status = dict(
        line.split(":\t", 1)
        for line in (process / "status").read_text().splitlines()
        if "\t" in line
    )
    assert (status["Umask"], status["NoNewPrivs"], status["Seccomp"]) == ("0077", "1", "2")
    shown = run("systemctl", "show", "-P", "CapabilityBoundingSet", UNIT).split()
    assert "cap_sys_module" not in shown
    assert bin(int(status["CapBnd"], 16)).count("1") == len(shown) == 7


def test_unit_has_no_ip_and_no_devices(pair: tuple[Container, Container]) -> None:
    """What is in the unit's control group gets no IP packet out and opens no disk; others do."""
    pair[0].address()
    assert said("python3", "-c", _CONNECT) == ""
    assert "Error" in _within("python3", "-c", _CONNECT)
    head = ("head", "-c1", "/dev/vda")
    assert "not permitted" not in said(*head)
    assert "Operation not permitted" in _within(*head)


def test_unit_sees_the_hosts_mounts_and_the_host_none_of_its() -> None:
    """`ip netns add` is seen within; what is mounted within is seen nowhere else."""
    inside = ("nsenter", "-t", str(main_pid()), "-m")
    run("ip", "netns", "add", "later")
    assert run(*inside, "stat", "-f", "-c", "%T", "/run/netns/later") == "nsfs\n"
    run("ip", "netns", "delete", "later")
    run(*inside, "mount", "-t", "tmpfs", "lab-private", "/mnt")
    assert "lab-private" in run(*inside, "cat", "/proc/self/mounts")
    assert "lab-private" not in Path("/proc/self/mounts").read_text()
    run(*inside, "umount", "/mnt")


def _heals(pair: tuple[Container, Container], damage: Callable[[], object]) -> None:
    assert unanswered(*pair, 8080) == []
    damage()
    wait_until(lambda: not unanswered(*pair, 8080), "it is repaired", timeout_s=_REPAIR_S)


def test_watcher_repairs_within_its_limits(pair: tuple[Container, Container]) -> None:
    """Table, bridge, host end: each is made anew, also what is inside of a container."""
    _heals(pair, lambda: run("nft", "delete", "table", "inet", "ocinet"))
    _heals(pair, lambda: run("ip", "link", "delete", "ocinet0"))
    _heals(pair, lambda: run("ip", "link", "delete", host_end(pair[0])))


def test_watcher_holds_ports_within_its_limits() -> None:
    """1,400 published ports are held: who binds the first or the last is told that it is in use."""
    before = len(os.listdir(f"/proc/{main_pid()}/fd"))
    many = []
    for name, first in (("many1", 20000), ("many2", 30000)):
        ports = f"{first}-{first + _MANY - 1}"
        many.append(Container.start("docker", name, "-p", f"{ports}:{ports}"))
    wait_until(
        lambda: len(os.listdir(f"/proc/{main_pid()}/fd")) >= before + 2 * _MANY, "all are held"
    )
    for port in (20000, 20000 + _MANY - 1, 30000 + _MANY - 1):
        assert "in use" in bind_refusal("TCP", "0.0.0.0", port)
    assert bind_refusal("TCP", "0.0.0.0", 20000 + _MANY) == ""
    for container in many:
        container.remove()
    wait_until(lambda: not bind_refusal("TCP", "0.0.0.0", 20000), "it is free again")


def test_no_limit_was_met(record_property: Callable[[str, object], None]) -> None:
    """After all of that the watcher's log has no denial, and it never came near its memory."""
    lines = journal(UNIT).splitlines()
    assert [line for line in lines if any(why in line for why in _DENIED)] == []
    peak = int((_CGROUP / "memory.peak").read_text())
    record_property("memory at most", f"{peak >> 20} MiB")
    assert peak < 1 << 28


def test_exposure_of_the_unit(record_property: Callable[[str, object], None]) -> None:
    """`systemd-analyze security` finds no more exposed than the file of the unit alone."""
    told = run("systemd-analyze", "security", "--no-pager", "--threshold=38", UNIT)
    record_property("it says", told.strip().splitlines()[-1].lstrip("→ "))
