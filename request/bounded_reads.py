"""Reading what others have written, and no more of it than a document may have."""

from __future__ import annotations

import posix

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.base.jsontext import MAX_BYTES

_CHUNK = 1 << 16
_STATE = "cannot read the container's state"


def read_input(fd: int, what: str = _STATE, name: str = "stdin") -> bytes:
    """Read a descriptor to its end, or to one byte more than a document may have.

    Args:
        fd: open for reading.
        what: could not be done if it can't be read.
        name: of what is read.

    Raises:
        SystemFailure: it can't be read.
    """
    chunks = []
    room = MAX_BYTES + 1
    try:
        while room and (chunk := posix.read(fd, min(room, _CHUNK))):
            chunks.append(chunk)
            room -= len(chunk)
    except OSError as error:
        raise SystemFailure(what, f"{name}: {error.strerror}") from error
    return b"".join(chunks)


def read_file(path: str, longest: int) -> bytes:
    """Return the whole of a file.

    Raises:
        RequestError: it is longer than that many bytes.
        OSError: it can't be read.
    """
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    try:
        if posix.fstat(fd).st_size > longest:
            raise RequestError("", f"{path} is longer than {longest} bytes")
        if longest <= MAX_BYTES:
            return read_input(fd)
        with open(fd, "rb", buffering=0, closefd=False) as file:
            return file.readall()
    finally:
        posix.close(fd)
