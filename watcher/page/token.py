"""Who may look: whoever has read a file that is root's.

    /run/ocinet/page.token

It is another one each time that the page begins to be shown: while it is not, any user of this
machine may listen at its port, and a page that is open still says the token there. It is
given in a header and never in a cookie: cookies know no ports (RFC 6265, 8.5), so one of
127.0.0.1 would be sent to whatever another user of this machine serves there.
"""

from __future__ import annotations

import re
from hmac import compare_digest
from secrets import token_urlsafe
from typing import TYPE_CHECKING

from ocinet.base.files import Directory

if TYPE_CHECKING:
    from ocinet.engine.model.loopback import LoopbackPlace

NAME = "page.token"
_BYTES = 24
_GOOD = re.compile(r"[A-Za-z0-9_-]{32,128}")


def make_token(run_dir: str) -> str:
    """Return a token that nobody has been told yet; the one of before is none any more.

    Args:
        run_dir: of the installation.

    Raises:
        SystemFailure: it can't be written.
        UntrustedError: its file, or the directory, is somebody else's.
    """
    made = token_urlsafe(_BYTES)
    with Directory(run_dir) as run:
        run.replace(NAME, made)
    return made


def read_token(run_dir: str) -> str:
    """Return the token; "" if there is none.

    Raises:
        SystemFailure: it can't be read.
        UntrustedError: it, or the directory, is somebody else's.
    """
    with Directory(run_dir) as run:
        content = run.read(NAME)
    text = (content or b"").decode(errors="replace").strip()
    return text if _GOOD.fullmatch(text) else ""


def is_token(given: str, token: str) -> bool:
    """Tell whether what was given is the token, in a time that says nothing of either."""
    return compare_digest(given.encode(errors="replace"), token.encode())


def whole_url(place: LoopbackPlace, token: str) -> str:
    """Return what a browser is given: what stands behind # it keeps to itself."""
    return f"http://{place}/#{token}"
