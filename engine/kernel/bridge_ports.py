"""A bridge's ports by the oldest of its ioctls: little of each, and fast; see `filters`."""

from __future__ import annotations

from _socket import AF_INET, SOCK_DGRAM, socket
from _struct import Struct
from array import array
from fcntl import ioctl

_SIOCDEVPRIVATE = 0x89F0
_SIOCGIFNAME = 0x8910
_GET_PORT_LIST = 7  # BRCTL_GET_PORT_LIST
_MOST_PORTS = 1024  # BR_MAX_PORTS
_REQUEST = Struct("@16sL16x")  # struct ifreq, with a pointer
_BY_INDEX = Struct("@16si20x")  # with an index
_NAME = 16


def port_names(ifname: str) -> list[str]:
    """Return the names of a bridge's ports; none of what is no bridge, or not there.

    Args:
        ifname: of the bridge, in the thread's namespace.
    """
    ports = array("i", bytes(4 * _MOST_PORTS))  # by number, 0 where there is none
    asked = array("L", (_GET_PORT_LIST, ports.buffer_info()[0], _MOST_PORTS, 0))
    names = []
    any_socket = socket(AF_INET, SOCK_DGRAM, 0)
    try:
        fd = any_socket.fileno()
        ioctl(fd, _SIOCDEVPRIVATE, _REQUEST.pack(ifname.encode(), asked.buffer_info()[0]))
        for ifindex in filter(None, ports):
            try:
                found = ioctl(fd, _SIOCGIFNAME, _BY_INDEX.pack(b"", ifindex))
            except OSError:
                continue  # it has gone since
            names.append(found[:_NAME].rstrip(b"\0").decode(errors="surrogateescape"))
    except OSError:
        return []
    finally:
        any_socket.close()
    return names
