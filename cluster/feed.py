"""The thread that reads: all there is, then each change; from the beginning if that is lost."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ocinet.base.clock import Deadline
from ocinet.base.errors import OcinetError
from ocinet.cluster import keys
from ocinet.cluster.etcd import Etcd
from ocinet.cluster.store import CompactedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocinet.cluster.access import Access
    from ocinet.cluster.view import View

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0
_STOP_S = 20.0


class Feed(threading.Thread):
    """Keeps a view of a cluster as etcd has it.

    Args:
        access: how etcd is reached.
        name: of the cluster.
        view: that is kept.
        log: where it is said that etcd is away, and back.
        failed: told if this thread ends by a fault.
    """

    def __init__(
        self,
        access: Access,
        name: str,
        view: View,
        log: Any,
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__(name="cluster feed", daemon=True)
        self._etcd = Etcd(access)
        self._prefix = keys.root(name)
        self._view = view
        self._log = log
        self._failed = failed
        self._ended = threading.Event()
        self._pause_s = _FIRST_PAUSE_S

    def run(self) -> None:
        """Read until it is stopped."""
        try:
            while not self._ended.is_set():
                self._follow()
        except BaseException as error:  # noqa: BLE001  # the agent ends by it, and is started anew
            self._failed(error)
        finally:
            self._etcd.close()

    def stop(self) -> None:
        """End the thread, and wait for that."""
        self._ended.set()
        # It may be about to open what is broken off, or wait for an answer, which has an end.
        deadline = Deadline(_STOP_S)
        while self.is_alive() and deadline.left_s:
            self._etcd.break_off()
            self.join(0.05)

    @property
    def turn(self) -> int:
        """Which endpoint it reads from; see `Etcd.turn`."""
        return self._etcd.turn

    def renew(self) -> None:
        """Ask another endpoint: somebody has found out that this one leads nowhere."""
        self._etcd.break_off()

    def _follow(self) -> None:
        try:
            listing = self._etcd.scan(self._prefix)
            self._view.replace(listing)
            with self._etcd.follow(self._prefix, listing.revision + 1) as changes:
                for batch in changes:
                    self._heard()
                    self._view.apply(batch)
        except CompactedError:
            self._log.info("changes were compacted, all is listed anew")
        except OcinetError as error:
            if self._ended.is_set():
                return
            if not self._view.reached.error:
                self._log.warning("etcd is away", endpoint=self._etcd.endpoint, error=str(error))
            self._view.tell(self._etcd.endpoint, _away(error))
            self._etcd.next()
            self._ended.wait(self._pause_s)
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def _heard(self) -> None:
        """Note that a watch is there: only then does etcd tell all that comes."""
        if self._view.reached.error:
            self._log.info("etcd is heard", endpoint=self._etcd.endpoint)
        self._pause_s = _FIRST_PAUSE_S
        self._view.tell(self._etcd.endpoint)


def _away(error: OcinetError) -> str:
    """Return that etcd is away, and why, in one clause."""
    return error.why if "etcd" in error.why else f"etcd does not answer: {error.why}"
