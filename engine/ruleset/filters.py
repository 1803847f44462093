"""What keeps a bridge closed while our table is not there: programs for its filters.

`nft flush ruleset` takes our table away, and leaves forwarding and route_localnet on. The
filters of a link (clsact) are no nftables' and stay. They see less than a table: no
connection, no NAT. So our table, when it has let a packet pass, marks it at the very end,
and what is for somebody on the bridge and bears no such mark did not come by it.
"""

from __future__ import annotations

from ocinet.engine.model.bridge_filters import BridgeFilters
from ocinet.engine.ruleset.bpf import (
    AND,
    ANY_BIT,
    AT_LEAST,
    BYTE,
    BYTE_FROM_X,
    END,
    EQUAL,
    ETHERNET,
    GREATER,
    HALF,
    IPV4,
    IPV6,
    MARK,
    NETWORK,
    PROTOCOL,
    WORD,
    X_IS_HEADER_LENGTH,
    assembled,
    load,
)
from ocinet.engine.ruleset.tables import PASSED_MARK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.network import Network
    from ocinet.engine.ruleset.bpf import Line

_TCP, _ICMPV6 = 6, 58
_SYN, _SYN_ACK = 0x02, 0x12
_GROUP_BIT = 0x01  # of the first byte of a MAC: broadcast and multicast
_LATER_FRAGMENT = 0x1FFF
_LOOPBACK_NET = 127
# Router solicitation to neighbour advertisement: how neighbours are found, from a hop limit
# that nobody forwards (RFC 4861). No redirect: a container would believe that it reaches by
# itself whom it is kept from, and go on so when our table is there again.
_FIRST_ND, _LAST_ND = 133, 136

# Nobody but the host may use 127.0.0.0/8, as in the table's raw_prerouting. An answer to the
# host's own 127.0.0.1 bears the bridge's address here; or the mark, where bridged packets
# pass the firewall, for then it has been through NAT already.
NO_LOOPBACK = assembled(
    load(WORD, MARK), (EQUAL, PASSED_MARK, "pass", ""),
    load(HALF, PROTOCOL), (EQUAL, IPV4, "", "pass"),
    load(BYTE, NETWORK + 16), (EQUAL, _LOOPBACK_NET, "drop", ""),
    load(BYTE, NETWORK + 12), (EQUAL, _LOOPBACK_NET, "drop", "pass"),
    *END,
)  # fmt: skip


def _nothing_new(gateway: int) -> bytes:
    """Let pass what our table has marked, and what opens nothing.

    Connections of TCP that are open go on: their packets may come by a flowtable, too,
    which leads past all chains. So do frames to groups, which are never forwarded; the
    search for neighbours; and what comes from the host itself, at its address of IPv4 on
    the bridge: from elsewhere the kernel takes no packet with one of its own addresses.

    Args:
        gateway: that address, as a number; 0 for none.
    """
    own: tuple[Line, ...] = (
        (load(WORD, NETWORK + 12), (EQUAL, gateway, "pass", "")) if gateway else ()
    )
    return assembled(
        load(WORD, MARK), (EQUAL, PASSED_MARK, "pass", ""),
        load(BYTE, 0), (ANY_BIT, _GROUP_BIT, "pass", ""),
        load(HALF, PROTOCOL), (EQUAL, IPV4, "IPv4", ""), (EQUAL, IPV6, "IPv6", "pass"),
        "IPv4",
        *own,
        load(BYTE, NETWORK + 9), (EQUAL, _TCP, "", "drop"),
        load(HALF, NETWORK + 6), (ANY_BIT, _LATER_FRAGMENT, "drop", ""),
        load(X_IS_HEADER_LENGTH, ETHERNET), load(BYTE_FROM_X, ETHERNET + 13),
        (AND, _SYN_ACK, "", ""), (EQUAL, _SYN, "drop", "pass"),
        "IPv6",
        load(BYTE, NETWORK + 6), (EQUAL, _TCP, "", "no TCP"),
        load(BYTE, NETWORK + 40 + 13),
        (AND, _SYN_ACK, "", ""), (EQUAL, _SYN, "drop", "pass"),
        "no TCP", (EQUAL, _ICMPV6, "", "drop"),
        load(BYTE, NETWORK + 40), (AT_LEAST, _FIRST_ND, "", "drop"),
        (GREATER, _LAST_ND, "drop", "pass"),
        *END,
    )  # fmt: skip


def filters_of(network: Network, *, closed: bool = True) -> BridgeFilters:
    """Return the filters of a managed network's bridge.

    Args:
        network: the one.
        closed: whether nothing new comes to those on it but by our table.
    """
    gateways = (pool.gateway for pool in network.pools if pool.subnet.family == 4)
    gateway = next((address.value for address in gateways if address), 0)
    return BridgeFilters(NO_LOOPBACK, _nothing_new(gateway) if closed else b"")


# Of an adopted bridge, where we let the host's 127.0.0.1 be routed to it.
LOOPBACK_ALONE = BridgeFilters(NO_LOOPBACK)
