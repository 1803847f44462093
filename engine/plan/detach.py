"""From a record to the steps that take down what it tells of."""

from __future__ import annotations

from ocinet.engine.model.attachment import Attachment
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.plan.steps import CloseFirewall, DeleteLinks, ForgetFlows, Step, UnnameSandbox


def close_ports(ports: tuple[PortRule, ...]) -> tuple[Step, ...]:
    """Return the steps that take published ports back."""
    if not ports:
        return ()
    udp = tuple(port for port in ports if port.protocol == "udp")
    return (CloseFirewall(ports), ForgetFlows(udp)) if udp else (CloseFirewall(ports),)


def plan_detach(attachment: Attachment, ports: tuple[PortRule, ...]) -> tuple[Step, ...]:
    """Return the steps that take down what a record tells of.

    Args:
        attachment: the record; nothing else is needed, no sandbox and no bundle.
        ports: those of the record that the container still holds.
    """
    # Ports first, so that nothing leads to an address whose link is gone; all links in one
    # step, for the kernel waits for each deletion, but once for many together.
    steps = list(close_ports(ports))
    if attachment.endpoints:
        ifnames = tuple(endpoint.host_ifname for endpoint in attachment.endpoints)
        steps.append(DeleteLinks(ifnames))
    of_members = (member.process for member in attachment.members)
    processes = tuple(filter(None, (attachment.container.process, *of_members)))
    if attachment.netns_name and processes:
        steps.append(UnnameSandbox(attachment.netns_name, processes))
    return tuple(steps)
