"""Claims of published host ports: which container has which.

The firewall deletes an element by its key, whoever put it in, so whoever wants
one deleted asks here first whose port it is.
"""

from __future__ import annotations

import os

from ocinet.base.address import Address
from ocinet.base.clock import now
from ocinet.base.errors import ConflictError, ExhaustedError, RequestError, SystemFailure
from ocinet.base.files import Directory
from ocinet.base.lock import Lock
from ocinet.base.names import check_container
from ocinet.engine.claim import PortClaim, read_claims, write_claims
from ocinet.engine.free_port import candidates, ephemeral_range, reserved_ports
from ocinet.engine.listeners import listeners, owner_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from ocinet.base.clock import Deadline
    from ocinet.base.paths import Paths
    from ocinet.engine.listeners import Listener
    from ocinet.engine.model import PortRule, Protocol, Publish


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
            One small file per port, under the ports' lock.
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
        by_file: dict[str, list[Publish | PortRule]] = {}
        for port in ports:
            by_file.setdefault(f"{port.protocol}-{port.host_port}", []).append(port)
        self._drop(by_file, lambda claim: claim.container == container
                   and any(claim.is_for(port) for port in by_file[claim.file]))  # fmt: skip

    def release_all(self, container: str) -> None:
        """Give back whatever a container has, from a look at every claim.

        Raises:
            BusyError: the lock was not had in time.
            SystemFailure: a file can't be written or removed.
        """
        files = {claim.file for claim in self.all() if claim.container == container}
        self._drop(files, lambda claim: claim.container == container)

    def held(self, container: str, ports: tuple[PortRule, ...]) -> tuple[PortRule, ...]:
        """Return those of a container's ports that no other container claims by now.

        They alone may be taken out of the firewall for it: an element is known
        by its port, and may be the new holder's. One whose claims can't be read
        is not returned.
        """
        if not ports or not os.path.isdir(self._root):
            return ports
        kept = []
        with Directory(self._root) as directory:
            for port in ports:
                address = port.host_address or Address(port.address.family, 0)
                mine = PortClaim(port.protocol, address, port.host_port, container, "", "")
                try:
                    claims = read_claims(directory, mine.file)
                except (RequestError, SystemFailure):
                    continue
                if not any(
                    one.container != container and one.is_element_of(mine) for one in claims
                ):
                    kept.append(port)
        return tuple(kept)

    def all(self) -> tuple[PortClaim, ...]:
        """Return every claim that can be read, by protocol and port."""
        if not os.path.isdir(self._root):
            return ()
        found: list[PortClaim] = []
        with Directory(self._root) as directory:
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
        if not os.path.isdir(self._root):
            return 0
        with Directory(self._root) as directory, self._lock():
            return directory.sweep()

    def _drop(self, files: Collection[str], mine: Callable[[PortClaim], bool]) -> None:
        if not files or not os.path.isdir(self._root):
            return
        with Directory(self._root) as directory, self._lock():
            for file in files:
                try:
                    claims = read_claims(directory, file)
                except (RequestError, SystemFailure):
                    continue  # whose it is can't be told: it stays taken
                left = [claim for claim in claims if not mine(claim)]
                if len(left) != len(claims):
                    write_claims(directory, file, left)

    def _lock(self) -> Lock:
        return Lock(f"{self._root}/lock", "the ports", self._deadline)


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
        self._before: dict[str, list[PortClaim]] = {}

    def run(
        self, publishes: tuple[Publish, ...], living: set[PortClaim], dead: set[PortClaim]
    ) -> tuple[tuple[Publish, ...], tuple[PortClaim, ...]]:
        """Claim all; returns what was claimed, and the claims of the dead that it took over.

        Raises:
            _Unjudged, _Occupied, OcinetError: it can't; nothing has changed.
        """
        time = now()
        mine: list[PortClaim] = []
        former: list[PortClaim] = []
        chosen = []
        for publish in sorted(publishes, key=lambda one: not one.host_port):
            port = publish.host_port or self._free_port(publish, mine)
            claim = PortClaim(publish.protocol, publish.host_address, port,
                              self._container, self._name, time)  # fmt: skip
            if any(one.file == claim.file and one.overlaps(claim) for one in mine):
                raise RequestError("", f"the host's port {claim} is published twice")
            former += self._check(claim, living, dead)
            mine.append(claim)
            chosen.append((publish, publish.replace(host_port=port)))
        self._write(mine, former)
        return tuple(_in_order(publishes, chosen)), tuple(former)

    def _claims(self, file: str) -> list[PortClaim]:
        if file not in self._before:
            try:
                self._before[file] = read_claims(self._directory, file)
            except (RequestError, SystemFailure) as error:
                path = f"{self._directory.path}/{file}"
                raise ConflictError("", f"the claims in {path} can't be read: {error.why}",
                                    f"if no container has that port: rm {path}"
                                    ) from error  # fmt: skip
        return self._before[file]

    def _check(
        self, claim: PortClaim, living: set[PortClaim], dead: set[PortClaim]
    ) -> list[PortClaim]:
        """Return the claims of the dead that this one takes over."""
        rivals = [one for one in self._claims(claim.file) if one.overlaps(claim)]
        if any(self._is_own(one, claim) for one in rivals):
            return []
        for rival in rivals:
            if rival.container == self._container:
                raise ConflictError("", f"this container has the host's port {rival} already")
        unknown = [one for one in rivals if one not in living and one not in dead]
        if unknown:
            raise _Unjudged(unknown)
        for rival in rivals:
            if rival in living:
                raise ConflictError("", f"the host's port {rival} is taken:"
                                    f" container {rival.name} ({rival.container[:12]}) has it",
                                    "publish another port, or detach that container")  # fmt: skip
        listener = next((one for one in self._sockets if self._is_in_the_way(one, claim)), None)
        if listener:
            raise _Occupied(claim, listener)
        return rivals

    def _is_own(self, one: PortClaim, claim: PortClaim) -> bool:
        return one.container == self._container and one.host_address == claim.host_address

    def _is_in_the_way(self, listener: Listener, claim: PortClaim) -> bool:
        address = claim.host_address
        if (listener.protocol, listener.port) != (claim.protocol, claim.host_port):
            return False
        families = self._families if address is None else (address.family,)
        return any(listener.takes(family, address) for family in families)

    def _free_port(self, publish: Publish, mine: list[PortClaim]) -> int:
        """Choose a port of the host's ephemeral range that nobody has, at random."""
        busy = {one.port for one in self._sockets if one.protocol == publish.protocol}
        busy |= {one.host_port for one in mine if one.protocol == publish.protocol}
        low, high = ephemeral_range()
        for port in candidates(low, high, reserved_ports()):
            if port not in busy and not self._directory.exists(f"{publish.protocol}-{port}"):
                return port
        raise ExhaustedError("", f"no {publish.protocol} port of {low} to {high} is free",
                             "give a host port, or widen net.ipv4.ip_local_port_range")  # fmt: skip

    def _write(self, mine: list[PortClaim], former: list[PortClaim]) -> None:
        after: dict[str, list[PortClaim]] = {}
        for claim in mine:
            file = claim.file
            left = after.get(file, self._claims(file))
            after[file] = [
                one for one in left if one not in former and not self._is_own(one, claim)
            ] + [claim]
        done = []
        try:
            for file, claims in after.items():
                done.append(file)
                write_claims(self._directory, file, claims)
        except BaseException:
            for file in done:
                self._restore(file)
            raise

    def _restore(self, file: str) -> None:
        try:
            write_claims(self._directory, file, self._before[file])
        except SystemFailure:
            return  # the first error is the one to tell


def _in_order(
    publishes: tuple[Publish, ...], chosen: list[tuple[Publish, Publish]]
) -> Iterable[Publish]:
    """Yield what was chosen in the order in which it was asked for."""
    for publish in publishes:
        at = next(i for i, (asked, _given) in enumerate(chosen) if asked is publish)
        yield chosen.pop(at)[1]


def _listening(publishes: tuple[Publish, ...]) -> tuple[Listener, ...]:
    """List the sockets that may be in the way: of one port if there is but one."""
    ports: dict[Protocol, set[int]] = {}
    for publish in publishes:
        ports.setdefault(publish.protocol, set()).add(publish.host_port)
    found: list[Listener] = []
    for protocol, wanted in ports.items():
        found += listeners(protocol, wanted.pop() if len(wanted) == 1 else 0)
    return tuple(found)
