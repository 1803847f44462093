"""The thread that writes: that this host lives, what it is now, and what etcd has lost of it.

Whoever holds `alive/<id>` is the host of that id. A machine that finds it held by another boot
waits until that lease ends: by then it was itself, before its reboot. If it does not end, there are
two, and this one came second. Of the same boot it was this agent before it was started anew; but
whoever held it already, and finds somebody else there, has a clone beside it under one kernel.
"""

from __future__ import annotations

import secrets
import threading
from time import monotonic
from typing import TYPE_CHECKING

from ocinet.base.clock import Deadline, boot_id, now
from ocinet.base.errors import OcinetError
from ocinet.base.names import is_hostname
from ocinet.cluster import keys
from ocinet.cluster.census import Census
from ocinet.cluster.decode import Alive, written
from ocinet.cluster.etcd import Etcd
from ocinet.cluster.identity import own_name
from ocinet.cluster.kept import JOINED
from ocinet.cluster.plane.planes import plane_of
from ocinet.cluster.standing import Amiss, judge
from ocinet.cluster.store import Compare, Put, UnreachableError
from ocinet.cluster.underlay import underlay_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocinet.cluster.feed import Feed
    from ocinet.cluster.kept import Keeping, Kept
    from ocinet.cluster.model import Host
    from ocinet.cluster.view import View

TTL_S = 30
_INTERVAL_S = TTL_S / 3
_RETRY_S = 1.0
_LOCK_S = 5.0
_STOP_S = 20.0  # a name may be looked up for longer, and nothing is amidst that
_SLACK_S = 5.0  # etcd ends a lease some seconds late


