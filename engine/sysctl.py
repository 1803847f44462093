"""Kernel parameters under /proc/sys, of the network namespace that the thread is in.

A key is a path below it, as "net/ipv4/ip_forward": interface names have dots.
"""

from __future__ import annotations

import os

from ocinet.base.errors import SystemFailure

_ROOT = "/proc/sys"


def read(key: str) -> str | None:
    """Return a parameter's value, or None if this kernel, or namespace, has none such.

    Raises:
        SystemFailure: it can't be read.
    """
    try:
        fd = os.open(f"{_ROOT}/{key}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, 4096).decode().strip()
        finally:
            os.close(fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SystemFailure(f"cannot read {key}", os.strerror(error.errno or 0)) from error


def write(key: str, value: str) -> bool:
    """Give a parameter a value, if it has another one.

    Returns:
        Whether it was written: False if it was so already.

    Raises:
        SystemFailure: there is none such, or it may not be written, as in a
            container with a read-only /proc/sys.
    """
    what, hint = f"cannot set {key} to {value}", f"sysctl -w {key}={value}"
    before = read(key)
    if before is None:
        raise SystemFailure(what, "this kernel does not have it")
    if before == value:
        return False
    try:
        fd = os.open(f"{_ROOT}/{key}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise SystemFailure(what, os.strerror(error.errno or 0), hint) from error
    return True
