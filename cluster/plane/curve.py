"""The public key that goes with a private one, on Curve25519: RFC 7748, section 5. Pure.

Once in a host's life, so a millisecond or two and no constant time cost nobody anything, and a
library for it would be one more dependency. Whoever could measure it is root on this host.
"""

from __future__ import annotations

_PRIME = (1 << 255) - 19
_A24 = 121665
_BASE = 9
_SIZE = 32


def clamped(secret: bytes) -> bytes:
    """Return random bytes as a private key: those bits set that have to be.

    Raises:
        ValueError: they are not 32.
    """
    if len(secret) != _SIZE:
        raise ValueError(f"a key has {_SIZE} bytes, not {len(secret)}")
    return bytes([secret[0] & 248, *secret[1:31], secret[31] & 127 | 64])


def public_of(private: bytes) -> bytes:
    """Return the public key of a private one.

    >>> private = "77076d0a7318a57d3c16c17251b26645df4cb2b7c2fa5a9c3e4ed95b9d3e5bf1"
    >>> len(public_of(bytes.fromhex(private)))
    32
    """
    return _times(int.from_bytes(clamped(private), "little"), _BASE).to_bytes(_SIZE, "little")


def _times(scalar: int, point: int) -> int:
    """Return the u-coordinate of a multiple of a point: the Montgomery ladder."""
    low_x, low_z, high_x, high_z, swapped = 1, 0, point, 1, 0
    for place in reversed(range(255)):
        bit = scalar >> place & 1
        if swapped ^ bit:
            low_x, high_x, low_z, high_z = high_x, low_x, high_z, low_z
        swapped = bit
        added, less = (low_x + low_z) % _PRIME, (low_x - low_z) % _PRIME
        square, other = added * added % _PRIME, less * less % _PRIME
        difference = (square - other) % _PRIME
        cross = (high_x - high_z) * added % _PRIME
        crossed = (high_x + high_z) * less % _PRIME
        high_x = (cross + crossed) ** 2 % _PRIME
        high_z = point * (cross - crossed) ** 2 % _PRIME
        low_x = square * other % _PRIME
        low_z = difference * (square + _A24 * difference) % _PRIME
    if swapped:
        low_x, low_z = high_x, high_z
    return low_x * pow(low_z, _PRIME - 2, _PRIME) % _PRIME
