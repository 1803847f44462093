"""All that is in our table, whoever entered it: listed, and taken out.

How it is listed is imported by the act that needs it: no attach does.
"""

from __future__ import annotations

from errno import EEXIST, ENOENT, ENOTEMPTY

from ocinet.base.errors import ConflictError, KernelError
from ocinet.engine.firewall import nfnetlink
from ocinet.engine.firewall.netfilter import raise_unless_missing
from ocinet.engine.ruleset.tables import FAMILY, TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.base.address import Address
    from ocinet.engine.firewall.netfilter import NetfilterSocket
    from ocinet.engine.model.refused import Refused
    from ocinet.engine.ruleset.elements import Element, Set


class TableElements:
    """The elements of our table's sets; see `seams.Elements`.

    Args:
        socket: to ask through.
    """

    def __init__(self, socket: NetfilterSocket) -> None:
        self._socket = socket

    def all(self) -> tuple[Element, ...]:
        """Return them, set by set; without our table, and of a set that it has not, none.

        Raises:
            KernelError: the kernel refused to answer.
        """
        from ocinet.engine.ruleset.access_sets import SETS  # forty of them, that no attach needs

        return self._dump(SETS)

    def sources(self) -> tuple[tuple[Address, Address], ...]:
        """Return which containers leave with which address of their own; see `seams.Elements`.

        Raises:
            KernelError: the kernel refused to answer.
        """
        from ocinet.engine.ruleset.access_sets import SOURCE, ways_of

        return ways_of(self._dump(SOURCE.values()))

    def _dump(self, kinds: Iterable[Set]) -> tuple[Element, ...]:
        from ocinet.engine.firewall.element_messages import decode_elements, dump_elements

        found: list[Element] = []
        for kind in kinds:
            try:
                bodies = self._socket.dump(dump_elements(TABLE, kind.name))
            except KernelError as error:
                if error.errno != ENOENT:
                    raise
                continue
            found += decode_elements(kind, bodies)
        return tuple(found)

    def has(self, elements: Iterable[Element]) -> bool:
        """Tell whether all of these are in, each by itself.

        Raises:
            KernelError: the kernel refused to answer.
        """
        return set(elements) <= set(self.all())

    def add(self, elements: tuple[Element, ...]) -> bool:
        """Enter them, in one transaction; those that are in are fine.

        Returns:
            False if the table, or one of the sets, is not there.

        Raises:
            ConflictError: a part of what one of intervals means is in already.
            KernelError: the kernel refused for another reason.
        """
        batch = nfnetlink.Batch(TABLE)
        batch.add(elements)
        refusals = self._socket.ask(batch.encode(), 1)[1] if batch else []
        if not refusals:
            return True
        if all(refusal.errno == ENOENT for refusal in refusals):
            return False
        refusal = next(refusal for refusal in refusals if refusal.errno != ENOENT)
        if refusal.errno in (EEXIST, ENOTEMPTY):
            kind = batch.refused_set(refusal)
            raise ConflictError(
                "cannot open the firewall",
                f"a part of it is open in {FAMILY} {TABLE} {kind.name if kind else ''}",
                "ocinet check --repair",
            )
        raise refusal.error("cannot open the firewall")

    def delete(self, elements: tuple[Element, ...]) -> None:
        """Take them out, in one transaction; none of them has to be there still.

        Raises:
            KernelError: the kernel refused; the others are out.
        """
        for part in (elements, *((element,) for element in elements)):
            batch = nfnetlink.Batch(TABLE)
            batch.delete(part)
            refusals = self._socket.ask(batch.encode(), 1)[1] if batch else []
            # A batch is all or nothing: where one is missing, they go one by one.
            raise_unless_missing(refusals)
            if not refusals and part == elements:
                return

    def refused(self) -> tuple[Refused, ...]:
        """Return what the rules have refused, and still know of; see `seams.Elements`.

        Raises:
            KernelError: the kernel refused to answer.
        """
        from ocinet.engine.firewall.element_messages import decode_refused, dump_elements
        from ocinet.engine.ruleset.access_sets import REFUSED

        found: tuple[Refused, ...] = ()
        for kind in REFUSED.values():
            try:
                found += decode_refused(self._socket.dump(dump_elements(TABLE, kind.name)))
            except KernelError as error:
                if error.errno != ENOENT:
                    raise
        return found

    def forget_refused(self, addresses: tuple[Address, ...]) -> None:
        """Forget what was refused from these addresses, and to them.

        Raises:
            KernelError: the kernel refused.
        """
        from ocinet.engine.ruleset.access_sets import refused_element

        self.delete(
            tuple(
                refused_element(each)
                for each in self.refused()
                if each.source in addresses or each.target in addresses
            )
        )
