"""A claim of a host port, and its file.

    RUN/ports/PROTOCOL-PORT
    [{"address": "", "container": "6f…", "name": "web", "time": "…"}]

An `address` of "" is every address of the host, of both families.
"""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.errors import RequestError
from ocinet.base.jsontext import dumps, loads
from ocinet.base.value import Value
from ocinet.engine.model import PROTOCOLS, PortRule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocinet.base.files import Directory
    from ocinet.engine.model import Protocol, Publish


class PortClaim(Value):
    """One host port that a container has.

    Attributes:
        protocol: tcp, udp or sctp.
        host_address: None means every address; 0.0.0.0 or ::, every one of a family.
        host_port: 1 to 65535.
        container: the runtime's full id.
        name: the container's.
        time: when it was claimed, RFC 3339; tells one claim from the next.
    """

    protocol: Protocol
    host_address: Address | None
    host_port: int
    container: str
    name: str
    time: str

    def is_element_of(self, other: PortClaim) -> bool:
        """Tell whether both are one element of the firewall's, for a family of `other`'s."""
        if self.host_address is None:
            return other.host_address is None or not other.host_address.value
        return self.host_address == other.host_address

    def overlaps(self, other: PortClaim) -> bool:
        """Tell whether a packet to that port may be meant for either."""
        one, two = self.host_address, other.host_address
        if one is None or two is None:
            return True
        return one.family == two.family and (not one.value or not two.value or one == two)

    def is_for(self, port: Publish | PortRule) -> bool:
        """Tell whether it is what a request, or a rule that came of it, stands on."""
        if self.host_address == port.host_address:
            return True
        if port.host_address is not None or not isinstance(port, PortRule):
            return False
        return self.host_address == Address(port.address.family, 0)

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.protocol}-{self.host_port}"

    def __str__(self) -> str:
        """Render as `8080/tcp` or `127.0.0.1:8080/tcp`."""
        port = f"{self.host_port}/{self.protocol}"
        address = self.host_address
        if address is None:
            return port
        return f"[{address}]:{port}" if address.family == 6 else f"{address}:{port}"


def read_claims(directory: Directory, file: str) -> list[PortClaim]:
    """Read the claims of one port; none if there is no such file, or it is none of ours.

    Raises:
        RequestError, SystemFailure: it can't be read.
    """
    protocol, _, port = file.partition("-")
    if protocol not in PROTOCOLS or not (port.isascii() and port.isdigit()):
        return []  # the lock
    content = directory.read(file)
    if content is None:
        return []
    listed = loads(content, "")
    try:
        if not isinstance(listed, list):
            raise TypeError
        return [_decode(protocol, int(port), one) for one in listed]
    except (TypeError, KeyError):
        raise RequestError("", "it is no list of claims") from None


def _decode(protocol: str, port: int, fields: Any) -> PortClaim:
    texts = [fields[key] for key in ("address", "container", "name", "time")]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError
    address, container, name, time = texts
    return PortClaim(
        protocol,  # type: ignore[arg-type]  # PROTOCOLS lists that literal's values
        Address.parse(address) if address else None,
        port,
        container,
        name,
        time,
    )


def write_claims(directory: Directory, file: str, claims: list[PortClaim]) -> None:
    """Write the claims of one port; none removes the file.

    Raises:
        SystemFailure: it can't be written; the old content is still there.
    """
    if not claims:
        directory.remove(file)
        return
    directory.replace(file, dumps([
        {
            "address": "" if claim.host_address is None else str(claim.host_address),
            "container": claim.container,
            "name": claim.name,
            "time": claim.time,
        }
        for claim in claims
    ]))  # fmt: skip
