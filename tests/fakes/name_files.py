"""Name files in memory: of those containers that a test gives files of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocinet.engine.model.naming import HOSTS, FoundFile, FoundFiles

if TYPE_CHECKING:
    from ocinet.base.clock import Process
    from ocinet.engine.model.naming import NameFile, Place


class FakeNameFiles:
    """See `seams.NameFiles`.

    Attributes:
        found: what containers have; who is not in it has the host's files.
        hostnames: what they call themselves; who is not in it has the host's.
        failure: to be raised by the next look or write.
    """

    def __init__(self) -> None:
        self.found: dict[Process, FoundFiles] = {}
        self.hostnames: dict[Process, str] = {}
        self.failure: Exception | None = None

    def of(self, process: Process) -> FakeNameFiles | None:
        """Return itself, or None of who has the host's files."""
        return self if process in self.found else None

    def look(self, place: Place) -> FoundFiles | None:
        """Return what is there."""
        self._fail()
        return self.found.get(place.process)

    def write(self, place: Place, files: tuple[NameFile, ...]) -> None:
        """Note what files say; what covers an image's is ours from then on."""
        self._fail()
        for file in files:
            found = self.found[place.process]
            name = "hosts" if file.path == HOSTS else "resolv_conf"
            before: FoundFile = getattr(found, name)
            state = "ours" if file.mounted else before.state
            after = found.replace(**{name: FoundFile(state, file.text)})
            self.found[place.process] = after

    def exchange_hostname(self, process: Process, name: str = "") -> str:
        """Return what it is called, and note the new name."""
        self._fail()
        if process not in self.hostnames:
            return ""
        before = self.hostnames[process]
        self.hostnames[process] = name or before
        return before

    def _fail(self) -> None:
        if self.failure:
            failure, self.failure = self.failure, None
            raise failure
