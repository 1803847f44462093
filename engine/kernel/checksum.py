"""The checksum of IP, TCP, UDP and ICMP."""

from __future__ import annotations

from _struct import unpack


def internet_checksum(data: bytes) -> int:
    """Return the internet checksum of some bytes (RFC 1071); a pseudo-header stands before them."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
