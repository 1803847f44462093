"""What is answered to whom.

Whoever sits at a browser is sent to many places by others. A name of theirs that leads to
127.0.0.1 (DNS rebinding) is known by the Host field; a request that they have a browser send
bears no token, for no page but ours has it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ocinet.watcher.page.exchange import Answer, refuse
from ocinet.watcher.page.token import is_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocinet.engine.model.loopback import LoopbackPlace
    from ocinet.watcher.page.exchange import Asked

LIVE = "/live"  # what is shown, as it changes
_METHODS = ("GET", "HEAD")
_NAMES = ("localhost", "127.0.0.1", "[::1]")
_NOT_LET_IN = """\
What ocinet shows is for root of this machine, and for who has the token that root is told.

As root, on this machine:   ocinet status
It tells the page's whole address, http://{place}/#TOKEN. Open that in a browser.

A program sends the token in a header:
curl -N -H 'Authorization: Bearer TOKEN' http://{place}{live}"""
_ELSEWHERE = """\
This is ocinet's page at {place}, and it was asked for under another name or port.

Open http://{place}/ itself. From another machine, with the same port at both ends:
ssh -L {port}:{place} THIS-MACHINE"""


@dataclass(frozen=True)
class Gate:
    """Lets in, or says why not.

    Attributes:
        place: where it is served, with the port that it has.
        token: see `token`.
        files: answers that are the same for all, by path. They hold no secret, and are given
            to who has no token, too: the page itself asks for it.
        version: of these, which a reader of another one is told by.
    """

    place: LoopbackPlace
    token: str
    files: Mapping[str, Answer] = field(default_factory=dict)
    version: str = ""

    def answer(self, asked: Asked) -> Answer | None:
        """Return what is answered; None means that it is to be shown what is live."""
        if asked.host not in self._hosts():
            told = {"place": self.place, "port": self.place.port}
            return refuse(421, _ELSEWHERE.format(**told))
        if asked.method not in _METHODS:
            allowed = ("Allow", ", ".join(_METHODS))
            return refuse(405, "This page shows, and changes nothing.", allowed)
        if asked.path in self.files:
            return self.files[asked.path]
        if asked.path != LIVE:
            return refuse(404, "There is nothing of that name.")
        if not is_token(asked.bearer, self.token):
            scheme = ("WWW-Authenticate", "Bearer")
            return refuse(401, _NOT_LET_IN.format(place=self.place, live=LIVE), scheme)
        return None

    def _hosts(self) -> tuple[str, ...]:
        names = (*_NAMES, self.place.host)
        # A browser leaves out the port that is HTTP's own.
        without_port = names if self.place.port == 80 else ()
        return (*(f"{name}:{self.place.port}" for name in names), *without_port)
