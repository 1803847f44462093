"""What the questions are asked of, and what they need to be done around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ocinet.base.clock import Process
    from ocinet.engine.plan.machine import Host
    from ocinet.engine.plan.seams import Sandbox


class Place(Protocol):
    """A host with nothing but `lo`, up; and what others do there."""

    def seams(self) -> Host:
        """Return what is asked."""

    def start(self) -> Process:
        """Start a process in a sandbox of its own."""

    def end(self, process: Process) -> None:
        """End a process, and its sandbox with it."""

    def open_sandbox(self, process: Process) -> AbstractContextManager[Sandbox]:
        """Open a process's sandbox."""

    def open_host(self) -> AbstractContextManager[Sandbox]:
        """Open the host's own namespace."""

    def add_link(self, ifname: str, kind: str = "", *, group: int = 0, up: bool = False) -> None:
        """Make a link, of kind bridge or of any other."""

    def add_bridge(self, ifname: str, *, mtu: int = 1500) -> None:
        """Make a bridge of somebody else's, set up."""

    def fill_bridge(self, ifname: str, count: int) -> None:
        """Give a bridge so many ports."""

    def add_address(self, ifname: str, address: str) -> None:
        """Give one of the host's links an address."""

    def add_default_route(
        self,
        gateway: str,
        ifname: str,
        *,
        metric: int = 0,
        advertised: bool = False,
        source: str = "",
    ) -> None:
        """Add a default route of the host's."""

    def add_blackhole(self, subnet: str) -> None:
        """Let the host drop what is for a subnet."""

    def add_source_rule(self, source: str, *, table: int, priority: int) -> None:
        """Let what the host sends from a subnet look up a routing table."""

    def set_down(self, ifname: str) -> None:
        """Set one of the host's links down."""

    def rename(self, ifname: str, name: str) -> None:
        """Give one of the host's links another name, as it is."""

    def delete_link(self, ifname: str) -> None:
        """Delete one of the host's links."""

    def is_hairpin(self, ifname: str) -> bool:
        """Tell whether a port sends frames back to where they came from."""

    def served(self, network: str) -> dict[str, str]:
        """Return who is found by name on a network, each with addresses and names in one line."""

    def spoil_port(self, ifname: str, words: str) -> None:
        """Let somebody change a port's flags: what follows `bridge link set dev IFNAME`."""

    def deafen(self, ifname: str) -> None:
        """Let somebody set a link to `arp off`."""

    def take_name(self, name: str) -> None:
        """Let something else have a name."""

    def shown(self, name: str) -> int:
        """Return the pid of the process whose sandbox a name shows, or 0."""

    def freeze_sysctls(self) -> None:
        """Let /proc/sys be read-only."""

    def drop_table(self) -> None:
        """Let somebody flush our table away."""

    def drop_forward(self, *, docker: bool = False) -> None:
        """Let iptables' FORWARD drop in both families, as Docker has it, or without it."""

    def flush_forward(self) -> None:
        """Let somebody flush FORWARD of all rules."""

    def raise_wall(self) -> None:
        """Let the chain `inet wall gate` drop what is forwarded."""

    def start_firewalld(self) -> None:
        """Let firewalld run, with our zone; a second time it is reloaded."""
