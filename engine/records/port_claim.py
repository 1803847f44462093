"""Claims of host ports, and the files that they are in.

    RUN/ports/PROTOCOL-FIRST-LAST      the claims of these 128 ports
    [{"first": 8080, "last": 8089, "address": "", "container": "6f…", "name": "web",
      "time": "…"}]

An `address` of "" is every address of the host, of both families. So many ports
share a file that a thousand of them are a few files, and so few that the claims
of a thousand containers are in many.
"""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.errors import RequestError
from ocinet.base.jsontext import dumps
from ocinet.base.records import ADDRESS, NUMBER, TEXT, Record, listed, load_record, optional
from ocinet.base.value import Value
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.request import PROTOCOLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeVar

    from ocinet.base.files import Directory
    from ocinet.engine.model.request import Protocol, Publish

    P = TypeVar("P", bound=Publish | PortRule)

_PER_FILE = 128


def file_of(protocol: str, port: int) -> str:
    """Return the name of the file that the claims of a port are in."""
    first = port - port % _PER_FILE
    return f"{protocol}-{first}-{first + _PER_FILE - 1}"


class PortClaim(Value):
    """Host ports, one after the other, that a container has; all in one file.

    Attributes:
        protocol: tcp, udp or sctp.
        host_address: None means every address; 0.0.0.0 or ::, every one of a family.
        host_port: 1 to 65535, the first of them.
        container: the runtime's full id.
        name: the container's.
        time: when it was claimed, RFC 3339; tells one claim from the next.
        count: how many ports they are.
    """

    protocol: Protocol
    host_address: Address | None
    host_port: int
    container: str
    name: str
    time: str
    count: int = 1

    @property
    def ports(self) -> range:
        """The ports."""
        return range(self.host_port, self.host_port + self.count)

    def is_element_of(self, other: PortClaim) -> bool:
        """Tell whether both are one element of the firewall's, for a family of `other`'s."""
        # By the exact key, where `overlaps` asks for packets: 127.0.0.1:8080 is another element
        # than 8080, and a claim of the one must not keep the other in.
        if other.host_port not in self.ports:
            return False
        if self.host_address is None:
            return other.host_address is None or not other.host_address.value
        return self.host_address == other.host_address

    def overlaps(self, other: PortClaim) -> bool:
        """Tell whether a packet to one of the ports may be meant for either."""
        if self.host_port >= other.ports.stop or other.host_port >= self.ports.stop:
            return False
        mine, theirs = self.host_address, other.host_address
        if mine is None or theirs is None:
            return True
        anywhere = not mine.value or not theirs.value
        return mine.family == theirs.family and (anywhere or mine == theirs)

    def is_for(self, port: Publish | PortRule) -> bool:
        """Tell whether it is what a request, or a rule that came of it, stands on."""
        if self.host_address == port.host_address:
            return True
        if port.host_address is not None or not isinstance(port, PortRule):
            return False
        # Asked for as 0.0.0.0 or ::, it is a rule without an address (`plan.ports.make_ports`).
        return self.host_address == Address(port.address.family, 0)

    def within(self, ports: range) -> PortClaim:
        """Return the part of it that is in a range that it overlaps."""
        first = max(self.host_port, ports.start)
        return self.replace(host_port=first, count=min(self.ports.stop, ports.stop) - first)

    def without(self, ports: range) -> list[PortClaim]:
        """Return what is left of it without a range: up to two parts."""
        before = range(self.host_port, min(self.ports.stop, ports.start))
        after = range(max(self.host_port, ports.stop), self.ports.stop)
        return [self.within(part) for part in (before, after) if part]

    @property
    def file(self) -> str:
        """The name of its file."""
        return file_of(self.protocol, self.host_port)

    def __str__(self) -> str:
        """Render as `8080/tcp`, `8080-8089/tcp` or `127.0.0.1:8080/tcp`."""
        last = f"-{self.ports[-1]}" if self.count > 1 else ""
        port = f"{self.host_port}{last}/{self.protocol}"
        address = self.host_address
        if address is None:
            return port
        return f"[{address}]:{port}" if address.family == 6 else f"{address}:{port}"


def split_by_file(ports: Iterable[P]) -> dict[str, list[tuple[P, range]]]:
    """Join ports that follow one another, for as far as they are in one file.

    Args:
        ports: with their host ports chosen.

    Returns:
        By file, the first port of each row, and the host ports of the row: all of
        one protocol and host address, and if they are rules, of one family.
    """
    found: dict[str, list[tuple[P, range]]] = {}
    rows: list[tuple[P, range]] = []
    key: tuple[object, ...] = ()
    stop = limit = 0
    for port in ports:
        number = port.host_port
        family = port.address.family if isinstance(port, PortRule) else 0
        if number != stop or number == limit or key != (port.protocol, port.host_address, family):
            key = (port.protocol, port.host_address, family)
            limit = number - number % _PER_FILE + _PER_FILE
            rows = found.setdefault(file_of(port.protocol, number), [])
            rows.append((port, range(number, number)))
        stop = number + 1
        rows[-1] = rows[-1][0], range(rows[-1][1].start, stop)
    return found


def read_claims(directory: Directory, file: str) -> list[PortClaim]:
    """Read the claims of one file; none if there is no such file, or it is none of ours.

    Raises:
        RequestError, SystemFailure: it can't be read.
    """
    protocol, _, ports = file.partition("-")
    first, _, last = ports.partition("-")
    if protocol not in PROTOCOLS or not (first + last).isdigit() or not last:
        return []  # the lock
    content = directory.read(file)
    if content is None:
        return []
    claims = []
    for row in load_record(_CLAIMS, content):
        first, last = row["first"], row["last"]
        if last < first or {file_of(protocol, first), file_of(protocol, last)} != {file}:
            raise RequestError("", f"a claim of {first} to {last} does not belong there")
        claims.append(PortClaim(
            protocol, row["address"], first, row["container"], row["name"], row["time"],
            last - first + 1,
        ))  # fmt: skip
    return claims


def write_claims(directory: Directory, file: str, claims: list[PortClaim]) -> None:
    """Write the claims of one file; none removes it.

    Raises:
        SystemFailure: it can't be written; the old content is still there.
    """
    if not claims:
        directory.remove(file)
        return
    rows = [
        _CLAIM.write_fields({**vars(claim), "first": claim.host_port, "last": claim.ports[-1],
                             "address": claim.host_address})
        for claim in claims
    ]  # fmt: skip
    directory.replace(file, dumps(rows))


_CLAIM = Record(
    dict,
    first=NUMBER,
    last=NUMBER,
    address=optional(ADDRESS, ""),
    container=TEXT,
    name=TEXT,
    time=TEXT,
)
_CLAIMS = listed(_CLAIM)
