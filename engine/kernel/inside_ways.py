"""Ways by source, as sandboxes of several networks have them. As `inside`, by rtnetlink."""

from __future__ import annotations

from errno import EAFNOSUPPORT, EEXIST, ENOENT

from ocinet.base.address import Subnet
from ocinet.engine.kernel import ip_messages
from ocinet.engine.kernel.links import AT_ONCE, Act, list_links, socket_in
from ocinet.engine.kernel.routing_rules import delete_rule, new_rule
from ocinet.engine.model.link import SOURCE_PRIORITY
from ocinet.engine.model.request import Route
from ocinet.engine.model.routing import RoutingRule
from ocinet.engine.netlink.framing import with_last_ack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.kernel.sandbox import OpenNamespace
    from ocinet.engine.model.link import SourceWay
    from ocinet.engine.netlink.framing import Refusal
    from ocinet.engine.netlink.socket import NetlinkSocket


def route_by_source(sandbox: OpenNamespace, ways: tuple[SourceWay, ...]) -> tuple[str, ...]:
    """Have what is sent from each of these addresses take its own way.

    Returns:
        What could not be set, one line each: nothing that a container would not start for.

    Raises:
        SystemFailure: the sandbox could not be entered.
        KernelError: the kernel would not say which interfaces there are.
    """
    with socket_in(sandbox) as socket:
        indexes = {link.ifname: link.ifindex for link in list_links(socket)}
        acts: list[Act] = []
        for way in ways:
            own, family = way.address.address, way.address.address.family
            what = f"route what is sent from {own} through {way.ifname}"
            acts.append(Act(what, new_rule(len(acts), _rule_of(way))))
            onlink = way.gateway not in way.address.subnet
            for route in (
                Route(way.address.subnet),
                Route(Subnet(family, 0, 0), way.gateway),
            ):
                message = ip_messages.new_route(
                    len(acts),
                    indexes.get(way.ifname, 0),
                    route,
                    onlink=onlink and bool(route.gateway),
                    table=way.table,
                )
                acts.append(Act(what, message, route))
        refusals = ask(socket, acts)
    failed = {
        f"cannot {acts[refused.sequence].what}: {refused.why}"
        for refused in refusals
        if refused.errno != EEXIST
    }
    return tuple(sorted(failed))


def unroute_by_source(sandbox: OpenNamespace, ways: tuple[SourceWay, ...]) -> None:
    """Have none of these addresses take a way of its own; not there is fine.

    Only the rules: what the tables have goes with the interfaces.

    Raises:
        SystemFailure: the sandbox could not be entered.
        KernelError: a rule could not be deleted.
    """
    with socket_in(sandbox) as socket:
        for way in ways:
            message = delete_rule(1, _rule_of(way))
            for refused in socket.ask(message, 1)[1]:
                if refused.errno not in (ENOENT, EAFNOSUPPORT):
                    raise refused.error(f"cannot delete the rule of {way.address.address}")


def ask(socket: NetlinkSocket, acts: list[Act]) -> list[Refusal]:
    """Send a batch, and return what was refused of it."""
    refusals: list[Refusal] = []
    for start in range(0, len(acts), AT_ONCE):
        some = acts[start : start + AT_ONCE]
        refusals += socket.ask(with_last_ack([act.message for act in some]), 1)[1]
    return refusals


def _rule_of(way: SourceWay) -> RoutingRule:
    """Return the rule that has what is sent from an address take its way."""
    own, family = way.address.address, way.address.address.family
    source = Subnet(family, own.value, 8 * len(own.packed))
    return RoutingRule(family, SOURCE_PRIORITY, way.table, source=source)
