"""What the kernel says of a network namespace, by `ip -j` and never by the code under test."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass


def run(command: str) -> str:
    """Run a command, split at blanks, and return its stdout; it must succeed."""
    done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def ip_json(arguments: str, pid: int | None = None) -> Any:
    """Return what `ip -j` says, in a process's network namespace if one is given."""
    where = f"nsenter -n -t {pid} " if pid else ""
    return json.loads(run(f"{where}ip -j {arguments}") or "[]")


def link_json(ifname: str, pid: int | None = None) -> dict[str, Any] | None:
    """Return what `ip -d -j link` says of one link, or None if there is none."""
    found = [link for link in ip_json("-d link", pid) if link["ifname"] == ifname]
    return found[0] if found else None


def addresses_json(ifname: str, pid: int | None = None) -> list[dict[str, Any]]:
    """Return the addresses that `ip -j addr` shows on a link."""
    return [
        address
        for link in ip_json(f"addr show dev {ifname}", pid)
        for address in link.get("addr_info", [])
    ]
