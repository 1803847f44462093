"""Who was refused what, by the names of containers: for people, and for the event log."""

from __future__ import annotations

from ocinet.base.address import Subnet
from ocinet.base.value import Value
from ocinet.engine.model.access import Access, Allowance
from ocinet.engine.model.request import PROTOCOLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocinet.base.address import Address
    from ocinet.engine.model.attachment import Attachment, Container
    from ocinet.engine.model.flow import Flow
    from ocinet.engine.model.refused import Refused

    # Of each that is counted, how many packets there were.
    Counts = Mapping[Refused, int]

_MOST_TOLD = 3  # of one container's, in one event


class Refusal(Value):
    """What one container was refused, told once.

    Attributes:
        container: who sent it.
        what: to whom, by which ports, and how many packets.
        hint: the command that shows why, and what opens it.
    """

    container: Container
    what: str
    hint: str


def counts_of(refused: Iterable[Refused]) -> dict[Refused, int]:
    """Return how often each was refused, to be compared with a later count."""
    return {each.replace(packets=0): each.packets for each in refused}


def newly_refused(before: Counts, now: Counts) -> tuple[Refused, ...]:
    """Return what was refused since, with how many packets; the most first.

    One that has fewer than before was forgotten meanwhile, and is counted from 0.
    """
    more = [
        each.replace(packets=packets - (known if known <= packets else 0))
        for each, packets in now.items()
        if packets != (known := before.get(each, 0))
    ]
    return tuple(sorted(more, key=lambda each: -each.packets))


def tell_refusals(
    refused: tuple[Refused, ...], records: Iterable[Attachment]
) -> tuple[Refusal, ...]:
    """Return one line for each container of ours that was refused something.

    Args:
        refused: since the last time.
        records: of all containers.
    """
    owners = _owners(records)
    told = []
    senders = filter(None, (owners.get(each.source) for each in refused))
    for owner in {sender.id: sender for sender in senders}.values():
        own = [each for each in refused if owners.get(each.source) == owner]
        texts = [f"{_named(each, owners)} ({each.packets})" for each in own[:_MOST_TOLD]]
        if len(own) > _MOST_TOLD:
            texts.append(f"{len(own) - _MOST_TOLD} more")
        first = own[0]
        at = f":{first.port}" if first.port else ""
        whom = owners[first.target].name if first.target in owners else _spelled(first, at)
        hint = f"ocinet explain {owner.name} {whom}{at}"
        told.append(Refusal(owner, ", ".join(texts), hint))
    return tuple(told)


def allowing(sender: Attachment | None, receiver: Attachment | None, flow: Flow) -> str:
    """Return the command that opens what was refused, with all that is open already.

    Args:
        sender: the container that was refused.
        receiver: for which it was; None if it is for nobody of ours.
        flow: of the packet; its destination may be a published port's.
    """
    if sender is None:
        return ""
    networks = [end.network for end in sender.endpoints]
    there = {end.network for end in receiver.endpoints} if receiver else set()
    shared = [network for network in networks if network in there]
    access = sender.access or Access()
    if shared and receiver:
        word, said, whom = "allow", access.allow or (), Allowance(receiver.container.name.lower())
    else:
        alone = 32 if flow.family == 4 else 128
        subnet = Subnet(flow.family, flow.destination.value, alone)
        word, said, whom = "egress", access.egress or (), Allowance(subnet=subnet)
    if flow.protocol in PROTOCOLS:
        whom = whom.replace(protocol=flow.protocol, first=flow.port, last=flow.port)
    words = ",".join(map(str, (*said, whom)))
    network = (shared or networks)[0]
    return f"ocinet attach {sender.container.name} --net {network} --{word} {words}"


def encode_refused(
    refused: Iterable[Refused], record: Attachment, records: Iterable[Attachment]
) -> list[dict[str, object]]:
    """Return what a container was refused, and what others were of it, as JSON values."""
    own = {interface.address for end in record.endpoints for interface in end.addresses}
    concerned = [each for each in refused if each.source in own or each.target in own]
    owners = _owners(records) if concerned else {}

    def name(address: Address) -> str:
        return owners[address].name if address in owners else str(address)

    return [
        {
            "from": name(each.source),
            "to": name(each.target),
            "protocol": each.protocol,
            "port": each.port,
            "packets": each.packets,
        }
        for each in sorted(concerned, key=lambda each: -each.packets)
    ]


def _owners(records: Iterable[Attachment]) -> dict[Address, Container]:
    return {
        interface.address: record.container
        for record in records
        for end in record.endpoints
        for interface in end.addresses
    }


def _named(refused: Refused, owners: Mapping[Address, Container]) -> str:
    whom = owners[refused.target].name if refused.target in owners else str(refused.target)
    return f"{whom} {refused.door}"


def _spelled(refused: Refused, at: str) -> str:
    return f"[{refused.target}]" if refused.target.family == 6 and at else str(refused.target)
