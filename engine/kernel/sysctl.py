"""Kernel parameters under /proc/sys, of the network namespace that the thread is in.

A key is a path below it, as "net/ipv4/ip_forward": interface names have dots.
"""

from __future__ import annotations

import posix

from ocinet.base.errors import SystemFailure

_ROOT = "/proc/sys"


def read(key: str) -> str | None:
    """Return a parameter's value, or None if this kernel, or namespace, has none such.

    Where it is of several words, there is a blank between them.

    Raises:
        SystemFailure: it can't be read.
    """
    try:
        fd = posix.open(f"{_ROOT}/{key}", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            return " ".join(posix.read(fd, 4096).decode().split())
        finally:
            posix.close(fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SystemFailure(f"cannot read {key}", posix.strerror(error.errno or 0)) from error


def write(key: str, value: str) -> bool:
    """Give a parameter a value, if it has another one.

    Returns:
        Whether it was written: False if it was so already.

    Raises:
        SystemFailure: there is none such, or it may not be written, as in a
            container with a read-only /proc/sys.
    """
    what, hint = f"cannot set {key} to {value}", f"sysctl -w {key}={value}"
    try:
        fd = posix.open(f"{_ROOT}/{key}", posix.O_RDWR | posix.O_CLOEXEC)
        try:
            if " ".join(posix.read(fd, 4096).decode().split()) == value:
                return False
            posix.pwrite(fd, value.encode() or b"\n", 0)  # of nothing, the kernel does nothing
        finally:
            posix.close(fd)
    except FileNotFoundError:
        raise SystemFailure(what, "this kernel does not have it") from None
    except OSError as error:
        if read(key) == value:  # it may not be written, and need not be
            return False
        if _write_by_netlink(key, value):
            return True
        raise SystemFailure(what, posix.strerror(error.errno or 0), hint) from error
    return True


def _write_by_netlink(key: str, value: str) -> bool:
    """Set what has a second door beside /proc/sys; False if it has none, or that is shut."""
    *directories, ifname, name = key.split("/")
    if directories != ["net", "ipv4", "conf"] or name != "route_localnet":
        return False
    from _socket import if_nametoindex  # where /proc/sys is read-only, no more

    from ocinet.engine.kernel.link_messages import set_route_localnet
    from ocinet.engine.netlink.socket import NETLINK_ROUTE, NetlinkSocket

    try:
        message = set_route_localnet(1, if_nametoindex(ifname), int(value))
    except OSError:  # "all", "default", or a link that is gone
        return False
    with NetlinkSocket(NETLINK_ROUTE) as netlink:
        return not netlink.ask(message, 1)[1]


class Sysctls:
    """The parameters, for who is handed an object; see `read` and `write`."""

    def read(self, key: str) -> str | None:
        """Return a parameter's value, or None if there is none such."""
        return read(key)

    def write(self, key: str, value: str) -> bool:
        """Give a parameter a value; False if it was so already."""
        return write(key, value)
