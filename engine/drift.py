"""What is not as it was made along a packet's way: often why it ends where it does."""

from __future__ import annotations

from ocinet.base.errors import OcinetError
from ocinet.engine.explain import HOST, OUTSIDE
from ocinet.engine.model.flow import UNSENT, Answer, Explanation, Hop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.check import Finding
    from ocinet.engine.explain import End


def compared(
    walk: Callable[[], Explanation],
    ends: tuple[End, End],
    check: Callable[..., tuple[Finding, ...]],
) -> Explanation:
    """Return a way with what differs from the records of those whom it leads by, first of all.

    Args:
        walk: walks it.
        ends: of it.
        check: compares containers, by id or name, and what they share.

    Raises:
        OcinetError: it can't be walked, and nothing differs that would say why.
    """
    names = {end.record.container.id for end in ends if end.record}
    try:
        told = walk()
    except OcinetError as error:
        findings = check(*sorted(names)) if names else ()
        if not findings:
            raise
        told = Explanation((), (), Answer(UNSENT, error.why))
    else:
        places = {hop.place for hop in told.hops}
        names |= places - {HOST, OUTSIDE, *(end.name for end in ends)}
        findings = check(*sorted(names)) if names else ()
    return told.replace(hops=(*(_hop(finding, told) for finding in findings), *told.hops))


def _hop(finding: Finding, told: Explanation) -> Hop:
    place = finding.container or HOST
    what = f"{finding.what}, which this packet does not mind" if told.ok else finding.what
    return Hop(place, what, ok=told.ok, remedy=finding.remedy)
