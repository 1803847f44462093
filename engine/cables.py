"""The links between two containers that are defined: looked up, added, removed."""

from __future__ import annotations

from ocinet.base.clock import now
from ocinet.base.errors import NotFoundError, OcinetError
from ocinet.base.names import did_you_mean
from ocinet.engine.create_network import with_unique_local
from ocinet.engine.kernel.sandbox import open_recorded
from ocinet.engine.plan.new_cable import CableOptions, CableSurroundings, define_cable
from ocinet.engine.plugging import UNLINKED, CableState, Plugging
from ocinet.engine.unplugging import unplug, unplug_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.cable import Cable
    from ocinet.engine.model.link import InsideLink
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Host, Machine
    from ocinet.engine.plan.steps import Step
    from ocinet.engine.storage import Records


class Cables:
    """What a person does with links.

    Args:
        operation: by whose time, settings, locks and log it goes.
        host: on which the sandboxes are.
        machine: what of the host a new link must get along with.
        records: of the links, and of the containers.
    """

    def __init__(
        self, operation: Operation, host: Host, machine: Machine, records: Records
    ) -> None:
        self._operation = operation
        self._machine = machine
        self._records = records
        self._store = records.cables()
        self._plugging = Plugging(operation, host, records)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What could not be done but is not needed, one line each."""
        return tuple(self._plugging.warnings)

    def get(self, name: str) -> Cable:
        """Return a link that is defined.

        Raises:
            NotFoundError: there is none of that name; tells the nearest ones.
            OcinetError: its file can't be read.
        """
        return self._store.get(name)

    def names(self) -> tuple[str, ...]:
        """List the links that are defined, sorted."""
        return self._store.names()

    def sorted_out(self) -> tuple[tuple[Cable, ...], tuple[tuple[str, str], ...]]:
        """Return the links whose file can be read; and of the others the name and the reason."""
        return self._store.sorted_out()

    def state(self, cable: Cable) -> CableState:
        """Return how a link is; see `Plugging.state`."""
        return self._plugging.state(cable)

    def add(self, options: CableOptions) -> tuple[Cable, CableState]:
        """Define a link, and make it if both containers run.

        Raises:
            RequestError: a wish is malformed or impossible.
            ConflictError: a name or a subnet is another one's, which is named.
            OcinetError: it can't be made; it is not defined then either.

        Effects:
            A file in `CONFIG/links`.
        """
        self._operation.check_settings()
        with self._operation.locks.shared("the networks"):
            cable = self._define(options)
            self._store.add(cable)
        try:
            return cable, self._plugging.plug(cable)
        except OcinetError:
            self._store.remove(cable.name)
            raise

    def plan(self, options: CableOptions) -> tuple[Step, ...]:
        """Return the steps that `add` would do once both containers run; changes nothing.

        Raises:
            OcinetError: as `add`, before its first step.
        """
        return self._plugging.plan(self._define(options))

    def remove(self, name: str) -> None:
        """Forget a link, and take it down.

        Raises:
            NotFoundError: there is none of that name.
            OcinetError: what could not be removed; `gc` tries again.
        """
        try:
            cable = self._store.find(name)
        except OcinetError:
            # What it was, nobody knows; what of it is on record goes all the same.
            cable = None
            removed = self._store.remove(name)
        else:
            removed = self._store.remove(name)
        if not removed:
            hint = did_you_mean(name, self._store.names()) or "see: ocinet link ls"
            raise NotFoundError("", f"there is no link {name}", hint)
        if cable:
            unplug(self._operation, self._machine, self._records, cable)
        else:
            for record in self._records.attachments.all():
                unplug_end(self._operation, self._machine, self._records, record.container.id, name)
        self._operation.log.append(UNLINKED, link=name)

    def _define(self, options: CableOptions) -> Cable:
        surroundings = CableSurroundings(
            # All, or an error: one that can't be read may have any subnet.
            networks=self._records.networks.all(),
            cables=self._store.all(),
            occupied=self._machine.bridges.occupied_subnets(),
            routed=self._machine.bridges.routed_subnets(),
            pools=with_unique_local(self._operation.settings.pools),
            inside=(self._inside(options.containers[0]), self._inside(options.containers[1])),
        )
        return define_cable(options, surroundings).replace(created=now())

    def _inside(self, container: str) -> tuple[InsideLink, ...]:
        """Return what there is in a container's sandbox; () if it does not run."""
        for record in self._records.attachments.all():
            if container in (record.container.id, record.container.name):
                try:
                    sandbox = open_recorded(record)
                except OcinetError:
                    continue
                with sandbox:
                    return self._machine.insides.look_inside(sandbox)
        return ()
