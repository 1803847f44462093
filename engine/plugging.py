"""Making links between two sandboxes as they are defined, whoever of the two comes last.

A link is there while both containers run. Its definition stays, so whichever comes back finds
the other and is linked with it again, also in a new sandbox. Both containers' locks are taken
for it, in the order of their numbers, by who holds none.
"""

from __future__ import annotations

from ocinet.base.errors import ConflictError, NotFoundError, OcinetError
from ocinet.base.value import Value
from ocinet.engine.assembly import machine_on
from ocinet.engine.journal import Journal
from ocinet.engine.kernel.sandbox import open_recorded
from ocinet.engine.liveness import Liveness, shows_sandbox
from ocinet.engine.model.attachment import ATTACHED
from ocinet.engine.model.plug import Plug
from ocinet.engine.plan.cable_steps import plan_cable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ocinet.engine.model.attachment import Attachment, Container
    from ocinet.engine.model.cable import Cable, CableEnd
    from ocinet.engine.model.link import InsideLink
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan import seams
    from ocinet.engine.plan.machine import Host, Machine
    from ocinet.engine.plan.steps import Step
    from ocinet.engine.storage import Records

    Two = tuple[Attachment, Attachment]

_PATIENCE_S = 2.0
LINKED, LINK_FAILED, UNLINKED = "linked", "link failed", "unlinked"


class CableState(Value):
    """How a link is.

    Attributes:
        waits: for what, where one of the two is not there; "" where both are.
        flaws: what is not as it is defined, though both are there; one line each.
    """

    waits: str = ""
    flaws: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """In one word: up, waiting or damaged."""
        return "waiting" if self.waits else "damaged" if self.flaws else "up"


class _Laid(Value):
    """What there is of a link in the two sandboxes.

    Attributes:
        there: of each end whether an interface is there that is the link's.
        flaws: as in `CableState`.
    """

    there: tuple[bool, bool]
    flaws: tuple[str, ...]


class Plugging:
    """Makes links and takes them down.

    Args:
        operation: by whose time, locks and log it goes.
        host: on which the sandboxes are.
        records: of the containers.
    """

    def __init__(self, operation: Operation, host: Host, records: Records) -> None:
        self._operation = operation
        self._host = host
        self._records = records
        self._liveness = Liveness(host.links, records.attachments, operation)
        self.warnings: list[str] = []

    def state(self, cable: Cable) -> CableState:
        """Return how a link is, as the kernel has it; changes nothing.

        Raises:
            OcinetError: it can't be looked at.
        """
        found, waits = self._find(cable)
        if found is None:
            return CableState(waits)
        try:
            with open_recorded(found[0]) as near, open_recorded(found[1]) as far:
                machine = self._machine(near, far)
                flaws = _look(cable, machine).flaws
        except NotFoundError as error:  # it ended just now
            return CableState(error.why)
        return CableState(flaws=flaws or _unrecorded(cable, found))

    def plug(self, cable: Cable) -> CableState:
        """Make a link as it is defined, if both containers are there.

        It can be repeated: what is so already stays.

        Returns:
            How it is now.

        Raises:
            OcinetError: it can't be made; all is as it was.
        """
        found, waits = self._find(cable)
        if found is None:
            return CableState(waits)
        with self._locks(found):
            # Found without the locks, so looked at again; and the link may have been removed.
            again, waits = self._find(cable)
            if again is None or self._records.cables().find(cable.name) != cable:
                return CableState(waits or f"the link {cable.name} was changed meanwhile")
            if _ids(again) != _ids(found):
                return CableState(f"{cable.name} has another container at an end by now")
            try:
                with open_recorded(again[0]) as near, open_recorded(again[1]) as far:
                    self._plug(cable, again, self._machine(near, far))
            except NotFoundError as error:
                return CableState(error.why)
        return CableState()

    def plan(self, cable: Cable) -> tuple[Step, ...]:
        """Return the steps that would make a link, as if both were there where one is not."""
        netns = [end.container for end in cable.ends]
        for number, end in enumerate(cable.ends):
            record, _ = self._end(end)
            if record:
                netns[number] = record.netns_name or record.path or netns[number]
        return plan_cable(cable, (netns[0], netns[1]), lay=True, pull=False)

    def _plug(self, cable: Cable, found: Two, machine: Machine) -> None:
        """Do it, with both locks and both sandboxes."""
        if found[0].sandbox == found[1].sandbox:
            raise ConflictError(f"cannot make the link {cable.name}", "the two share a sandbox",
                                f"ocinet link rm {cable.name}")  # fmt: skip
        laid = _look(cable, machine)
        if not laid.flaws and not _unrecorded(cable, found):
            return
        netns = [record.netns_name or record.path for record in found]
        whole = all(laid.there)
        steps = plan_cable(
            cable, (netns[0], netns[1]), lay=not whole, pull=any(laid.there) and not whole
        )
        attachments = self._records.attachments
        journal = Journal(self._operation, machine, attachments, found[0].container.id)
        try:
            # A kill from here on leaves records of what may not be there: the next attach of
            # either, and `check`, look.
            for number, record in enumerate(found):
                attachments.put(_plugged(record, cable, number, found[1 - number]))
                journal.push(attachments.put, record)
            journal.apply(steps)
        except (Exception, KeyboardInterrupt):
            journal.undo()
            raise
        self.warnings += machine.warnings
        self._operation.log.append(
            LINKED,
            container=found[0].container.id,
            name=found[0].container.name,
            link=cable.name,
            peer=found[1].container.name,
            addresses=[str(own) for end in cable.ends for own in end.addresses],
        )

    def _find(self, cable: Cable) -> tuple[Two | None, str]:
        """Return the two containers; or None, and what is waited for."""
        near, why_near = self._end(cable.ends[0])
        far, why_far = self._end(cable.ends[1])
        if near and far:
            return (near, far), ""
        return None, "; ".join(why for why in (why_near, why_far) if why)

    def _end(self, end: CableEnd) -> tuple[Attachment | None, str]:
        """Return who has an end, if he runs; else why not."""
        named = [
            record for record in self._records.attachments.all() if end.is_of(record.container)
        ]
        living = [
            record
            for record in named
            if not self._liveness.is_dead(record) or shows_sandbox(record)
        ]
        # Who bears it as an id is meant before who is only called so.
        living.sort(key=lambda record: record.container.id != end.container)
        if not living:
            return None, f"{end.container} does not run, or is not ocinet's"
        first = living[0]
        if len(living) > 1 and first.container.id != end.container:
            return None, f"several containers are called {end.container}"
        if first.member_of:
            owner = self._records.attachments.get(first.member_of)
            name = owner.container.name if owner else first.member_of
            return None, f"{end.container} shares the sandbox of {name}: link {name}"
        if first.state != ATTACHED:
            return None, f"{end.container} is being attached"
        if first.boot_id != self._operation.boot_id:
            return None, f"{end.container} does not run"
        return first, ""

    def _locks(self, found: Two) -> AbstractContextManager[object]:
        return self._operation.locks.containers(*_ids(found))

    def _machine(self, near: seams.Sandbox, far: seams.Sandbox) -> Machine:
        return machine_on(self._host, self._records, self._operation, near, far)


