"""Which bridges' packets get through the chains of others, and as of when that was judged.

    /run/ocinet/passages.json
        {"boot_id": "…", "generation": 41, "devices": ["ocinet0"]}

Judging takes reading everybody's rules. The kernel numbers the changes of nftables, so
what is written here is so for as long as that number stays; each attach asks for it.
What it says of a number is true until the next boot, which counts anew, and may come to the
same number with other rules: writers need no lock, and the last one wins.
"""

from __future__ import annotations

from ocinet.engine.records.hints import recall, remember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocinet.base.paths import Paths

_FILE = "passages.json"


class Passages:
    """The judged passages of one installation.

    Args:
        paths: of the installation.
        boot_id: of this boot.
    """

    def __init__(self, paths: Paths, boot_id: str) -> None:
        self._paths = paths
        self._boot_id = boot_id

    def open(self, generation: int) -> tuple[str, ...]:
        """Return the bridges whose packets all pass at that number of changes."""
        if not generation:
            return ()

        def devices(known: Any) -> tuple[str, ...]:
            is_of_now = (known["boot_id"], known["generation"]) == (self._boot_id, generation)
            return tuple(known["devices"]) if is_of_now else ()

        return recall(self._paths.run, _FILE, devices, ())

    def remember(self, generation: int, devices: tuple[str, ...]) -> None:
        """Note that these bridges' packets all pass at that number of changes."""
        if not generation:
            return
        known = {"generation": generation, "devices": list(devices)}
        remember(self._paths.run, _FILE, {"boot_id": self._boot_id, **known})
