"""The networks that are defined: looked up, created, made ready, removed."""

from __future__ import annotations

from ocinet.base.errors import ConflictError
from ocinet.engine.create_network import CreateNetwork
from ocinet.engine.detach import Detach
from ocinet.engine.forwarding import give_back_forwarding
from ocinet.engine.plan.uplink_steps import UnfollowUplinks
from ocinet.engine.remove_network import RemoveNetwork

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.network import Network
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.plan.new_network import NetworkOptions
    from ocinet.engine.storage import Records


class Networks:
    """What a person does with networks.

    Args:
        operation: by whose time, settings, locks and log it goes.
        machine: where their bridges and rules are.
        records: of the networks, and of who is on them.
    """

    def __init__(self, operation: Operation, machine: Machine, records: Records) -> None:
        self._operation = operation
        self._machine = machine
        self._records = records

    def get(self, name: str) -> Network:
        """Return a network that is defined.

        Raises:
            NotFoundError: there is none of that name; tells the nearest ones.
            RequestError: the name is not legal.
        """
        return self._records.networks.get(name)

    def find(self, name: str) -> Network | None:
        """Return a network, or None."""
        return self._records.networks.find(name)

    def names(self) -> tuple[str, ...]:
        """List the networks that are defined, sorted."""
        return self._records.networks.names()

    def readable(self) -> tuple[Network, ...]:
        """Return every network whose file can be read, by name."""
        return self._records.networks.readable()

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """List the networks whose file can't be read, each with the reason."""
        return self._records.networks.unreadable()

    def create(self, name: str, options: NetworkOptions, *, ignore: bool = False) -> Network:
        """Define a network; see `CreateNetwork.create`."""
        creation = CreateNetwork.on(self._machine, self._operation, self._records)
        return creation.create(name, options, ignore=ignore)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What creating them costs, one line each."""
        return tuple(self._machine.warnings)

    def close(self, name: str, why: str) -> bool:
        """Have a network take no new container; whoever is on it stays as it is.

        Args:
            name: the network's.
            why: what whoever would be attached is told; "" has it take them again.

        Returns:
            Whether it was otherwise.

        Raises:
            NotFoundError: there is none of that name.
            SystemFailure: its definition can't be written.
        """
        networks = self._records.networks
        with self._operation.locks.shared():
            network = networks.get(name)
            if network.closed == why:
                return False
            networks.add(network.replace(closed=why), anew=True)
        return True

    def users(self, name: str) -> tuple[str, ...]:
        """Return the names of the containers on a network, having taken down the dead."""
        return RemoveNetwork(self._operation, self._machine, self._records).users(name)

    def detach_dead(self, name: str) -> None:
        """Take down the containers on a network that are dead, and nobody is at work on."""
        detach = Detach(self._operation, self._machine, self._records)
        for record in self._records.attachments.all():
            if any(endpoint.network == name for endpoint in record.endpoints):
                detach.take_down_dead(record.container.id)

    def remove(self, name: str) -> None:
        """Remove a network that no container is on; see `RemoveNetwork.remove`."""
        RemoveNetwork(self._operation, self._machine, self._records).remove(name)

    def remove_tables(self) -> None:
        """Remove our tables from the firewall, and give forwarding back: nothing needs them now.

        Raises:
            ConflictError: networks or containers are still there.
            OcinetError: they can't be removed.
        """
        with self._operation.locks.shared():
            left = [record.container.name for record in self._records.attachments.all()]
            left += self._records.networks.names()
            if left:
                raise ConflictError("cannot remove the tables", f"{', '.join(left)} needs them")
            give_back_forwarding(self._operation, self._machine, self._records)
            UnfollowUplinks().apply(self._machine)
            self._machine.firewall.remove_table()
