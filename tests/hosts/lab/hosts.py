"""Several machines on one underlay: labs that are plugged into a switch.

    lab 1        lab 2        …        stranger
    underlay     underlay              eth0
    192.0.2.1    192.0.2.2             192.0.2.99
    2001:db8:7::1  …::2                2001:db8:7::99
        └────────── switch ──────────────┘

Each is a machine of its own, with its own `/run`, `/etc` and uplink. The switch and the stranger,
who is on the underlay and belongs to nobody, live in the first one and go with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from hosts.lab.machine import Lab

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hosts.engine.bundle import Config
    from hosts.lab.namespace import Namespace

UNDERLAY, STRANGER = "underlay", 99


def underlay_v4(number: int) -> str:
    """Return a machine's address on the underlay."""
    return f"192.0.2.{number}"


def underlay_v6(number: int) -> str:
    """Return a machine's other address on the underlay."""
    return f"2001:db8:7::{number}"


class Hosts:
    """Machines that reach each other; a context manager.

    Args:
        directory: for bundles.
        rootfs: see `bundle.build_rootfs`.
        config: see `bundle.default_config`.
        count: how many.

    Attributes:
        labs: the machines, by number from 1.
        switch: where their cables end.
        stranger: somebody else on the underlay.
        to_remove: what takes away what is over the machines, before they are looked at.
    """

    def __init__(self, directory: Path, rootfs: Path, config: Config, count: int) -> None:
        self.labs: dict[int, Lab] = {}
        self.to_remove: list[Callable[[], object]] = []
        try:
            for number in range(1, count + 1):
                place = directory / f"host{number}"
                place.mkdir()
                self.labs[number] = Lab(place, rootfs, config)
            self.switch = self.labs[1].add_place("switch")
            self.switch.run("ip", "link", "add", "switch", "up", "type", "bridge")
            self.stranger = self.labs[1].add_place("stranger")
            for number, lab in self.labs.items():
                self._plug(lab, UNDERLAY, number)
            self._plug(self.stranger, "eth0", STRANGER)
            for lab in self.labs.values():
                lab.baseline = lab.snapshot()
        except BaseException:
            self.close()
            raise

    def _plug(self, place: Namespace, ifname: str, number: int) -> None:
        port = f"port{number}"
        peer = ("peer", "name", port, "netns", str(self.switch.net_pid))
        place.run("ip", "link", "add", "name", ifname, "type", "veth", *peer)
        place.set_sysctl("net/ipv6/conf/all/accept_dad", "0")
        batch = (
            f"address add {underlay_v4(number)}/24 dev {ifname}\n"
            f"address add {underlay_v6(number)}/64 dev {ifname} nodad\n"
            f"link set {ifname} up\n"
        )
        place.run("ip", "-batch", "-", stdin=batch)
        self.switch.run("ip", "link", "set", port, "master", "switch", "up")
        place.wait_for_carrier(ifname)

    def __getitem__(self, number: int) -> Lab:
        """Return a machine."""
        return self.labs[number]

    def __enter__(self) -> Self:
        """Return itself; everything is gone at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Remove all of them."""
        self.close()

    def close(self) -> None:
        """Remove all machines, and what is between them."""
        for lab in reversed(list(self.labs.values())):
            lab.close()

    def delete_containers(self) -> None:
        """Delete what the test made with runc or crun and did not delete itself."""
        for lab in self.labs.values():
            lab.delete_containers()
