"""What gets through the chains of others, kept known past the changes that are our own.

The kernel numbers the changes of nftables, ours among them. An attach that publishes
ports makes one, a detach that closes them another; where the number is as much higher
afterwards, nobody else changed anything, and what was judged before holds still.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.observed import DeviceState
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Passages


class Passing:
    """What is known as of some number of changes.

    Args:
        machine: whose firewall tells the number.
        passages: where it is noted.
        generation: the number, before ours.
    """

    def __init__(self, machine: Machine, passages: Passages, generation: int) -> None:
        self._machine = machine
        self._passages = passages
        self._generation = generation

    def attached(self, states: tuple[DeviceState, ...], *, opened: bool) -> None:
        """Note that the bridges of an attach pass, unless something dropped their packets.

        Args:
            states: as they were observed.
            opened: whether ports were published; entering a network that is in already is
                no change.
        """
        if any(state.drops or state.apart for state in states):
            return  # what was done about it is judged by the next one
        if opened or any(state.judged for state in states):
            self._keep(tuple(state.device for state in states), opened)

    def closed(self) -> None:
        """Keep what is known past the closing of ports."""
        self._keep((), changes=1)

    def _keep(self, devices: tuple[str, ...], changes: int) -> None:
        now = self._generation + changes
        if self._machine.firewall.observe().generation != now:
            return
        known = tuple(dict.fromkeys((*self._passages.open(self._generation), *devices)))
        if known:
            self._passages.remember(now, known)
