"""What this machine is called: by names that no container has."""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

# Bytes of a file of the host's that are looked at: /etc/hosts is a blocklist of some MiB on some.
_MOST = 1 << 24


def names_of_host(names: Iterable[str], hostname: str = "", etc: str = "/etc") -> tuple[str, ...]:
    """Return those of some names by which this machine itself is asked for.

    Its hostname and the first label of that; and that label with the domain that
    `/etc/hosts` has behind it, or with one of the search list's, as `hostname --fqdn` finds
    it. What other names `/etc/hosts` has are other machines', or a developer's for what his
    containers publish, so they are free.

    Args:
        names: in lower case, without a last dot.
        hostname: of the machine; "" for what the kernel says.
        etc: where the two files are.
    """
    own = (hostname or posix.uname().nodename).lower().removesuffix(".")
    first = own.partition(".")[0]
    found = [name for name in names if name in (own, first)]
    longer = [name for name in names if name != own and name.startswith(f"{first}.")]
    if longer and first:  # of few: for all others no file is read
        known = {word for line in _lines(f"{etc}/hosts") for word in line.split()[1:]}
        for line in _lines(f"{etc}/resolv.conf"):
            key, *domains = line.split() or ("",)
            if key in ("search", "domain"):
                known |= {f"{first}.{domain.removesuffix('.')}" for domain in domains}
        found += [name for name in longer if name in known]
    return tuple(found)


def _lines(path: str) -> list[str]:
    try:
        # A pipe in its place has nobody wait for who would write to it.
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    except OSError:
        return []
    try:
        text = _read(fd).decode("utf-8", "replace").lower()
    except OSError:  # a folder, or a pipe that has nothing yet
        return []
    finally:
        posix.close(fd)
    return [line.partition("#")[0] for line in text.splitlines()]


def _read(fd: int) -> bytes:
    """Return what a file holds, up to a bound: one read may end before the file does."""
    read = b""
    while len(read) < _MOST and (more := posix.read(fd, 1 << 20)):
        read += more
    return read
