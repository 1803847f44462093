"""Names of networks in tests: off, unless a test asks for them; and the server's end after it.

The server is nobody's child, and lives on with the namespaces that it is in.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hosts.namespace.entered import entered
from hosts.waiting import has_ended, wait_until
from ocinet.engine.kernel.name_program import PLACES, PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMESPACE_CONFIG = "/run/test/etc"  # of tests in namespaces
_OFF = "ocinet.toml.d/50-lab.toml"
A, PTR, AAAA = 1, 12, 28
NO_ERROR, NO_SUCH_NAME = 0, 3
SERVED = "/run/ocinet/names/served"
_SOON_S = 10  # of a loaded machine; how fast it is, the bench says


def leave_names_off(config: str) -> None:
    """Have the settings of a new machine of tests say that no names are served."""
    path = Path(config, _OFF)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("names = false\n")


@contextmanager
def names_served(config: str = NAMESPACE_CONFIG) -> Iterator[None]:
    """Have names served on this machine; at the end of the block no server runs."""
    Path(config, _OFF).unlink()
    try:
        yield
    finally:
        end_servers()


def end_servers() -> None:
    """End the server of this network namespace, and who is about to be one."""

    def is_done() -> bool:
        found = servers()
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not found

    wait_until(is_done, "the end of the name server")


def servers() -> list[int]:
    """Return the processes that serve our folder in this network namespace, or are about to."""
    here = os.readlink("/proc/thread-self/ns/net")
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_one(pid, here)]


def the_server() -> int:
    """Return the one that serves; another one may just become it, or a daemon's parent may end."""
    return wait_until(lambda: len(found := servers()) == 1 and found[0], "one server alone")


def _is_one(pid: int, network: str) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return (
            SERVED.encode() in words
            and os.readlink(f"/proc/{pid}/ns/net") == network
            and not has_ended(pid)
        )
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def program() -> str:
    """Return where this machine has the server; "" if it has none."""
    paths = (f"{place}/{PROGRAM}" for place in PLACES)
    return next(filter(os.path.exists, paths), "")


class Answer(NamedTuple):
    """What a name server said.

    Attributes:
        code: of the response, as NO_SUCH_NAME.
        records: addresses, or names, as text.
    """

    code: int
    records: tuple[str, ...] = ()


def ask(
    name: str, server: str, *, kind: int = A, pid: int = 0, timeout_s: float = 1
) -> Answer | None:
    """Ask for a name over UDP, from a process's network namespace; None without an answer."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part)
    query = struct.pack(">6H", 4711, 0x100, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, kind, 1)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with entered(pid or os.getpid()):
        asking = socket.socket(family, socket.SOCK_DGRAM)
    with asking:
        asking.settimeout(timeout_s)
        try:
            asking.connect((server, 53))
            asking.send(query)
            data = asking.recv(4096)
        except OSError:
            return None
    _id, flags, _asked, answers = struct.unpack_from(">4H", data)
    return Answer(flags & 15, tuple(_records(data, len(query), answers, kind)))


def ask_soon(
    name: str, server: str, *, kind: int = A, pid: int = 0, wanted: tuple[str, ...] = ()
) -> Answer | None:
    """Ask until the records are those wanted, or the time is over in which they have to be."""
    answers: list[Answer | None] = []

    def is_so() -> bool:
        answers.append(ask(name, server, kind=kind, pid=pid, timeout_s=0.2))
        last = answers[-1]
        return last is not None and last.records == wanted

    wait_until(is_so, f"{name} is {wanted} at {server}, not {answers}", timeout_s=_SOON_S,
               interval_s=0.002)  # fmt: skip
    return answers[-1]


def _records(data: bytes, at: int, count: int, kind: int) -> Iterator[str]:
    for _ in range(count):
        at = _after_name(data, at)
        found, _class, _ttl, length = struct.unpack_from(">HHIH", data, at)
        at += 10
        if found == kind:
            yield _spelled(data, at, length, kind)
        at += length


def _after_name(data: bytes, at: int) -> int:
    while data[at]:
        if data[at] >= 0xC0:
            return at + 2
        at += data[at] + 1
    return at + 1


def _spelled(data: bytes, at: int, length: int, kind: int) -> str:
    if kind == PTR:
        labels = []
        while data[at] and data[at] < 0xC0:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += data[at] + 1
        return ".".join(labels)
    family = socket.AF_INET if kind == A else socket.AF_INET6
    return socket.inet_ntop(family, data[at : at + length])
