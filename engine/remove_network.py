"""Removing a network: its definition, leases, firewall elements and bridge."""

from __future__ import annotations

from functools import partial

from ocinet.base.errors import ConflictError, NotFoundError, OcinetError, failures
from ocinet.base.names import did_you_mean
from ocinet.engine.detach import Detach
from ocinet.engine.forwarding import give_back_forwarding
from ocinet.engine.model.network import rules_of
from ocinet.engine.plan.closing import ForgetBridge
from ocinet.engine.plan.uplink_steps import UnfollowUplinks
from ocinet.engine.strays import unroute_loopback

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.model.network import Network
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records


class RemoveNetwork:
    """Removes networks.

    Args:
        operation: by whose time, locks and log it goes.
        machine: where their bridges and rules are.
        records: who uses them, and which addresses are given.
    """

    def __init__(self, operation: Operation, machine: Machine, records: Records) -> None:
        self._operation = operation
        self._machine = machine
        self._records = records
        self._detach = Detach(operation, machine, records)

    def users(self, name: str) -> tuple[str, ...]:
        """Return the names of the containers on a network, having taken down the dead."""
        return tuple(
            record.container.name
            for record in self._records.attachments.all()
            if any(endpoint.network == name for endpoint in record.endpoints)
            and not self._detach.take_down_dead(record.container.id)
        )

    def remove(self, name: str) -> None:
        """Remove a network that no container is on.

        The definition goes first, then records are looked for: an attach that runs
        at the same time looks for the definition after it wrote its record, so one
        of the two sees the other.

        Raises:
            NotFoundError: there is none of this name.
            ConflictError: containers are on it; it names them, and nothing has changed.
            OcinetError: what could not be removed; all else is.
        """
        what = f"cannot remove network {name}"
        networks = self._records.networks
        try:
            network = networks.find(name)
            if network is None:
                raise NotFoundError(
                    "", f"there is no network {name}", did_you_mean(name, networks.names())
                )
            # Before as well: one in use must not be undefined for a moment, in which a kill would
            # lose it.
            in_use = self.users(name)
            if not in_use:
                with self._operation.locks.shared():  # else who has read it may write it again
                    networks.remove(name)
                in_use = self.users(name)
                if in_use:
                    # An attach has written its record in between: its network stays.
                    with self._operation.locks.shared():  # see `strays`
                        networks.add(network)
            if in_use:
                are = "is" if len(in_use) == 1 else "are"
                raise ConflictError(
                    "",
                    f"{', '.join(in_use)} {are} on it",
                    f"ocinet detach {in_use[0]}",
                )
        except OcinetError as error:
            raise error.within(what) from error
        errors: list[OcinetError] = []
        removals = self._removals(network)
        with self._operation.locks.shared():
            if networks.find(name):  # made anew by now: all of it is that one's
                removals.clear()
            for remove, target in removals:
                try:
                    remove(target)
                except OcinetError as error:
                    errors.append(error)
        self._operation.log.append("network removed", network=name, device=network.device)
        failures(what, errors)

    def _forget_elsewhere(self, name: str) -> None:
        """Have nobody on other hosts be found on the next network of that name."""
        elsewhere = self._machine.names_elsewhere
        if name in elsewhere.networks():
            elsewhere.tell(name, (), None, [])

    def _removals(self, network: Network) -> list[tuple[Callable[..., object], object]]:
        """Return what removes all that is left of a network, each with what it is about."""
        machine, device = self._machine, network.device
        forget = (self._records.leases.remove_network, network.name)
        if network.is_lan:  # nothing of it is in the firewall; of the host's it has one link
            removals: list[tuple[Callable[..., object], object]] = [
                forget,
                (machine.links.delete_links, (device,)),
            ]
        else:
            unroute = partial(unroute_loopback, machine)
            removals = [
                (machine.firewall.remove_network, rules_of(network)),
                (machine.forward_accepts.remove, device),
                (machine.forward_accepts.leave_zone, device),
                forget,
                (self._forget_elsewhere, network.name),
                (self._remove_bridge if network.managed else unroute, device),
            ]
        if not self._records.networks.names():
            removals.append((UnfollowUplinks().apply, machine))
        removals.append((self._give_back, machine))
        return removals

    def _remove_bridge(self, device: str) -> None:
        """Remove a bridge of ours, and the routing rules that name it."""
        self._machine.bridges.remove_bridge(device)
        ForgetBridge(device).apply(self._machine)

    def _give_back(self, machine: Machine) -> None:
        """Have the host forward no more, if no other network needs it."""
        give_back_forwarding(self._operation, machine, self._records)
