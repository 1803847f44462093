"""The thread that keeps what is attached as it was made, whoever attached it.

It is told what others change and has the engine look at what that may have touched: the
records say what there has to be. It needs no engine of containers.
"""

from __future__ import annotations

import resource
import threading
from collections import deque
from time import monotonic, thread_time
from typing import TYPE_CHECKING, Protocol

from ocinet.base.errors import OcinetError
from ocinet.engine.model.scope import EVERYTHING, NOTHING
from ocinet.watcher.lookup import look_up
from ocinet.watcher.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocinet.base.address import Address
    from ocinet.engine.check import Finding
    from ocinet.engine.model.scope import Scope
    from ocinet.watcher.pace import Hold, Pace
    from ocinet.watcher.workers import Workers

_GATHER_S = 0.05  # of what follows at once, each message would wake us
_READ_S = 0.1  # between readings of what is told during a look: a long one is more than fits
_SILENT_S = 1.0  # between looks at what nobody tells of
_REFUSED_S = 60.0  # between events of what containers were refused
_NAMES_S = 5.0  # between looks for DNS names that somebody speaks of
_MOST_TOLD = 20
_MONITORS = (("table ", "nft monitor"), ("filter ", "nft monitor"), ("net/", "sysctl --system"))


class Changes(Protocol):
    """Tells what others may have touched; see `engine.changes`."""

    @property
    def hears_sandboxes(self) -> bool:
        """Whether changes within sandboxes are told."""

    def filenos(self) -> tuple[int, ...]:
        """Return what to poll for."""

    def read(self) -> Scope:
        """Return what was touched, as far as it is told."""

    def look(self) -> Scope:
        """Return what was touched of that of which nobody tells."""

    def close(self) -> None:
        """Listen no more."""


class AccessRepairs(Protocol):
    """What is done about who may talk to whom; see `access_calls`."""

    def tell_refused(self) -> None:
        """Add to the event log what containers were refused since the last time."""

    def follow_names(self, resolve: Callable[[str], tuple[Address, ...] | None]) -> None:
        """Have packets leave for what DNS names lead to by now."""


class Repairs(Protocol):
    """What the keeper has done; see `engine_calls`."""

    def keep(
        self, scope: Scope, may_repair: Callable[[str, str], bool], give_way: Callable[[], None]
    ) -> tuple[Finding, ...]:
        """Compare what is recorded with what is there, and put it right."""

    def tell_hold(self, hold: Hold, hint: str) -> None:
        """Add to the event log what is not repaired any more for a while."""

    @property
    def access(self) -> AccessRepairs:
        """What is done about who may talk to whom."""


