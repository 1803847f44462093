"""Bridges' ports as rtnetlink has them, and what others may have changed of them.

Pure, as `link_messages`. Layout: <linux/if_link.h>, IFLA_BRPORT_*.
"""

from __future__ import annotations

from ocinet.engine.netlink.framing import attribute, attributes, number

_STATE, _FORWARDING = 1, b"\3"
# What a new port has, and carries frames by: kinds and values, by bridge(8)'s words.
_CARRYING = {
    "state forwarding": (_STATE, _FORWARDING),
    "learning on": (8, b"\1"),
    "flood on": (9, b"\1"),
    "mcast_flood on": (27, b"\1"),
    "bcast_flood on": (30, b"\1"),
    "locked off": (39, b"\0"),
}
_AS_NEW = tuple(attribute(*flag) for flag in _CARRYING.values())
_FLAGS = {**_CARRYING, "isolated off": (33, b"\0")}
_IFINFO_SIZE = 16
_IFLA_LINKINFO = 18
_IFLA_INFO_DATA, _IFLA_INFO_SLAVE_KIND, _IFLA_INFO_SLAVE_DATA = 2, 4, 5
_IFLA_BR_FORWARD_DELAY = 1
_USER_HZ = 100  # the kernel's unit for bridges' times


def flags(words: tuple[str, ...]) -> bytes:
    """Encode what a bridge port is to be given: `Link.lacks`, or `isolated off`."""
    return b"".join(attribute(*_FLAGS[word]) for word in words)


def decode_lacks(port: bytes, *, running: bool) -> tuple[str, ...]:
    """Decode `Link.lacks` from what is told of a bridge's port.

    Args:
        port: its attributes: some forty, decoded only where not all is in sight. Of what an older
            kernel does not tell, nothing is lacking.
        running: whether it has a carrier: without one, it has another state.
    """
    if all(flag in port for flag in _AS_NEW):
        return ()
    found = attributes(port)
    return tuple(
        word
        for word, (kind, value) in _CARRYING.items()
        if found.get(kind, value) != value and (running or kind != _STATE)
    )


def decode_forwards(body: bytes) -> bool:
    """Decode from an RTM_NEWLINK whether it forwards frames, as a bridge's port or as none."""
    information = attributes(attributes(body, _IFINFO_SIZE).get(_IFLA_LINKINFO, b""))
    port = attributes(information.get(_IFLA_INFO_SLAVE_DATA, b""))
    is_port = information.get(_IFLA_INFO_SLAVE_KIND, b"").rstrip(b"\0") == b"bridge"
    return not is_port or port.get(_STATE) == _FORWARDING


def decode_forward_delay_s(body: bytes) -> float:
    """Decode a bridge's forward delay from an RTM_NEWLINK; 0 if it is none."""
    information = attributes(attributes(body, _IFINFO_SIZE).get(_IFLA_LINKINFO, b""))
    delay = attributes(information.get(_IFLA_INFO_DATA, b"")).get(_IFLA_BR_FORWARD_DELAY)
    return number(delay) / _USER_HZ
