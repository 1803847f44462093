"""The records of what was made: one file per container in `RUN/attachments`.

A record is written before the first change to the kernel and removed after the
last one, so that whatever a kill leaves behind is named by a file.
"""

from __future__ import annotations

from ocinet.base.clock import Process
from ocinet.base.errors import OcinetError, RequestError, SystemFailure, TransientFailure
from ocinet.base.files import Directory
from ocinet.base.jsontext import dumps
from ocinet.base.names import check_container
from ocinet.base.records import (
    ADDRESS,
    FLAG,
    INTERFACE,
    NUMBER,
    TEXT,
    Defaulted,
    Kind,
    Record,
    listed,
    load_record,
    one_of,
    optional,
)
from ocinet.engine.model.attachment import ATTACHED, ATTACHING, Attachment, Container, Member
from ocinet.engine.model.endpoint import Endpoint, InsideSysctl, PortRule, rows_of
from ocinet.engine.model.request import PROTOCOLS
from ocinet.engine.records.routes import ROUTE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocinet.base.address import Address
    from ocinet.base.paths import Paths
    from ocinet.engine.model.access import Access
    from ocinet.engine.model.bandwidth import Bandwidth
    from ocinet.engine.model.plug import Plug
    from ocinet.engine.model.request import Protocol
    from ocinet.engine.model.resolution import Resolution

VERSION = 1
_SUFFIX = ".json"
_PORTS = 1 << 16


class AttachmentStore:
    """Reads and writes attachments.

    Needs no lock of its own: a record is only written by the holder of its
    container's lock, and readers see whole files. One that is kept reads anew what has
    changed; it is not for several threads at once.

    Args:
        paths: where the run directory is.
    """

    def __init__(self, paths: Paths) -> None:
        self._path = f"{paths.run}/attachments"
        # Of a thousand records, all are read several times in one operation, and decoding
        # takes the most of it.
        self._decoded: dict[str, tuple[bytes, Attachment]] = {}

    @property
    def path(self) -> str:
        """The directory that the records are in."""
        return self._path

    def get(self, container_id: str) -> Attachment | None:
        """Return a container's record, or None.

        Raises:
            RequestError: the id is not legal.
            SystemFailure: the record can't be read.
        """
        check_container(container_id)
        with Directory(self._path) as directory:
            data = directory.read(container_id + _SUFFIX)
        if data is None:
            return None
        known = self._decoded.get(container_id)
        if known is None or known[0] != data:
            path = f"{self._path}/{container_id}{_SUFFIX}"
            known = self._decoded[container_id] = data, _decode(container_id, data, path)
        return known[1]

    def put(self, attachment: Attachment) -> None:
        """Write a record, replacing the container's former one."""
        with Directory(self._path) as directory:
            # Not synced: no record of a boot means anything after it.
            directory.replace(attachment.container.id + _SUFFIX, dumps(_encode_stored(attachment)))

    def remove(self, container_id: str) -> None:
        """Remove a record; one that is not there is fine."""
        with Directory(self._path) as directory:
            directory.remove(container_id + _SUFFIX)

    def ids(self) -> tuple[str, ...]:
        """List the containers that have a record, sorted."""
        with Directory(self._path) as directory:
            names = directory.names()
        return tuple(sorted(filter(None, map(id_of, names))))

    def all(self) -> tuple[Attachment, ...]:
        """Return every record that can be read, by time."""
        found = []
        ids = self.ids()
        if len(self._decoded) > len(ids):  # who keeps a store must not keep the dead
            known = self._decoded
            self._decoded = {each: known[each] for each in ids if each in known}
        for container_id in ids:
            try:
                attachment = self.get(container_id)
            except TransientFailure:
                raise  # who goes by all of them must not go by some
            except OcinetError:
                continue  # `unreadable` tells of it
            if attachment is not None:
                found.append(attachment)
        return tuple(sorted(found, key=lambda attachment: attachment.time))

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """List the records that can't be read, each with the reason."""
        found = []
        for container_id in self.ids():
            try:
                self.get(container_id)
            except TransientFailure:
                raise
            except OcinetError as error:
                found.append((container_id, error.why))
        return tuple(found)

    def set_aside(self, container_id: str) -> None:
        """Keep an unreadable record as `RUN/attachments/.corrupt-ID`, out of the way."""
        with Directory(self._path) as directory:
            # A name with a dot in front is in no listing (`Directory.names`).
            directory.rename(container_id + _SUFFIX, f".corrupt-{container_id}")


def id_of(name: str) -> str:
    """Return whose record a file has by its name, or "" if it is none."""
    return name.removesuffix(_SUFFIX) if name.endswith(_SUFFIX) else ""


def encode(attachment: Attachment) -> dict[str, Any]:
    """Return an attachment as the JSON object that is printed."""
    shown = _RECORD.write_fields(_fields(attachment.replace(ports=())))
    return {**shown, "ports": [_PORT.write(port) for port in attachment.ports]}


def encode_whole(attachment: Attachment) -> dict[str, Any]:
    """Return the same with every field, also those that say nothing of this one: for templates."""
    return {**_RECORD.unsaid(), **encode(attachment)}


def _encode_stored(attachment: Attachment) -> dict[str, Any]:
    """Return the object that is stored: as `encode`, but a row of ports is one entry."""
    return _RECORD.write_fields(_fields(attachment))


def _fields(attachment: Attachment) -> dict[str, Any]:
    return {"version": VERSION, **vars(attachment.container), **vars(attachment)}


