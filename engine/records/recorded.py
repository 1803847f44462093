"""What the firewall holds if it holds all of what is recorded.

Needed where our table is not there: at the first attach of a boot, and after
somebody flushed the ruleset. Reads every record, so never on a common path.
"""

from __future__ import annotations

from ocinet.engine.model.network import NetworkRules, rules_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.records.attachments import AttachmentStore
    from ocinet.engine.records.networks import NetworkStore


def everything(
    networks: NetworkStore, attachments: AttachmentStore, boot_id: str
) -> tuple[tuple[NetworkRules, ...], tuple[PortRule, ...]]:
    """Return the networks and ports of all records of this boot.

    Ports of one that is being attached are left to its own attach, which would
    find them taken.
    """
    records = [record for record in attachments.all() if record.boot_id == boot_id]
    used = {endpoint.network for record in records for endpoint in record.endpoints}
    return (
        tuple(rules_of(network) for network in networks.readable() if network.name in used),
        tuple(port for record in records for port in record.done.ports),
    )
