"""Which ports the host gives away by itself: where a free one is taken from."""

from __future__ import annotations

import posix

from ocinet.base.errors import SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_RANGE = "/proc/sys/net/ipv4/ip_local_port_range"
_RESERVED = "/proc/sys/net/ipv4/ip_local_reserved_ports"
_LONGEST = 1 << 19  # 65536 ports, each with its comma


def ephemeral_range() -> tuple[int, int]:
    """Return the first and the last port that the host gives to sockets that ask for none.

    Raises:
        SystemFailure: the kernel won't tell.
    """
    low, high = _parameter(_RANGE).split()
    return int(low), int(high)


def reserved_ports() -> list[tuple[int, int]]:
    """Return the ranges that the admin keeps from automatic use.

    Raises:
        SystemFailure: the kernel won't tell.
    """
    return parse_ranges(_parameter(_RESERVED))


def parse_ranges(text: str) -> list[tuple[int, int]]:
    """Read a list of ports as the kernel prints it: `8080,9148-9150`; empty is none."""
    ranges = []
    for item in text.strip().split(","):
        first, dash, last = item.partition("-")
        if first:
            ranges.append((int(first), int(last) if dash else int(first)))
    return ranges


def candidates(low: int, high: int, reserved: list[tuple[int, int]]) -> Iterator[int]:
    """Yield the ports of a range that are not reserved, once each, from a random one on."""
    count = high - low + 1
    start = int.from_bytes(posix.urandom(4), "big") % count
    for offset in range(count):
        port = low + (start + offset) % count
        if not any(first <= port <= last for first, last in reserved):
            yield port


def _parameter(path: str) -> str:
    # In one read: the kernel gives a list of ports only from its beginning.
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            return posix.read(fd, _LONGEST).decode()
        finally:
            posix.close(fd)
    except OSError as error:
        raise SystemFailure(f"cannot read {path}", str(error.strerror)) from error
