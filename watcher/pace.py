"""When the keeper looks, and what it repairs: neither too often. Pure: it is told the time.

Changes come in bursts, so a look waits a moment for the rest of them. While they go on,
looks take a share of a CPU, not all of it; one long look alone, as the first at a thousand
containers is, makes no repair wait: neither afterwards, nor while it goes on. And where
somebody undoes each repair, as a link manager that wants a bridge down does, repairing stops
for a while that grows, for neither of the two would ever have its way.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ocinet.base.value import Value
from ocinet.engine.model.scope import EVERYTHING, NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.check import Finding
    from ocinet.engine.model.scope import Scope

SETTLE_S = 0.1  # what belongs together comes within that time
_LEAST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0
_IDLE_SHARE = 3  # times as long as the CPU time of looks, it rests
_SPARE_S = 5.0  # of looks that need no rest after them: what is rested later gives it back
_FRUITLESS = 5  # looks that found nothing: the pause doubles, up to
_LONGEST_FRUITLESS_S = 1.0
_FEW = 16  # containers that are looked at in between: a hundredth of a long look
# So many repairs of one thing in so many seconds are a quarrel: with somebody who is told of
# changes as we are, and with somebody who looks now and then.
_QUARRELS = ((5, 10.0), (20, 300.0))
_AGAIN = (2, 10.0)  # once it has been held
_QUIET_S = 300.0
_FIRST_HOLD_S, _LONGEST_HOLD_S = 10.0, 600.0
_NUMBERS = re.compile(r"\d+")


class Hold(Value):
    """One thing that is not repaired for a while, because somebody undoes it each time.

    Attributes:
        container: its name; "" for what many share.
        what: as it was found.
        for_s: how long.
    """

    container: str
    what: str
    for_s: float


class _Quarrel:
    """What happened to one thing lately."""

    def __init__(self) -> None:
        self.repaired_at: list[float] = []
        self.hold_s = 0.0
        self.until = 0.0

    def repaired(self, now: float) -> bool:
        """Note a repair; tell whether there have been too many."""
        self.repaired_at = [at for at in self.repaired_at if at > now - _QUIET_S]
        self.repaired_at.append(now)
        limits = (*_QUARRELS, _AGAIN) if self.hold_s else _QUARRELS
        return any(
            len(self.repaired_at) >= often and self.repaired_at[-often] > now - within_s
            for often, within_s in limits
        )

    @property
    def last(self) -> float:
        return max(self.until, self.repaired_at[-1] if self.repaired_at else 0.0)


class Pace:
    """Says when to look at what, and what of it to repair."""

    def __init__(self) -> None:
        self._touched = NOTHING
        self._due = 0.0
        self._not_before = 0.0
        self._fruitless = 0
        self._quarrels: dict[tuple[str, str], _Quarrel] = {}
        self._ended = 0.0
        self._spare_s = _SPARE_S

    def touch(self, scope: Scope, now: float) -> None:
        """Note that something may have been touched."""
        if not scope:
            return
        if not self._touched:
            self._due = max(now + SETTLE_S, self._not_before)
        self._touched |= scope

    def wait_s(self, now: float) -> float | None:
        """Return the seconds until something is to be looked at; None if nothing is."""
        due = [self._due] if self._touched else []
        due += [quarrel.until for quarrel in self._quarrels.values() if quarrel.until]
        return max(0.0, min(due) - now) if due else None

    def begin(self, now: float) -> Scope:
        """Return what is to be looked at now: nothing, if it is too early."""
        for quarrel in self._quarrels.values():
            if quarrel.until and quarrel.until <= now:
                quarrel.until = 0.0
                self._touched, self._due = EVERYTHING, now
        if not self._touched or self._due > now:
            return NOTHING
        scope, self._touched = self._touched, NOTHING
        self._spare_s = min(self._spare_s + (now - self._ended) / _IDLE_SHARE, _SPARE_S)
        return scope

    def interrupt(self, now: float) -> Scope:
        """Return what can't wait until the look that goes on has ended; it is looked at before.

        That is what many share, and a few containers; what is more goes on to wait.
        """
        if now < max(self._due, self._not_before):
            return NOTHING
        urgent = self._touched
        if urgent.containers is None or len(urgent.containers) > _FEW:
            urgent = urgent.replace(containers=(), inside=False)
        waiting = self._touched.replace(table=False, networks=False)
        self._touched = NOTHING if urgent.containers else waiting
        return urgent

    def may_repair(self, container: str, what: str) -> bool:
        """Tell whether a thing that was found is repaired, or left alone for a while."""
        quarrel = self._quarrels.get(_key(container, what))
        return not (quarrel and quarrel.until)

    def end(self, findings: Iterable[Finding], now: float, spent_s: float) -> tuple[Hold, ...]:
        """Note what was found; return what is not repaired from now on, for a while.

        Args:
            findings: of the look that began last.
            now: when it ends.
            spent_s: of CPU time, for it.
        """
        repaired = [finding for finding in findings if finding.repaired]
        self._fruitless = 0 if repaired else self._fruitless + 1
        pause_s = min(_LEAST_PAUSE_S * 2 ** (self._fruitless // _FRUITLESS), _LONGEST_FRUITLESS_S)
        self._not_before = now + max(pause_s, self._rest_s(now, spent_s))
        self._due = max(self._due, self._not_before)  # of what was told meanwhile
        holds = []
        for key, finding in {_key(each.container, each.what): each for each in repaired}.items():
            quarrel = self._quarrels.setdefault(key, _Quarrel())
            if quarrel.repaired(now):
                quarrel.hold_s = min(2 * quarrel.hold_s or _FIRST_HOLD_S, _LONGEST_HOLD_S)
                quarrel.until = now + quarrel.hold_s
                quarrel.repaired_at.clear()
                holds.append(Hold(finding.container, finding.what, quarrel.hold_s))
        self._forget(now)
        return tuple(holds)

    def _rest_s(self, now: float, spent_s: float) -> float:
        """Note what a look took; return how long there has to be none, 0 or less for no time."""
        self._spare_s = max(self._spare_s - spent_s, -_LONGEST_PAUSE_S / _IDLE_SHARE)
        self._ended = now
        return -self._spare_s * _IDLE_SHARE

    def _forget(self, now: float) -> None:
        """Forget what has been quiet for as long as it was held, and five minutes at least."""
        self._quarrels = {
            key: quarrel
            for key, quarrel in self._quarrels.items()
            if quarrel.last + max(_QUIET_S, quarrel.hold_s) > now
        }


def _key(container: str, what: str) -> tuple[str, str]:
    # "lacks 1 element" and "lacks 2 elements" are one thing.
    return container, _NUMBERS.sub("N", what)
