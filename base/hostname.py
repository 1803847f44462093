"""What this machine calls itself."""

from __future__ import annotations

import posix


def names_of_host() -> tuple[str, ...]:
    """Return the machine's hostname as it is asked for: in lower case, and its first label."""
    name = posix.uname().nodename.lower()
    return tuple(dict.fromkeys((name, name.partition(".")[0])))
