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
from ocinet.base.jsontext import dumps, loads
from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NEEDED = ("network", "address", "container", "ifname")
_TEXTS = (*_NEEDED, "sandbox", "host_ifname", "boot_id", "time", "name")


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
        holder = self.holder
        process = holder.process
        return dumps({
            "network": self.network,
            "address": str(self.address),
            "container": holder.container,
            "ifname": holder.ifname,
            "sandbox": holder.sandbox,
            "host_ifname": holder.host_ifname,
            "pid": process.pid if process else 0,
            "start_time": process.start_time if process else 0,
            "boot_id": holder.boot_id,
            "name": holder.name,
            "time": self.time,
        })  # fmt: skip

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Lease:
        """Read the JSON object that `to_json` wrote; keys that are not known are passed over.

        Raises:
            RequestError: it is no lease; says in which way.
        """
        texts = [fields.get(key, "") for key in _TEXTS]
        pid, start_time = fields.get("pid", 0), fields.get("start_time", 0)
        if set(map(type, texts)) != {str} or "" in texts[: len(_NEEDED)]:
            raise RequestError("", f"it has no {_missing(fields)}")
        if type(pid) is not int or type(start_time) is not int or pid < 0:
            raise RequestError("", "its pid or start_time is no number")
        network, address, container, ifname, sandbox, host_ifname, boot_id, time, name = texts
        process = Process(pid, start_time) if pid else None
        holder = Holder(container, ifname, sandbox, host_ifname, process, boot_id, name)
        return cls(network, Address.parse(address), holder, time)


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
    """Read the content of a lease file.

    Raises:
        RequestError: it is neither a lease nor a tombstone.
    """
    fields = _fields(content)
    if "quarantined" not in fields:
        return Lease.from_fields(fields)
    return Tombstone(str(fields["quarantined"]), str(fields.get("time", "")))


def _missing(fields: dict[str, Any]) -> str:
    """Return the first key whose value is none that a lease may have."""
    for key in _TEXTS:
        value = fields.get(key, "")
        if not isinstance(value, str) or (key in _NEEDED and not value):
            return key
    return ""


def _fields(content: bytes) -> dict[str, Any]:
    if not content:
        raise RequestError("", "it is empty")
    fields = loads(content, "")
    if not isinstance(fields, dict):
        raise RequestError("", "it is no JSON object")
    return fields
