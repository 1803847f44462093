"""Whether and where the watcher's figures are scraped, as the settings and the command say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocinet.engine.model.metrics_place import MetricsPlace
from ocinet.watcher.exporter import Exporter

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocinet.watcher.own_figures import OwnFigures

_STOP_S = 5.0


class Exporting:
    """Keeps one exporter, or none; used by one thread.

    Args:
        make_figures: makes what gathers them, where somebody is to read them at all.
        log: see `Exporter`.
        failed: likewise.
    """

    def __init__(
        self,
        make_figures: Callable[[], OwnFigures],
        log: Any,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._make_figures = make_figures
        self._log = log
        self._failed = failed
        self._wanted = ("", "")
        self._exporter: Exporter | None = None

    @property
    def alive(self) -> bool:
        """Whether what should run does."""
        return self._exporter is None or self._exporter.alive

    def adapt(self, place: str, group: str) -> None:
        """Serve at a place, and no more at another one.

        Args:
            place: as `MetricsPlace` reads it; "": nowhere.
            group: see `Exporter`.
        """
        if (place, group) == self._wanted:
            return
        self.stop()
        self.join(_STOP_S)
        self._wanted = place, group
        if place:
            figures = self._make_figures()
            self._exporter = Exporter(
                MetricsPlace.parse(place),
                group,
                figures.text,
                figures.keep_count,
                self._log,
                self._failed,
            )
            self._exporter.start()

    def stop(self) -> None:
        """Ask the exporter to end; `join` waits for it."""
        if self._exporter:
            self._exporter.stop()

    def join(self, timeout_s: float) -> None:
        """Wait for the exporter's end, but no longer than that."""
        if self._exporter:
            self._exporter.join(timeout_s)
            self._exporter = None
