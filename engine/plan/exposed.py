"""The ports that a container's engine says it exposes, as what a link to it opens: pure."""

from __future__ import annotations

from ocinet.engine.model.access import LAST_PORT, Allowance
from ocinet.engine.model.request import MOST_EXPOSED, PROTOCOLS


def listening(exposed: tuple[str, ...]) -> tuple[Allowance, ...]:
    """Read the ports that an engine says are exposed; what is no port, is none.

    >>> [each.ports for each in listening(("80/tcp", "81/tcp", "53/udp", "x"))]
    ['80-81/tcp', '53/udp']

    Args:
        exposed: `Config.ExposedPorts` of the Docker API: 80/tcp, 8000-8010/udp.

    Returns:
        As few ranges as there can be; none at all of more than `MOST_EXPOSED` ports.
    """
    ports: set[tuple[str, int]] = set()
    for text in exposed:
        numbers, _, protocol = text.partition("/")
        first, _, last = numbers.partition("-")
        last = last or first
        if not (_is_port(first) and _is_port(last)):
            continue
        ports |= {(protocol or PROTOCOLS[0], port) for port in range(int(first), int(last) + 1)}
    if len(ports) > MOST_EXPOSED:
        return ()
    found: list[Allowance] = []
    for protocol, port in sorted(ports):
        if protocol not in PROTOCOLS or not port:
            continue
        if found and (found[-1].protocol, found[-1].last) == (protocol, port - 1):
            found[-1] = found[-1].replace(last=port)
        else:
            found.append(Allowance(protocol=protocol, first=port, last=port))
    return tuple(found)


def _is_port(text: str) -> bool:
    """Tell whether a number is one, before it is counted up to: a hook has to end."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(LAST_PORT))
    return is_number and int(text) <= LAST_PORT
