"""Kernel parameters under /proc/sys, of the network namespace that the thread is in.

A key is a path below it, as "net/ipv4/ip_forward": interface names have dots.
"""

from __future__ import annotations

import posix

from ocinet.base.errors import SystemFailure

_ROOT = "/proc/sys"


def read(key: str) -> str | None:
    """Return a parameter's value, or None if this kernel, or namespace, has none such.

    Raises:
        SystemFailure: it can't be read.
    """
    try:
        fd = posix.open(f"{_ROOT}/{key}", posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            return posix.read(fd, 4096).decode().strip()
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
            if posix.read(fd, 4096).decode().strip() == value:
                return False
            posix.pwrite(fd, value.encode(), 0)
        finally:
            posix.close(fd)
    except FileNotFoundError:
        raise SystemFailure(what, "this kernel does not have it") from None
    except OSError as error:
        if read(key) == value:  # it may not be written, and need not be
            return False
        raise SystemFailure(what, posix.strerror(error.errno or 0), hint) from error
    return True


class Sysctls:
    """The parameters, for who is handed an object; see `read` and `write`."""

    def read(self, key: str) -> str | None:
        """Return a parameter's value, or None if there is none such."""
        return read(key)

    def write(self, key: str, value: str) -> bool:
        """Give a parameter a value; False if it was so already."""
        return write(key, value)
