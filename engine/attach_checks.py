"""What can't be wired, and what of a request others must not have; most never come by here."""

from __future__ import annotations

from ocinet.base.errors import ConflictError, OcinetError, RequestError
from ocinet.engine.detach import Detach
from ocinet.engine.plan.networks import explain_absent
from ocinet.engine.source_routing import follow_uplinks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment, Container
    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.observed import Observed
    from ocinet.engine.model.request import EndpointRequest, Publish, Request
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.plan.seams import Sandbox
    from ocinet.engine.storage import Attachments, Records


def check_host(request: Request, sandbox: Sandbox) -> None:
    """Let the host's own network be had by who asks for it, and has it already, alone.

    Raises:
        RequestError: a container asks for it and has another, or has it and asks for more.
    """
    if not sandbox.is_host:
        raise RequestError(
            "",
            "it has a network namespace of its own, which can't be "
            "exchanged for the host's any more",
            "start it without one: ocinet hooks add BUNDLE --net host",
        )
    if request.mode != "host":
        raise RequestError(
            "",
            "it uses the host's network, where nothing is to be wired",
            "start it with a network namespace of its own",
        )


def check_host_addresses(publishes: tuple[Publish, ...], machine: Machine) -> None:
    """Refuse to publish at an address that is not the host's.

    Raises:
        RequestError: one is not; the error names it.
    """
    named = {publish.host_address for publish in publishes if publish.host_address}
    named = {address for address in named if address.value and not address.is_loopback}
    if not named:
        return
    # The table redirects what is for a local address (`fib daddr type local`): a port at any
    # other would be published without a word and never answer. All of 127/8 is local, though
    # 127.0.0.1 alone is listed.
    foreign = named - {interface.address for interface in machine.links.addresses(0)}
    for address in foreign:
        raise RequestError(
            "",
            f"{address} is no address of this host, so no port can be published there",
            "see: ip addr",
        )


def check_macs(
    chosen: tuple[Endpoint, ...],
    container: Container,
    observed: Observed,
    operation: Operation,
    machine: Machine,
    records: Records,
) -> None:
    """Refuse a MAC that somebody on the same bridge has.

    One that goes with an address is nobody else's, as the address is. Records are
    written before, so of two that choose the same at once, one at least sees the other.

    Args:
        chosen: endpoints whose MACs were chosen.
        container: whose they are.
        observed: the host as it is.
        operation: by whose time and locks it goes.
        machine: that it is on.
        records: who there is; who is dead by them is taken down.

    Raises:
        ConflictError: somebody has it; the error names him.
    """
    detach = Detach(operation, machine, records)
    for endpoint in chosen:
        bridge = observed.device(endpoint.device).link
        who = _has_mac(endpoint, container, records.attachments, detach)
        is_bridges = endpoint.host_ifname and bridge and bridge.mac == endpoint.mac
        who = endpoint.device if is_bridges else who
        if who:
            raise ConflictError(
                "",
                f"{who} has the MAC {endpoint.mac} on network {endpoint.network} already",
                "ask for another one, or for none: it is made of the address then"
                if endpoint.host_ifname
                else "ask for another one, or none; with mode=passthru one container has it all",
            )


def _has_mac(
    wanted: Endpoint, container: Container, attachments: Attachments, detach: Detach
) -> str:
    """Return the name of another container that has that MAC on that bridge, or ""."""
    for other in attachments.all():
        here = other.container.id != container.id and any(
            (endpoint.device, endpoint.mac) == (wanted.device, wanted.mac)
            for endpoint in other.endpoints
        )
        if here and not detach.take_down_dead(other.container.id):
            return other.container.name or other.container.id
    return ""


def tell_led(wish: EndpointRequest, machine: Machine, records: Records) -> None:
    """Say whose address a gateway is, if it is another container's."""
    gateways = {wish.gateway, *(route.gateway for route in wish.routes)} - {None}
    for lease in records.leases.leases(wish.network) if gateways else ():
        if lease.address in gateways:
            name = lease.holder.name or lease.holder.container
            machine.warnings.append(
                f"the gateway {lease.address} is {name}'s, a container of {wish.network}: what"
                " that one does not pass on goes nowhere"
            )


def tell_egress(
    record: Attachment, operation: Operation, machine: Machine, records: Records
) -> None:
    """See that what a container sends leaves by the uplink whose address it bears.

    Said is why no answer comes back, where the host knows.
    """
    absent = machine.absent(record)
    machine.warnings += map(explain_absent, absent)
    wanted = {address for endpoint in record.endpoints for address in endpoint.egress}
    try:
        # Once more than the plan has done it: of two that came at once, each saw itself alone.
        wanted -= set(follow_uplinks(operation, machine, records, record.endpoints))
    except OcinetError as error:
        machine.warnings.append(
            f"what leaves may go by another uplink than its address is of: {error};"
            " ocinet check --repair"
        )
        return
    sources = [rule.source for rule in machine.routing_rules.rules() if rule.source]
    routed = {address for address in wanted if any(address in net for net in sources)}
    if not routed - set(absent):
        return
    uplink = machine.bridges.uplink()
    own = tuple(str(held.address) for end in record.endpoints for held in end.addresses)
    for ifname, interface in machine.routing_rules.addresses():
        if interface.address in routed and ifname != uplink:
            machine.warnings.append(
                f"what leaves bears {interface.address} of {ifname}, and goes by {uplink or 'none'}"
                f", for its `ip rule` has conditions that can't be followed:"
                f" ip rule add from {' or '.join(own)} lookup TABLE, that of `ip rule` for it"
            )
