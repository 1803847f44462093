"""Where the page is shown, as settings and signals have it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ocinet.base.errors import OcinetError
from ocinet.engine.model.loopback import LoopbackPlace

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocinet.watcher.page.exchange import Answer
    from ocinet.watcher.page.gate import Gate
    from ocinet.watcher.page.live import Live, Take
    from ocinet.watcher.page.server import Server

_FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_NOBODY = "nobody but root is told its address: ocinet status"


class Showing:
    """Shows the page at one place at a time, or nowhere.

    Args:
        run_dir: of the installation.
        take: returns a picture as plain JSON.
        tell: told the place, or "" where it is not shown.
        log: where it is told, too.
        failed: told of what is no failure of the machine's.
    """

    def __init__(
        self,
        run_dir: str,
        take: Take,
        tell: Callable[[str], None],
        log: Any,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._run_dir = run_dir
        self._take = take
        self._tell = tell
        self._log = log
        self._failed = failed
        self._wanted = ""
        self._server: Server | None = None

    def adapt(self, wanted: str) -> None:
        """Show it there; where it is shown already, it goes on.

        Args:
            wanted: as `LoopbackPlace` has it; "" for nowhere.
        """
        if wanted == self._wanted:
            return
        self.stop()
        self.join(1)
        self._wanted = wanted
        if not wanted:
            self._log.info("page not shown any more")
            return
        # With all that only a page takes, as asyncio.
        from ocinet.watcher.page.server import Server
        from ocinet.watcher.page.token import make_token

        try:
            token = make_token(self._run_dir)
        except OcinetError as error:
            self._wanted = ""  # so that the same settings have another go
            self._log.error("page not shown", error=str(error))
            return
        self._server = Server(
            LoopbackPlace.parse(wanted),
            lambda place: _make_gate(place, token),
            self._make_live,
            lambda place, why: self._served(token, place, why),
            self._failed,
        )
        self._server.start()

    def stop(self) -> None:
        """Have it end at once; `join` waits for it."""
        if self._server:
            self._server.stop()
            self._tell("")

    def join(self, timeout_s: float) -> None:
        """Wait for its end, but no longer than that."""
        if self._server:
            self._server.join(timeout_s)
            self._server = None

    def _make_live(self) -> Live:
        from ocinet.watcher.page.live import Live
        from ocinet.watcher.page.tail import EventTail

        return Live(self._take, EventTail(self._run_dir), self._failed)

    def _served(self, token: str, place: LoopbackPlace | None, why: str) -> None:
        if place is None:
            self._log.warning("page not shown", place=self._wanted, error=why)
            self._tell("")
            return
        self._tell(str(place))
        from ocinet.watcher.page.token import whole_url

        # A journal is read by others than root, and kept.
        if sys.stderr.isatty():
            self._log.info("page shown", url=whole_url(place, token))
        else:
            self._log.info("page shown", place=str(place), hint=_NOBODY)


def _make_gate(place: LoopbackPlace, token: str) -> Gate:
    from hashlib import sha256

    from ocinet.watcher.page.gate import Gate

    answers = read_files()
    version = sha256(b"".join(answer.body for answer in answers.values())).hexdigest()
    return Gate(place, token, answers, version[:12])


def read_files() -> dict[str, Answer]:
    """Return what is served as it is, by path."""
    from ocinet.watcher.page.exchange import Answer

    room = Path(__file__).parent
    return {
        path: Answer(200, (room / name).read_bytes(), kind) for path, (name, kind) in _FILES.items()
    }
