"""Whose a published port is that is in the firewall, where a record may have gone meanwhile.

Whoever makes our table anew does so from the records that it has read. A container that is
detached just then finds no table, has nothing to close, and forgets its record: its ports
would come in for good. So the one looks at the records again once the table is there, and
the other at the table once its record is gone: one of the two sees the other.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.observed import FirewallState
    from ocinet.engine.plan import seams
    from ocinet.engine.storage import Records


def key_of(port: PortRule) -> tuple[object, ...]:
    """Return what the firewall knows a port by, wherever it leads."""
    return port.address.family, port.protocol, port.host_address, port.host_port


def close_again(
    firewall: seams.Firewall, ports: tuple[PortRule, ...], before: FirewallState
) -> None:
    """Take ports out once more if others have changed the firewall; their record is gone by now.

    Args:
        firewall: that they are taken out of.
        ports: that were closed.
        before: the firewall, before they were.

    Raises:
        OcinetError: the firewall refused.
    """
    # One change is our own closing, unless there was nothing to close.
    if not before.table or firewall.observe().generation != before.generation + 1:
        firewall.close(ports)


class PortOwners:
    """Who has which of the ports that are in the firewall; see `plan.machine.Owners`.

    Args:
        records: of all containers, and of their claims.
        firewall: that the ports are in.
        boot_id: of this boot: ports of an earlier one are nobody's.
    """

    def __init__(self, records: Records, firewall: seams.Firewall, boot_id: str) -> None:
        self._records = records
        self._firewall = firewall
        self._boot_id = boot_id

    def has_other(self, ports: tuple[PortRule, ...]) -> bool:
        """Tell whether another record than that of these very ports has one of them."""
        wanted = {key_of(port): port for port in ports}
        return any(wanted.get(key_of(port), port) != port for port in self._recorded())

    def unowned(self, ports: tuple[PortRule, ...]) -> tuple[PortRule, ...]:
        """Return those of the ports that no record has, wherever they lead there."""
        recorded = {key_of(port) for port in self._recorded()}
        return tuple(port for port in ports if key_of(port) not in recorded)

    def close_unowned(self, ports: tuple[PortRule, ...]) -> tuple[PortRule, ...]:
        """Take those out of the firewall that nobody has, by record or by claim; return them.

        Raises:
            BusyError: the ports' lock was not had in time.
            OcinetError: the firewall refused.
        """
        # Whoever publishes claims first, then writes its record, then enters the port: what has
        # neither is nobody's, and stays so while the claims are locked.
        return self._records.ports.while_unclaimed(self.unowned(ports), self._firewall.close)

    def _recorded(self) -> list[PortRule]:
        records = self._records.attachments.all()
        return [port for rec in records if rec.boot_id == self._boot_id for port in rec.ports]
