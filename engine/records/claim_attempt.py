"""One try to claim host ports, under the lock: decide on every port, then write."""

from __future__ import annotations

from ocinet.base.clock import now
from ocinet.base.errors import (
    ConflictError,
    ExhaustedError,
    RequestError,
    SystemFailure,
    TransientFailure,
)
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
    from collections.abc import Iterable

    from ocinet.base.files import Directory
    from ocinet.engine.model.listener import Listener
    from ocinet.engine.model.request import Publish
    from ocinet.engine.records.kept_ports import KeptPort


_DNS, _NAME_SERVER = 53, "(aardvark-dns)"


class Unjudged(Exception):
    """Somebody has to find out first whether these claims' containers live."""

    def __init__(self, claims: Iterable[PortClaim]) -> None:
        super().__init__()
        self.claims = tuple(claims)


class Occupied(Exception):
    """A socket listens on a port."""

    def __init__(self, claim: PortClaim, listener: Listener) -> None:
        super().__init__()
        self.claim = claim
        self.listener = listener

    def error(self, process: str) -> ConflictError:
        """Name the process."""
        hint = "publish another port, or stop that process"
        if self.listener.port == _DNS and _NAME_SERVER in process:
            hint = (
                "it answers for names of networks there: publish the port at one address of the"
                f" host's alone, -p ADDRESS:{_DNS}:{_DNS}/{self.claim.protocol}, or have that"
                " network made with --no-dns"
            )
        return ConflictError(
            "",
            f"the host's port {self.claim} is taken: {process} listens on {self.listener}",
            hint,
        )