class Keeper(Turns):
    """The thread; to be started once and stopped once.

    Args:
        listen: begins to listen to changes.
        repairs: what is done about them.
        pace: when, and how often.
        workers: where it is done.
        log: where what was repaired, and what was not, is told.
        failed: told of what is no failure of the machine's.
    """

    def __init__(
        self,
        listen: Callable[[], Changes],
        repairs: Repairs,
        pace: Pace,
        workers: Workers,
        log: Any,
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__("keeper", failed, _SILENT_S)
        self._listen = listen
        self._changes: Changes | None = None
        self._told: deque[Scope] = deque()  # during a look: one thread adds, and one takes
        self._repairs = repairs
        self._pace = pace
        self._workers = workers
        self._log = log
        self._complaints: set[tuple[str, str, str]] = set()
        self._next_silent = 0.0
        self._next_refused = 0.0
        self._next_names = 0.0

    def _begin(self) -> None:
        try:
            self._changes = self._listen()
        except OcinetError as error:
            self._log.warning(
                "changes by others are not heard: all is looked at with each reconciling",
                error=str(error),
            )
            return
        if not self._changes.hears_sandboxes:
            self._log.warning(
                "changes within containers are not heard: they are seen with each reconciling",
                hint="give the watcher CAP_NET_BROADCAST",
            )

    def _end(self) -> None:
        if self._changes:
            self._changes.close()

    def _turn(self) -> None:
        """Wait until something is told, asked for or due, and do what follows from it."""
        if self._wait():
            self._stopping.wait(_GATHER_S)
        if self._stopping.is_set():
            return
        touched = self._hear()
        if self._asked.is_set():
            self._asked.clear()
            touched = EVERYTHING
        self._pace.touch(touched, monotonic())
        if monotonic() >= self._next_refused:
            self._next_refused = monotonic() + _REFUSED_S
            self._workers.submit("refused", "refused", self._tell_refused)
        if monotonic() >= self._next_names:
            self._next_names = monotonic() + _NAMES_S
            self._workers.submit("names", "names", self._follow_names)
        scope = self._pace.begin(monotonic())
        if scope:
            self._have_looked(scope)

    def _tell_refused(self) -> None:
        try:
            self._repairs.access.tell_refused()
        except OcinetError as error:
            self._log.warning("what was refused can't be looked at", error=str(error))

    def _follow_names(self) -> None:
        try:
            self._repairs.access.follow_names(look_up)
        except OcinetError as error:
            self._log.warning("DNS names can't be followed", error=str(error))

    def _hear(self) -> Scope:
        """Return what was touched since the last time."""
        if self._changes is None:
            return NOTHING
        touched = self._changes.read()
        if monotonic() >= self._next_silent:
            self._next_silent = monotonic() + _SILENT_S
            touched |= self._changes.look()
        return touched

    def _wait(self) -> bool:
        """Return whether anything was told."""
        now = monotonic()
        waits = [self._pace.wait_s(now)]
        if self._changes:
            waits.append(max(0.0, self._next_silent - now))
        due = [wait_s for wait_s in waits if wait_s is not None]
        return self._poll(self._changes.filenos() if self._changes else (), min(due, default=None))

    def _have_looked(self, scope: Scope) -> None:
        """Have a worker look, and hear meanwhile what is told: it takes what can't wait."""
        done = threading.Event()

        def job() -> None:
            try:
                self._look(scope, self._give_way)
            finally:
                done.set()

        if self._workers.submit("keep", "keep", job):
            try:
                # Who stops forgets what is queued.
                while not (done.wait(_READ_S) or self._stopping.is_set()):
                    self._told.append(self._hear())
            finally:
                while not (done.wait(_SILENT_S) or self._stopping.is_set()):
                    pass
            self._take_told()

    def _take_told(self) -> None:
        while self._told:
            self._pace.touch(self._told.popleft(), monotonic())

    def _give_way(self) -> None:
        """Look at what can't wait until all containers have been looked at."""
        self._take_told()
        urgent = self._pace.interrupt(monotonic())
        if urgent:
            self._look(urgent, _go_on)

    def _look(self, scope: Scope, give_way: Callable[[], None]) -> None:
        before_s = _spent_s()
        findings: tuple[Finding, ...] = ()
        try:
            findings = self._repairs.keep(scope, self._pace.may_repair, give_way)
        except OcinetError as error:
            self._complain({("", "what is attached can't be looked at", str(error))}, scope)
            self._pace.touch(scope, monotonic())
        else:
            self._tell(findings, scope)
            if any(finding.busy for finding in findings):
                self._pace.touch(scope, monotonic())
        for hold in self._pace.end(findings, monotonic(), _spent_s() - before_s):
            hint = f"see who changes it: {_monitor_of(hold.what)}; now: ocinet check --repair"
            self._log.warning(
                "not repaired for a while: somebody undoes it each time",
                container=hold.container, what=hold.what, for_s=hold.for_s, hint=hint,
            )  # fmt: skip
            self._repairs.tell_hold(hold, hint)

    def _tell(self, findings: tuple[Finding, ...], scope: Scope) -> None:
        repaired = [finding for finding in findings if finding.repaired]
        for finding in repaired[:_MOST_TOLD]:
            self._log.info("repaired", container=finding.container, what=finding.what)
        if len(repaired) > _MOST_TOLD:
            self._log.info("repaired", what=f"{len(repaired) - _MOST_TOLD} things more")
        complaints = {
            (finding.container, finding.what, finding.why_not)
            for finding in findings
            if not finding.repaired
            and (finding.why_not or self._pace.may_repair(finding.container, finding.what))
        }
        self._complain(complaints, scope)

    def _complain(self, complaints: set[tuple[str, str, str]], scope: Scope) -> None:
        """Say what can't be put right; once, until it is not found in a look at everything."""
        for container, what, why in sorted(complaints - self._complaints):
            self._log.warning("not repaired", container=container, what=what, error=why)
        whole = scope == EVERYTHING
        self._complaints = complaints if whole else self._complaints | complaints


def _go_on() -> None:
    """Stand where nothing is waited for."""


def _spent_s() -> float:
    """Return the CPU time of this thread, and of all children that were waited for: of nft."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return thread_time() + children.ru_utime + children.ru_stime


def _monitor_of(what: str) -> str:
    """Return the command that shows who changes a thing."""
    return next((command for part, command in _MONITORS if part in what), "ip monitor link address")
