"""Removing a network: its definition, leases, firewall elements and bridge."""

from __future__ import annotations

from ocinet.base.errors import ConflictError, NotFoundError, OcinetError, failures
from ocinet.base.names import did_you_mean
from ocinet.engine.detach import Detach
from ocinet.engine.model.network import rules_of
from ocinet.engine.plan.shared_steps import LOOPBACK_ROUTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

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
            in_use = self.users(name)
            if not in_use:
                networks.remove(name)
                in_use = self.users(name)
                if in_use:
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
        removals: list[tuple[Callable[..., object], object]] = [
            (self._machine.firewall.remove_network, rules_of(network)),
            (self._machine.forward_accepts.remove, network.device),
            (self._records.leases.remove_network, name),
            (
                self._machine.bridges.remove_bridge if network.managed else self._unroute_loopback,
                network.device,
            ),
        ]
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

    def _unroute_loopback(self, device: str) -> None:
        """Take back what published ports needed of an adopted bridge, if it was us who set it."""
        key = f"net/ipv4/conf/{device}/route_localnet"
        if self._machine.sysctls.read(key) == LOOPBACK_ROUTED:
            self._machine.sysctls.write(key, "0")
