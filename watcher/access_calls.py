"""What the watcher does about who may talk to whom: refusals told, and DNS names followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocinet.base.clock import uptime_s
from ocinet.base.events import EventLog
from ocinet.base.files import exists
from ocinet.engine.access import EGRESS_NAMES
from ocinet.engine.egress_names import follow, names_by_container
from ocinet.engine.refusals import counts_of, newly_refused, tell_refusals
from ocinet.watcher.name_turns import NameTurns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocinet.base.address import Address
    from ocinet.base.paths import Paths
    from ocinet.engine.egress_names import Undone
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.refused import Refused

_ROUND_S = 20  # for DNS names at one time, and one name more
_ENTERED_S = 1  # that answers are gathered for


class AccessCalls:
    """What is done every few seconds, by one thread at a time.

    Args:
        paths: of the installation.
        engine: opens one.
        now_s: returns the seconds since the boot.
    """

    def __init__(
        self, paths: Paths, engine: Callable[[], Engine], now_s: Callable[[], float] = uptime_s
    ) -> None:
        self._uptime_s = now_s
        self._paths = paths
        self._engine = engine
        self._refused: dict[Refused, int] | None = None
        self._unanswered: set[str] = set()
        self._turns = NameTurns()
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

        New names at once, all others every half minute, for a time: the rest at the next call.

        Args:
            resolve: returns where a name leads to; None if nobody could tell.

        Raises:
            OcinetError: it can't be looked at, or entered.
        """
        if not exists(f"{self._paths.run}/access/{EGRESS_NAMES}"):
            return
        with self._engine() as engine:
            wanted = names_by_container(engine.records)
        is_changed = self._turns.want(wanted) or bool(self._undone)
        begun_s = entered_s = now_s = self._uptime_s()
        answers: dict[str, tuple[Address, ...]] = {}
        for name in self._turns.due(now_s):
            places = resolve(name)
            now_s = self._uptime_s()
            self._turns.looked_up(name, now_s, answered=places is not None)
            if places is None:
                self._tell_unanswered(name)
            else:
                answers[name] = places
                self._unanswered.discard(name)
            # Nobody's answer waits for more than one name of another's that nobody answers.
            if answers and now_s - entered_s >= _ENTERED_S:
                self._enter(answers, now_s)
                answers, is_changed, entered_s = {}, False, now_s
            if now_s - begun_s >= _ROUND_S:
                break  # new ones have their turn as well
        if answers or is_changed:
            self._enter(answers, now_s)

    def _enter(self, answers: Mapping[str, tuple[Address, ...]], now_s: float) -> None:
        with self._engine() as engine:  # anew: it may have taken as long as resolvers take
            follow(
                engine.operation, engine.machine, engine.records, answers, int(now_s), self._undone
            )

    def _tell_unanswered(self, name: str) -> None:
        """Add to the event log that no resolver could tell a name; once, until one can."""
        if name not in self._unanswered:
            EventLog(self._paths.run).append(
                "name not looked up", what=name, why="no resolver answered the watcher",
                hint="its unit lets it ask on this machine alone; to ask elsewhere: systemctl edit"
                " ocinet-watcher, [Service] IPAddressAllow=RESOLVER",
            )  # fmt: skip
        self._unanswered.add(name)
