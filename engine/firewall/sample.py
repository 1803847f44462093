"""A packet that stands for many: what is known of it, byte by byte. Pure.

What is not known differs from whatever a rule compares it with: an address out there,
a port, a mark of the uplink's. So a rule that picks out somebody in particular does not
match, and a rule that lets everybody but somebody through, or drops them, does.
"""

from __future__ import annotations

from sys import byteorder

from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address

    Known = list[int | None]

INVALID, ESTABLISHED, NEW = 1, 2, 8  # NF_CT_STATE_BIT
DNAT = 1 << 5  # IPS_DST_NAT
ORIGINAL, REPLY = 0, 1  # IP_CT_DIR_*

_ETHERTYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}
NFPROTO = {4: 2, 6: 10}
TCP = 6
SYN, ACK = 2, 16
_IFNAME_SIZE = 16
_ARPHRD_ETHER = 1
_NETWORK, _TRANSPORT = 1, 2  # NFT_PAYLOAD_*_HEADER
_CONNTRACK, _DSTNAT, _SRCNAT = -200, -100, 100  # NF_IP_PRI_*, where the kernel does each


class Sample(Value):
    """A TCP packet on its way through the host.

    Attributes:
        family: 4 or 6.
        iifname: the link that it came by, "" if that is any; likewise `oifname`.
        iif: that link's index, or 0; likewise `oif`.
        source: its address, None if that is any; likewise `destination`.
        status: what conntrack knows of its flow: DNAT, or 0.
        direction: REPLY of a flow that was answered; ORIGINAL for the first packet of one.
        port: that it is for; 0 if that is any.
        local: whether it is for the host itself, as far as is to be seen.
        tracked: whether conntrack has seen it.
    """

    family: int
    iifname: str = ""
    oifname: str = ""
    iif: int = 0
    oif: int = 0
    source: Address | None = None
    destination: Address | None = None
    status: int = 0
    direction: int = ORIGINAL
    port: int = 0
    local: bool = False
    tracked: bool = True

    @property
    def state(self) -> int:
        """The bit of its state in conntrack."""
        if not self.tracked:
            return INVALID
        return ESTABLISHED if self.direction == REPLY else NEW

    @property
    def tcp_flags(self) -> int:
        """SYN alone for the first packet."""
        return SYN | ACK if self.direction == REPLY else SYN

    def reply(self) -> Sample:
        """Return the answer to it."""
        return self.replace(
            iifname=self.oifname, oifname=self.iifname, iif=self.oif, oif=self.iif,
            source=self.destination, destination=self.source, direction=REPLY, port=0,
        )  # fmt: skip

    def before_routing(self, priority: int, hosts: Address | None) -> Sample:
        """Return it as chains on the prerouting hook see it.

        Nobody knows by then where it leaves; before the kernel's own chain for nat, what
        comes from outside is for the host.

        Args:
            priority: of the chain.
            hosts: the host's address there, if it is known.
        """
        found = self.replace(oifname="", oif=0, tracked=priority > _CONNTRACK)
        if self.source is None and priority <= _DSTNAT:
            found = found.replace(destination=hosts, local=True, status=0)
        return found

    def after_routing(self, priority: int, hosts: Address | None) -> Sample:
        """Return it as chains on the postrouting hook see it; see `before_routing`."""
        if self.destination is None and priority > _SRCNAT:
            return self.replace(source=hosts)
        return self

    def header(self, base: int, offset: int, length: int) -> Known:
        """Return a part of one of its headers."""
        whole: Known = []
        if base == _NETWORK:
            whole = self._ipv4() if self.family == 4 else self._ipv6()
        elif base == _TRANSPORT:
            port: Known = [*self.port.to_bytes(2, "big")] if self.port else unknown(2)
            whole = [*unknown(2), *port, *unknown(9), self.tcp_flags, *unknown(6)]
        part = whole[offset : offset + length]
        return part + unknown(length - len(part))

    def _ipv4(self) -> Known:
        # version, no tos; length, id; don't fragment; ttl, protocol, checksum
        head: Known = [0x45, 0, *unknown(4), 0x40, 0, 64, TCP, *unknown(2)]
        return [*head, *_address(self.source, 4), *_address(self.destination, 4)]

    def _ipv6(self) -> Known:
        head: Known = [0x60, 0, 0, 0, *unknown(2), TCP, 64]
        return [*head, *_address(self.source, 16), *_address(self.destination, 16)]

    def meta(self, key: int) -> Known:
        """Return what `meta` loads by a key (NFT_META_*), in as many bytes as it has."""
        if key in (_IIFNAME, _OIFNAME):
            name = self.iifname if key == _IIFNAME else self.oifname
            return [*name.encode().ljust(_IFNAME_SIZE, b"\0")] if name else unknown(_IFNAME_SIZE)
        if key in (_IIF, _OIF):
            index = self.iif if key == _IIF else self.oif
            return [*native(index)] if index else unknown(4)
        return [*self._plain_meta().get(key, b"")] or unknown(_IFNAME_SIZE)

    def _plain_meta(self) -> dict[int, bytes]:
        return {
            _PROTOCOL: _ETHERTYPES[self.family],
            _NFPROTO: bytes((NFPROTO[self.family],)),
            _L4PROTO: bytes((TCP,)),
            _PKTTYPE: b"\0",  # PACKET_HOST
            _IIFTYPE: _ARPHRD_ETHER.to_bytes(2, byteorder),
            _OIFTYPE: _ARPHRD_ETHER.to_bytes(2, byteorder),
        }

    def conntrack(self, key: int) -> Known:
        """Return what `ct` loads by a key (NFT_CT_*)."""
        if not self.tracked and key != _CT_STATE:
            return unknown(_IFNAME_SIZE)
        if key == _CT_DIRECTION:
            return [self.direction]
        numbers = {_CT_STATE: self.state, _CT_STATUS: self.status, _CT_MARK: 0}
        return [*native(numbers[key])] if key in numbers else unknown(_IFNAME_SIZE)


_PROTOCOL, _MARK, _IIF, _OIF, _IIFNAME, _OIFNAME, _IIFTYPE, _OIFTYPE = 1, 3, 4, 5, 6, 7, 8, 9
_NFPROTO, _L4PROTO, _PKTTYPE = 15, 16, 19
_CT_STATE, _CT_DIRECTION, _CT_STATUS, _CT_MARK = 0, 1, 2, 3


def unknown(length: int) -> Known:
    """Return so many bytes of which nothing is known."""
    return [None] * length


def native(number: int) -> bytes:
    """Return 32 bits as the kernel has them in a register."""
    return number.to_bytes(4, byteorder)


def _address(address: Address | None, length: int) -> Known:
    return unknown(length) if address is None else [*address.packed]
