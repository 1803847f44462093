"""Claims of published host ports: which container has which.

The firewall deletes an element by its key, whoever put it in, so whoever wants
one deleted asks here first whose port it is.
"""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.errors import RequestError, SystemFailure, TransientFailure
from ocinet.base.files import Directory
from ocinet.base.lock import Lock
from ocinet.base.names import check_container
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
    from typing import Protocol

    from ocinet.base.clock import Deadline
    from ocinet.base.paths import Paths
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.listener import Listener
    from ocinet.engine.model.request import Protocol as Transport
    from ocinet.engine.model.request import Publish
    from ocinet.engine.records.kept_ports import KeptPort

    class Sockets(Protocol):
        """The host's listening sockets; see `kernel.listeners`."""

        def listeners(self, protocol: Transport, port: int = 0) -> tuple[Listener, ...]:
            """Return who listens: on one port, or with 0 on any."""

        def name_process(self, inode: int) -> str:
            """Name a process that has a socket open."""


def _everyone_lives(_claim: PortClaim) -> bool:
    return True


def _tell_nobody(_event: str, **_fields: str) -> None:
    return


class PortClaims:
    """The claims of host ports.

    Args:
        paths: where they lie.
        sockets: of the host, which may be in the way.
        deadline: for the lock around them.
        holder_lives: whether a claim's container still needs it; asked without
            the lock. Without it, every claim stands until it is released.
        report: takes what is worth an event: its phrase, and fields.
    """

    def __init__(
        self,
        paths: Paths,
        sockets: Sockets,
        *,
        deadline: Deadline,
        holder_lives: Callable[[PortClaim], bool] = _everyone_lives,
        report: Callable[..., None] = _tell_nobody,
    ) -> None:
        self._root = f"{paths.run}/ports"
        self._kept = f"{paths.state}/ports"
        self._sockets = sockets
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
        from ocinet.engine.records.claim_attempt import ClaimAttempt, Occupied, Unjudged

        # Once, and before the lock: others need not wait while the kernel lists them.
        sockets = self._listening(publishes)
        living: set[PortClaim] = set()
        dead: set[PortClaim] = set()
        while True:
            self._deadline.check("cannot claim ports")
            try:
                with Directory(self._root) as directory, self._lock():
                    kept = self._kept_ports()
                    attempt = ClaimAttempt(directory, container, name, sockets, families, kept)
                    claimed, former = attempt.run(publishes, living, dead)
            except Unjudged as doubt:
                for claim in doubt.claims:
                    (living if self._holder_lives(claim) else dead).add(claim)
                continue
            except Occupied as occupied:
                # Looking through /proc takes a while: not under the lock.
                raise occupied.error(self._sockets.name_process(occupied.listener.inode)) from None
            for claim in former:
                self._report("port taken over", port=str(claim), container=container,
                             former=claim.container)  # fmt: skip
            for port, why in attempt.passed_over:
                self._report("kept port passed over", port=str(port.claim), container=container,
                             name=name, why=why)  # fmt: skip
            return claimed

    def _kept_ports(self) -> tuple[KeptPort, ...]:
        """Return what is kept for names, which on most hosts is nothing."""
        try:
            directory = Directory(self._kept, make=False)
        except FileNotFoundError:
            return ()
        from ocinet.engine.records.kept_ports import kept_in

        with directory:
            return kept_in(directory.names())

    def _listening(self, publishes: tuple[Publish, ...]) -> tuple[Listener, ...]:
        """List the sockets that may be in the way: of one port if there is but one."""
        ports: dict[Transport, set[int]] = {}
        for publish in publishes:
            ports.setdefault(publish.protocol, set()).add(publish.host_port)
        found: list[Listener] = []
        for protocol, wanted in ports.items():
            found += self._sockets.listeners(protocol, wanted.pop() if len(wanted) == 1 else 0)
        return tuple(found)

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
                    parts = [rest for part in parts for rest in part.without(row)]
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
            return _without_rivals(directory, ports, container)

    def while_unclaimed(
        self, ports: tuple[PortRule, ...], act: Callable[[tuple[PortRule, ...]], object]
    ) -> tuple[PortRule, ...]:
        """Do something with those of the ports that nobody claims, under the ports' lock.

        So that nobody can claim them meanwhile. One whose claims can't be read is claimed.

        Args:
            ports: as in the firewall.
            act: called once with those that are free; not at all if none is. Must not
                take long: who publishes waits.

        Returns:
            Those that it was called with.

        Raises:
            BusyError: the lock was not had in time.
        """
        if not ports:
            return ()
        with Directory(self._root) as directory, self._lock():
            free = _without_rivals(directory, ports, "")
            if free:
                act(free)
        return free

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
                except TransientFailure:
                    raise
                except (RequestError, SystemFailure):
                    continue  # `unreadable` tells of it
        return tuple(sorted(found, key=lambda claim: (claim.protocol, claim.host_port, str(claim))))

    def holders(self) -> tuple[str, ...]:
        """Return the containers that have claims."""
        return tuple(sorted({claim.container for claim in self.all()}))

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """List the files of claims that make no sense, each with the reason."""
        directory = self._open()
        if directory is None:
            return ()
        found = []
        with directory:
            for file in directory.names():
                try:
                    read_claims(directory, file)
                except TransientFailure:
                    raise
                except (RequestError, SystemFailure) as error:
                    found.append((file, error.why))
        return tuple(found)

    def restore(self, file: str, claims: Iterable[PortClaim]) -> bool:
        """Set a file that makes no sense aside, as `.corrupt-FILE`, for one of these claims.

        Args:
            file: its name.
            claims: of all containers, as their records tell; those of other files are
                passed over.

        Returns:
            False if it can be read by now; nothing has changed then.

        Raises:
            BusyError: the lock was not had in time.
            SystemFailure: it can't be set aside.
        """
        with Directory(self._root) as directory, self._lock():
            try:
                read_claims(directory, file)
            except TransientFailure:
                raise
            except (RequestError, SystemFailure):
                directory.rename(file, f".corrupt-{file}")
                write_claims(directory, file, [claim for claim in claims if claim.file == file])
                return True
        return False

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
                except TransientFailure:
                    raise
                except (RequestError, SystemFailure) as error:
                    # Whose it is can't be told: it stays taken.
                    self._report("claims unreadable", file=file, why=error.why, hint="ocinet gc")
                    continue
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


def _without_rivals(
    directory: Directory, ports: tuple[PortRule, ...], container: str
) -> tuple[PortRule, ...]:
    """Return those of the ports that no other container claims."""
    rivals = {file: _rivals(directory, file, container) for file in split_by_file(ports)}
    if not any(rivals.values()):
        return ports
    return tuple(
        port
        for port in ports
        if not any(
            rival is None or rival.is_element_of(_claim_of(port))
            for rival in rivals[file_of(port.protocol, port.host_port)]
        )
    )


def _rivals(directory: Directory, file: str, container: str) -> list[PortClaim | None]:
    """Return the claims of all but one container in a file; None stands for what can't be read."""
    try:
        return [claim for claim in read_claims(directory, file) if claim.container != container]
    except TransientFailure:
        raise
    except (RequestError, SystemFailure):
        return [None]


def _claim_of(port: PortRule) -> PortClaim:
    """Return a rule as the claim of its one port, whoever's."""
    address = port.host_address or Address(port.address.family, 0)
    return PortClaim(port.protocol, address, port.host_port, "", "", "")
