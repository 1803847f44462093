"""Reading what others have written, and no more of it than a document may have."""

from __future__ import annotations

import posix

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.base.jsontext import MAX_BYTES

_CHUNK = 1 << 16
_STATE = "cannot read the container's state"


def read_input(fd: int, what: str = _STATE, name: str = "stdin", longest: int = MAX_BYTES) -> bytes:
    """Read a descriptor to its end, or to one byte more than it may have.

    Args:
        fd: open for reading.
        what: could not be done if it can't be read.
        name: of what is read.
        longest: bytes that it may have.

    Raises:
        SystemFailure: it can't be read.
    """
    chunks = []
    room = longest + 1
    try:
        while room and (chunk := posix.read(fd, min(room, _CHUNK))):
            chunks.append(chunk)
            room -= len(chunk)
    except OSError as error:
        raise SystemFailure(what, f"{name}: {error.strerror}") from error
    return b"".join(chunks)


def read_file(path: str, longest: int) -> bytes:
    """Return the whole of a file.

    Its size is not asked for: a device and a file of procfs have none, and one that
    is being written to has another one by the time that it has been read.

    Raises:
        RequestError: it is longer than that many bytes.
        SystemFailure: it can't be read.
        OSError: it can't be opened.
    """
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK)
    try:
        data = read_input(fd, f"cannot read {path}", path, longest)
    finally:
        posix.close(fd)
    if len(data) > longest:
        raise RequestError("", f"{path} is longer than {longest} bytes")
    return data
