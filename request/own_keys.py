"""What a container asks for, as far as it is its user who asks.

Engines merge what an image carries, Docker its labels and podman its manifest's
annotations, into what the container's user gave. So a key that the image carries with
that very value may be its user's word or the image's, and nobody can tell. What becomes
of it, at every door:

    its user says   the image carries   told apart   what comes of it
    -----------------------------------------------------------------------------
    x               -, or y             yes          x
    (empty)         y                   yes          y is left out, and x not asked for
    -, or none      none                no           none: it grants nothing
    -, or net=x     net=x               no           refused, for what is given to those who
                                                     ask for nothing may be more than x;
                                                     gateway, routes, metric, dns,
                                                     add-host and link likewise
    -, or net=bridge  net=bridge        no           as if nothing were said, if all get bridge
    -, or egress=x  egress=x            no           x: it grants nothing
    -, or other=x   other=x             no           left out, and told: it gives less
    x               can't be read       no           x, if it needs no trust; else refused

"other" are published ports, addresses, MAC, name, hostname, aliases, MTU, names of
interfaces, search list and options of the resolver, and who may connect to whom.
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.base.value import Value
from ocinet.engine.model.request import DEFAULT_NETWORK
from ocinet.request.annotations import (
    GATEWAY,
    METRIC,
    NET,
    NO_NETWORK,
    ROUTES,
    is_ours,
    parse_annotations,
)
from ocinet.request.grammar import ADD_HOST, BLANK, DNS, EGRESS, LINK, quote
from ocinet.request.trust import needs_trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ocinet.engine.model.request import Request

    Pairs = tuple[tuple[str, str], ...]

# They say where packets go, and questions for names: without them they would go elsewhere,
# and perhaps further.
_STEERING = (NET, GATEWAY, ROUTES, METRIC, DNS, ADD_HOST, LINK)


def _nothing() -> None:
    """Give nothing to who asks for nothing."""


class OwnKeys(Value):
    """What is left of a container's keys.

    Attributes:
        keys: ours that are honoured.
        dropped: names of ours that count for nothing, for the image carries them with
            that value.
        doubts: what was dropped although something else would be given instead.
        carried: what the image carries; None if it can't be told.
        egress: to where packets may leave by the image's word, which may be its user's; or "".
    """

    keys: Pairs
    dropped: tuple[str, ...]
    doubts: Pairs
    carried: frozenset[tuple[str, str]] | None
    egress: str = ""

    def request(
        self,
        trusts: Callable[[], bool],
        unasked: Callable[[], Request | None] = _nothing,
        networks: tuple[str, ...] = (),
    ) -> Request | None:
        """Return what is asked for, or what is given unasked.

        Args:
            trusts: tells whether the operator trusts keys of unknown origin.
            unasked: returns what a container gets that asks for nothing.
            networks: that its user surely asks for.

        Raises:
            RequestError: a key is not legal, or asks for what an image must not
                be able to ask for, while it may be the image's; or one was dropped
                that says where packets go.
        """
        for doubt in self.doubts:
            if doubt != (NET, DEFAULT_NETWORK):
                raise _undecided(*doubt)
        request = parse_annotations(dict(self.keys))
        asks = needs_trust(request, networks) if request and self.carried is None else ()
        if asks and not trusts():
            why = f"{' and '.join(asks)} may be the image's wish: what it carries can't be read"
            raise RequestError("", why, "set trust_annotations = true in ocinet.toml")
        request = request or unasked()
        if request is None and self.doubts:
            raise _undecided(*self.doubts[0])
        # It is no wish for a network: it narrows what there is one for.
        if request and request.mode == "bridge" and self.egress:
            from ocinet.request.access import parse_access

            access = parse_access({EGRESS: self.egress}).over(request.access)
            return request.replace(access=access)
        return request


def own_keys(
    pairs: Iterable[tuple[str, str]],
    carried: frozenset[tuple[str, str]] | None,
    told: Iterable[tuple[str, str]] = (),
) -> OwnKeys:
    """Part a container's own keys from its image's, by the table of this module.

    Args:
        pairs: annotations or labels; keys of others are skipped, and of two with one
            name the last one counts.
        carried: every pair that the image carries; None if it can't be told.
        told: pairs that no image can give; they go before the others.
    """
    said = [pair for pair in told if is_ours(pair[0])]
    names = {key for key, _ in said}
    unsure = [pair for pair in pairs if is_ours(pair[0]) and pair[0] not in names]
    images = carried or frozenset()
    own = [pair for pair in unsure if pair not in images] + said
    dropped = [pair for pair in unsure if pair in images]
    names |= {key for key, _ in own}
    lost = [(key, text.strip(BLANK)) for key, text in dropped if key not in names]
    if any(not text.strip(BLANK) for _, text in own):
        spurned = {key for key, _ in images}
        own = [(key, text) for key, text in own if text.strip(BLANK) or key not in spurned]
    # Whoever says it, twice or not: it grants nothing.
    none = (NET, NO_NETWORK)
    if none in lost or any((key, text.strip(BLANK)) == none for key, text in own):
        own = [*(pair for pair in own if pair[0] != NET), none]
        dropped = [pair for pair in dropped if pair[0] != NET]
        lost = []
    egress = next((text for key, text in lost if key == EGRESS), "")
    if egress:
        dropped = [pair for pair in dropped if pair[0] != EGRESS]
    return OwnKeys(
        tuple(own),
        tuple(dict.fromkeys(key for key, _ in dropped)),
        tuple(pair for name in _STEERING for pair in lost if pair[0] == name),
        carried if unsure else frozenset(),
        egress,
    )


def _undecided(key: str, text: str) -> RequestError:
    """Return why a key of whom nobody knows whose it is ends in nothing at all."""
    why = (
        f"the image carries {quote(text)} too, so it may be the image's word alone; "
        "nothing else is given in its place"
    )
    others = f", or {NET}={DEFAULT_NETWORK}, or {NET}={NO_NETWORK}" if key == NET else ""
    hint = f"if it is yours, write it otherwise, with a blank: {quote(f'{key}= {text}')}{others}"
    return RequestError(key, why, hint)
