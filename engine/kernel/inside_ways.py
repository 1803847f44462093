"""What few sandboxes have: ways by source, routes that refuse, and sysctls of their own."""

from __future__ import annotations

from errno import EAFNOSUPPORT, EEXIST, ENOENT, EOPNOTSUPP, ESRCH

from ocinet.base.address import Subnet
from ocinet.engine.kernel import ip_messages, sysctl
from ocinet.engine.kernel.links import AT_ONCE, Act, list_links, list_routes, socket_in
from ocinet.engine.kernel.routing_rules import delete_rule, new_rule
from ocinet.engine.kernel.sandbox import entered
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
        refusals = _ask(socket, acts)
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


def refuse(sandbox: OpenNamespace, routes: tuple[Route, ...], *, ended: bool) -> bool:
    """Have nothing sent to the destinations of routes, which no interface has.

    It can be repeated: what is so already is fine.

    Args:
        sandbox: open.
        routes: of `REFUSING` kinds.
        ended: take them away instead.

    Returns:
        Whether anything was changed.

    Raises:
        SystemFailure: the sandbox could not be entered.
        KernelError: there is another route to the same destination (EEXIST), or the kernel
            refused.
    """
    acts = [
        Act(f"end {route}", ip_messages.delete_route(place, route), route)
        if ended
        else Act(f"have {route}", ip_messages.new_route(place, 0, route), route)
        for place, route in enumerate(routes)
    ]
    with socket_in(sandbox) as socket:
        refusals = _ask(socket, acts)
        there = set(list_routes(socket)) if refusals else set()
    # A sandbox without IPv6 sends nothing by it.
    fine = (ESRCH, ENOENT, EAFNOSUPPORT, EOPNOTSUPP) if ended else (EAFNOSUPPORT, EOPNOTSUPP)
    for refused in refusals:
        act = acts[refused.sequence]
        if refused.errno not in fine and (ip_messages.LOOPBACK, act.route) not in there:
            raise refused.error(f"cannot {act.what}")
    return len(refusals) < len(acts)


def sysctls(
    sandbox: OpenNamespace, wanted: tuple[tuple[str, str | None], ...]
) -> dict[str, str | None]:
    """Give kernel parameters of a sandbox values, and return what they had before.

    Args:
        sandbox: open.
        wanted: keys, each with its value; None: it is read alone.

    Returns:
        The values by key; None of one that is not there.

    Raises:
        SystemFailure: the sandbox could not be entered; or one that is to be set is not there,
            or may not be written, as where /proc/sys is read-only.
    """
    found = {}
    # The files are this mount namespace's, and what they show is the network namespace's that
    # the thread is in: nothing of the container's is opened.
    with entered(sandbox):
        for key, value in wanted:
            found[key] = sysctl.read(key)
            if value is not None:
                sysctl.write(key, value)
    return found


def _ask(socket: NetlinkSocket, acts: list[Act]) -> list[Refusal]:
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
