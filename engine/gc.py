"""Collecting what nobody holds: dead attachments first, then what has no record.

Not optional: crun runs no poststop after a create that failed, podman none
either, and nobody runs one after a reboot or a kill. Everything is judged by
records and by the kernel, and taken under its container's lock without waiting:
a lock that is held means that somebody is at work there.
"""

from __future__ import annotations

from functools import partial

from ocinet.base.address import Address
from ocinet.base.errors import BusyError, OcinetError
from ocinet.base.value import Value
from ocinet.engine.detach import Detach
from ocinet.engine.forwarding import give_back_forwarding
from ocinet.engine.liveness import Liveness
from ocinet.engine.model.bandwidth import shaper_of
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.plan.closing import ForgetBridge
from ocinet.engine.records.port_claim import PortClaim
from ocinet.engine.strays import Strays

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.model.link import Link
    from ocinet.engine.model.passage import AcceptRule
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records
    from ocinet.ipam.lease import Lease


class Leftover(Value):
    """One thing that nobody holds.

    Attributes:
        kind: attachment, record, lease, port, link or bridge; name, of a link by name; rule,
            for an accept rule in a table of others; what `strays` finds; network, where its
            file can't be read: that is for a person to mend; forwarding and file, where they
            could not be looked
            at; damage, of what is held.
        name: which.
        why: how it was judged.
        removed: False in a dry run, or if it could not be had.
    """

    kind: str
    name: str
    why: str
    removed: bool


