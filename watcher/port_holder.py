"""The thread that holds published ports against services of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ocinet.base.errors import OcinetError
from ocinet.watcher.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocinet.engine.held_ports import NotHeld

_AGAIN_S = 1.0  # nobody tells that a port has become free
_REST_S = 0.02  # of what follows at once, each record would wake us


class Holding(Protocol):
    """Holds what is published; see `engine.held_ports`."""

    def fileno(self) -> int:
        """Return what to poll for."""

    @property
    def is_waiting(self) -> bool:
        """Whether something is to be tried again."""

    def follow(self, *, everything: bool = False) -> tuple[NotHeld, ...]:
        """Hold what is published by now, and nothing else."""

    def close(self) -> None:
        """Let everything go."""


class PortHolder(Turns):
    """The thread; to be started once and stopped once.

    It is none of the workers, and not the keeper: a port that was freed is let go whatever
    they are at.

    Args:
        begin: begins to hold.
        wanted: whether ports are to be held, by the settings.
        log: where it is told what is not held.
        failed: told of what is no failure of the machine's.
    """

    def __init__(
        self,
        begin: Callable[[], Holding],
        wanted: Callable[[], bool],
        log: Any,
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__("port-holder", failed, _AGAIN_S)
        self._hold = begin
        self._wanted = wanted
        self._log = log
        self._holding: Holding | None = None

    def _turn(self) -> None:
        is_asked = self._asked.is_set()
        if is_asked:
            self._asked.clear()
            self._adapt()
        if self._holding:
            try:
                told = self._holding.follow(everything=is_asked)
            except OcinetError as error:
                self._log.warning("published ports not looked at", error=str(error))
                told = ()
            for each in told:
                self._log.warning("port not held", what=each.what, why=each.why, hint=each.hint)
        self._stopping.wait(_REST_S)
        self._wait()

    def _adapt(self) -> None:
        """Begin or end to hold, as the settings say."""
        if not self._wanted():
            self._let_go()
        elif self._holding is None:
            try:
                self._holding = self._hold()
            except OcinetError as error:
                self._log.warning("published ports are not held", error=str(error))

    def _end(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        if self._holding:
            self._holding.close()
            self._holding = None

    def _wait(self) -> None:
        """Wait until a record came or went, it is asked for, or a port is to be tried again."""
        waiting = self._holding and self._holding.is_waiting
        filenos = (self._holding.fileno(),) if self._holding else ()
        self._poll(filenos, _AGAIN_S if waiting else None)
