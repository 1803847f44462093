"""What is known of a cluster, kept for when this host comes up and etcd does not.

    /var/lib/ocinet/cluster/prod.known

It is etcd's word: read as carefully as etcd itself, and never what this host is. Of 1,000 hosts it
has 250 kB; what `Directory` reads, 1 MiB, is some 4,000.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode

from ocinet.base.errors import OcinetError, SystemFailure
from ocinet.base.files import Directory
from ocinet.base.jsontext import MAX_BYTES, dumps, loads
from ocinet.base.value import Value
from ocinet.cluster.identity import directory
from ocinet.cluster.store import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.paths import Paths

SUFFIX = ".known"
_LONGEST = 64 << 20  # bytes, unpacked


class Mark(Value):
    """Up to where etcd was read.

    Attributes:
        store: the id of etcd's cluster; 0: none was.
        revision: of it.
    """

    store: int = 0
    revision: int = 0

    def is_older_than(self, other: Mark) -> bool:
        """Tell whether etcd has lost what it had: it is another one, or has gone back."""
        return bool(other.store) and (self.store != other.store or self.revision < other.revision)


class Memory(Value):
    """What is known of a cluster, for when etcd is not there to tell it.

    Attributes:
        entries: as they stood.
        mark: up to where.
    """

    entries: tuple[Entry, ...] = ()
    mark: Mark = Mark()


def keep(paths: Paths, name: str, memory: Memory) -> None:
    """Write it; not synced, for etcd has it, too.

    Raises:
        SystemFailure: it can't be written, or is more than could be read again.
    """
    known = {
        "store": memory.mark.store,
        "revision": memory.mark.revision,
        "entries": [[entry.key, entry.value.hex(), entry.created] for entry in memory.entries],
    }
    packed = b64encode(zlib.compress(dumps(known).encode(), 1)).decode()
    if len(packed) > MAX_BYTES:
        path = f"{directory(paths)}/{name}{SUFFIX}"
        raise SystemFailure(f"cannot write {path}", f"it would be longer than {MAX_BYTES} bytes")
    with Directory(directory(paths)) as state:
        state.replace(name + SUFFIX, packed)


def recall(paths: Paths, name: str) -> Memory:
    """Read it; nothing if it is not there, can't be read, or makes no sense."""
    try:
        with Directory(directory(paths)) as state:
            packed = state.read(name + SUFFIX) or b""
        plain = zlib.decompressobj().decompress(b64decode(packed), _LONGEST)
        known = loads(plain, "", _LONGEST)
        entries = tuple(
            Entry(str(key), bytes.fromhex(value), int(created))
            for key, value, created in known["entries"]
        )
        return Memory(entries, Mark(int(known["store"]), int(known["revision"])))
    except (OcinetError, ValueError, TypeError, KeyError, zlib.error):
        return Memory()  # etcd tells it anew


def forget(paths: Paths, name: str) -> None:
    """Remove it; that it is not there is fine."""
    with Directory(directory(paths)) as state:
        state.remove(name + SUFFIX)
