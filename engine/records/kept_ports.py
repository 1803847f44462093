"""Host ports that are kept for containers' names: what was chosen once is had again.

    STATE/ports/PROTOCOL,HOST-PORT,PORT,HOST-ADDRESS=NAME
    {"created": "2024-05-01T12:00:00.000Z"}

As `tcp,49153,80,=web`, without a host address every one is meant. The name alone says
what is kept for whom, so whoever claims ports looks at one listing. Files are
synced to disk and stay until they are removed.
"""

from __future__ import annotations

from ocinet.base.address import Address, is_address
from ocinet.base.errors import ConflictError, RequestError, SystemFailure
from ocinet.base.files import Directory
from ocinet.base.jsontext import dumps
from ocinet.base.lock import Lock
from ocinet.base.names import check_container
from ocinet.base.records import TEXT, Record, load_record
from ocinet.base.value import Value
from ocinet.engine.model.request import PROTOCOLS, Publish
from ocinet.engine.records.port_claim import PortClaim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.base.clock import Deadline
    from ocinet.base.paths import Paths

_PORTS = range(1, 65536)


class KeptPort(Value):
    """A host port that only containers of one name get.

    Attributes:
        name: of the container; ids change, names stay.
        publish: how it is published, its host port with it.
        created: RFC 3339; "" where it was not read.
    """

    name: str
    publish: Publish
    created: str = ""

    @property
    def claim(self) -> PortClaim:
        """It as the claim of a container that has it."""
        publish = self.publish
        return PortClaim(
            publish.protocol, publish.host_address, publish.host_port, "", self.name, ""
        )

    def is_for(self, wish: Publish) -> bool:
        """Tell whether it is what a wish for any free port came to."""
        own = self.publish
        return wish.may_have(own.host_port) and (
            (own.protocol, own.host_address, own.container_port)
            == (wish.protocol, wish.host_address, wish.container_port)
        )

    def meets(self, claim: PortClaim) -> bool:
        """Tell whether a packet to a claimed port may be meant for this one."""
        return self.publish.protocol == claim.protocol and self.claim.overlaps(claim)

    @property
    def file(self) -> str:
        """The name of its file."""
        kept = self.publish
        address = kept.host_address or ""
        return f"{kept.protocol},{kept.host_port},{kept.container_port},{address}={self.name}"


def kept_in(files: Iterable[str]) -> tuple[KeptPort, ...]:
    """Return what files are of, by their names; others, the lock among them, are passed over.

    >>> [str(port.claim) for port in kept_in(["tcp,49153,80,127.0.0.1=web", "lock"])]
    ['127.0.0.1:49153/tcp']
    """
    return tuple(kept for file in sorted(files) if (kept := _parse(file)))


def _parse(file: str) -> KeptPort | None:
    what, equals, name = file.partition("=")
    parts = what.split(",")
    if not equals or len(parts) != 4:
        return None
    protocol = next((known for known in PROTOCOLS if known == parts[0]), None)
    numbers = all(text.isascii() and text.isdigit() for text in parts[1:3])
    host_port, port = map(int, parts[1:3]) if numbers else (0, 0)
    if protocol is None or host_port not in _PORTS or port not in _PORTS:
        return None
    if parts[3] and not is_address(parts[3]):
        return None
    address = Address.parse(parts[3]) if parts[3] else None
    return KeptPort(name, Publish(protocol, address, host_port, port))


class KeptPorts:
    """The kept ports on disk.

    Args:
        paths: where state lies.
        deadline: for the lock around changes.
    """

    def __init__(self, paths: Paths, *, deadline: Deadline) -> None:
        self._root = f"{paths.state}/ports"
        self._deadline = deadline

    def add(self, kept: KeptPort) -> bool:
        """Keep a host port for a name.

        Whether a container of another name has it now is for the caller to check.

        Returns:
            False if that very port is kept for that name already; nothing has
            changed then.

        Raises:
            ConflictError: it is kept for another name, or the name has another one kept for
                the same port of its own.
            SystemFailure: it can't be written; nothing has changed then.

        Effects:
            One file, synced to disk, made under the kept ports' lock.
        """
        check_container(kept.name, "container name")
        with Directory(self._root, durable=True) as directory, self._lock():
            # No reboot clears this directory: who writes takes away what killed writers left.
            directory.sweep()
            for other in kept_in(directory.names()):
                if other.name == kept.name and other.publish == kept.publish:
                    return False
                _check(kept, other)
            return directory.create(kept.file, dumps(_CONTENT.write(kept)))

    def remove(self, name: str, publishes: tuple[Publish, ...] = ()) -> tuple[KeptPort, ...]:
        """Forget what is kept for a name.

        Args:
            name: the container's.
            publishes: what of it, by the container's ports; none: all.

        Returns:
            What was kept; empty if there was nothing.

        Raises:
            SystemFailure: a file can't be removed.
        """
        wanted = {(publish.protocol, publish.container_port) for publish in publishes}
        gone = tuple(
            kept
            for kept in self._listed()
            if kept.name == name
            and (not wanted or (kept.publish.protocol, kept.publish.container_port) in wanted)
        )
        if gone:
            with Directory(self._root, durable=True) as directory, self._lock():
                for kept in gone:
                    directory.remove(kept.file)
        return gone

    def all(self) -> tuple[KeptPort, ...]:
        """Return all that is kept, by name and port.

        Raises:
            SystemFailure: the directory can't be read.
        """
        listed = self._listed()
        if not listed:
            return ()
        with Directory(self._root) as directory:
            found = [kept.replace(created=_created(directory, kept)) for kept in listed]
        return tuple(sorted(found, key=lambda kept: (kept.name, kept.publish.host_port, kept.file)))

    def _listed(self) -> tuple[KeptPort, ...]:
        try:
            with Directory(self._root, make=False) as directory:
                return kept_in(directory.names())
        except FileNotFoundError:
            return ()

    def _lock(self) -> Lock:
        return Lock(f"{self._root}/lock", "the kept ports", self._deadline)


def _check(wanted: KeptPort, other: KeptPort) -> None:
    hint = f"give that up first: ocinet reservation rm-port {other.name}"
    if other.name == wanted.name and other.is_for(wanted.publish.replace(host_port=0)):
        port = f"{other.publish.container_port}/{other.publish.protocol}"
        raise ConflictError("", f"{other.name} has {other.claim} kept for its {port}", hint)
    if other.meets(wanted.claim):
        raise ConflictError("", f"{other.claim} is kept for {other.name}", hint)


def _created(directory: Directory, kept: KeptPort) -> str:
    try:
        content = load_record(_CONTENT, directory.read(kept.file) or b"")
    except (RequestError, SystemFailure):
        return ""  # what is kept, the name tells
    return str(content["created"])


_CONTENT = Record(dict, created=TEXT)