class Member(threading.Thread):
    """Keeps this host as it is in etcd.

    Args:
        kept: what it was when this began.
        keeping: where it is kept, and what it becomes.
        view: what etcd has.
        feed: told when etcd answers no more.
        log: where it is said what was written.
        told: called when it is heard, or not any more; and if this thread ends by a fault.

    Attributes:
        is_cloned: whether another machine is heard by this one's id, and does not end.
        error: why what this host is can't be written just now, and what helps; ("", "") if it can.
    """

    def __init__(
        self,
        kept: Kept,
        keeping: Keeping,
        view: View,
        feed: Feed,
        log: Any,
        told: tuple[Callable[[], None], Callable[[BaseException], None]],
    ) -> None:
        super().__init__(name="cluster member", daemon=True)
        self._etcd = Etcd(kept.access)
        self._name, self._me = kept.cluster.name, kept.host.id
        self._keeping, self._view, self._feed, self._log = keeping, view, feed, log
        self._changed, self._failed = told
        self._session = secrets.token_hex(8)
        self._lease = 0
        self._mark = 0  # the revision by which we are heard; 0: we are not
        self._until = 0.0  # when who else is heard must have ended
        self._overtaken = False  # whether somebody else is heard where we were
        self.error = ("", "")
        self.is_cloned = False
        self._wake = threading.Event()
        self._ended = threading.Event()

    @property
    def is_heard(self) -> bool:
        """Whether this host is the one of its id."""
        return bool(self._mark)

    def run(self) -> None:
        """Write whatever has to be, until it is stopped."""
        try:
            while not self._ended.is_set():
                self._wake.clear()
                self._wake.wait(self._turn())
        except BaseException as error:  # noqa: BLE001  # the agent ends by it, and is started anew
            self._failed(error)
        finally:
            self._etcd.close()

    def wake(self) -> None:
        """Look at once whether something has to be written."""
        self._wake.set()

    def stop(self) -> None:
        """End the thread, and wait for that; this host is heard until its lease ends."""
        self._ended.set()
        self._wake.set()
        self.join(_STOP_S)

    def _turn(self) -> float:
        """Do what is to be done; return in how many seconds to look again."""
        kept = self._keeping.find()
        if kept is None or kept.state != JOINED:
            return _INTERVAL_S
        # A stream may be open and silent for ever, as of a member that hangs or has lost the
        # majority. So the same member is asked here, and left there if it is left here.
        turn = self._feed.turn
        self._etcd.ask_same(turn)
        try:
            heard = self._be_heard()
            if heard:
                self._write(kept)
            self._tell(None)
            if heard:
                return _INTERVAL_S
        except OcinetError as error:
            if isinstance(error, UnreachableError) and not self.is_cloned:
                self._until = 0.0  # without a majority no lease ends
            self._tell(error)
        finally:
            if self._etcd.turn != turn == self._feed.turn and not self._view.reached.error:
                self._feed.renew()
        return _RETRY_S

    def _tell(self, error: OcinetError | None) -> None:
        """Note whether something could be written, and why not; it is said once."""
        told = (error.why, error.hint) if error else ("", "")
        if isinstance(error, UnreachableError):
            # Which endpoint says what is another one at each turn, and `feed` tells it.
            self._log.debug("nothing can be written to etcd", error=str(error))
            told = ("etcd does not answer", "")
        if told == self.error:
            return
        if error and not isinstance(error, UnreachableError):
            self._log.warning("nothing is written to etcd", error=str(error), hint=error.hint)
        self.error = told
        self._changed()

    def _be_heard(self) -> bool:
        """Keep our lease, or get one; return whether this host is the one of its id."""
        if (
            self._mark
            and self._etcd.keep(self._lease)
            and self._view.alive(self._me) == self._session
        ):
            return True
        key = keys.alive(self._name, self._me)
        entries = self._etcd.scan(key).entries
        census = Census.of(self._name, entries)
        stood, boot = census.alive(self._me), boot_id()
        if stood is not None and self._mark and stood.value.session == self._session:
            return True
        self._overtaken = stood is not None and (self._overtaken or bool(self._mark))
        # Of this boot it is who was this agent before, for there is one at a time.
        foreign = stood is not None and (stood.value.boot != boot or self._overtaken)
        if stood is not None and foreign and self._lives(stood.entry.lease):
            self._set(0)
            return False
        self._until, self.is_cloned, self._overtaken = 0.0, False, False
        lease = self._etcd.grant(TTL_S)
        put = Put(key, written(Alive(self._session, boot, now())), lease)
        at = entries[0].modified if entries else 0  # also of what makes no sense
        done = self._etcd.commit((Compare(key, modified=at),), (put,))
        self._lease = lease
        self._set(done.revision if done.done else 0)
        return done.done

    def _lives(self, lease: int) -> bool:
        """Tell whether who is heard by our id may live: its lease has not ended."""
        left_s = self._etcd.left_s(lease) if lease else TTL_S
        if left_s < 0:
            return False
        if not self._until:
            self._until = monotonic() + TTL_S + _SLACK_S
            self._log.info("this host's id is heard already, of before its boot or of a clone",
                           seconds=left_s)  # fmt: skip
        elif monotonic() > self._until and not self.is_cloned:
            self.is_cloned = True
            self._changed()
        return True

    @property
    def mark(self) -> int:
        """The revision by which this host is heard, which who writes compares; 0: it is not."""
        return self._mark

    def _set(self, mark: int) -> None:
        changed = bool(self._mark) != bool(mark)
        self._mark = mark
        if changed:
            self._changed()

    def _write(self, kept: Kept) -> None:
        """Write what has changed of this host, or what etcd has lost of it."""
        if not self._view.is_listed:
            return
        standing = self._view.judge(kept, self._now(kept), judge)
        if not isinstance(standing, Amiss):
            return
        alive = keys.alive(self._name, self._me)
        compares = (*standing.compares, Compare(alive, modified=self._mark))
        with self._keeping.lock(
            Deadline(_LOCK_S)
        ):  # or whoever leaves would find itself written back
            now_kept = self._keeping.find()
            if now_kept != kept:
                self._wake.set()
                return
            # Known here before it is known to others, as at a join.
            if standing.host != kept.host:
                self._keeping.put(kept.replace(host=standing.host))
            done = self._etcd.commit(compares, standing.acts).done
        if done:
            self._log.info("written to etcd", what=list(standing.what))

    def _now(self, kept: Kept) -> Host:
        """Return this host as it is now."""
        try:
            underlay = underlay_of(kept.underlay, kept.access.endpoints, kept.host.underlay)
        except OcinetError:
            underlay = kept.host.underlay  # as long as there is no other
        try:  # the file may have been lost, and is made anew
            key = plane_of(kept.cluster, self._keeping.paths).public_key()
        except OcinetError:
            key = kept.host.public_key
        name = kept.name or own_name()
        return kept.host.replace(
            underlay=underlay,
            public_key=key,
            name=name if is_hostname(name) else kept.host.name,
        )
