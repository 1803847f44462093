"""What the watcher does about who may talk to whom: refusals told, and DNS names followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocinet.base.clock import uptime_s
from ocinet.base.events import EventLog
from ocinet.base.files import exists
from ocinet.engine.access import EGRESS_NAMES
from ocinet.engine.egress_names import follow, wanted_names
from ocinet.engine.refusals import counts_of, newly_refused, tell_refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ocinet.base.address import Address
    from ocinet.base.paths import Paths
    from ocinet.engine.egress_names import Undone
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.refused import Refused

_NAMES_S = 30  # between two looks at where a DNS name leads to


class AccessCalls:
    """What is done every few seconds, by one thread at a time.

    Args:
        paths: of the installation.
        engine: opens one.
    """

    def __init__(self, paths: Paths, engine: Callable[[], Engine]) -> None:
        self._paths = paths
        self._engine = engine
        self._refused: dict[Refused, int] | None = None
        self._unanswered: set[str] = set()
        self._looked_up: dict[str, int] = {}  # DNS names, and when: seconds since the boot
        self._undone: Undone = {}  # see `follow`

    def tell_refused(self) -> None:
        """Add to the event log what containers were refused since the last time.

        Of what was refused before the first time, nobody knows when.

        Raises:
            OcinetError: it can't be looked at.
        """
        with self._engine() as engine:
            now = counts_of(engine.refused())
            before, self._refused = self._refused, now
            refused = newly_refused(before, now) if before is not None else ()
            told = tell_refusals(refused, engine.containers.all()) if refused else ()
        log = EventLog(self._paths.run)
        for each in told:
            container = each.container
            log.append(
                "refused", container=container.id, name=container.name, what=each.what,
                hint=each.hint,
            )  # fmt: skip

    def follow_names(self, resolve: Callable[[str], tuple[Address, ...] | None]) -> None:
        """Have containers' packets leave for what DNS names lead to by now, where they may.

        New names at once, all others every half minute.

        Args:
            resolve: returns where a name leads to; None if nobody could tell.

        Raises:
            OcinetError: it can't be looked at, or entered.
        """
        if not exists(f"{self._paths.run}/access/{EGRESS_NAMES}"):
            return
        with self._engine() as engine:
            names = wanted_names(engine.records)
        now_s = int(uptime_s())
        due = [name for name in names if now_s - self._looked_up.get(name, -_NAMES_S) >= _NAMES_S]
        if not due and not self._undone and self._looked_up.keys() <= set(names):
            return
        found = {name: resolve(name) for name in due}
        answers = {name: places for name, places in found.items() if places is not None}
        self._tell_unanswered(found.keys() - answers.keys(), answers)
        known = {name: at for name, at in self._looked_up.items() if name in names}
        self._looked_up = {**known, **dict.fromkeys(due, now_s)}
        with self._engine() as engine:  # anew: it may have taken as long as resolvers take
            follow(engine.operation, engine.machine, engine.records, answers, now_s, self._undone)

    def _tell_unanswered(self, names: set[str], answered: Iterable[str]) -> None:
        """Add to the event log of which names no resolver could tell; once, until one can."""
        for name in sorted(names - self._unanswered):
            EventLog(self._paths.run).append(
                "name not looked up", what=name, why="no resolver answered the watcher",
                hint="its unit lets it ask on this machine alone; to ask elsewhere: systemctl edit"
                " ocinet-watcher, [Service] IPAddressAllow=RESOLVER",
            )  # fmt: skip
        self._unanswered = (self._unanswered | names) - set(answered)
