"""What the agent tells of itself, in a file that whoever asks reads.

    /run/ocinet/cluster.json

It is believed as long as the process lives that wrote it, as the watcher's.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from os import getpid, kill, unlink
from signal import SIGHUP
from typing import TYPE_CHECKING, Any

from ocinet.base.atomic import replace_file
from ocinet.base.clock import Process, now

if TYPE_CHECKING:
    from ocinet.cluster.model import Peer

MEMBER, HINDERED, WAITING, FAILED = "member", "hindered", "waiting", "failed"


@dataclass(frozen=True)
class News:
    """The agent, as it has told.

    Attributes:
        pid: its process.
        start_time: see `Process`.
        cluster: its name.
        state: `MEMBER`; `HINDERED`: not all others are reached; `WAITING` for etcd, or for who
            was heard by this host's id; `FAILED`: no new containers.
        why: it is not a member; "".
        hint: what helps.
        since: RFC 3339, when it came to be so.
        etcd: endpoint, error ("" if it answers) and since.
        plane: why packets' ways could not all be made; "" if they are.
        unreached: who there is no way to, with why, a line each.
        applied: RFC 3339, when they were last looked at.
        peers: name, id, underlay, shares and whether it is heard, of each.
        flaws: what in etcd is not obeyed, a line each.
    """

    pid: int = 0
    start_time: int = 0
    cluster: str = ""
    state: str = WAITING
    why: str = ""
    hint: str = ""
    since: str = ""
    etcd: dict[str, str] = field(default_factory=dict)
    plane: str = ""
    unreached: list[str] = field(default_factory=list)
    applied: str = ""
    peers: list[dict[str, Any]] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)

    @property
    def is_alive(self) -> bool:
        """Whether the agent that told this still runs."""
        return bool(self.pid) and Process(self.pid, self.start_time).alive


class Bulletin:
    """Keeps the file. One that can't be written is no matter.

    Args:
        run_dir: of the installation.
    """

    def __init__(self, run_dir: str) -> None:
        self._path = bulletin_path(run_dir)
        own = Process.of(getpid())
        self._own = own or Process(getpid(), 0)
        self._state = ("", "")
        self._since = now()

    def tell(self, **fields: Any) -> News:
        """Write what is so by now; returns it."""
        state = (fields["state"], fields.get("why", ""))
        if state != self._state:
            self._state, self._since = state, now()
        news = News(self._own.pid, self._own.start_time, since=self._since, **fields)
        try:
            replace_file(self._path, json.dumps(asdict(news)) + "\n", mode=0o600, durable=False)
        except OSError:
            return news
        return news

    def withdraw(self) -> None:
        """Remove the file: whoever ends in order says so."""
        try:
            unlink(self._path)
        except OSError:
            return


def bulletin_path(run_dir: str) -> str:
    """Return where the file is."""
    return f"{run_dir}/cluster.json"


def read(run_dir: str) -> News | None:
    """Return what an agent that runs has told; None if none does."""
    try:
        with open(bulletin_path(run_dir), "rb") as file:
            told = json.load(file)
        news = News(**told)
    except (OSError, ValueError, TypeError):
        return None
    return news if news.is_alive else None


def rouse(run_dir: str) -> bool:
    """Have an agent that runs read anew what is kept; return whether one does."""
    news = read(run_dir)
    if news is None:
        return False
    try:
        kill(news.pid, SIGHUP)
    except ProcessLookupError:
        return False
    return True


def shown(peer: Peer) -> dict[str, Any]:
    """Return a peer as it is shown."""
    host = peer.host
    return {"name": host.name, "id": host.id, "underlay": list(map(str, host.underlay)),
            "shares": list(map(str, peer.shares)), "heard": peer.heard}  # fmt: skip
