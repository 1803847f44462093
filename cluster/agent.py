"""The service: this host as a member of its cluster, until it leaves or is told to stop.

SIGTERM, SIGINT    stop; all ways and networks stay as they are
SIGHUP             read what is kept anew, and look at everything

Four threads: `feed` reads etcd, `member` writes to it, `names` sees to what containers are called,
and this one makes of it what the kernel and the networks shall be. It never waits for etcd.
"""

from __future__ import annotations

import os
import select
import signal
from time import monotonic
from typing import TYPE_CHECKING

from ocinet.base.clock import Deadline, now
from ocinet.base.errors import BusyError, OcinetError
from ocinet.base.lock import Lock
from ocinet.cluster import memory
from ocinet.cluster.bulletin import FAILED, HINDERED, MEMBER, WAITING, Bulletin, shown
from ocinet.cluster.feed import Feed
from ocinet.cluster.kept import JOINED, Keeping
from ocinet.cluster.member import Member
from ocinet.cluster.names import Names
from ocinet.cluster.notices import HostNotices
from ocinet.cluster.plane.planes import plane_of
from ocinet.cluster.share_networks import close
from ocinet.cluster.standing import Lost, Unclear, judge
from ocinet.cluster.view import View
from ocinet.engine.engine import Engine

if TYPE_CHECKING:
    from typing import Any

    from ocinet.base.paths import Paths
    from ocinet.cluster.kept import Kept
    from ocinet.cluster.model import Peer
    from ocinet.cluster.plane.plane import DataPlane
    from ocinet.cluster.standing import Standing

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LOOK_S = 180.0  # whatever nobody tells of
_CALM_S = 1.0  # between two looks because of what the kernel tells: others change much, too
_RETRY_S = 5.0  # after something could not be made
_LOCK_S = 5.0
_KEEP_S = 5.0  # between two writings of what etcd has
_MOST_TOLD = 100  # lines of who is not reached
_CLONE = Lost(
    "another machine is heard by this one's id: one of the two is a clone",
    "on the clone: rm /etc/machine-id, systemd-machine-id-setup, and a reboot",
)


class Agent:
    """This host as a member of its cluster.

    Args:
        paths: of the installation.
        log: as the watcher's.
    """

    def __init__(self, paths: Paths, log: Any) -> None:
        self._paths = paths
        self._log = log
        self._keeping = Keeping(paths)
        self._bulletin = Bulletin(paths.run)
        self._woken = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._faults: list[BaseException] = []
        self._stopped = False

    def run(self) -> None:
        """Be the agent until a signal ends it, or this host has left.

        Raises:
            BusyError: another one runs already.
            NotFoundError: this host is in no cluster.
        """
        self._keeping.get()
        lock = Lock(f"{self._paths.run}/locks/cluster-agent", "the cluster's agent", None)
        try:
            with lock, _Signals() as signals:
                while not self._stopped and (kept := self._keeping.find()):
                    self._serve(kept, signals)
        except BusyError as error:
            raise BusyError("cannot follow the cluster", f"{error.why}: one agent is enough",
                            "stop that one first") from error  # fmt: skip
        finally:
            self._bulletin.withdraw()
            os.close(self._woken)

    def wake(self) -> None:
        """Have it look at what has changed; for other threads."""
        os.eventfd_write(self._woken, 1)

    def _fail(self, error: BaseException) -> None:
        self._faults.append(error)
        self.wake()

    def _serve(self, kept: Kept, signals: _Signals) -> None:
        """Be a member as long as etcd is reached in the same way."""
        name = kept.cluster.name

        def heard() -> None:
            self.wake()
            names.wake()

        view = View(name, self.wake)
        feed = Feed(kept.access, name, view, self._log, self._fail)
        member = Member(kept, self._keeping, view, feed, self._log, (heard, self._fail))
        names = Names(self._paths, self._keeping, view, member, self._log, self._fail)
        view.tell_of_names(names.wake)
        round_ = Round(self._paths, self._keeping, view, member, self._bulletin, self._log)
        notices = HostNotices()
        view.remember(memory.recall(self._paths, name))
        self._log.info("agent started", cluster=name, shares=list(map(str, kept.shares)))
        feed.start()
        member.start()
        names.start()
        try:
            while not self._stopped and round_.go(kept):
                self._wait(notices, signals, member, round_)
                if self._faults:
                    raise self._faults[0]
        finally:
            feed.stop()
            member.stop()
            names.stop()
            notices.close()

    def _wait(self, notices: HostNotices, signals: _Signals, member: Member, round_: Round) -> None:
        """Wait until there is something to look at."""
        files = [self._woken, signals.fileno()]
        calm_s = round_.looked + _CALM_S - monotonic()
        if calm_s <= 0:
            files.append(notices.fileno())
        pause_s = max(0.0, min(round_.due - monotonic(), calm_s if calm_s > 0 else _LOOK_S))
        ready, _, _ = select.select(files, (), (), pause_s)
        if self._woken in ready:
            os.eventfd_read(self._woken)
            member.wake()
            round_.changed()
        if notices.fileno() in ready:
            notices.drain()
            member.wake()  # an address of the underlay may be another
            round_.changed()
        for number in signals.received():
            if number == signal.SIGHUP:
                self._log.info("what is kept is read anew")
                member.wake()
                round_.changed()
            else:
                self._log.info("agent stops", signal=signal.Signals(number).name)
                self._stopped = True


