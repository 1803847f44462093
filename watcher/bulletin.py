"""What the watcher tells of itself, in a file that whoever asks reads.

    /run/ocinet/watcher.json

Not by a socket: the file needs no thread that answers, and says who it was that ended
without a word. It is believed as long as the process lives that wrote it.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, field, replace
from os import getpid, unlink
from time import monotonic
from typing import TYPE_CHECKING

from ocinet.base.atomic import replace_file
from ocinet.base.clock import Process, now
from ocinet.base.errors import SystemFailure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.picture.metrics import Watching

LISTENING = "listening"
UNASKED = "not asked yet"
_HEARD_S = 5.0  # how far behind the truth `heard` may be: each event would cost a file


@dataclass(frozen=True)
class EngineNews:
    """An engine, as the watcher has it.

    Attributes:
        socket: its path.
        kind: docker or podman; "" until it has answered.
        state: `LISTENING`, `UNASKED`, or what it is or does instead, as "does not answer".
        error: why it does.
        since: RFC 3339, when it came to be so.
        heard: RFC 3339, when it last told or listed anything, to 5 s; "" never.
    """

    socket: str
    kind: str = ""
    state: str = UNASKED
    error: str = ""
    since: str = ""
    heard: str = ""


@dataclass(frozen=True)
class News:
    """The watcher, as it has told.

    Attributes:
        pid: its process.
        start_time: see `Process`.
        started: RFC 3339.
        ready: whether all that ran before it has been looked at.
        engines: by the paths of their sockets.
        page: where its page is shown, as `127.0.0.1:4900`, or "".
    """

    pid: int
    start_time: int
    started: str
    ready: bool = False
    engines: dict[str, EngineNews] = field(default_factory=dict)
    page: str = ""

    @property
    def is_alive(self) -> bool:
        """Whether the watcher that told this still runs."""
        return Process(self.pid, self.start_time).alive


class Bulletin:
    """Keeps the file; may be told by several threads. A file that can't be written is no matter.

    Args:
        run_dir: of the installation.
    """

    def __init__(self, run_dir: str) -> None:
        self._path = bulletin_path(run_dir)
        self._guard = threading.Lock()
        own = Process.of(getpid())
        self._news = News(getpid(), own.start_time if own else 0, now())
        self._heard: dict[str, float] = {}

    @property
    def news(self) -> News:
        """What was told last."""
        return self._news

    def ready(self) -> None:
        """Tell that all that ran before has been looked at."""
        with self._guard:
            self._tell(replace(self._news, ready=True))

    def watched(self, sockets: Iterable[str]) -> None:
        """Tell which engines are watched; what is known of one that stays, stays."""
        with self._guard:
            known = self._news.engines
            engines = {
                socket: known.get(socket, EngineNews(socket, since=now())) for socket in sockets
            }
            self._tell(replace(self._news, engines=engines))

    def shown(self, place: str) -> None:
        """Tell where the page is shown; "" for nowhere."""
        with self._guard:
            if self._news.page != place:
                self._tell(replace(self._news, page=place))

    def changed(self, socket: str, state: str, error: str = "", *, kind: str = "") -> None:
        """Tell how an engine is; nothing is written where it is as before."""
        with self._guard:
            known = self._news.engines.get(socket)
            if known is None or (known.state, known.error) == (state, error):
                return
            told = replace(known, kind=kind or known.kind, state=state, error=error, since=now())
            self._tell(replace(self._news, engines={**self._news.engines, socket: told}))

    def heard(self, socket: str) -> None:
        """Tell that an engine has told something."""
        with self._guard:
            known = self._news.engines.get(socket)
            if known is None or monotonic() < self._heard.get(socket, 0.0):
                return
            self._heard[socket] = monotonic() + _HEARD_S
            told = replace(known, heard=now())
            self._tell(replace(self._news, engines={**self._news.engines, socket: told}))

    def withdraw(self) -> None:
        """Take the file away: the watcher ends in good order."""
        with self._guard:
            try:
                unlink(self._path)
            except OSError:
                return

    def _tell(self, news: News) -> None:
        self._news = news
        content = {**asdict(news), "engines": [asdict(each) for each in news.engines.values()]}
        try:
            replace_file(self._path, json.dumps(content), mode=0o600, durable=False)
        except OSError:
            return  # a full disk shall not stop a watcher: it is told by what it does


def watching(news: News | None) -> Watching:
    """Return what figures say of the watcher, by what it told; None: nothing."""
    from ocinet.picture.metrics import Watching  # for these alone

    if news is None or not news.is_alive:
        return Watching()
    engines = ((each.socket, each.state == LISTENING) for each in news.engines.values())
    return Watching(up=True, ready=news.ready, engines=tuple(engines))


def bulletin_path(run_dir: str) -> str:
    """Return where the file is."""
    return f"{run_dir}/watcher.json"


def read_news(run_dir: str) -> News | None:
    """Return what the watcher told last; it may have ended since.

    Returns:
        None if none was started since the boot, or the last one ended in good order.

    Raises:
        SystemFailure: the file can't be read, or is damaged.
    """
    path = bulletin_path(run_dir)
    try:
        with open(path, "rb") as file:
            content = json.load(file)
        engines = [EngineNews(**each) for each in content["engines"]]
        return News(**{**content, "engines": {each.socket: each for each in engines}})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise SystemFailure(
            "cannot tell how the watcher is", f"{path}: {error}", "restart it: it writes it anew"
        ) from error
