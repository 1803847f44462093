"""What a container asks for, as far as it is its user who asks.

Engines merge what an image carries, Docker its labels and podman its manifest's
annotations, into what the container's user gave. A key that the image carries
with that very value counts for nothing here, whichever door it came through.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.base.value import Value
from ocinet.request.annotations import PREFIX, needs_trust, parse_annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ocinet.engine.model.request import Request


class OwnKeys(Value):
    """What is left of a container's keys.

    Attributes:
        keys: ours that are honoured.
        dropped: names of ours that the image carries with that value.
        carried: what the image carries; None if it can't be told.
    """

    keys: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...]
    carried: frozenset[tuple[str, str]] | None

    def request(self, trusts: Callable[[], bool]) -> Request | None:
        """Return what is asked for, or None if nothing is.

        Args:
            trusts: tells whether the operator trusts keys of unknown origin.

        Raises:
            RequestError: a key is not legal, or asks for what an image must not
                be able to ask for, while it may be the image's.
        """
        request = parse_annotations(dict(self.keys))
        asks = needs_trust(request) if request and self.carried is None else ()
        if asks and not trusts():
            why = f"{' and '.join(asks)} may be the image's wish: what it carries can't be read"
            raise RequestError("", why, "set trust_annotations = true in ocinet.toml")
        return request


def own_keys(
    pairs: Iterable[tuple[str, str]], carried: frozenset[tuple[str, str]] | None
) -> OwnKeys:
    """Part a container's own keys from its image's.

    Args:
        pairs: annotations or labels; keys of others are skipped.
        carried: every pair that the image carries; None if it can't be told.
    """
    ours = [(key, text) for key, text in pairs if key.startswith(PREFIX)]
    images = carried or frozenset()
    return OwnKeys(
        tuple(pair for pair in ours if pair not in images),
        tuple(key for key, text in ours if (key, text) in images),
        carried,
    )
