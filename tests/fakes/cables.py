"""The links between two containers that are defined, in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocinet.base.errors import ConflictError, NotFoundError
from ocinet.base.names import check_network

if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Container
    from ocinet.engine.model.cable import Cable


class FakeCables:
    """See `storage.Cables`."""

    def __init__(self, *cables: Cable) -> None:
        self._cables = {cable.name: cable for cable in cables}

    def names(self) -> tuple[str, ...]:
        """List them, sorted."""
        return tuple(sorted(self._cables))

    def find(self, name: str) -> Cable | None:
        """Return a link, or None."""
        return self._cables.get(check_network(name))

    def get(self, name: str) -> Cable:
        """Return a link."""
        found = self.find(name)
        if found is None:
            raise NotFoundError("", f"there is no link {name}")
        return found

    def all(self) -> tuple[Cable, ...]:
        """Return every link, by name."""
        return tuple(self._cables[name] for name in self.names())

    def sorted_out(self) -> tuple[tuple[Cable, ...], tuple[tuple[str, str], ...]]:
        """Return every link: all can be read."""
        return self.all(), ()

    def naming(self, container: Container) -> tuple[Cable, ...]:
        """Return those that have an end in a container."""
        return tuple(cable for cable in self.all() if cable.names(container))

    def add(self, cable: Cable) -> None:
        """Keep a new definition."""
        if cable.name in self._cables:
            raise ConflictError("", f"there is a link {cable.name} already")
        self._cables[check_network(cable.name)] = cable

    def remove(self, name: str) -> bool:
        """Forget a definition."""
        return self._cables.pop(name, None) is not None
