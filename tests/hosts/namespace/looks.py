"""Commands in a network namespace, and what the kernel says there, never the code under test."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from hosts.requirements import require

if TYPE_CHECKING:
    from collections.abc import Iterable


def _entering(pid: int | None) -> list[str]:
    return ["nsenter", "-n", "-t", str(pid)] if pid else []


def run(*words: str, given: str = "", pid: int | None = None) -> str:
    """Run a command and return its stdout; it must succeed.

    Args:
        words: the command; if there is but one, it is split at blanks.
        given: what the command reads.
        pid: of a process in whose network namespace it runs; None: in this thread's.
    """
    argv = [*_entering(pid), *(words if len(words) > 1 else words[0].split())]
    done = subprocess.run(argv, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}\n{given}"
    return done.stdout


def ip_json(arguments: str, pid: int | None = None) -> Any:
    """Return what `ip -j` says, in a process's network namespace if one is given."""
    return json.loads(run(f"ip -j {arguments}", pid=pid) or "[]")


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


def spelled(addresses: Iterable[dict[str, Any]], scope: str = "global") -> list[str]:
    """Return those of a scope among addresses that `ip -j` shows, as `ADDRESS/PREFIX`, sorted."""
    return sorted(
        f"{address['local']}/{address['prefixlen']}"
        for address in addresses
        if address["scope"] == scope
    )


def pings(address: str, pid: int | None = None) -> bool:
    """Tell whether an ICMP echo comes back, asked for where a process is."""
    require("busybox")
    argv = [*_entering(pid), "busybox", "ping", "-c", "1", "-W", "1", address]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0
