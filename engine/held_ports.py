"""Published ports, held: who binds one later gets EADDRINUSE, as beside docker-proxy.

A service of the host that listens where a container is published starts without an error
and is never reached, for DNAT comes before its socket. So the watcher has a socket at each
published port, which the records tell of, and lets it go with the record.
"""

from __future__ import annotations

import resource
from errno import EACCES, EADDRINUSE, EMFILE, ENFILE, EPROTONOSUPPORT
from typing import TYPE_CHECKING

from ocinet.base.clock import boot_id
from ocinet.base.errors import KernelError, OcinetError
from ocinet.base.events import EventLog
from ocinet.base.value import Value
from ocinet.engine.kernel.inotify import DELETED, IGNORED, MOVED_TO, OVERFLOW, Inotify
from ocinet.engine.kernel.listeners import listeners, name_process
from ocinet.engine.kernel.port_sockets import hold, is_told_apart
from ocinet.engine.plan.holding import Wanted, places_of
from ocinet.engine.records.attachments import AttachmentStore, id_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    from ocinet.base.paths import Paths
    from ocinet.engine.model.listener import Place
    from ocinet.engine.model.request import Protocol

_SPARED = 256  # descriptors that are left for everything else
_HINTS = {
    EACCES: "give the watcher CAP_NET_BIND_SERVICE",
    EMFILE: "raise LimitNOFILE of ocinet-watcher.service, or publish fewer ports",
    ENFILE: "raise the sysctl fs.file-max",
}


class NotHeld(Value):
    """What is published and not held.

    Attributes:
        what: the port, or the first of several that have one reason.
        why: the reason.
        hint: what helps.
    """

    what: str
    why: str
    hint: str


