"""Which DNS name is looked up next: containers take turns, and who does not answer waits.

An image may speak of 256 names, and each that nobody answers takes as long as resolvers take.
So whichever container has waited longest has one of its names looked up, then the next one; a
name that nobody could tell is due again after twice as long, up to a limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

EVERY_S = 30  # between two looks at where a DNS name leads to
_MOST_DOUBLED = 2  # so two minutes: a resolver may be back


class NameTurns:
    """The names that containers speak of, and when each was looked up."""

    def __init__(self) -> None:
        self._wanted: Mapping[str, tuple[str, ...]] = {}
        self._looked_up: dict[str, float] = {}  # seconds since the boot
        self._failed: dict[str, int] = {}  # how many times in a row
        self._turns: dict[str, int] = {}  # by container, when it had its last one
        self._turn = 0

    def want(self, wanted: Mapping[str, tuple[str, ...]]) -> bool:
        """Take the names of now, by the ids of containers; tell whether any are no more wanted."""
        self._wanted = wanted
        names = {name for each in wanted.values() for name in each}
        gone = self._looked_up.keys() - names
        for name in gone:
            del self._looked_up[name]
            self._failed.pop(name, None)
        self._turns = {each: turn for each, turn in self._turns.items() if each in wanted}
        return bool(gone)

    def due(self, now_s: float) -> Iterator[str]:
        """Yield the names that are due, each once, whoever's turn it is; may be left at any."""
        order = sorted(self._wanted, key=lambda each: (self._turns.get(each, 0), each))
        queues = {each: self._due_of(each, now_s) for each in order}
        yielded = set()
        while queues:
            for each in tuple(queues):
                names = queues[each]
                while names and names[-1] in yielded:
                    names.pop()
                if not names:
                    del queues[each]
                    continue
                self._turn += 1
                self._turns[each] = self._turn
                yielded.add(names[-1])
                yield names.pop()

    def looked_up(self, name: str, now_s: float, *, answered: bool) -> None:
        """Note that a name was looked up."""
        self._looked_up[name] = now_s
        if answered:
            self._failed.pop(name, None)
        else:
            self._failed[name] = self._failed.get(name, 0) + 1

    def _due_of(self, container_id: str, now_s: float) -> list[str]:
        """Return the names of a container that are due, the first one last."""
        found = []
        for name in self._wanted[container_id]:
            failed = self._failed.get(name, 0)
            last_s = self._looked_up.get(name)
            wait_s = EVERY_S << min(max(failed - 1, 0), _MOST_DOUBLED)
            if last_s is None or now_s - last_s >= wait_s:
                found.append((failed, last_s or 0.0, name))
        return [name for *_, name in sorted(found, reverse=True)]
