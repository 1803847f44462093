"""Pods: a sandbox that is none of its members', but kept by a first process of their engine's."""

from __future__ import annotations

from ocinet.base.clock import Process, cgroups_of
from ocinet.engine.containers import with_member
from ocinet.engine.liveness import Liveness
from ocinet.engine.model.attachment import POD, Container
from ocinet.engine.share import Share

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment, Member
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.settle import Settle
    from ocinet.engine.storage import Records

_NS_PARTS = 5  # of /proc/PID/ns/net, with what is before the first slash
_ID_LENGTH, _SHORT = 64, 12
_HEX = frozenset("0123456789abcdef")
_KINDS = ("libpod", "libpod-payload", "crio")  # before the ids; others are of conmons, and of pods


class Pods:
    """Wires pods by whichever of their members asks.

    Args:
        operation: by whose time, locks and log it goes.
        machine: where the sandboxes are.
        records: of all containers.
        settle: ends earlier lives, and knows what to go on with.
    """

    def __init__(
        self, operation: Operation, machine: Machine, records: Records, settle: Settle
    ) -> None:
        self._operation = operation
        self._attachments = records.attachments
        self._settle = settle
        self._share = Share(operation, machine, records)
        self._liveness = Liveness(machine.links, records.attachments, operation)

    def join(self, container: Container, path: str, identity: str) -> Attachment | None:
        """Count a container in where another one of its pod is wired.

        Args:
            container: that asks.
            path: of the pod's sandbox, as `config.json` has it.
            identity: of the same, open.

        Returns:
            Its record as a member; None where none of the pod is wired.
        """
        self._end_former(path, identity)
        owner = self._owner_in(identity, container.id)
        if not owner:
            return None
        return self._share.join(container, owner, identity, stopped=True)[0]

    def hold(self, owner: Attachment, path: str) -> Attachment:
        """Keep a pod's network for as long as its sandbox; needs the owner's lock.

        Its other members are unknown to us.

        Args:
            owner: the record of the sandbox.
            path: of the sandbox, as `config.json` has it.

        Returns:
            The record, with who keeps the sandbox among its members if that is known.
        """
        holder = holder_of(path)
        if holder is None:
            return owner
        held = with_member(owner, holder)
        known = self._attachments.get(holder.id)
        if known and known.container.door != POD:  # as one that asks for no network
            self._attachments.put(held)
        else:
            self._share.count_in(owner, holder)
        return held

    def _end_former(self, path: str, identity: str) -> None:
        """End what is wired in a sandbox of a pod's before: who keeps it was started anew.

        Who has not been restarted yet lives there still, and its ports are the pod's.
        """
        holder = holder_of(path)
        if holder is None or holder.id == holder.name:  # a number tells of no other life
            return
        for record in self._attachments.all():
            if any(member.id == holder.id and self._gone(member) for member in record.members):
                with self._operation.locks.container(record.container.id):
                    current = self._attachments.get(record.container.id)
                    if current and not self._liveness.is_of(current, identity):
                        self._settle.end(current)

    def _gone(self, member: Member) -> bool:
        """Tell whether a member's process has ended; who still lives was not started anew."""
        return member.process is None or not self._operation.is_alive(member.process)

    def _owner_in(self, identity: str, container_id: str) -> str:
        """Return the id of who has the record of a sandbox, other than a container; "" if none."""
        for record in self._attachments.all():
            if record.member_of or record.container.id == container_id or not record.endpoints:
                continue
            if self._liveness.is_of(record, identity):
                return record.container.id
        return ""


def holder_of(path: str) -> Container | None:
    """Return who keeps a sandbox that is given by its path: a pod's first process.

    By its engine's id, if a cgroup tells of one: so its own poststop counts it out.

    Args:
        path: as in `config.json`: /proc/PID/ns/net, as podman and CRI-O without pinned
            namespaces have it. Others tell of no process.
    """
    parts = path.split("/")
    if len(parts) != _NS_PARTS or parts[1] != "proc" or not parts[2].isdecimal():
        return None
    pid = int(parts[2])
    process = Process.of(pid)
    if process is None:
        return None
    container_id = id_in(cgroups_of(pid))
    name = f"pod-{container_id[:_SHORT] or pid}"
    return Container(container_id or name, name, process=process, door=POD)


def id_in(cgroups: str) -> str:
    """Return the id of the container whose cgroup it is: the outermost one that is there; or "".

    podman's are POD/libpod-ID, on version 2 with crun POD/libpod-ID.scope/container; with
    `--cgroups=split` libpod-payload-ID. CRI-O's are crio-ID. What is below may have been made
    by the container, whose first process could call itself another one there.
    """
    for line in cgroups.splitlines():
        for part in line.split("/"):
            kind, _, container_id = part.removesuffix(".scope").rpartition("-")
            if kind in _KINDS and len(container_id) == _ID_LENGTH and _HEX.issuperset(container_id):
                return container_id
    return ""