class HeldPorts:
    """Holds what the records say is published; to be closed. For one thread.

    Args:
        paths: of the installation.
        most: sockets at a time; None: as many as the process may have files open, but a few.
        take: how a place is taken.

    Raises:
        OcinetError: nobody tells of records that come and go.
    """

    def __init__(
        self,
        paths: Paths,
        most: int | None = None,
        take: Callable[[Place], socket.socket] = hold,
    ) -> None:
        self._paths = paths
        self._take_place = take
        self._most = most or max(0, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARED)
        self._boot_id = boot_id()
        self._log = EventLog(paths.run)
        self._wanted = Wanted()
        self._held: dict[Place, socket.socket] = {}
        self._waiting: dict[Place, None] = {}  # wanted and not held, in their order
        self._told: set[Place] = set()
        self._is_in_use = False
        self._unknown: set[Protocol] = set()  # to this kernel, as SCTP without its module
        self._tells_marks: bool | None = None  # whether the kernel does; None: not asked yet
        self._inotify = Inotify("cannot watch what is attached")
        self._is_watched = False

    def fileno(self) -> int:
        """Return what to poll for: it can be read when a record came or went."""
        return self._inotify.fileno()

    @property
    def is_waiting(self) -> bool:
        """Whether somebody has a port, who may free it: nobody tells of that."""
        return self._is_in_use

    def close(self) -> None:
        """Let everything go."""
        for opened in self._held.values():
            opened.close()
        self._held.clear()
        self._inotify.close()

    def follow(self, *, everything: bool = False) -> tuple[NotHeld, ...]:
        """Hold what is published by now, let go what is not; without waiting.

        Args:
            everything: read all records, not only those that have changed, and try again
                what the kernel did not know.

        Returns:
            What is not held, and was not told yet.
        """
        changed = self._changed()
        if everything:
            self._unknown.clear()
        if everything or changed is None or not self._is_watched:
            changed = self._everybody()
        store = AttachmentStore(self._paths)
        take: list[Place] = []
        for container_id in changed:
            try:
                places = places_of(store.get(container_id), self._boot_id)
            except OcinetError:
                continue  # what it has can't be told: so it is as it was
            turn = self._wanted.tell(container_id, places)
            self._let_go(turn.let_go)
            take += sorted(turn.take, key=lambda place: (place.protocol, place.port))
        # Those of before first: what was let go just now may be theirs.
        return self._take([*self._waiting, *take])

    def _changed(self) -> Iterable[str] | None:
        """Return whose records have changed; None: that can't be told."""
        told = self._inotify.read()
        if any(event & (OVERFLOW | IGNORED) for event, _number, _name in told):
            self._is_watched = False
            return None
        return filter(None, dict.fromkeys(id_of(name) for _event, _number, name in told))

    def _everybody(self) -> tuple[str, ...]:
        """Watch the directory, if it is not watched, and return whose records there are, or were.

        Effects:
            The directory is made, if it is missing.
        """
        store = AttachmentStore(self._paths)
        there = store.ids()
        if not self._is_watched:
            self._is_watched = self._inotify.watch(store.path, MOVED_TO | DELETED) is not None
            there = store.ids()
        return tuple(dict.fromkeys((*self._wanted.containers, *there)))

    def _let_go(self, places: Iterable[Place]) -> None:
        for place in places:
            opened = self._held.pop(place, None)
            if opened:
                opened.close()
            self._waiting.pop(place, None)
            self._told.discard(place)

    def _take(self, places: list[Place]) -> tuple[NotHeld, ...]:
        self._waiting = dict.fromkeys(places)
        self._is_in_use = False
        refused: dict[tuple[str, str], list[Place]] = {}
        for place in places:
            try:
                self._held[place] = self._hold(place)
            except KernelError as error:
                self._is_in_use |= error.errno == EADDRINUSE
                if error.errno == EPROTONOSUPPORT:
                    self._unknown.add(place.protocol)
                if place not in self._told:
                    refused.setdefault(self._explain(place, error), []).append(place)
            else:
                del self._waiting[place]
                self._told.discard(place)
        return tuple(
            self._tell(why, hint, untold) for (why, hint), untold in refused.items() if why
        )

    def _hold(self, place: Place) -> socket.socket:
        what = f"cannot hold {place}"
        if len(self._held) >= self._most:
            raise KernelError(what, f"{self._most} others are held already", errno=EMFILE)
        if place.protocol in self._unknown:
            # Each try would have the kernel look for a module once more.
            raise KernelError(what, "the kernel does not know it", errno=EPROTONOSUPPORT)
        if place.protocol == "udp" and self._tells_marks is False:
            raise KernelError(what, "this kernel does not tell its socket from a listener's")
        opened = self._take_place(place)
        if place.protocol == "udp" and self._tells_marks is None:
            try:
                self._tells_marks = is_told_apart(opened, place)
            except KernelError:
                self._tells_marks = False
            if not self._tells_marks:
                # An attach would take it for somebody else's, and refuse the port.
                opened.close()
                return self._hold(place)
        return opened

    def _explain(self, place: Place, error: KernelError) -> tuple[str, str]:
        """Return why a place is not held, and what helps; "" where it need not be told."""
        if error.errno == EPROTONOSUPPORT:
            return "", ""  # no service of the host can have it, either
        if error.errno != EADDRINUSE:
            return error.why, _HINTS.get(error.errno, "")
        for listener in listeners(place.protocol, place.port):
            if listener.takes(place.address.family, place.address):
                why = f"{name_process(listener.inode)} listens on {listener}"
                return why, "move it to another port, or ocinet unpublish this one"
        # A connection that is under way, or closing: nobody else could listen there, either.
        return "", ""

    def _tell(self, why: str, hint: str, places: list[Place]) -> NotHeld:
        self._told.update(places)
        more = f" and {len(places) - 1} more" if len(places) > 1 else ""
        told = NotHeld(f"{places[0]}{more}", why, hint)
        self._log.append("port not held", what=told.what, why=why, hint=hint)
        return told
