"""What WireGuard is told: keys, and pyroute2's own messages. No kernel is asked here."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from pyroute2.netlink.generic.wireguard import AsyncWireGuard, wgmsg

from ocinet.base.address import Address, Subnet
from ocinet.cluster.model import Cluster, Host, Mine, Peer, Pool
from ocinet.cluster.plane.curve import clamped, public_of
from ocinet.cluster.plane.tunnel import Other, Tunnel, read_tunnel, settings, tunnel_wished

PRIVATE = bytes(range(32))
CLUSTER = Cluster("prod", (Pool(Subnet.parse("10.42.0.0/16"), 24),), "wireguard", 42, 51820)


def key(number: int) -> str:
    """Return somebody's public key."""
    return b64encode(bytes([number]) * 32).decode()


def peer(number: int, **changes: Any) -> Peer:
    """Return a peer with a key."""
    host = Host(f"{number:08x}-x", f"h{number}", (Address.parse(f"192.0.2.{number}"),),
                f"02:1f:00:00:00:{number:02x}", key(number))  # fmt: skip
    return Peer(host.replace(**changes), (Subnet.parse(f"10.42.{number}.0/24"),))


def mine() -> Mine:
    """Return this host."""
    this = peer(1)
    return Mine(this.host, this.shares, CLUSTER)


def wished(*peers: Peer) -> Tunnel:
    """Return what the device is to know."""
    return tunnel_wished(mine(), peers, PRIVATE)[0]


@pytest.mark.parametrize(
    ("private", "public"),
    [
        # RFC 7748, section 6.1; and one of OpenSSL 3.0's.
        ("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
         "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"),
        ("802b2cb0cf7f8e8d369e2e371ee26303da9bac0d5e0716c526e572c501653579",
         "a0eade4f916bfe20fb3d5e5437ba987b73c86c0e2c4e3a5fecdec7f3fd9e565a"),
    ],
)  # fmt: skip
def test_public_key_is_the_one_that_others_compute(private: str, public: str) -> None:
    """A peer with another one would never answer."""
    assert public_of(bytes.fromhex(private)).hex() == public


def test_key_of_another_length_is_refused() -> None:
    """It would be another key than was meant."""
    with pytest.raises(ValueError, match="32 bytes, not 31"):
        clamped(bytes(31))


def test_device_is_to_know_each_peer_by_its_key_and_shares() -> None:
    """What comes with that key may bear these addresses, and no others."""
    known = wished(peer(2))
    assert known.others == {
        Other(key(2), (Address.parse("192.0.2.2"), 51820), frozenset(peer(2).shares))
    }
    assert known.key == b64encode(public_of(PRIVATE)).decode()


@pytest.mark.parametrize(
    ("told", "why"),
    [(None, "it has told no key"), ("x", "it has told no key"), (key(2), "one is a clone")],
)
def test_peer_without_a_key_of_its_own_is_left_out(told: str | None, why: str) -> None:
    """And told, with what to do; the others are not concerned."""
    known, (reason,) = tunnel_wished(mine(), (peer(2), peer(3, public_key=told)), PRIVATE)
    assert {other.key for other in known.others} == {key(2)}
    assert why in str(reason)


def test_what_is_so_already_is_not_set() -> None:
    """Setting a key again would end all sessions."""
    assert list(settings(wished(peer(2)), wished(peer(2)), PRIVATE)) == []


def test_who_goes_is_taken_out_before_who_comes() -> None:
    """Its share may be the other's by now; a peer that moved is changed, not taken out."""
    there = wished(peer(2), peer(3)).replace(port=1)
    moved = peer(3, underlay=(Address.parse("192.0.2.33"),))
    told = list(settings(wished(moved, peer(4)), there, PRIVATE))
    assert [what.split(" at ")[-1] for what, _how in told[1:]] == [
        "192.0.2.2", "192.0.2.33", "192.0.2.4"
    ]  # fmt: skip
    assert told[0][1] == {"private_key": b64encode(PRIVATE).decode(), "listen_port": 51820}
    assert told[1][1] == {"peer": {"public_key": key(2), "remove": True}}


def test_what_pyroute2_encodes_is_read_back() -> None:
    """One message for each peer, as the kernel tells of many."""
    known = wished(peer(2), peer(3, underlay=(Address.parse("2001:db8::3"),)))
    encoder = object.__new__(AsyncWireGuard)  # its encoding alone: there is no socket
    messages = []
    for _what, setting in settings(known, Tunnel(known.key, known.port), PRIVATE):
        message = wgmsg()
        message["attrs"].append(["WGDEVICE_A_PUBLIC_KEY", known.key])
        message["attrs"].append(["WGDEVICE_A_LISTEN_PORT", known.port])
        encoder._wg_set_peer(message, setting["peer"])
        message.encode()
        read = wgmsg(message.data)
        read.decode()
        messages.append(read)
    assert len(messages) == 2
    assert read_tunnel(messages) == known
