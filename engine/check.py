"""Comparing what is recorded with what is there, for every container, and mending it.

Without a watcher nobody looks after an attach: this is what a person, or a timer, runs.
The watcher runs it where something may have been touched.
"""

from __future__ import annotations

from functools import partial

from ocinet.base.errors import BusyError, NotFoundError, OcinetError
from ocinet.base.value import Value
from ocinet.engine.assembly import machine_on
from ocinet.engine.forwarding import misguarded
from ocinet.engine.liveness import Liveness
from ocinet.engine.mend import Mend, rebuild_table
from ocinet.engine.model.attachment import ATTACHED
from ocinet.engine.model.scope import EVERYTHING
from ocinet.engine.plan.flaw import Left
from ocinet.engine.plan.mend import plan_own, processes_of, users_of
from ocinet.engine.plan.repair_kinds import LEFTOVER, NAME, SYSCTL, TABLE
from ocinet.engine.storage import recorded
from ocinet.engine.stranded import tell_stranded
from ocinet.engine.strays import Strays
from ocinet.engine.table_lacks import lacks_of_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ocinet.base.clock import Process
    from ocinet.engine.mend import Damage
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.link import Link
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.scope import Scope
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan import seams
    from ocinet.engine.plan.machine import Host
    from ocinet.engine.plan.steps import Step
    from ocinet.engine.storage import Records
    from ocinet.engine.strays import Stray

    OpenSandbox = Callable[[Attachment], AbstractContextManager[seams.Sandbox]]
    MayRepair = Callable[[str, str], bool]

_AT_ONCE = 64  # containers whose guards are asked for together


class Finding(Value):
    """One thing that is not as it was made.

    Attributes:
        container: whose it is: its name; "" for what all share.
        what: in one line.
        repaired: whether it has been put right.
        why_not: why it could not be, if that was tried, or can't be looked at.
        busy: whether that was somebody's lock: the next look may come through.
        manual: whether it is a person's to put right: `what` says with which command.
    """

    container: str
    what: str
    repaired: bool = False
    why_not: str = ""
    busy: bool = False
    manual: bool = False

    @property
    def remedy(self) -> str:
        """What helps, beside what `what` says; or ""."""
        if self.why_not or self.manual:
            return self.why_not
        return f"ocinet check --repair {self.container}".rstrip()