class _Collector:
    """One run of `collect`."""

    def __init__(
        self, operation: Operation, machine: Machine, records: Records, *, dry_run: bool
    ) -> None:
        self._operation = operation
        self._machine = machine
        self._records = records
        self._dry_run = dry_run
        self._detach = Detach(operation, machine, records)
        self._liveness = Liveness(machine.links, records.attachments, operation)
        self.leftovers: list[Leftover] = []

    def find(self, kind: str, name: str, why: str, remove: Callable[[], object]) -> None:
        """Note a leftover, and remove it unless this is a dry run."""
        removed = False
        if not self._dry_run:
            try:
                # Its errors are noted: one thing that can't be had keeps no other from going.
                removed = remove() is not False
            except (OcinetError, OSError) as error:
                why = f"{why}; not removed: {error}"
            self._operation.log.append("collected", kind=kind, name=name, why=why, removed=removed)
        self.leftovers.append(Leftover(kind, name, why, removed))

    def alone(self, container_id: str, act: Callable[[], object]) -> bool:
        """Do something under a container's lock if it is free and there is no record."""
        try:
            with self._operation.locks.container(container_id, wait=False):
                # Anew, under the lock: an attach may have begun since the list was made.
                if container_id in self._records.attachments.ids():
                    return False
                act()
        except BusyError:
            return False
        return True

    def attachments(self) -> None:
        """Take down what is dead by its record."""
        for container_id, why in self._records.attachments.unreadable():
            self.find("record", container_id, why, self._set_aside(container_id))
        for record in self._records.attachments.all():
            if self._liveness.is_dead(record):
                old = record.boot_id != self._operation.boot_id
                why = "it is of an earlier boot" if old else "no process of it is alive"
                container_id = record.container.id
                self.find("attachment", container_id, why, self._take_down(container_id))
            # An owner that died untold leaves its sandbox to the members that live.
            elif not self._dry_run:
                self._detach.leave_to_members(record)

    def _set_aside(self, container_id: str) -> Callable[[], object]:
        return lambda: self._records.attachments.set_aside(container_id)

    def _take_down(self, container_id: str) -> Callable[[], object]:
        return lambda: self._detach.take_down_dead(container_id)

    def linked(self) -> None:
        """Forget links by name of containers that have no record."""
        linked, ids = self._records.linked, set(self._records.attachments.ids())
        for target in linked.targets():
            for linker in linked.linkers((target,)):
                if linker not in ids:
                    forget = partial(linked.remove, target, linker)
                    self.find("name", f"{target}, for {linker}", "its container has no record",
                              partial(self.alone, linker, forget))  # fmt: skip

    def leases(self) -> None:
        """Release addresses whose holder has no record and no life."""
        ids = set(self._records.attachments.ids())
        for network in self._records.leases.networks():
            for lease in self._records.leases.leases(network):
                holder = lease.holder.container
                # Both may be old by now: `alone` looks again before anything is released.
                if holder in ids or self._is_held(lease):
                    continue

                def release(
                    network: str = network, address: Address = lease.address, holder: str = holder
                ) -> bool:
                    return self.alone(
                        holder, lambda: self._records.leases.release(network, address, holder)
                    )

                self.find("lease", f"{network}/{lease.address}", f"{holder} is gone", release)

    def claim_files(self) -> None:
        """Make files of claims that make no sense anew, of what is on record."""
        for file, why in self._records.ports.unreadable():

            def restore(file: str = file) -> bool:
                return self._records.ports.restore(file, self._recorded_claims())

            self.find("port", file, f"its claims can't be read: {why}", restore)

    def _recorded_claims(self) -> list[PortClaim]:
        """Return what the containers of this boot have claimed, as their records tell."""
        claims = {
            PortClaim(
                port.protocol,
                port.host_address,
                port.host_port,
                record.container.id,
                record.container.name,
                record.time,
            )
            for record in self._records.attachments.all()
            if record.boot_id == self._operation.boot_id
            for port in record.ports
        }
        return sorted(claims, key=lambda claim: (claim.host_port, str(claim), claim.container))

    def ports(self) -> None:
        """Release claims of host ports whose container has no record."""
        ids = set(self._records.attachments.ids())
        for holder in self._records.ports.holders():
            if holder not in ids:

                def release(holder: str = holder) -> bool:
                    return self.alone(holder, lambda: self._give_up_ports(holder))

                self.find("port", holder, "its container has no record", release)

    def _give_up_ports(self, holder: str) -> None:
        """Take a container's ports out of the firewall, then give up its claims."""
        anywhere = {4: Address(4, 0), 6: Address(6, 0)}
        rules = []
        for claim in self._records.ports.all():
            address = claim.host_address
            if claim.container == holder:
                families = (address.family,) if address else (4, 6)
                named = address if address and address.value else None
                rules += [
                    PortRule(claim.protocol, named, port, anywhere[family], 0)
                    for family in families
                    for port in claim.ports
                ]  # a port is known by its host's side: where it leads does not matter
        self._machine.firewall.close(tuple(rules))
        self._records.ports.release_all(holder)

    def links(self) -> None:
        """Delete host ends that no record names, and bridges of no network."""
        # First: a link that is being made has a lease by now, but perhaps no alias yet,
        # so nothing would tell whose lock keeps it from being taken for a leftover.
        ours = self._machine.links.links()
        records = self._records.attachments.all()
        ends = [end for record in records for end in record.endpoints]
        recorded = {end.host_ifname for end in ends}
        recorded |= {end.device for end in ends if not end.host_ifname}
        recorded |= {shaper_of(end.host_ifname) for end in ends if end.bandwidth}
        leased = {
            lease.holder.host_ifname
            for network in self._records.leases.networks()
            for lease in self._records.leases.leases(network)
            if self._is_held(lease)
        }
        devices = {network.device for network in self._records.networks.readable()}
        unreadable = self._records.networks.unreadable()
        for name, why in unreadable:
            self.find("network", name, f"it can't be read: {why}", lambda: False)
        for link in sorted(ours, key=lambda link: link.kind == "bridge"):  # ports before bridges
            if link.kind == "bridge":
                # It may be that of a network that can't be read.
                if link.ifname not in devices and not unreadable:
                    self.find("bridge", link.ifname, "no network has it", self._remove_bridge(link))
            elif link.ifname not in recorded | leased:
                self.find("link", link.ifname, "no record names it", self._remove_link(link))

    def _is_held(self, lease: Lease) -> bool:
        """Tell whether the holder of a lease without a record runs.

        Stricter than `Liveness.holder_lives`: the links of the dead have just been
        deleted, so none of them keeps an address from being free.
        """
        process = lease.holder.process
        if process and not self._operation.is_alive(process):
            return False
        return self._liveness.holder_lives(lease)

    def _remove_link(self, link: Link) -> Callable[[], bool]:
        # Where a kill came between making the link and giving it its alias, nothing tells the
        # id: the link's name stands in for it.
        container_id = link.alias.removeprefix("ocinet:").partition("/")[0] or link.ifname
        return lambda: self.alone(
            container_id, lambda: self._machine.links.delete_links((link.ifname,))
        )

    def strays(self) -> None:
        """Remove what nobody claims of our table, of the kernel, and of what is kept."""
        try:
            for stray in Strays(self._operation, self._machine, self._records).all():
                self.find(stray.kind, stray.name, stray.why, stray.remove)
        except OcinetError as error:
            self.find("element", "-", f"it can't be looked at: {error}", lambda: False)

    def left_files(self) -> None:
        """Remove what killed writers left half-written; it is in nobody's way, so nothing is told.

        But where it can't be looked at: then somebody may be.
        """
        try:
            self._records.left_files().sweep()
        except OcinetError as error:
            self.find("file", "-", f"not looked at: {error}", lambda: False)

    def forwarding(self) -> None:
        """Give it back where whoever removed the last network came to no end of it."""
        if not self._records.guards.all():
            return
        try:
            with self._operation.locks.shared():
                give_back_forwarding(self._operation, self._machine, self._records)
        except OcinetError as error:
            self.find("forwarding", "-", f"not looked at: {error}", lambda: False)

    def regain(self) -> None:
        """Have the leases of those who live where nothing is on record, and no notes of none.

        Before links: those of who lives and has neither record nor lease would go.
        """
        records = self._records
        defined = (network.name for network in records.networks.readable())  # also without a lease
        for name in dict.fromkeys((*records.leases.networks(), *defined)):
            try:
                records.leases.sweep(name)
            except OcinetError as error:
                self.find("lease", name, f"not looked at: {error}", lambda: False)

    def accept_rules(self) -> None:
        """Delete accept rules of ours that no network needs, from the tables of others.

        Whoever saves a host's rules saves ours with them, as netfilter-persistent does, and
        puts them back when the network is gone, or beside those that are there.
        """
        try:
            rules = self._machine.forward_accepts.tagged()
        except OcinetError as error:
            self.find("rule", "iptables", f"it can't be looked at: {error}", lambda: False)
            return
        # One that can't be read may be whose rules they are.
        if self._records.networks.unreadable():
            return
        seen: set[AcceptRule] = set()
        for rule in rules:
            why = self._needless(rule) or ("it is there twice" if rule in seen else "")
            if why:
                self.find("rule", str(rule), why, self._delete_rule(rule, twice=rule in seen))
            seen.add(rule)

    def _needless(self, rule: AcceptRule) -> str:
        """Return why no network needs a rule, or ""."""
        networks = self._records.networks.readable()
        network = next((net for net in networks if net.device == rule.device), None)
        if network is None:
            return "no network has its bridge"
        if network.managed != rule.managed:
            return f"it is for {'an adopted bridge' if network.managed else 'a bridge of ours'}"
        return ""

    def _delete_rule(self, rule: AcceptRule, *, twice: bool) -> Callable[[], bool]:
        def delete() -> bool:
            with self._operation.locks.shared():
                # Rules are added, and networks defined, under this lock: see `_remove_bridge`.
                accepts = self._machine.forward_accepts
                needless = accepts.tagged().count(rule) > 1 if twice else self._needless(rule)
                return bool(needless) and accepts.delete(rule)

        return delete

    def _remove_bridge(self, link: Link) -> Callable[[], bool]:
        def remove() -> bool:
            with self._operation.locks.shared():
                networks = self._records.networks
                # Networks are defined under this lock: one may be new since bridges were listed.
                used = any(network.device == link.ifname for network in networks.readable())
                may_be_used = used or bool(networks.unreadable())
                if may_be_used:
                    return False
                # As long as the bridge is there: nothing else tells that the zone has its name.
                self._machine.forward_accepts.leave_zone(link.ifname)
                removed = self._machine.bridges.remove_bridge(link.ifname)
                if removed:
                    ForgetBridge(link.ifname).apply(self._machine)
                return removed

        return remove


def collect(
    operation: Operation, machine: Machine, records: Records, *, dry_run: bool
) -> tuple[Leftover, ...]:
    """Remove everything of ours that nobody holds.

    Args:
        operation: by whose time, locks and log it goes.
        machine: where it is looked for.
        records: what is held.
        dry_run: only say what would be removed.

    Returns:
        What was found, in the order in which it was looked for.
    """
    collector = _Collector(operation, machine, records, dry_run=dry_run)
    # In this order: what has a record goes by the record, and while a link is there, its
    # address is not free.
    collector.attachments()
    if not dry_run:
        collector.regain()
    collector.links()
    collector.linked()
    collector.leases()
    collector.claim_files()
    collector.ports()
    collector.strays()
    collector.accept_rules()
    if not dry_run:
        collector.forwarding()
        collector.left_files()
    return tuple(collector.leftovers)
