"""Limits of how fast a container sends and is sent to: how they are written.

    [in=|out=]RATE[ burst SIZE]        RATE none: no limit any more

Rates and sizes as tc(8) has them: 10mbit, 1.25mbps (bytes per second), 512kibit; 64k, 1mb.
A number alone is bits per second, and bytes.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.engine.model.bandwidth import Bandwidth, Limit
from ocinet.request.grammar import quote

_NONE = "none"
_LONGEST = 60
_DIGITS = frozenset("0123456789.")
# tc(8): by 1000 for rates, by 1024 for sizes and for what has an i in it.
_PREFIXES = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_BINARY = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_RATES = {"": 1} | {
    f"{prefix}{unit}": factor * bits
    for unit, bits in (("bit", 1), ("bps", 8))
    for prefix, factor in (
        *_PREFIXES.items(),
        *((f"{name}i", factor) for name, factor in _BINARY.items() if name),
    )
}
_SIZES = {f"{prefix}{unit}": factor for unit in ("", "b") for prefix, factor in _BINARY.items()}
# Less than a packet in a second helps nobody; more has no queue that sch_tbf can count.
_LEAST_RATE, _LARGEST_RATE = 8_000, 10**11
_LEAST_BURST, _LARGEST_BURST = 2_000, 1 << 31
_HINT = "write [in=|out=]RATE[ burst SIZE], as in=10mbit burst 64k, or none"


def read_bandwidth(text: str) -> Bandwidth:
    """Read a limit of one direction, or the same for both.

    Raises:
        RequestError: it is none.
    """
    direction, equals, rest = text.partition("=")
    words = (rest if equals else text).split()
    sides = {"in": (True, False), "out": (False, True)}.get(direction.strip() if equals else "")
    if len(text) > _LONGEST or (equals and not sides) or len(words) not in (1, 3):
        raise RequestError("", f"{quote(text)} is no bandwidth", _HINT)
    if words == [_NONE]:
        limit = Limit(0)
    else:
        if words[1:2] not in ([], ["burst"]) or words[0] == _NONE:
            raise RequestError("", f"{quote(text)} is no bandwidth", _HINT)
        rate = _read(words[0], _RATES, (_LEAST_RATE, _LARGEST_RATE), "rate, from 8kbit to 100gbit")
        bounds = (_LEAST_BURST, _LARGEST_BURST)
        burst = _read(words[2], _SIZES, bounds, "burst, from 2000 to 2g") if words[1:] else 0
        limit = Limit(rate, burst)
    inward, outward = sides or (True, True)
    return Bandwidth(limit if inward else None, limit if outward else None)


def merged(parts: tuple[Bandwidth, ...]) -> Bandwidth:
    """Join limits of one interface.

    Raises:
        RequestError: there are two of one direction.
    """
    inward = [part.inward for part in parts if part.inward]
    outward = [part.outward for part in parts if part.outward]
    for name, limits in (("in", inward), ("out", outward)):
        if len(limits) > 1:
            raise RequestError("", f"the bandwidth {name} comes twice", "give it once")
    return Bandwidth(next(iter(inward), None), next(iter(outward), None))


def spell_bandwidth(bandwidth: Bandwidth) -> list[str]:
    """Spell limits as `read_bandwidth` reads them."""
    if bandwidth.inward == bandwidth.outward and bandwidth.inward:
        return [_spell(bandwidth.inward)]
    sides = (("in", bandwidth.inward), ("out", bandwidth.outward))
    return [f"{name}={_spell(limit)}" for name, limit in sides if limit]


def _spell(limit: Limit) -> str:
    if not limit.rate:
        return _NONE
    rate = next(
        f"{limit.rate // factor}{prefix}bit"
        for prefix, factor in reversed(_PREFIXES.items())
        if not limit.rate % factor
    )
    return f"{rate} burst {limit.burst}" if limit.burst else rate


def _read(text: str, units: dict[str, int], bounds: tuple[int, int], what: str) -> int:
    end = next((at for at, letter in enumerate(text) if letter not in _DIGITS), len(text))
    number, factor = text[:end], units.get(text[end:].lower())
    whole, _, part = number.partition(".")
    value = 0
    if factor and whole.isdigit() and (part.isdigit() or not part):
        value = int(whole) * factor + (int(part) * factor // 10 ** len(part) if part else 0)
    if not bounds[0] <= value <= bounds[1]:
        raise RequestError("", f"{quote(text)} is no {what}", _HINT)
    return value