class Check:
    """One look at what is attached.

    Args:
        operation: by whose time, settings, locks and log it goes.
        host: that is looked at.
        records: of all containers.
        open_sandbox: of a record; it raises what keeps it from being opened.
        may_change: whether a container can change its network by itself: what is otherwise
            in its sandbox is its own then.
        may_repair: whether what is found is put right: asked with the container's name, ""
            for what many share, and what it is.
    """

    def __init__(
        self,
        operation: Operation,
        host: Host,
        records: Records,
        open_sandbox: OpenSandbox,
        may_change: Callable[[Process], bool],
        may_repair: MayRepair,
    ) -> None:
        self._operation = operation
        self._host = host
        self._records = records
        self._open_sandbox = open_sandbox
        self._may_change = may_change
        self._may_repair = may_repair
        self._liveness = Liveness(host.links, records.attachments, operation)
        self._findings: list[Finding] = []

    def run(
        self,
        wanted: tuple[Attachment, ...],
        scope: Scope,
        give_way: Callable[[], None] = lambda: None,
    ) -> tuple[Finding, ...]:
        """Return what is not as it was made, of these and of what all share.

        The dead are passed over: `gc` is for them; and so is who is being attached.

        Args:
            wanted: records.
            scope: what is looked at.
            give_way: called between two containers, when no lock is held: of a thousand the
                look takes seconds, and others may have to be looked at before.
        """
        if scope.networks:
            self._guards()
        if scope.table:
            self._table()
        chosen = scope.containers
        living = [
            record
            for record in wanted
            if not record.member_of
            and record.state == ATTACHED
            and (scope.networks or chosen is None or record.container.id in chosen)
            and not self._liveness.is_dead(record)
        ]
        if scope.networks:
            self._networks(living)
            self._names()
        self._containers(
            [record for record in living if chosen is None or record.container.id in chosen],
            give_way,
            inside=scope.inside,
        )
        for name, what in tell_stranded(wanted, self._records.attachments, self._liveness):
            self._note(name, what, manual=True)
        if scope.inside and self._records.cables().names():
            from ocinet.engine.check_cables import check_cables

            check_cables(
                self._operation, self._host, self._records, living, self._may_repair, self._note
            )
        return tuple(self._findings)

    def reload(self, networks: tuple[str, ...]) -> tuple[Finding, ...]:
        """Make our table anew whatever is in it, and look at all that is on networks.

        Args:
            networks: their names; (): every one.

        Raises:
            OcinetError: the table can't be made.
        """
        records = self._records.attachments.all()
        if recorded(self._records, self._operation.boot_id)[0]:
            machine = machine_on(self._host, self._records, self._operation)
            rebuild_table(self._operation, machine, self._records)
        on_them = [
            record
            for record in records
            if not networks or any(end.network in networks for end in record.endpoints)
        ]
        return self.run(tuple(on_them), EVERYTHING)

    def _note(
        self,
        container: str,
        what: str,
        failed: OcinetError | None = None,
        *,
        repaired: bool = False,
        manual: bool = False,
    ) -> None:
        why_not, busy = str(failed or ""), isinstance(failed, BusyError)
        finding = Finding(container, what, repaired, why_not, busy, manual)
        if finding not in self._findings:  # what several networks need is one thing all the same
            self._findings.append(finding)

    def _guards(self) -> None:
        """Compare whose forwarding is guarded with whose it is, and with the settings."""
        machine = machine_on(self._host, self._records, self._operation)

        def applied(step: Step) -> None:
            with self._operation.locks.shared():
                step.apply(machine)

        for what, step in misguarded(self._operation, machine, self._records):
            self._put_right(what, partial(applied, step), SYSCTL)

    def _names(self) -> None:
        """Compare who is found by name with who is to be, and look for the server."""
        from ocinet.engine.served_check import ServedCheck

        machine = machine_on(self._host, self._records, self._operation)
        for found in ServedCheck(self._operation, machine, self._records).all():
            self._put_right(found.what, found.repair, NAME)
        from ocinet.engine.linked_check import find_astray

        for what, repair in find_astray(self._operation, machine, self._records):
            self._put_right(what, repair, NAME)

    def _put_right(self, what: str, repair: Callable[[], object] | None, kind: str) -> None:
        """Note what many share and is not as it has to be, and repair it where that may be."""
        tried = repair is not None and self._may_repair("", what)
        failed: OcinetError | None = None
        if repair and tried:
            try:
                repair()
            except OcinetError as error:
                failed = error
            else:
                self._operation.log.append("repaired", what=what, kinds=[kind])
        self._note("", what, failed, repaired=tried and not failed, manual=repair is None)

    def _table(self) -> None:
        """Compare our table, once for all: it holds what all records say."""
        machine = machine_on(self._host, self._records, self._operation)
        try:
            lines = lacks_of_table(self._operation, self._records, machine.firewall)
        except OcinetError as error:
            self._note("", "our table can't be looked at", error)
            return
        mended = [line for line in lines if self._may_repair("", line)]
        failed: OcinetError | None = None
        if mended:
            try:
                rebuild_table(self._operation, machine, self._records)
            except OcinetError as error:
                failed = error
            else:
                self._operation.log.append("repaired", what="; ".join(mended), kinds=[TABLE])
        for line in lines:
            tried = line in mended
            self._note("", line, failed if tried else None, repaired=tried and not failed)

    def strays(self) -> tuple[Finding, ...]:
        """Return what of ours nobody claims, and remove it where that may be put right."""
        machine = machine_on(self._host, self._records, self._operation)
        try:
            for stray in Strays(self._operation, machine, self._records).all():
                self._note_stray(stray)
        except OcinetError as error:
            self._note("", "what nobody claims can't be looked for", error)
        return tuple(self._findings)

    def _note_stray(self, stray: Stray) -> None:
        what, removed = f"{stray.kind} {stray.name} is left: {stray.why}", False
        failed: OcinetError | None = None
        if self._may_repair("", what):
            try:
                removed = stray.remove()
            except OcinetError as error:
                failed = error
            else:
                if not removed:
                    return  # somebody claims it by now
                self._operation.log.append("repaired", what=what, kinds=[LEFTOVER])
        self._note("", what, failed, repaired=removed)

    def _networks(self, living: list[Attachment]) -> None:
        """Compare what the networks of these containers need, each once for all on it."""
        machine = machine_on(self._host, self._records, self._operation)
        mend = Mend(self._operation, machine, self._records)
        used = {endpoint.network for record in living for endpoint in record.endpoints}
        for network in self._records.networks.readable():
            if network.name not in used:
                continue
            on_it = [
                record
                for record in living
                if any(endpoint.network == network.name for endpoint in record.endpoints)
            ]
            try:
                damage = mend.compare_networks((network,), users_of(on_it))
            except OcinetError as error:
                self._note("", f"the network {network.name} can't be used", error)
            else:
                self._settle("", mend, None, damage)

    def _containers(
        self, records: list[Attachment], give_way: Callable[[], None], *, inside: bool
    ) -> None:
        """Compare what is containers' own; whose host end is as it should be, is not opened."""
        if not records:
            return
        links = {link.ifname: link for link in self._host.links.links()}
        networks = {network.name: network for network in self._records.networks.readable()}
        guards: dict[str, bytes] = {}
        for place, record in enumerate(records):
            give_way()
            if not place % _AT_ONCE:
                guards = self._guards_of(records[place : place + _AT_ONCE], links)
            # What is mended of it follows its bridge, and that is told of its network.
            devices = {end.device for end in record.endpoints if end.host_ifname}
            for device in devices - links.keys():
                link = self._host.links.link(device)
                if link:
                    links[device] = link
            if not devices <= links.keys():
                continue
            enters = inside and not self._is_its_own(record)
            if enters or self._lacks_outside(record, links, networks, guards):
                self._container(record, inside=enters)

    def _guards_of(self, records: list[Attachment], links: dict[str, Link]) -> dict[str, bytes]:
        """Return the programs that guard the host ends of these, by name."""
        names = (endpoint.host_ifname for record in records for endpoint in record.endpoints)
        ends = tuple(links[name] for name in names if name in links)
        return self._host.bridge_filters.guards(ends)

    def _is_its_own(self, record: Attachment) -> bool:
        """Tell whether what is in a sandbox is what its container wants."""
        process = record.container.process
        return bool(process and self._may_change(process))

    def _lacks_outside(
        self,
        record: Attachment,
        links: dict[str, Link],
        networks: dict[str, Network],
        guards: dict[str, bytes],
    ) -> bool:
        on = [networks.get(endpoint.network) for endpoint in record.endpoints]
        known = tuple(network for network in on if network)
        if len(known) < len(on):
            return True  # it is told when it is looked at
        ends = [links.get(endpoint.host_ifname) for endpoint in record.endpoints]
        there = tuple(end for end in ends if end)
        processes = processes_of(record) if record.netns_name else ()
        named = not processes or self._host.names.shows(record.netns_name, processes)
        own = tuple((end.ifname, guards.get(end.ifname, b"")) for end in there)
        machine = machine_on(self._host, self._records, self._operation)
        shapes, absent = machine.shapes(record), machine.absent(record)
        left = Left(there, None, named, own, shapes=shapes, absent=absent)
        return bool(plan_own(record, known, links, left, record.netns_name))

    def _container(self, record: Attachment, *, inside: bool) -> None:
        """Compare one container's wiring, under its lock."""
        name = record.container.name
        try:
            with self._open_sandbox(record) as sandbox:
                machine = machine_on(self._host, self._records, self._operation, sandbox)
                mend = Mend(self._operation, machine, self._records, shared=False, inside=inside)
                with self._operation.locks.container(record.container.id, wait=False):
                    now = self._records.attachments.get(record.container.id)
                    if now == record:  # else somebody was at work on it
                        self._settle(name, mend, record, mend.compare(record))
        except BusyError:
            return
        except OcinetError as error:
            # A process that ends gives up its namespaces before it is a zombie (the kernel's
            # do_exit): until then it counts as alive, and its namespace is not there.
            if record.container.process and isinstance(error, NotFoundError):
                return
            self._note(name, "it can't be looked at", error)

    def _settle(self, name: str, mend: Mend, record: Attachment | None, damage: Damage) -> None:
        """Put right what may be, and note all that was found."""
        mended = tuple(flaw for flaw in damage.flaws if self._may_repair(name, flaw.text))
        failed: OcinetError | None = None
        try:
            mend.repair(record, damage.replace(flaws=mended))
        except OcinetError as error:
            failed = error
        for flaw in damage.flaws:
            tried = flaw in mended
            repaired = tried and not failed and not flaw.manual
            why_not = failed if tried else None
            self._note(name, flaw.text, why_not, repaired=repaired, manual=flaw.manual)
