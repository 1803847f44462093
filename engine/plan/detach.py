"""From a record to the steps that take down what it tells of."""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.engine.model.attachment import Attachment
from ocinet.engine.model.endpoint import Endpoint, PortRule
from ocinet.engine.plan.removal_steps import CloseFirewall, DeleteLinks, ForgetFlows, UnnameSandbox
from ocinet.engine.plan.steps import Step


def close_ports(ports: tuple[PortRule, ...]) -> tuple[Step, ...]:
    """Return the steps that take published ports back."""
    if not ports:
        return ()
    udp = tuple(port for port in ports if port.protocol == "udp")
    return (CloseFirewall(ports), ForgetFlows(udp)) if udp else (CloseFirewall(ports),)


def addresses_of(endpoints: tuple[Endpoint, ...]) -> tuple[Address, ...]:
    """Return all addresses of endpoints."""
    return tuple(interface.address for end in endpoints for interface in end.addresses)


def _shapers_of(endpoints: tuple[Endpoint, ...]) -> tuple[str, ...]:
    """Return the links by which what containers send is made to wait."""
    shaped = [end for end in endpoints if end.bandwidth]
    if not shaped:
        return ()
    from ocinet.engine.model.bandwidth import shaper_of  # of few

    return tuple(shaper_of(end.host_ifname) for end in shaped)


def plan_detach(
    attachment: Attachment, ports: tuple[PortRule, ...], *, is_of_this_boot: bool = True
) -> tuple[Step, ...]:
    """Return the steps that take down what a record tells of.

    Args:
        attachment: the record; nothing else is needed, no sandbox and no bundle.
        ports: those of the record that the container still holds.
        is_of_this_boot: else its links are gone, and what bears their names, or its addresses,
            is another's: as on a machine that keeps its /run.
    """
    # Ports first, so that nothing leads to an address whose link is gone; all links in one
    # step, for the kernel waits for each deletion, but once for many together.
    steps = list(close_ports(ports))
    leaving = [end for end in attachment.endpoints if end.egress] if is_of_this_boot else []
    if leaving:
        from ocinet.engine.plan.access_steps import ChangeAccess
        from ocinet.engine.plan.egress import source_elements

        gone = tuple(element for end in leaving for element in source_elements(end))
        steps.append(ChangeAccess(gone, ()))
    if attachment.served:
        from ocinet.engine.plan.serving_steps import ForgetNames

        on = dict.fromkeys(endpoint.network for endpoint in attachment.endpoints)
        steps += [
            ForgetNames(network, attachment.container.id)
            for network in on
            if network in attachment.served
        ]
    if attachment.endpoints and is_of_this_boot:
        ifnames = tuple(end.host_ifname for end in attachment.endpoints if end.host_ifname)
        if len(ifnames) < len(attachment.endpoints):
            from ocinet.engine.plan.lan_steps import unreach

            steps += unreach(attachment.endpoints)
        if ifnames:
            steps.append(DeleteLinks(ifnames + _shapers_of(attachment.endpoints)))
        # When nothing of it can begin one any more, and before its addresses are free.
        steps.append(ForgetFlows(addresses=addresses_of(attachment.endpoints)))
    # Whichever of them the name shows by now: it is passed on when one of them goes.
    of_members = (member.process for member in attachment.members)
    processes = tuple(filter(None, (attachment.container.process, *of_members)))
    if attachment.netns_name and processes:
        steps.append(UnnameSandbox(attachment.netns_name, processes))
    return tuple(steps)