def plug_all(operation: Operation, host: Host, records: Records, container: Container) -> list[str]:
    """Make the links that name a container which was attached just now.

    A link that can't be made is told, and keeps no container from its start.

    Returns:
        What could not be done, one line each.
    """
    # Who hangs with the other's lock in hand is no reason for this one not to start.
    operation = operation.replace(locks=operation.locks.patient(_PATIENCE_S))
    plugging = Plugging(operation, host, records)
    failed = []
    try:
        cables = records.cables().naming(container)
    except OcinetError as error:
        return [str(error)]
    for cable in cables:
        try:
            plugging.plug(cable)
        except OcinetError as error:
            told = str(error.within(f"cannot link {container.name}"))
            operation.log.append(
                LINK_FAILED, container=container.id, name=container.name, link=cable.name,
                cause=error.cause, error=told,
            )  # fmt: skip
            failed.append(told)
    return [*plugging.warnings, *failed]


def _ids(found: Two) -> tuple[str, str]:
    return found[0].container.id, found[1].container.id


def _plugged(record: Attachment, cable: Cable, number: int, peer: Attachment) -> Attachment:
    """Return a record that has an end of a link, and none of an earlier one of that name."""
    end = cable.ends[number]
    plug = Plug(
        cable.name, end.ifname, end.mac, peer.container.id, peer.sandbox, end.addresses, end.routes
    )
    others = tuple(known for known in record.plugs if known.cable != cable.name)
    return record.replace(plugs=(*others, plug))


def _unrecorded(cable: Cable, found: Two) -> tuple[str, ...]:
    """Return whose record does not tell of its end, one line each."""
    return tuple(
        f"the record of {record.container.name} does not tell of it"
        for number, record in enumerate(found)
        if _plugged(record, cable, number, found[1 - number]).plugs != record.plugs
        and set(_plugged(record, cable, number, found[1 - number]).plugs) != set(record.plugs)
    )


def _look(cable: Cable, machine: Machine) -> _Laid:
    """Compare a link with what is in its two sandboxes."""
    there, flaws = [], []
    for end, sandbox in zip(cable.ends, (machine.sandbox, machine.far), strict=True):
        inside = {link.ifname: link for link in machine.insides.look_inside(sandbox)}
        link = inside.get(end.ifname)
        own = link is not None and link.mac == end.mac
        there.append(own)
        if link is None or not own:
            is_what = "is another interface" if link else "is gone"
            flaws.append(f"{end.ifname} in {end.container} {is_what}")
        else:
            flaws += [
                f"{end.ifname} in {end.container} {lack}" for lack in _lacks(end, cable, link)
            ]
    return _Laid((there[0], there[1]), tuple(flaws))


def _lacks(end: CableEnd, cable: Cable, link: InsideLink) -> list[str]:
    """Return what an end that is there is not, or has not."""
    lacks = [] if link.up else ["is down"]
    if link.mtu != cable.mtu:
        lacks.append(f"has an MTU of {link.mtu} instead of {cable.mtu}")
    lacks += [f"has lost {own}" for own in end.addresses if own not in link.addresses]
    lacks += [
        f"has lost the route to {route.destination}"
        for route in end.routes
        if route not in link.routes
    ]
    return lacks
