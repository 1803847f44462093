"""What WireGuard is told, and tells, of a device: by pyroute2, over generic netlink."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Any

from ocinet.base.address import Address, Subnet
from ocinet.base.errors import SystemFailure
from ocinet.base.value import Value
from ocinet.cluster.plane.believed import Unreached, named
from ocinet.cluster.plane.curve import public_of
from ocinet.cluster.plane.desired import underlay_of, underlay_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ocinet.cluster.model import Mine, Peer

_KEY = 32


class Other(Value):
    """A peer as WireGuard knows it.

    Attributes:
        key: its public key, base64.
        at: its underlay address, and the port there.
        shares: from which it may send, and what is sent to it.
    """

    key: str
    at: tuple[Address, int]
    shares: frozenset[Subnet]

    def __str__(self) -> str:
        """Render it for people."""
        return f"peer {self.key[:8]}… at {self.at[0]}"


class Tunnel(Value):
    """What a device knows.

    Attributes:
        key: this host's public key, base64.
        port: UDP, where it listens.
        others: all peers.
    """

    key: str
    port: int
    others: frozenset[Other] = frozenset()


def tunnel_wished(
    mine: Mine, peers: Iterable[Peer], private: bytes
) -> tuple[Tunnel, tuple[Unreached, ...]]:
    """Return what this host's device is to know, and who is left out, with why."""
    found, left = set(), []
    known: set[str] = set()
    for peer in peers:
        key, family = peer.host.public_key or "", underlay_of(mine).family
        at = underlay_to(peer, family) or (peer.host.underlay or (None,))[0]
        if not _is_key(key):
            left.append(Unreached(named(peer), "it has told no key: have it join again"))
        elif key in known:
            left.append(Unreached(named(peer), "its key is another peer's: one is a clone"))
        elif at is not None and peer.shares:
            known.add(key)
            found.add(Other(key, (at, mine.cluster.port), frozenset(peer.shares)))
    key = b64encode(public_of(private)).decode()
    return Tunnel(key, mine.cluster.port, frozenset(found)), tuple(left)


def settings(wished: Tunnel, there: Tunnel, private: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is to be set, one call of pyroute2's `set` each, with a line for people.

    Who goes is taken out first: what he may send from, another one may have by now.
    """
    if (wished.key, wished.port) != (there.key, there.port):
        secret = b64encode(private).decode()
        yield f"key {wished.key[:8]}…", {"private_key": secret, "listen_port": wished.port}
    keys = {other.key for other in wished.others}
    for other in sorted(there.others - wished.others, key=str):
        if other.key not in keys:
            yield f"no {other}", {"peer": {"public_key": other.key, "remove": True}}
    for other in sorted(wished.others - there.others, key=str):
        address, port = other.at
        peer = {
            "public_key": other.key,
            "endpoint_addr": str(address),
            "endpoint_port": port,
            "replace_allowed_ips": True,
            "allowed_ips": sorted(map(str, other.shares)),
        }
        yield str(other), {"peer": peer}


def read_tunnel(told: Iterable[Any]) -> Tunnel:
    """Read what WireGuard tells of a device; of many peers, in several messages."""
    key, port = "", 0
    at: dict[str, tuple[Address, int]] = {}
    shares: dict[str, set[Subnet]] = {}
    for message in told:
        key = _text(message.get_attr("WGDEVICE_A_PUBLIC_KEY")) or key
        port = message.get_attr("WGDEVICE_A_LISTEN_PORT") or port
        for peer in message.get_attr("WGDEVICE_A_PEERS") or ():
            name = _text(peer.get_attr("WGPEER_A_PUBLIC_KEY"))
            end = peer.get_attr("WGPEER_A_ENDPOINT")
            if end:
                at[name] = Address.parse(end["addr"]), end["port"]
            allowed = peer.get_attr("WGPEER_A_ALLOWEDIPS") or ()
            shares.setdefault(name, set()).update(Subnet.parse(each["addr"]) for each in allowed)
    nowhere = (Address(4, 0), 0)
    others = (Other(each, at.get(each, nowhere), frozenset(own)) for each, own in shares.items())
    return Tunnel(key, port, frozenset(others))


class WireGuardSocket:
    """The kernel's WireGuard; to be used in a `with` block.

    Raises:
        SystemFailure: the kernel has none; tells what to do.
    """

    def __init__(self) -> None:
        from pyroute2 import NetlinkError, WireGuard  # cold: a tenth of a second

        try:
            self._netlink = WireGuard()
        except (NetlinkError, OSError) as error:
            raise SystemFailure(
                "cannot use WireGuard", "this kernel has none",
                "modprobe wireguard, a kernel that has it, or a cluster of the backend vxlan",
            ) from error  # fmt: skip
        self._error = NetlinkError

    def __enter__(self) -> WireGuardSocket:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close it."""
        self._netlink.close()

    def tunnel(self, ifname: str) -> Tunnel:
        """Return what a device knows.

        Raises:
            SystemFailure: it can't be asked.
        """
        try:
            return read_tunnel(self._netlink.info(ifname))
        except self._error as error:
            raise SystemFailure(f"cannot ask WireGuard of {ifname}", str(error)) from error

    def set(self, ifname: str, what: str, setting: dict[str, Any]) -> None:
        """Set one thing of a device.

        Raises:
            SystemFailure: it was refused.
        """
        try:
            self._netlink.set(ifname, **setting)
        except self._error as error:
            raise SystemFailure(f"cannot set {what} on {ifname}", str(error)) from error


def _is_key(text: str) -> bool:
    try:
        return len(b64decode(text, validate=True)) == _KEY
    except (Base64Error, ValueError):
        return False


def _text(key: Any) -> str:
    if isinstance(key, dict):
        key = key["value"]
    return key.decode() if isinstance(key, bytes) else str(key or "")