class Round:
    """What is looked at and done each time something has changed.

    Args:
        paths: of the installation.
        keeping: what this host keeps.
        view: what etcd has.
        member: whether this host is the one of its id.
        bulletin: where it is told.
        log: where it is told, too.

    Attributes:
        looked: when it was last done.
        due: when it is done again, whatever happens.
    """

    def __init__(
        self,
        paths: Paths,
        keeping: Keeping,
        view: View,
        member: Member,
        bulletin: Bulletin,
        log: Any,
    ) -> None:
        self._paths, self._keeping, self._view = paths, keeping, view
        self._member, self._bulletin, self._log = member, bulletin, log
        self._plane: DataPlane | None = None
        self._plane_error = ""
        self._unreached: tuple[str, ...] = ()
        self._applied = ""
        self._known = memory.Mark()
        self._kept_at = 0.0
        self._unkept = ""
        self._told_lost = ""
        self.looked = 0.0
        self.due = 0.0

    def changed(self) -> None:
        """Do it at once."""
        self.due = 0.0

    def go(self, begun: Kept) -> bool:
        """Look, and do what follows if it is due; return False if all is to begin anew."""
        if monotonic() < self.due:
            return True
        self.looked = monotonic()
        self.due = self.looked + _LOOK_S
        try:
            with self._keeping.lock(Deadline(_LOCK_S)):
                kept = self._keeping.find()
                if kept is None or kept.access != begun.access:
                    return False
                if kept.state == JOINED:
                    self._do(kept)
        except OcinetError as error:
            self._log.warning("cluster not looked at", error=str(error))
            self.due = self.looked + _RETRY_S
        return True

    def _do(self, kept: Kept) -> None:
        standing = self._view.judge(kept, kept.host, judge)
        lost = standing if isinstance(standing, Lost) else None
        if self._member.is_cloned:
            lost = _CLONE
        self._tell(kept, lost)
        self._close(kept, lost)
        peers, flaws = self._view.peers(kept.mine)
        # What runs is kept, and by whom it is reached: nothing is changed until it is sound.
        # Nor is anything taken down by who knows nothing, as after a loss of what was kept.
        if lost is None and self._view.is_known:
            self._apply(kept, peers)
        self._remember(kept)
        state, why, hint = self._state(standing if lost is None else lost)
        self._bulletin.tell(
            cluster=kept.cluster.name, state=state, why=why, hint=hint,
            etcd={"endpoint": self._view.reached.endpoint, "error": self._view.reached.error,
                  "since": self._view.reached.since},
            plane=self._plane_error, unreached=list(self._unreached), applied=self._applied,
            peers=list(map(shown, peers)), flaws=list(flaws),
        )  # fmt: skip

    def _state(self, standing: Standing) -> tuple[str, str, str]:
        if isinstance(standing, Lost):
            return FAILED, standing.why, standing.hint
        if self._view.reached.error:
            return WAITING, self._view.reached.error, ""
        why, hint = self._member.error
        if why:
            return WAITING, f"what this host is can't be written to etcd: {why}", hint
        if not self._member.is_heard:
            return WAITING, "who was heard by this host's id before has half a minute to end", ""
        if isinstance(standing, Unclear):
            return WAITING, standing.why, standing.hint
        if self._plane_error:
            return HINDERED, f"not all ways to other hosts are made: {self._plane_error}", ""
        if self._unreached:
            more = f", and {len(self._unreached) - 1} more" if self._unreached[1:] else ""
            return HINDERED, f"not all other hosts are reached: {self._unreached[0]}{more}", ""
        return MEMBER, "", ""

    def _tell(self, kept: Kept, lost: Lost | None) -> None:
        why = lost.why if lost else ""
        if lost and why != self._told_lost:
            event = "this host takes no new containers of the cluster's"
            self._log.error(event, cluster=kept.cluster.name, error=why, hint=lost.hint)
        elif self._told_lost and not why:
            self._log.info("this host takes containers again", cluster=kept.cluster.name)
        self._told_lost = why

    def _close(self, kept: Kept, lost: Lost | None) -> None:
        """Have the networks take no new containers while this host's share is not its own."""
        why = f"{lost.why} (hint: {lost.hint})" if lost else ""
        if not self._view.is_listed and not lost:
            return  # as it was before this agent began: nobody has said otherwise
        with Engine.open(self._paths) as engine:
            for name in close(engine, kept.shares, why):
                self._log.warning("network closed" if why else "network open", network=name)

    def _apply(self, kept: Kept, peers: tuple[Peer, ...]) -> None:
        try:
            if self._plane is None:
                self._plane = plane_of(kept.cluster, self._paths)
            changes = self._plane.apply(kept.mine, peers)
        except OcinetError as error:
            if str(error) != self._plane_error:
                self._log.error("ways to other hosts not made", error=str(error))
            self._plane_error = str(error)
            self.due = self.looked + _RETRY_S
            return
        if self._plane_error:
            self._log.info("ways to other hosts made")
        unreached = changes.unreached[:_MOST_TOLD]
        for line in unreached if unreached != self._unreached else ():
            self._log.warning("not reached", peer=line)
        self._unreached = unreached
        self._plane_error, self._applied = "", now()
        if changes:
            self._log.info("ways changed", made=list(changes.made), removed=list(changes.removed))

    def _remember(self, kept: Kept) -> None:
        """Keep what etcd has for the next boot, where it is another than before."""
        if not self._view.is_listed:
            return
        known = self._view.memory()
        if known.mark == self._known:
            return
        wait_s = self._kept_at + _KEEP_S - monotonic()
        if wait_s > 0:  # while hundreds join, not for each of them
            self.due = min(self.due, monotonic() + wait_s)
            return
        self._kept_at = monotonic()
        try:
            memory.keep(self._paths, kept.cluster.name, known)
        except OcinetError as error:  # a boot without etcd is worse off, and nothing else
            if str(error) != self._unkept:
                self._log.warning("what is known is not kept", error=str(error))
            self._unkept = str(error)
            return
        self._known, self._unkept = known.mark, ""


class _Signals:
    """Signals that can be polled for, in a `with` block."""

    def __enter__(self) -> _Signals:
        self._reading, self._writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._former = {number: signal.signal(number, _ignore) for number in _SIGNALS}
        self._wakeup = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        return self

    def __exit__(self, *_exception: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, former in self._former.items():
            signal.signal(number, former)
        os.close(self._reading)
        os.close(self._writing)

    def fileno(self) -> int:
        """Return what to poll for."""
        return self._reading

    def received(self) -> bytes:
        """Return the numbers of those that came since."""
        try:
            return os.read(self._reading, 512)
        except BlockingIOError:
            return b""


def _ignore(_number: int, _frame: object) -> None:
    """Have the signal written where it is polled for, and do nothing else."""
