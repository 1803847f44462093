"""Hosts whose containers reach each other by a data plane, driven as its agent would."""

from __future__ import annotations

import base64
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hosts.lab.hosts import UNDERLAY, underlay_v4, underlay_v6
from ocinet.base.address import Address, Subnet
from ocinet.cluster.model import Cluster, Host, Mine, Peer, Pool

if TYPE_CHECKING:
    from hosts.engine.runtimes import Container
    from hosts.lab.hosts import Hosts
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Namespace

_PROGRAM = str(Path(__file__).with_name("plane_program.py"))
POOL_V4, POOL_V6 = "10.42.0.0/16", "fd42::/48"
VNI, PORT = 42, 4789
DEVICE = f"ocx-{VNI}"
NETWORK = "far"


def host(number: int, *, ipv6_underlay: bool = False) -> Host:
    """Return a host of the cluster, at its usual place on the underlay."""
    at = [Address.parse(underlay_v4(number)), Address.parse(underlay_v6(number))]
    underlay = tuple(reversed(at) if ipv6_underlay else at)
    return Host(f"{number:08x}-x", f"host{number}", underlay, f"02:1f:00:00:00:{number:02x}")


def shares(number: int, *, narrow: bool = False) -> tuple[Subnet, ...]:
    """Return a host's shares: of the usual size, or of one that doesn't end with a byte."""
    v4, v6 = (26, 68) if narrow else (24, 64)
    return (Subnet.parse(f"10.42.{number}.0/{v4}"), Subnet.parse(f"fd42:0:0:{number:x}::/{v6}"))


class Overlay:
    """A cluster over some machines.

    Args:
        hosts: the machines.
        backend: of the cluster.
        ipv6_underlay: whether they send to each other by IPv6.
        mtu: of the containers' interfaces; 0: as the plane says.
        narrow: see `shares`.
    """

    def __init__(
        self,
        hosts: Hosts,
        backend: str = "vxlan",
        *,
        ipv6_underlay: bool = False,
        mtu: int = 0,
        narrow: bool = False,
    ) -> None:
        self.hosts = hosts
        pools = (Pool(Subnet.parse(POOL_V4), 24), Pool(Subnet.parse(POOL_V6), 64))
        port = {"vxlan": PORT, "wireguard": 51820, "routes": 0}[backend]
        self.cluster = Cluster("prod", pools, backend, VNI, port)
        self.peers = {
            number: Peer(host(number, ipv6_underlay=ipv6_underlay), shares(number, narrow=narrow))
            for number in hosts.labs
        }
        self._mtu = mtu
        hosts.to_remove.append(self.remove)

    def mine(self, number: int) -> Mine:
        """Return a host as its own plane is told of it."""
        peer = self.peers[number]
        return Mine(peer.host, peer.shares, self.cluster)

    def others(self, number: int) -> tuple[Peer, ...]:
        """Return all others."""
        return tuple(peer for at, peer in self.peers.items() if at != number)

    def drive(self, number: int, act: str, peers: tuple[Peer, ...] | None = None) -> Any:
        """Have a host's plane do something; returns what it told."""
        told = (act, self.mine(number), self.others(number) if peers is None else peers)
        stdin = base64.b64encode(pickle.dumps(told)).decode()
        return self.hosts[number].run(sys.executable, _PROGRAM, stdin=stdin).json()

    def apply(self, *numbers: int) -> dict[int, Any]:
        """Have the planes of some hosts, or of all, be as all peers are now."""
        return {number: self.drive(number, "apply") for number in numbers or self.peers}

    def learn_keys(self) -> None:
        """Have each host make its key, and tell it to all."""
        for number, peer in self.peers.items():
            key = self.drive(number, "key")["key"]
            self.peers[number] = peer.replace(host=peer.host.replace(public_key=key))

    def remove(self) -> None:
        """Take all planes away."""
        for number in self.peers:
            self.drive(number, "remove")

    def make_network(self, number: int, name: str = NETWORK) -> None:
        """Define the network of a host's share."""
        mtu = self._mtu or {"vxlan": 1450, "wireguard": 1440, "routes": 1500}[self.cluster.backend]
        if self.peers[number].host.underlay[0].family == 6 and not self._mtu:
            mtu -= 20
        link = UNDERLAY if self.cluster.backend == "routes" else DEVICE
        words = [word for share in self.peers[number].shares for word in ("--subnet", str(share))]
        words += ["--no-masquerade-to", POOL_V4, "--no-masquerade-to", POOL_V6]
        self.hosts[number].ocinet("network", "create", *words, "--joined-by", link,
                                  "--mtu", str(mtu), name)  # fmt: skip

    def start(self, number: int, name: str = "", *flags: str) -> Container:
        """Start a container on a host's share, wired by the hook."""
        return start(self.hosts[number], name or f"c{number}", NETWORK, *flags)

    def up(self) -> dict[int, Container]:
        """Have everything there: planes, networks, and a container on each host."""
        self.apply()
        containers = {}
        for number in self.peers:
            self.make_network(number)
            containers[number] = self.start(number)
        return containers


def start(lab: Lab, name: str, network: str, *flags: str) -> Container:
    """Start a container on a network, wired by the hook."""
    bundle = lab.bundle(name)
    lab.ocinet("hooks", "add", str(bundle.path), "--net", network, *flags)
    return lab.runc.run(bundle)


def address(place: Namespace, family: int = 4) -> str:
    """Return a container's address."""
    found = [text.partition("/")[0] for text in place.addresses("eth0")]
    return next(text for text in found if (":" in text) == (family == 6))
