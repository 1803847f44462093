"""The records of what was made: one file per container in `RUN/attachments`.

A record is written before the first change to the kernel and removed after the
last one, so that whatever a kill leaves behind is named by a file.
"""

from __future__ import annotations

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.clock import Process
from ocinet.base.errors import OcinetError, RequestError, SystemFailure
from ocinet.base.files import Directory
from ocinet.base.jsontext import dumps, loads
from ocinet.base.names import check_container
from ocinet.engine.model.attachment import Attachment, Container, Member
from ocinet.engine.model.endpoint import Endpoint, PortRule, rows_of
from ocinet.engine.model.request import Route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocinet.base.paths import Paths

VERSION = 1
_SUFFIX = ".json"


class AttachmentStore:
    """Reads and writes attachments.

    Needs no lock of its own: a record is only written by the holder of its
    container's lock, and readers see whole files.

    Args:
        paths: where the run directory is.
    """

    def __init__(self, paths: Paths) -> None:
        self._path = f"{paths.run}/attachments"

    def get(self, container_id: str) -> Attachment | None:
        """Return a container's record, or None.

        Raises:
            RequestError: the id is not legal.
            SystemFailure: the record can't be read.
        """
        check_container(container_id)
        with Directory(self._path) as directory:
            data = directory.read(container_id + _SUFFIX)
        return None if data is None else _decode(container_id, data)

    def put(self, attachment: Attachment) -> None:
        """Write a record, replacing the container's former one."""
        with Directory(self._path) as directory:
            directory.replace(attachment.container.id + _SUFFIX, dumps(_encode_stored(attachment)))

    def remove(self, container_id: str) -> None:
        """Remove a record; one that is not there is fine."""
        with Directory(self._path) as directory:
            directory.remove(container_id + _SUFFIX)

    def ids(self) -> tuple[str, ...]:
        """List the containers that have a record, sorted."""
        with Directory(self._path) as directory:
            names = directory.names()
        return tuple(sorted(name[: -len(_SUFFIX)] for name in names if name.endswith(_SUFFIX)))

    def all(self) -> tuple[Attachment, ...]:
        """Return every record that can be read, by time."""
        found = []
        for container_id in self.ids():
            try:
                attachment = self.get(container_id)
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
            except OcinetError as error:
                found.append((container_id, error.why))
        return tuple(found)

    def set_aside(self, container_id: str) -> None:
        """Keep an unreadable record as `RUN/attachments/.corrupt-ID`, out of the way."""
        with Directory(self._path) as directory:
            directory.rename(container_id + _SUFFIX, f".corrupt-{container_id}")

    def sweep(self) -> int:
        """Remove what killed writers left half-written; return how many files."""
        with Directory(self._path) as directory:
            return directory.sweep()


def encode(attachment: Attachment) -> dict[str, Any]:
    """Return an attachment as the JSON object that is printed."""
    container = attachment.container
    return {
        "version": VERSION,
        "id": container.id,
        "name": container.name,
        "mode": attachment.mode,
        "state": attachment.state,
        "door": container.door,
        "bundle": container.bundle,
        "process": _encode_process(container.process),
        "sandbox": attachment.sandbox,
        "netns_name": attachment.netns_name,
        "path": attachment.path,
        "boot_id": attachment.boot_id,
        "time": attachment.time,
        "endpoints": [_encode_endpoint(endpoint) for endpoint in attachment.endpoints],
        "ports": [_encode_port(port) for port in attachment.ports],
        "members": [
            {
                "id": member.id,
                "name": member.name,
                "bundle": member.bundle,
                "process": _encode_process(member.process),
            }
            for member in attachment.members
        ],
        "member_of": attachment.member_of,
        "left": attachment.left,
        "done_endpoints": attachment.done_endpoints,
        "done_ports": attachment.done_ports,
    }


def _encode_stored(attachment: Attachment) -> dict[str, Any]:
    """Return the object that is stored: as `encode`, but a row of ports is one entry."""
    rows = [{**_encode_port(port), "count": count} for port, count in rows_of(attachment.ports)]
    return {**encode(attachment.replace(ports=())), "ports": rows}


def _encode_process(process: Process | None) -> dict[str, int] | None:
    return {"pid": process.pid, "start_time": process.start_time} if process else None


def _encode_endpoint(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "network": endpoint.network,
        "device": endpoint.device,
        "ifname": endpoint.ifname,
        "host_ifname": endpoint.host_ifname,
        "host_ifindex": endpoint.host_ifindex,
        "mac": endpoint.mac,
        "mtu": endpoint.mtu,
        "addresses": [str(address) for address in endpoint.addresses],
        "routes": [
            {
                "destination": str(route.destination),
                "gateway": str(route.gateway) if route.gateway else None,
            }
            for route in endpoint.routes
        ],
    }


def _encode_port(port: PortRule) -> dict[str, Any]:
    return {
        "protocol": port.protocol,
        "host_address": str(port.host_address) if port.host_address else None,
        "host_port": port.host_port,
        "address": str(port.address),
        "port": port.port,
    }


def _decode(container_id: str, data: bytes) -> Attachment:
    what = f"cannot read the record of {container_id}"
    try:
        return _decode_attachment(container_id, loads(data, what))
    except RequestError as error:
        raise SystemFailure(what, error.why, "set it aside with: ocinet gc") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise SystemFailure(what, why, "set it aside with: ocinet gc") from error


def _decode_attachment(container_id: str, item: dict[str, Any]) -> Attachment:
    if item["version"] != VERSION or item["id"] != container_id:
        raise ValueError(f"version {item['version']!r} of {item['id']!r}")
    return Attachment(
        container=Container(
            id=container_id,
            name=item["name"],
            bundle=item["bundle"],
            process=_decode_process(item["process"]),
            door=item["door"],
        ),
        mode=item["mode"],
        state=item["state"],
        sandbox=item["sandbox"],
        boot_id=item["boot_id"],
        time=item["time"],
        endpoints=tuple(_decode_endpoint(one) for one in item["endpoints"]),
        ports=tuple(port for row in item["ports"] for port in _decode_ports(row)),
        netns_name=item["netns_name"],
        path=item["path"],
        members=tuple(
            Member(one["id"], one["name"], one["bundle"], _decode_process(one["process"]))
            for one in item["members"]
        ),
        member_of=item["member_of"],
        left=item["left"],
        done_endpoints=item["done_endpoints"],
        done_ports=item["done_ports"],
    )


def _decode_process(item: dict[str, int] | None) -> Process | None:
    return Process(item["pid"], item["start_time"]) if item else None


def _decode_endpoint(item: dict[str, Any]) -> Endpoint:
    return Endpoint(
        network=item["network"],
        device=item["device"],
        ifname=item["ifname"],
        host_ifname=item["host_ifname"],
        mac=item["mac"],
        mtu=item["mtu"],
        addresses=tuple(Interface.parse(text) for text in item["addresses"]),
        routes=tuple(
            Route(Subnet.parse(one["destination"]), _decode_address(one["gateway"]))
            for one in item["routes"]
        ),
        host_ifindex=item["host_ifindex"],
    )


def _decode_ports(row: dict[str, Any]) -> list[PortRule]:
    protocol, address = row["protocol"], Address.parse(row["address"])
    host_address = _decode_address(row["host_address"])
    host_port, port = row["host_port"], row["port"]
    return [
        PortRule(protocol, host_address, host_port + offset, address, port + offset)
        for offset in range(row["count"])
    ]


def _decode_address(text: str | None) -> Address | None:
    return Address.parse(text) if text else None