def _decode(container_id: str, data: bytes, path: str) -> Attachment:
    """Read a record.

    Raises:
        SystemFailure: it makes no sense; names the file.
    """
    try:
        attachment: Attachment = load_record(_RECORD, data)
        if attachment.container.id != container_id:
            raise RequestError("", f"it is of {attachment.container.id}")
    except RequestError as error:
        what = f"cannot read the record of {container_id}"
        raise SystemFailure(what, f"{path}: {error.why}", "set it aside with: ocinet gc") from error
    return attachment


def _make_attachment(**fields: Any) -> Attachment:
    del fields["version"]
    container = Container(**{name: fields.pop(name) for name in Container._fields})
    return Attachment(container=container, **fields)


def _make_row(
    protocol: Protocol,
    host_address: Address | None,
    host_port: int,
    address: Address,
    port: int,
    count: int,
) -> list[PortRule]:
    # Before a damaged count becomes a million rules.
    if max(host_port, port) + count > _PORTS:
        raise RequestError("", f"there is no port {max(host_port, port) + count - 1}")
    return [
        PortRule(protocol, host_address, host_port + offset, address, port + offset)
        for offset in range(count)
    ]


def _write_rows(ports: tuple[PortRule, ...]) -> list[dict[str, Any]]:
    # By rows: a thousand ports in a row are written, and read at each detach, as one.
    return [_ROW.write_fields({**vars(port), "count": count}) for port, count in rows_of(ports)]


def _read_rows(rows: Any) -> tuple[PortRule, ...]:
    return tuple([port for row in _ROWS.read(rows) for port in row])


def _read_bandwidth(value: Any) -> Bandwidth:
    from ocinet.engine.records.bandwidths import BANDWIDTH  # likewise

    bandwidth: Bandwidth = BANDWIDTH.read(value)
    return bandwidth


def _write_bandwidth(bandwidth: Bandwidth | None) -> dict[str, Any] | None:
    if bandwidth is None:
        return None
    from ocinet.engine.records.bandwidths import BANDWIDTH

    return BANDWIDTH.write(bandwidth)


def _read_resolution(value: Any) -> Resolution:
    from ocinet.engine.records.resolutions import RESOLUTION  # for the few that have one

    resolution: Resolution = RESOLUTION.read(value)
    return resolution


def _write_resolution(resolution: Resolution | None) -> dict[str, Any] | None:
    if resolution is None:
        return None
    from ocinet.engine.records.resolutions import RESOLUTION

    return RESOLUTION.write(resolution)


def _read_plugs(value: Any) -> tuple[Plug, ...]:
    from ocinet.engine.records.cables import PLUGS  # for the few that have one

    plugs: tuple[Plug, ...] = PLUGS.read(value)
    return plugs


def _write_plugs(plugs: tuple[Plug, ...]) -> list[dict[str, Any]]:
    if not plugs:
        return []
    from ocinet.engine.records.cables import PLUGS

    written: list[dict[str, Any]] = PLUGS.write(plugs)
    return written


_SYSCTL = Record(InsideSysctl, key=TEXT, value=TEXT, before=optional(TEXT))


def _read_access(value: Any) -> Access:
    from ocinet.engine.records.accesses import ACCESS  # likewise

    access: Access = ACCESS.read(value)
    return access


def _write_access(access: Access | None) -> dict[str, Any] | None:
    if access is None:
        return None
    from ocinet.engine.records.accesses import ACCESS

    return ACCESS.write(access)


_PROCESS = Record(Process, pid=NUMBER, start_time=NUMBER)
_ENDPOINT = Record(
    Endpoint,
    network=TEXT,
    device=TEXT,
    ifname=TEXT,
    host_ifname=TEXT,
    host_ifindex=NUMBER,
    mac=TEXT,
    mtu=NUMBER,
    addresses=listed(INTERFACE),
    routes=listed(ROUTE),
    sysctls=Defaulted(listed(_SYSCTL), ()),
    bandwidth=Defaulted(Kind(_read_bandwidth, _write_bandwidth), None),
    egress=Defaulted(listed(ADDRESS), ()),
    ifindex=Defaulted(NUMBER, 0),
)
_PORT_FIELDS: dict[str, Kind] = {
    "protocol": one_of(*PROTOCOLS),
    "host_address": optional(ADDRESS),
    "host_port": NUMBER,
    "address": ADDRESS,
    "port": NUMBER,
}
_PORT = Record(PortRule, **_PORT_FIELDS)
_ROW = Record(_make_row, **_PORT_FIELDS, count=NUMBER)
_ROWS = listed(_ROW)
_MEMBER = Record(Member, id=TEXT, name=TEXT, bundle=TEXT, process=optional(_PROCESS))
_RECORD = Record(
    _make_attachment,
    version=one_of(VERSION),
    id=TEXT,
    name=TEXT,
    mode=one_of("bridge", "host", "container", "none"),
    state=one_of(ATTACHING, ATTACHED),
    door=TEXT,
    bundle=TEXT,
    process=optional(_PROCESS),
    sandbox=TEXT,
    netns_name=TEXT,
    path=TEXT,
    boot_id=TEXT,
    time=TEXT,
    endpoints=listed(_ENDPOINT),
    ports=Kind(_read_rows, _write_rows),
    members=listed(_MEMBER),
    member_of=TEXT,
    left=FLAG,
    done_endpoints=NUMBER,
    done_ports=NUMBER,
    resolution=Defaulted(Kind(_read_resolution, _write_resolution), None),
    unnamed=Defaulted(FLAG, default=False),
    rootfs=Defaulted(TEXT, ""),
    plugs=Defaulted(Kind(_read_plugs, _write_plugs), ()),
    served=Defaulted(listed(TEXT), ()),
    access=Defaulted(Kind(_read_access, _write_access), None),
    stranded=Defaulted(TEXT, ""),
    left_behind=Defaulted(listed(TEXT), ()),
)
