"""A lease: an address held by an endpoint on a network, and its file.

    {"network": "lan", "address": "10.9.0.5", "container": "6f…", "ifname": "eth0",
     "sandbox": "4:4026532281", "host_ifname": "oc0123456789abc", "pid": 812,
     "start_time": 90113, "boot_id": "f3…", "name": "web", "time": "2024-05-01T12:00:00.000Z"}

A file that can't be read as one is no free address. It is copied aside and its
name taken by a tombstone, until someone releases it on purpose:

    {"quarantined": "it is not JSON at character 0", "time": "…"}
"""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.clock import Process
from ocinet.base.errors import RequestError
from ocinet.base.jsontext import dumps
from ocinet.base.records import ADDRESS, NUMBER, OBJECT, TEXT, WORD, Record, load_record
from ocinet.base.value import Value


class Holder(Value):
    """The endpoint that holds a lease, and what its life is known by.

    Attributes:
        container: the runtime's full id.
        ifname: of the container's end.
        sandbox: its namespace as `DEV:INODE`; "" if that is not known.
        host_ifname: of the host's end.
        process: the container's first process; None if there is none to follow.
        boot_id: of the boot it was made in.
        name: the container's, for people.
    """

    container: str
    ifname: str
    sandbox: str
    host_ifname: str
    process: Process | None
    boot_id: str
    name: str = ""

    def same_endpoint(self, other: Holder) -> bool:
        """Tell whether both are one endpoint in one sandbox of one boot."""
        return (
            # Whatever process was first: early attach may know a container by a passing one.
            self.container == other.container
            and self.ifname == other.ifname
            and self.sandbox == other.sandbox
            and self.boot_id == other.boot_id
        )


class Lease(Value):
    """An address that an endpoint holds.

    Attributes:
        network: its name.
        address: of one of the network's pools.
        holder: whose it is.
        time: when it was given, RFC 3339.
    """

    network: str
    address: Address
    holder: Holder
    time: str

    def to_json(self) -> str:
        """Render as in the module's example."""
        process = self.holder.process or _NOBODY
        return dumps(_LEASE.write_fields({**vars(self), **vars(self.holder), **vars(process)}))


class Tombstone(Value):
    """What keeps the name of an unreadable lease from being given out.

    Attributes:
        why: what was wrong with the file.
        time: when it was found, RFC 3339.
    """

    why: str
    time: str

    def to_json(self) -> str:
        """Render as in the module's example."""
        return dumps({"quarantined": self.why, "time": self.time})


def read_lease(content: bytes) -> Lease | Tombstone:
    """Read the content of a lease file; keys that are not known are passed over.

    Raises:
        RequestError: it is neither a lease nor a tombstone; says in which way.
    """
    if not content:
        raise RequestError("", "it is empty")
    fields = load_record(OBJECT, content)
    if "quarantined" in fields:
        return Tombstone(str(fields["quarantined"]), str(fields.get("time", "")))
    lease: Lease = _LEASE.read({**_ABSENT, **fields})
    return lease


def _make_lease(
    network: str, address: Address, time: str, pid: int, start_time: int, **holder: str
) -> Lease:
    process = Process(pid, start_time) if pid else None
    return Lease(network, address, Holder(process=process, **holder), time)


_NOBODY = Process(0, 0)  # stands for None in a file
_LEASE = Record(
    _make_lease,
    network=WORD,
    address=ADDRESS,
    container=WORD,
    ifname=WORD,
    sandbox=TEXT,
    host_ifname=TEXT,
    pid=NUMBER,
    start_time=NUMBER,
    boot_id=TEXT,
    name=TEXT,
    time=TEXT,
)
_ABSENT = {"sandbox": "", "host_ifname": "", "pid": 0, "start_time": 0, "boot_id": "", "name": "",
           "time": ""}  # fmt: skip  # what a file need not say
