"""What this host keeps of its cluster, synced before anything is made by it.

    /var/lib/ocinet/cluster/prod.json

It says what is ours without etcd: whoever starts a container, or this host after its boot,
needs nobody else to know it. A host is in one cluster.
"""

from __future__ import annotations

from ocinet.base.errors import (
    ConflictError,
    NotFoundError,
    OcinetError,
    SystemFailure,
)
from ocinet.base.files import Directory
from ocinet.base.jsontext import dumps
from ocinet.base.lock import Lock
from ocinet.base.records import SUBNET, TEXT, Record, listed, load_record, one_of
from ocinet.base.value import Value
from ocinet.cluster.access import ACCESS, Access
from ocinet.cluster.decode import KINDS
from ocinet.cluster.identity import directory
from ocinet.cluster.model import Cluster, Host, Mine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Subnet
    from ocinet.base.clock import Deadline
    from ocinet.base.paths import Paths

JOINED, LEAVING = "joined", "leaving"
_SUFFIX = ".json"


class Kept(Value):
    """What this host is in a cluster.

    Attributes:
        cluster: what all have in common.
        host: this one, as it last wrote itself.
        shares: its own.
        access: how etcd is reached.
        state: `JOINED`, or `LEAVING` from when it was decided until all is given back.
        underlay: as it was asked for: an address, a device, or "" for where etcd is reached by.
        name: as it was asked for, or "" for the hostname, whatever that is.
    """

    cluster: Cluster
    host: Host
    shares: tuple[Subnet, ...]
    access: Access
    state: str = JOINED
    underlay: str = ""
    name: str = ""

    @property
    def mine(self) -> Mine:
        """This host, as a data plane is told of it."""
        return Mine(self.host, self.shares, self.cluster)


_KEPT = Record(
    Kept,
    cluster=KINDS[Cluster],
    host=KINDS[Host],
    shares=listed(SUBNET),
    access=ACCESS,
    state=one_of(JOINED, LEAVING),
    underlay=TEXT,
    name=TEXT,
)


class Keeping:
    """Reads and writes it.

    Args:
        paths: of the installation.

    Attributes:
        paths: likewise.
    """

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self._path = directory(paths)
        self._run = paths.run

    def lock(self, deadline: Deadline | None) -> Lock:
        """Return the lock under which a host joins, leaves, and acts by what it keeps."""
        return Lock(f"{self._run}/locks/cluster", "this host's cluster", deadline)

    def names(self) -> tuple[str, ...]:
        """Return the clusters that this host is in: one, or none."""
        try:
            with Directory(self._path, make=False) as kept:
                files = kept.names()
        except FileNotFoundError:
            return ()
        return tuple(sorted(file[: -len(_SUFFIX)] for file in files if file.endswith(_SUFFIX)))

    def find(self) -> Kept | None:
        """Return what this host is in a cluster; None if it is in none.

        Raises:
            SystemFailure: it can't be read, or makes no sense.
        """
        names = self.names()
        return self._read(names[0]) if names else None

    def get(self, name: str | None = None) -> Kept:
        """Return what this host is in a cluster.

        Args:
            name: which one it should be; None: that is all one.

        Raises:
            NotFoundError: it is in none, or in another one.
            SystemFailure: it can't be read, or makes no sense.
        """
        kept = self.find()
        if kept is None:
            raise NotFoundError(
                "", "this host is in no cluster", "ocinet cluster join NAME --etcd …"
            )
        if name not in (None, kept.cluster.name):
            raise NotFoundError(
                "", f"this host is not in cluster {name} but in {kept.cluster.name}"
            )
        return kept

    def put(self, kept: Kept) -> None:
        """Keep it, on the disk before this returns.

        Raises:
            ConflictError: this host is in another cluster.
            SystemFailure: it can't be written; what was there is there still.
        """
        name = kept.cluster.name
        for other in self.names():
            if other != name:
                raise ConflictError("", f"this host is in cluster {other} already",
                                    f"ocinet cluster leave {other}")  # fmt: skip
        with Directory(self._path, durable=True) as state:
            state.replace(name + _SUFFIX, dumps(_KEPT.write(kept)) + "\n")
            state.sweep()

    def remove(self, name: str) -> None:
        """Forget a cluster; one that is not known is fine.

        Raises:
            SystemFailure: it can't be removed.
        """
        try:
            with Directory(self._path, durable=True, make=False) as state:
                state.remove(name + _SUFFIX)
        except FileNotFoundError:
            return

    def _read(self, name: str) -> Kept | None:
        path = f"{self._path}/{name}{_SUFFIX}"
        with Directory(self._path, make=False) as state:
            data = state.read(name + _SUFFIX)
        if data is None:  # removed meanwhile
            return None
        try:
            kept: Kept = load_record(_KEPT, data)
        except OcinetError as error:
            raise SystemFailure(f"cannot read what is kept of cluster {name}",
                                f"{path}: {error.why}",
                                f"mend {path}, or remove it and join anew")  from error  # fmt: skip
        return kept
