"""Which addresses DNS names lead to that containers' packets may leave for, and as of when.

    /run/ocinet/egress-names.json
        {"api.example.com": {"192.0.2.7": 1234}}      seconds since the boot

Found anew by the watcher; without the file nothing is open by name.
"""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.engine.records.hints import recall, remember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocinet.base.paths import Paths

    # By name, each address with when it was last answered, in seconds since the boot.
    Seen = dict[str, dict[Address, int]]

_FILE = "egress-names.json"


class ResolvedNames:
    """The names, and what they lead to.

    Args:
        paths: where the run directory is.
    """

    def __init__(self, paths: Paths) -> None:
        self._run = paths.run

    def addresses(self, name: str) -> tuple[Address, ...]:
        """Return where a name leads to, sorted; () where nobody knows."""
        return tuple(sorted(self.all().get(name, ()), key=lambda each: (each.family, each.value)))

    def all(self) -> Seen:
        """Return all names, each address with when it was last answered."""
        return recall(self._run, _FILE, _read, {})

    def put(self, seen: Seen) -> None:
        """Keep these, and no others."""
        known = {
            name: {str(address): when for address, when in found.items()}
            for name, found in seen.items()
        }
        remember(self._run, _FILE, known)


def _read(known: Any) -> Seen:
    return {
        name: {Address.parse(text): int(when) for text, when in found.items()}
        for name, found in known.items()
    }
