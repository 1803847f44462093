"""Forwarding, when the last who needed it of us is gone: back to what it was.

Cold: a network is removed seldom, and a check is a person's or a timer's.
"""

from __future__ import annotations

from ocinet.engine.model.forwarding import FORWARDED
from ocinet.engine.plan.guard import FORWARD, UnguardForwarding, plan_guard_repair
from ocinet.engine.plan.ports import targets_of
from ocinet.engine.plan.shared_steps import SetSysctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.forward_guard import ForwardGuard
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.plan.steps import Step
    from ocinet.engine.storage import Records


def misguarded(
    operation: Operation, machine: Machine, records: Records
) -> tuple[tuple[str, Step], ...]:
    """Return what of the guards is not as it should be; see `plan.guard.plan_guard_repair`."""
    values = {family: machine.sysctls.read(key) or "" for family, key in FORWARD.items()}
    return plan_guard_repair(values, records.guards.all(), operation.settings)


def give_back_forwarding(operation: Operation, machine: Machine, records: Records) -> None:
    """Switch off what we switched on, where no network needs it any more. Needs the global lock.

    It stays where it is not guarded, for then the operator wants the host to route; where
    somebody else has switched it on since; and where others have made a bridge since, for
    not all of them write what they rely on: dockerd does not if it finds forwarding on.

    Effects:
        An event for each family, also where it stays on.

    Raises:
        SystemFailure: it can't be switched off.
    """
    for guard in records.guards.all():
        key = FORWARD[guard.family]
        value = machine.sysctls.read(key)
        if value not in (FORWARDED, "0") or _is_needed(guard, machine, records):
            continue
        if value == "0":  # who was to switch it on was killed before it did
            UnguardForwarding(guard.family).apply(machine)
            continue
        later = sorted(set(machine.bridges.others()) - set(guard.bridges))
        if later:
            why = f"{', '.join(later)} came since, and may need it"
            operation.log.append("forwarding stays on", key=key, why=why)
            continue
        for step in (SetSysctl(key, "0", FORWARDED), UnguardForwarding(guard.family)):
            if step.apply(machine):
                operation.log.append("host changed", container="", command=step.describe()[0])


def _is_needed(guard: ForwardGuard, machine: Machine, records: Records) -> bool:
    """Tell whether a network, or a published port, needs a family's forwarding."""
    networks = records.networks
    routed = {
        network.name: network.device
        for network in networks.readable()
        if network.managed and not network.internal and guard.family in network.families
    }
    # An attach that has found forwarding on may not have made its bridge yet, but its record.
    attached = records.attachments.all()
    used = {endpoint.network for record in attached for endpoint in record.endpoints}
    return (
        bool(networks.unreadable())
        or any(name in used or machine.links.link(routed[name]) for name in routed)
        or any(
            target.family == guard.family
            for record in attached
            for target in targets_of(record.ports)
        )
    )
