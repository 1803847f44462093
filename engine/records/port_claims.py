"""Claims of published host ports: which container has which.

The firewall deletes an element by its key, whoever put it in, so whoever wants
one deleted asks here first whose port it is.
"""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.clock import now
from ocinet.base.errors import ConflictError, ExhaustedError, RequestError, SystemFailure
from ocinet.base.files import Directory
from ocinet.base.lock import Lock
from ocinet.base.names import check_container
from ocinet.engine.kernel.listeners import listeners, owner_of
from ocinet.engine.records.free_port import candidates, ephemeral_range, reserved_ports
from ocinet.engine.records.port_claim import (
    PortClaim,
    file_of,
    read_claims,
    split_by_file,
    write_claims,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from ocinet.base.clock import Deadline
    from ocinet.base.paths import Paths
    from ocinet.engine.kernel.listeners import Listener
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.request import Protocol, Publish


class _Unjudged(Exception):
    """Somebody has to find out first whether these claims' containers live."""

    def __init__(self, claims: Iterable[PortClaim]) -> None:
        super().__init__()
        self.claims = tuple(claims)


class _Occupied(Exception):
    """A socket listens on a port."""

    def __init__(self, claim: PortClaim, listener: Listener) -> None:
        super().__init__()
        self.claim = claim
        self.listener = listener

    def error(self) -> ConflictError:
        """Name the process."""
        return ConflictError(
            "",
            f"the host's port {self.claim} is taken: {owner_of(self.listener.inode)}"
            f" listens on {self.listener}",
            "publish another port, or stop that process",
        )


def _everyone_lives(_claim: PortClaim) -> bool:
    return True


def _tell_nobody(_event: str, **_fields: str) -> None:
    return


class PortClaims:
    """The claims of host ports.

    Args:
        paths: where they lie.
        deadline: for the lock around them.
        holder_lives: whether a claim's container still needs it; asked without
            the lock. Without it, every claim stands until it is released.
        report: takes what is worth an event: its phrase, and fields.
    """

    def __init__(
        self,
        paths: Paths,
        *,
        deadline: Deadline,
        holder_lives: Callable[[PortClaim], bool] = _everyone_lives,
        report: Callable[..., None] = _tell_nobody,
    ) -> None:
        self._root = f"{paths.run}/ports"
        self._deadline = deadline
        self._holder_lives = holder_lives
        self._report = report

    def claim(
        self,
        container: str,
        name: str,
        publishes: tuple[Publish, ...],
        *,
        families: tuple[int, ...] = (4, 6),
    ) -> tuple[Publish, ...]:
        """Claim host ports for a container: all of them, or none.

        What it has already, it may claim again.

        Args:
            container: the runtime's full id.
            name: the container's.
            publishes: with a host port of 0 for any free one.
            families: that packets will be redirected of where no host address
                says so: sockets of the others are not in the way.

        Returns:
            `publishes`, with the free ports chosen.

        Raises:
            RequestError: two of them overlap.
            ConflictError: another container has one, or a process listens on
                it; names who.
            ExhaustedError: no free port is left to choose.
            BusyError: the lock was not had in time.
            SystemFailure: a claim can't be written, or sockets not be listed.

        Effects:
            A few small files, under the ports' lock.
        """
        check_container(container)
        if not publishes:
            return ()
        sockets = _listening(publishes)
        living: set[PortClaim] = set()
        dead: set[PortClaim] = set()
        while True:
            self._deadline.check("cannot claim ports")
            try:
                with Directory(self._root) as directory, self._lock():
                    attempt = _Attempt(directory, container, name, sockets, families)
                    claimed, former = attempt.run(publishes, living, dead)
            except _Unjudged as doubt:
                for claim in doubt.claims:
                    (living if self._holder_lives(claim) else dead).add(claim)
                continue
            except _Occupied as occupied:
                # Looking through /proc takes a while: not under the lock.
                raise occupied.error() from None
            for claim in former:
                self._report("port taken over", port=str(claim), container=container,
                             former=claim.container)  # fmt: skip
            return claimed

    def release(self, container: str, ports: Iterable[Publish | PortRule]) -> None:
        """Give a container's ports back; what is not its own, or not there, is passed over.

        Raises:
            BusyError: the lock was not had in time.
            SystemFailure: a file can't be written or removed.
        """
        by_file = split_by_file(ports)

        def left(claim: PortClaim) -> list[PortClaim]:
            parts = [claim] if claim.container == container else []
            for port, row in by_file[claim.file]:
                if claim.is_for(port):
                    parts = [one for part in parts for one in part.without(row)]
            return parts if claim.container == container else [claim]

        self._drop(by_file, left)

    def release_all(self, container: str) -> None:
        """Give back whatever a container has, from a look at every claim.

        Raises:
            BusyError: the lock was not had in time.
            SystemFailure: a file can't be written or removed.
        """
        files = {claim.file for claim in self.all() if claim.container == container}
        self._drop(files, lambda claim: [] if claim.container == container else [claim])

    def held(self, container: str, ports: tuple[PortRule, ...]) -> tuple[PortRule, ...]:
        """Return those of a container's ports that no other container claims by now.

        They alone may be taken out of the firewall for it: an element is known
        by its port, and may be the new holder's. One whose claims can't be read
        is not returned.
        """
        directory = self._open() if ports else None
        if directory is None:
            return ports
        with directory:
            rivals = {file: _rivals(directory, file, container) for file in split_by_file(ports)}
        if not any(rivals.values()):
            return ports
        return tuple(
            port
            for port in ports
            if not any(
                one is None or one.is_element_of(_claim_of(port))
                for one in rivals[file_of(port.protocol, port.host_port)]
            )
        )

    def all(self) -> tuple[PortClaim, ...]:
        """Return every claim that can be read, by protocol and port."""
        directory = self._open()
        if directory is None:
            return ()
        found: list[PortClaim] = []
        with directory:
            for file in directory.names():
                try:
                    found += read_claims(directory, file)
                except (RequestError, SystemFailure):
                    continue
        return tuple(sorted(found, key=lambda one: (one.protocol, one.host_port, str(one))))

    def holders(self) -> tuple[str, ...]:
        """Return the containers that have claims."""
        return tuple(sorted({claim.container for claim in self.all()}))

    def sweep(self) -> int:
        """Remove what killed writers left behind; returns how many files."""
        directory = self._open()
        if directory is None:
            return 0
        with directory, self._lock():
            return directory.sweep()

    def _drop(
        self, files: Collection[str], left_of: Callable[[PortClaim], list[PortClaim]]
    ) -> None:
        directory = self._open() if files else None
        if directory is None:
            return
        with directory, self._lock():
            for file in files:
                try:
                    claims = read_claims(directory, file)
                except (RequestError, SystemFailure):
                    continue  # whose it is can't be told: it stays taken
                left = [part for claim in claims for part in left_of(claim)]
                if left != claims:
                    write_claims(directory, file, left)

    def _open(self) -> Directory | None:
        """Open the directory, if there is one: nobody has claimed anything without."""
        try:
            return Directory(self._root, make=False)
        except FileNotFoundError:
            return None

    def _lock(self) -> Lock:
        return Lock(f"{self._root}/lock", "the ports", self._deadline)


def _rivals(directory: Directory, file: str, container: str) -> list[PortClaim | None]:
    """Return the claims of all but one container in a file; None stands for what can't be read."""
    try:
        return [one for one in read_claims(directory, file) if one.container != container]
    except (RequestError, SystemFailure):
        return [None]


def _claim_of(port: PortRule) -> PortClaim:
    """Return a rule as the claim of its one port, whoever's."""
    address = port.host_address or Address(port.address.family, 0)
    return PortClaim(port.protocol, address, port.host_port, "", "", "")


class _Attempt:
    """One try to claim, under the lock: decide on every port, then write."""

    def __init__(
        self,
        directory: Directory,
        container: str,
        name: str,
        sockets: tuple[Listener, ...],
        families: tuple[int, ...],
    ) -> None:
        self._directory = directory
        self._container = container
        self._name = name
        self._sockets = sockets
        self._families = families
        self._time = now()
        self._before: dict[str, list[PortClaim]] = {}
        self._mine: dict[str, list[PortClaim]] = {}

    def run(
        self, publishes: tuple[Publish, ...], living: set[PortClaim], dead: set[PortClaim]
    ) -> tuple[tuple[Publish, ...], tuple[PortClaim, ...]]:
        """Claim all; returns what was claimed, and the claims of the dead that it took over.

        Raises:
            _Unjudged, _Occupied, OcinetError: it can't; nothing has changed.
        """
        fixed = tuple(publish for publish in publishes if publish.host_port)
        self._add(fixed)
        former = [rival for claim in self._all_mine() for rival in self._check(claim, living, dead)]
        chosen = tuple(
            publish if publish.host_port else publish.replace(host_port=self._free_port(publish))
            for publish in publishes
        )
        self._write()
        return chosen, tuple(former)

    def _add(self, publishes: tuple[Publish, ...]) -> None:
        """Note claims for these, which are not checked against others' yet."""
        for file, rows in split_by_file(publishes).items():
            mine = self._mine.setdefault(file, [])
            for publish, row in rows:
                claim = PortClaim(publish.protocol, publish.host_address, row.start,
                                  self._container, self._name, self._time, len(row))  # fmt: skip
                for other in mine:
                    if other.overlaps(claim):
                        twice = claim.within(other.ports)
                        raise RequestError("", f"the host's port {twice} is published twice")
                mine.append(claim)

    def _all_mine(self) -> list[PortClaim]:
        return [claim for claims in self._mine.values() for claim in claims]

    def _claims(self, file: str) -> list[PortClaim]:
        if file not in self._before:
            try:
                self._before[file] = read_claims(self._directory, file)
            except (RequestError, SystemFailure) as error:
                path = f"{self._directory.path}/{file}"
                raise ConflictError("", f"the claims in {path} can't be read: {error.why}",
                                    f"if no container has one of these ports: rm {path}"
                                    ) from error  # fmt: skip
        return self._before[file]

    def _check(
        self, claim: PortClaim, living: set[PortClaim], dead: set[PortClaim]
    ) -> list[PortClaim]:
        """Return the claims of the dead that this one takes over, as far as it does."""
        parts = [claim]
        rivals = []
        for one in self._claims(claim.file):
            if self._is_own(one, claim):
                parts = [rest for part in parts for rest in part.without(one.ports)]
            elif one.overlaps(claim):
                if one.container == self._container:
                    raise ConflictError("", "this container has the host's port"
                                        f" {one.within(claim.ports)} already")  # fmt: skip
                rivals.append(one)
        unknown = [one for one in rivals if one not in living and one not in dead]
        if unknown:
            raise _Unjudged(unknown)
        for rival in rivals:
            if rival in living:
                raise ConflictError("", f"the host's port {rival.within(claim.ports)} is taken:"
                                    f" container {rival.name} ({rival.container[:12]}) has it",
                                    "publish another port, or detach that container")  # fmt: skip
        self._check_sockets(parts)
        return [rival.within(claim.ports) for rival in rivals]

    def _check_sockets(self, claims: list[PortClaim]) -> None:
        for claim in claims:
            for listener in self._sockets:
                if self._is_in_the_way(listener, claim):
                    port = range(listener.port, listener.port + 1)
                    raise _Occupied(claim.within(port), listener)

    def _is_own(self, one: PortClaim, claim: PortClaim) -> bool:
        return one.container == self._container and one.host_address == claim.host_address

    def _is_in_the_way(self, listener: Listener, claim: PortClaim) -> bool:
        address = claim.host_address
        if listener.protocol != claim.protocol or listener.port not in claim.ports:
            return False
        families = self._families if address is None else (address.family,)
        return any(listener.takes(family, address) for family in families)

    def _free_port(self, publish: Publish) -> int:
        """Choose a port of the host's ephemeral range that nobody has, and claim it."""
        protocol = publish.protocol
        low, high = ephemeral_range()
        listened = {one.port for one in self._sockets if one.protocol == protocol}
        for port in candidates(low, high, reserved_ports()):
            file = file_of(protocol, port)
            claims = (*self._mine.get(file, ()), *self._claims(file))
            if port not in listened and not any(port in claim.ports for claim in claims):
                self._add((publish.replace(host_port=port),))
                return port
        raise ExhaustedError("", f"no {protocol} port of {low} to {high} is free",
                             "give a host port, or widen net.ipv4.ip_local_port_range")  # fmt: skip

    def _write(self) -> None:
        done = []
        try:
            for file, mine in self._mine.items():
                left = self._claims(file)
                for claim in mine:  # of the dead and of its own, what it takes the place of
                    left = [
                        part
                        for one in left
                        for part in (one.without(claim.ports) if one.overlaps(claim) else [one])
                    ]
                done.append(file)
                write_claims(self._directory, file, left + mine)
        except BaseException:
            for file in done:
                self._restore(file)
            raise

    def _restore(self, file: str) -> None:
        try:
            write_claims(self._directory, file, self._before[file])
        except SystemFailure:
            return  # the first error is the one to tell


def _listening(publishes: tuple[Publish, ...]) -> tuple[Listener, ...]:
    """List the sockets that may be in the way: of one port if there is but one."""
    ports: dict[Protocol, set[int]] = {}
    for publish in publishes:
        ports.setdefault(publish.protocol, set()).add(publish.host_port)
    found: list[Listener] = []
    for protocol, wanted in ports.items():
        found += listeners(protocol, wanted.pop() if len(wanted) == 1 else 0)
    return tuple(found)
