"""Removing a network: its definition, leases, firewall elements and bridge."""

from __future__ import annotations

from ocinet.base.errors import ConflictError, NotFoundError, OcinetError, failures
from ocinet.base.names import did_you_mean
from ocinet.engine.detach import take_down_dead
from ocinet.engine.model.network import rules_of
from ocinet.engine.plan.shared_steps import LOOPBACK_ROUTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.assembly import Parts


def users(parts: Parts, name: str) -> tuple[str, ...]:
    """Return the names of the containers on a network, having taken down the dead."""
    return tuple(
        record.container.name
        for record in parts.attachments.all()
        if any(endpoint.network == name for endpoint in record.endpoints)
        and not take_down_dead(parts, record.container.id)
    )


def remove_network(parts: Parts, name: str) -> None:
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
    try:
        network = parts.networks.find(name)
        if network is None:
            raise NotFoundError(
                "", f"there is no network {name}", did_you_mean(name, parts.networks.names())
            )
        in_use = users(parts, name)
        if not in_use:
            parts.networks.remove(name)
            in_use = users(parts, name)
            if in_use:
                parts.networks.add(network)
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
        (parts.firewall.remove_network, rules_of(network)),
        (parts.forward_accepts.remove, network.device),
        (parts.addresses.remove_network, name),
    ]
    if network.managed:
        removals.append((parts.bridges.remove_bridge, network.device))
    else:
        removals.append((lambda device: _unroute_loopback(parts, device), network.device))
    with parts.global_lock():
        if parts.networks.find(name):  # made anew by now: all of it is that one's
            removals.clear()
        for remove, target in removals:
            try:
                remove(target)
            except OcinetError as error:
                errors.append(error)
    parts.log.append("network removed", network=name, device=network.device)
    failures(what, errors)


def _unroute_loopback(parts: Parts, device: str) -> None:
    """Take back what published ports needed of an adopted bridge, if it was us who set it."""
    key = f"net/ipv4/conf/{device}/route_localnet"
    if parts.sysctls.read(key) == LOOPBACK_ROUTED:
        parts.sysctls.write(key, "0")