class ClaimAttempt:
    """One try to claim, under the lock: decide on every port, then write.

    Attributes:
        passed_over: ports that are kept for the container's name, and what has them.
    """

    def __init__(
        self,
        directory: Directory,
        container: str,
        name: str,
        sockets: tuple[Listener, ...],
        families: tuple[int, ...],
        kept: tuple[KeptPort, ...],
    ) -> None:
        self._directory = directory
        self._container = container
        self._name = name
        self._sockets = sockets
        self._families = families
        self._kept = kept
        self.passed_over: list[tuple[KeptPort, str]] = []
        self._time = now()
        self._before: dict[str, list[PortClaim]] = {}
        self._mine: dict[str, list[PortClaim]] = {}

    def run(
        self, publishes: tuple[Publish, ...], living: set[PortClaim], dead: set[PortClaim]
    ) -> tuple[tuple[Publish, ...], tuple[PortClaim, ...]]:
        """Claim all; returns what was claimed, and the claims of the dead that it took over.

        Raises:
            Unjudged, Occupied, OcinetError: it can't; nothing has changed.
        """
        # Those with a number first, wherever they stand: a free one must not be one of them.
        fixed = tuple(publish for publish in publishes if publish.host_port)
        self._add(fixed)
        former = [rival for claim in self._all_mine() for rival in self._check(claim, living, dead)]
        if self._kept:
            self._check_kept()
            # Before any is chosen, for the same reason.
            publishes = tuple(
                publish if publish.host_port else self._as_kept(publish, former, living, dead)
                for publish in publishes
            )
        chosen = tuple(
            publish if publish.host_port else self._any(publish, former, living, dead)
            for publish in publishes
        )
        self._write()
        return chosen, tuple(former)

    def _add(self, publishes: tuple[Publish, ...]) -> None:
        """Note claims for these, which are not checked against others' yet."""
        for file, rows in split_by_file(publishes).items():
            mine = self._mine.setdefault(file, [])
            for publish, row in rows:
                claim = self._claim(publish, row)
                for other in mine:
                    if other.overlaps(claim):
                        twice = claim.within(other.ports)
                        raise RequestError("", f"the host's port {twice} is published twice")
                mine.append(claim)

    def _claim(self, publish: Publish, ports: range) -> PortClaim:
        return PortClaim(publish.protocol, publish.host_address, ports.start, self._container,
                         self._name, self._time, len(ports))  # fmt: skip

    def _check_kept(self) -> None:
        """Refuse what is kept for another name."""
        for claim in self._all_mine():
            for kept in self._kept:
                if kept.name != self._name and kept.meets(claim):
                    raise ConflictError("", f"the host's port {kept.claim} is kept for {kept.name}",
                                        "publish another port, or give that up:"
                                        f" ocinet reservation rm-port {kept.name}")  # fmt: skip

    def _as_kept(
        self, wish: Publish, former: list[PortClaim], living: set[PortClaim], dead: set[PortClaim]
    ) -> Publish:
        """Return a wish with the port that is kept for it, claimed, where that can be had."""
        for kept in self._kept:
            if kept.name == self._name and kept.is_for(wish):
                port = kept.publish.host_port
                claim = self._claim(wish, range(port, port + 1))
                try:
                    if any(other.overlaps(claim) for other in self._mine.get(claim.file, ())):
                        return wish  # it is asked for by its number besides
                    former += self._check(claim, living, dead)
                except ConflictError as error:
                    self.passed_over.append((kept, error.why))
                except Occupied as occupied:
                    self.passed_over.append((kept, f"something listens on {occupied.listener}"))
                else:
                    self._add((kept.publish,))
                    return kept.publish
        return wish

    def _all_mine(self) -> list[PortClaim]:
        return [claim for claims in self._mine.values() for claim in claims]

    def _claims(self, file: str) -> list[PortClaim]:
        if file not in self._before:
            try:
                self._before[file] = read_claims(self._directory, file)
            except TransientFailure:
                raise
            except (RequestError, SystemFailure) as error:
                # Whose ports these are can't be told, so they stay taken until a person has looked.
                path = f"{self._directory.path}/{file}"
                raise ConflictError("", f"the claims in {path} can't be read: {error.why}",
                                    "ocinet gc makes them anew, of what is on record"
                                    ) from error  # fmt: skip
        return self._before[file]

    def _check(
        self, claim: PortClaim, living: set[PortClaim], dead: set[PortClaim]
    ) -> list[PortClaim]:
        """Return the claims of the dead that this one takes over, as far as it does."""
        parts = [claim]
        rivals = []
        for known in self._claims(claim.file):
            if self._is_own(known, claim):
                parts = [rest for part in parts for rest in part.without(known.ports)]
            elif known.overlaps(claim):
                if known.container == self._container:
                    raise ConflictError("", "this container has the host's port"
                                        f" {known.within(claim.ports)} already")  # fmt: skip
                rivals.append(known)
        unknown = [rival for rival in rivals if rival not in living and rival not in dead]
        if unknown:
            raise Unjudged(unknown)
        for rival in rivals:
            if rival in living:
                raise ConflictError("", f"the host's port {rival.within(claim.ports)} is taken:"
                                    f" container {rival.name} ({rival.container[:12]}) has it",
                                    "publish another port, or detach that container")  # fmt: skip
        # Only of what is new: a process that listens by now takes nothing from who has the port.
        self._check_sockets(parts)
        # No more than is needed: a dead one's detach may be under way, with the rest of its ports.
        return [rival.within(claim.ports) for rival in rivals]

    def _check_sockets(self, claims: list[PortClaim]) -> None:
        for claim in claims:
            for listener in self._sockets:
                if self._is_in_the_way(listener, claim):
                    port = range(listener.port, listener.port + 1)
                    raise Occupied(claim.within(port), listener)

    def _is_own(self, known: PortClaim, claim: PortClaim) -> bool:
        return known.container == self._container and known.host_address == claim.host_address

    def _is_in_the_way(self, listener: Listener, claim: PortClaim) -> bool:
        address = claim.host_address
        if listener.protocol != claim.protocol or listener.port not in claim.ports:
            return False
        families = self._families if address is None else (address.family,)
        return any(listener.takes(family, address) for family in families)

    def _any(
        self, wish: Publish, former: list[PortClaim], living: set[PortClaim], dead: set[PortClaim]
    ) -> Publish:
        """Return a wish with the first port of its range that could be had by its number; claim it.

        What it has itself is passed over: it may be for another port of its own.
        """
        if wish.among is None:
            return self._any_ephemeral(wish)
        low, high = wish.among
        kept = self._kept_of(wish)
        for port in range(low, high + 1):  # begun with its first, as Docker does
            claim = self._claim(wish, range(port, port + 1))
            known = self._claims(claim.file)
            own = [other for other in known if other.container == self._container]
            own += self._mine.get(claim.file, ())
            if port in kept or any(port in other.ports for other in own):
                continue
            try:
                former += self._check(claim, living, dead)
            except Unjudged:
                # All of this file at once: each time that somebody is judged, all begins anew.
                whole = self._claim(wish, range(low, high + 1))
                raise Unjudged(other for other in known if other.overlaps(whole)
                               and other not in living and other not in dead) from None  # fmt: skip
            except (ConflictError, Occupied):
                continue
            self._add((wish.chosen(port),))
            return wish.chosen(port)
        raise ExhaustedError("", f"no {wish.protocol} port of {low} to {high} is free",
                             "give another range")  # fmt: skip

    def _any_ephemeral(self, wish: Publish) -> Publish:
        """Return a wish with a port of the host's ephemeral ones that nobody has; claim it."""
        protocol = wish.protocol
        low, high = ephemeral_range()
        taken = self._kept_of(wish)
        taken |= {socket.port for socket in self._sockets if socket.protocol == protocol}
        for port in candidates(low, high, reserved_ports()):
            file = file_of(protocol, port)
            claims = (*self._mine.get(file, ()), *self._claims(file))
            if port not in taken and not any(port in claim.ports for claim in claims):
                self._add((wish.chosen(port),))
                return wish.chosen(port)
        raise ExhaustedError("", f"no {protocol} port of {low} to {high} is free",
                             "give a host port, or widen net.ipv4.ip_local_port_range")  # fmt: skip

    def _kept_of(self, wish: Publish) -> set[int]:
        """Return the ports of a wish's protocol that are kept for names."""
        return {kept.publish.host_port for kept in self._kept
                if kept.publish.protocol == wish.protocol}  # fmt: skip

    def _write(self) -> None:
        done = []
        try:
            for file, mine in self._mine.items():
                left = self._claims(file)
                for claim in mine:  # of the dead and of its own, what it takes the place of
                    left = [
                        rest
                        for known in left
                        for rest in (
                            known.without(claim.ports) if known.overlaps(claim) else [known]
                        )
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
