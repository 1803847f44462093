"""Taking wiring down, from the record alone: no sandbox, no bundle, no request.

Links and leases live until the last member of a sandbox has gone, whichever
stops first. What can't be removed keeps its record, for a second try.
"""

from __future__ import annotations

from ocinet.base.clock import took_ms, uptime_s
from ocinet.base.errors import BusyError, OcinetError, collect, failures
from ocinet.engine.journal import go_through
from ocinet.engine.liveness import Liveness
from ocinet.engine.model.attachment import POD
from ocinet.engine.passing import Passing
from ocinet.engine.plan.detach import plan_detach
from ocinet.engine.port_owners import close_again

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Process
    from ocinet.engine.model.attachment import Attachment, Member
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.plan.steps import Step
    from ocinet.engine.storage import Records


class Detach:
    """Takes containers' wiring down.

    Args:
        operation: by whose time, locks and log it goes.
        machine: without a sandbox.
        records: what is taken down, and who holds what.
    """

    def __init__(self, operation: Operation, machine: Machine, records: Records) -> None:
        self._operation = operation
        self._machine = machine
        self._records = records
        self._attachments = records.attachments
        self._liveness = Liveness(machine.links, records.attachments, operation)

    def detach(self, container_id: str, *, bundle: str | None, force: bool) -> bool:
        """Detach a container under the lock of its sandbox's owner; see `Engine.detach`."""
        # Read without a lock, to learn whose lock it is; then anew under that one.
        began_s = uptime_s()
        record = self._attachments.get(container_id)
        if record is None:
            return False
        owner_id = record.member_of or container_id
        with self._operation.locks.container(owner_id):
            record = self._attachments.get(container_id)
            if record is None or (record.member_of or container_id) != owner_id:
                return False  # another one was faster
            # It may not be this one that stopped: an id is unique within one runtime and root
            # alone, and a poststop may be late, or the second one.
            if bundle is not None and not self._is_poststop_of(record, bundle):
                return False
            if record.member_of:
                self._count_out(record)
            else:
                self._end_owner(record, asked=bundle is None, force=force)
        self._operation.log.append(
            "detached",
            container=container_id,
            name=record.container.name,
            door=record.container.door,
            took_ms=took_ms(began_s),
        )
        return True

    def take_down_dead(self, container_id: str) -> bool:
        """Detach a container that is dead by its record, without waiting for a lock.

        Returns:
            Whether nothing of it is left: False if it lives, members of its
            sandbox do, or somebody is at work on it.
        """
        try:
            record = self._attachments.get(container_id)
            owner_id = (record and record.member_of) or container_id
            # Never waited for: an allocation that judges a holder has its own container's lock, and
            # two that judge each other would wait until their time is over.
            with self._operation.locks.container(owner_id, wait=False):
                record = self._attachments.get(container_id)
                if record is None:
                    return True
                if (record.member_of or container_id) != owner_id or not self._liveness.is_dead(
                    record
                ):
                    return False
                if record.member_of:
                    self._count_out(record)
                else:
                    self.take_down(record)
        except BusyError:
            return False
        return True

    def leave_to_members(self, record: Attachment) -> None:
        """Note that an owner has gone if nobody told of its end, without waiting for a lock."""
        if not self._has_gone_untold(record):
            return
        try:
            with self._operation.locks.container(record.container.id, wait=False):
                now = self._attachments.get(record.container.id)
                if now and self._has_gone_untold(now):
                    self._end_owner(now, asked=False, force=False)
        except BusyError:
            return

    def _has_gone_untold(self, record: Attachment) -> bool:
        return not (record.left or record.member_of or self._liveness.lives(record))

    def take_down(self, record: Attachment, *, force: bool = False) -> None:
        """Undo all that a record tells of, then forget it; needs the container's lock.

        Ports and links first, so that nothing leads to an address that is free;
        leases last, so that no address is free while a link bears it.

        Raises:
            OcinetError: what could not be removed. The record stays then, unless
                forced.
        """
        container_id = record.container.id
        # nftables deletes by key, whoever's element it is: only what no other container claims.
        held = self._records.ports.held(container_id, record.ports)
        firewall = self._machine.firewall
        before = firewall.observe() if held else None
        errors: list[OcinetError] = []
        is_of_this_boot = record.boot_id == self._operation.boot_id
        closing = self._close_access(record)
        steps = plan_detach(record, held, is_of_this_boot=is_of_this_boot)
        # Of another boot, what is at its addresses is another's.
        steps = (*closing, *steps) if is_of_this_boot else steps
        collect(errors, go_through, self._operation, self._machine, steps)
        if before and not errors:
            passing = Passing(self._machine, self._records.passages, before.generation)
            collect(errors, passing.closed)
        if is_of_this_boot:  # in sandboxes, which may not let us in
            collect(errors, self._unplug, record)
        if not force:
            failures("", errors)
        if any(endpoint.marks_sandbox for endpoint in record.endpoints):
            from ocinet.engine.marks import take_marks_away

            take_marks_away(self._machine.marks, record)
        # A member's record says whose sandbox it is in, and nothing that would be left to remove.
        for member in record.members:
            self._attachments.remove(member.id)
        self._attachments.remove(container_id)
        collect(errors, self._tell_others, record)
        collect(errors, self.leave_uplinks, record)
        if before:
            collect(errors, close_again, firewall, held, before)
        # Last: a kill before this leaves leases without a record, which `gc.leases` judges by
        # their holders. Free any sooner, an address could be borne by two links.
        self.release(record)
        collect(errors, self._forget_host_sides, record)
        failures("", errors)

    def leave_uplinks(self, record: Attachment) -> None:
        """Have what another container sends from an address of before leave as all others' does."""
        if any(endpoint.egress for endpoint in record.endpoints):
            from ocinet.engine.source_routing import follow_uplinks

            follow_uplinks(self._operation, self._machine, self._records, record.endpoints)

    def _forget_host_sides(self, record: Attachment) -> None:
        """Remove what only the last container of a network has use for."""
        if any(not endpoint.host_ifname for endpoint in record.endpoints):
            from ocinet.engine.lan_ends import forget_host_sides

            forget_host_sides(self._operation, self._machine, self._records, record)

    def _take_ends_away(self, record: Attachment) -> None:
        """Delete interfaces that go with no link of the host's, where the sandbox lives on."""
        if any(not endpoint.host_ifname for endpoint in record.endpoints):
            from ocinet.engine.lan_ends import take_ends_away

            take_ends_away(self._operation, self._machine, record)

    def _unplug(self, record: Attachment) -> None:
        """Take down what nothing on the host leads to: links to other sandboxes, and to the LAN."""
        errors: list[OcinetError] = []
        collect(errors, self._take_ends_away, record)
        if record.plugs:
            collect(errors, self._pull_plugs, record)
        failures("", errors)

    def _pull_plugs(self, record: Attachment) -> None:
        from ocinet.engine.unplugging import forget_peers, pull_plug  # for the few that have one

        errors: list[OcinetError] = []
        for plug in record.plugs:
            collect(errors, pull_plug, self._machine, self._records, record, plug)
        failures("", errors)
        forget_peers(self._operation, self._records, record)

    def _tell_others(self, record: Attachment) -> None:
        """Have those who found a container by their own files find it no more."""
        if not self._records.linked.is_empty():
            from ocinet.engine.linked_names import went

            went(self._operation, self._machine, self._records, record)

    def roll_back(self, record: Attachment) -> Attachment:
        """Undo what a killed attach began to add to a live container; needs its lock.

        Returns:
            The record of what is complete, and stays.

        Raises:
            OcinetError: what could not be removed; the record stays as it was.
        """
        undone, done = record.undone, record.done
        held = self._records.ports.held(record.container.id, undone.ports)
        steps = (*self._close_access(record, done), *plan_detach(undone, held))
        errors: list[OcinetError] = []
        collect(errors, go_through, self._operation, self._machine, steps)
        collect(errors, self._take_ends_away, undone)
        failures("", errors)
        if any(endpoint.marks_sandbox for endpoint in undone.endpoints):
            from ocinet.engine.marks import take_marks_away

            take_marks_away(self._machine.marks, undone, kept=done)
        # Before what was begun is released: from then on it may be another one's.
        self._attachments.put(done)
        self.leave_uplinks(undone)
        self.release(undone)
        return done

    def _close_access(self, record: Attachment, kept: Attachment | None = None) -> tuple[Step, ...]:
        if record.access is None:
            return ()
        from ocinet.engine.access import Access  # for the few that have to do with it

        return Access(self._records, record.container.id).close(record, kept)

    def release(self, record: Attachment) -> None:
        """Give ports and addresses back, of which no record and no link tells any more."""
        self._records.ports.release(record.container.id, record.ports)
        for endpoint in record.endpoints:
            for interface in endpoint.addresses:
                self._records.leases.release(
                    endpoint.network, interface.address, record.container.id
                )

    def _is_poststop_of(self, record: Attachment, bundle: str) -> bool:
        # "" on either side tells nothing: wrapper and watcher know of no bundle.
        other = record.container.bundle and bundle and record.container.bundle != bundle
        alive = self._liveness.lives(record)
        if other or alive:
            why = f"it is of {record.container.bundle}" if other else "its process is alive"
            self._operation.log.append(
                "poststop ignored",
                container=record.container.id,
                name=record.container.name,
                bundle=bundle,
                why=why,
            )
        return not other and not alive

    def _count_out(self, record: Attachment) -> None:
        """Take a member out of its owner's record; the last one takes the rest along."""
        owner = self._attachments.get(record.member_of)
        if owner:
            remaining = tuple(
                member for member in owner.members if member.id != record.container.id
            )
            living = self._liveness.living_members(owner.replace(members=remaining))
            if not living and not self._liveness.lives(
                owner
            ):  # whether or not anybody told of its end
                self.take_down(owner)  # the one that goes among its members: it may have the name
            else:
                # Who keeps a pod's sandbox stays among its members: by it a pod is known again
                # that is started anew, while others are in the sandbox of before.
                if record.container.door != POD:
                    owner = owner.replace(members=remaining)
                    self._attachments.put(owner)
                self._pass_name_on(owner, record.container.process, living)
        # After the owner's: a kill in between leaves a member that can be counted out again.
        self._attachments.remove(record.container.id)
        try:
            if owner and owner.access is not None:
                from ocinet.engine.access import relink

                gone = (record.container,)
                relink(self._operation, self._machine, self._records, owner, gone)
        finally:
            self._tell_others(record)

    def _end_owner(self, record: Attachment, *, asked: bool, force: bool) -> None:
        """Take an owner's wiring down, or leave it to the members that live on."""
        living = self._liveness.living_members(record)
        # A person who asks means the network, whoever is still on it.
        if living and not asked:
            left = record.replace(left=True, members=living)
            self._attachments.put(left)
            self._pass_name_on(left, record.container.process, living)
        else:
            runs = bool(record.container.process) and self._liveness.lives(record)
            self.take_down(record, force=force)
            if asked and runs and record.endpoints and not force:
                bare = _without_network(record)
                self._attachments.put(bare)
                self._take_names_back(bare)

    def _take_names_back(self, bare: Attachment) -> None:
        """Have a container that runs on without a network find no address and no resolver."""
        from ocinet.engine.naming import plan_names  # for people alone

        machine = self._machine
        for step in plan_names(machine, self._records, bare.container, bare):
            step.apply(machine)

    def _pass_name_on(
        self, owner: Attachment, gone: Process | None, living: tuple[Member, ...]
    ) -> None:
        """Let the sandbox's name show a process that lives, where `gone` was shown."""
        # The name is a link to /proc/PID/ns/net. Left as it is, it would lead into the namespace of
        # whatever process is given the pid next.
        candidates = [] if owner.left else [owner.container.process]
        candidates += [member.process for member in living]
        heir = next((process for process in candidates if process and process != gone), None)
        if owner.netns_name and gone and heir:
            self._machine.names.move(owner.netns_name, gone, heir)


def _without_network(record: Attachment) -> Attachment:
    """Return what is known of a container that runs on with nothing of ours, as in mode none.

    So that it can be attached again by its name, and that no watcher does it unasked.
    """
    return record.replace(
        mode="none",
        endpoints=(),
        ports=(),
        netns_name="",
        members=(),
        resolution=None,
        unnamed=False,
        plugs=(),
        served=(),
        access=None,
    )
