"""From a request, and what is there already, to what is to be made: the pure part of an attach.

The way of a request: `missing` says what of it is not there yet, `check_request`
what its networks can't give; then the attach allocates and claims, and
`plan_wiring` says what comes of it, as a record and as steps.
"""

from __future__ import annotations

from ocinet.base.errors import ConflictError
from ocinet.base.value import Value
from ocinet.engine.model.attachment import Attachment, Container
from ocinet.engine.model.endpoint import Endpoint, PortRule
from ocinet.engine.model.network import Network
from ocinet.engine.model.observed import Observed
from ocinet.engine.model.request import EndpointRequest, Publish, Request
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.attach import Wanted, plan_attach
from ocinet.engine.plan.endpoint import Grant, assign_ifnames, make_endpoint
from ocinet.engine.plan.ports import check_ports, make_ports, targets_of
from ocinet.engine.plan.steps import Step


class Missing(Value):
    """What of a request a container has not got yet.

    Attributes:
        endpoints: each with its interface name.
        publish: ports that no rule of the record satisfies.
    """

    endpoints: tuple[EndpointRequest, ...] = ()
    publish: tuple[Publish, ...] = ()


class Wiring(Value):
    """What an attach comes to.

    Attributes:
        record: as it is to be kept, without the indexes of links that are not made.
        steps: that make it so.
    """

    record: Attachment
    steps: tuple[Step, ...]


class Granted(Value):
    """All that a wiring is planned from, once everything has been given.

    Attributes:
        container: that it is for.
        netns: how `ip -n` reaches the sandbox: a name or a path.
        name_sandbox: whether `netns` is a name to make.
        before: the record of what is there already.
        missing: what is not.
        networks: of the missing endpoints, one for each.
        grants: what each of them was given, in the same order.
        publish: the missing ports, with their host ports chosen.
        internal: names of internal networks among the container's.
    """

    container: Container
    netns: str
    name_sandbox: bool
    before: Attachment
    missing: Missing
    networks: tuple[Network, ...] = ()
    grants: tuple[Grant, ...] = ()
    publish: tuple[Publish, ...] = ()
    internal: tuple[str, ...] = ()

    @property
    def made(self) -> tuple[Endpoint, ...]:
        """The endpoints that the grants come to."""
        made: tuple[Endpoint, ...] = ()
        wishes = zip(self.missing.endpoints, self.networks, self.grants, strict=True)
        for wish, network, grant in wishes:
            routed = {
                route.destination.family
                for endpoint in (*self.before.endpoints, *made)
                for route in endpoint.routes
                if not route.destination.prefixlen
            }
            default_for = tuple(family for family in (4, 6) if family not in routed)
            made += (make_endpoint(wish, network, grant.replace(default_for=default_for)),)
        return made

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All endpoints, those that are there first."""
        return self.before.endpoints + self.made


def is_satisfied(request: Request, record: Attachment) -> bool:
    """Tell whether a record has all that a request asks for.

    Raises:
        ConflictError: it has some of it, but not as it is asked for.
    """
    return not _missing_endpoints(request, record) and not _missing_ports(request, record)


def missing(request: Request, before: Attachment) -> Missing:
    """Return what a container has not got of a request.

    Raises:
        ConflictError: it has some of it, but not as it is asked for.
    """
    used = tuple(endpoint.ifname for endpoint in before.endpoints)
    endpoints = assign_ifnames(_missing_endpoints(request, before), used)
    publish = _missing_ports(request, before)
    for wish in publish:
        for port in before.ports:
            if port.overlaps(wish):
                raise ConflictError(
                    "",
                    f"port {port.host_port}/{port.protocol} leads to its port {port.port} already",
                    "unpublish that first, or publish another host port",
                )
    return Missing(endpoints, publish)


def _missing_endpoints(request: Request, before: Attachment) -> tuple[EndpointRequest, ...]:
    """Return the wishes for networks that the container is not on yet."""
    on_network = {endpoint.network: endpoint for endpoint in before.endpoints}
    for wish in request.endpoints:
        endpoint = on_network.get(wish.network)
        if endpoint and not endpoint.serves(wish):
            addresses = ", ".join(str(interface.address) for interface in endpoint.addresses)
            raise ConflictError(
                "",
                f"it is on {wish.network} already, as {endpoint.ifname} with {addresses}, "
                "and not as asked for",
                "detach it first: what is wired is not changed",
            )
    return tuple(wish for wish in request.endpoints if wish.network not in on_network)


def _missing_ports(request: Request, before: Attachment) -> tuple[Publish, ...]:
    if not before.ports:
        return request.publish
    return tuple(
        wish for wish in request.publish if not any(port.serves(wish) for port in before.ports)
    )


def check_publish(granted: Granted) -> None:
    """Refuse ports that can't be reached at any of a container's addresses.

    Before host ports are claimed for them.

    Raises:
        RequestError: the container has no address of a host address's family.
    """
    check_ports(granted.missing.publish, granted.endpoints, granted.internal)


def plan_wiring(granted: Granted, observed: Observed, settings: Settings) -> Wiring:
    """Return what an attach comes to.

    Raises:
        NotFoundError: an adopted bridge is not there.
        ConflictError: a link that is no bridge has a bridge's name.
    """
    made = granted.made
    endpoints = granted.before.endpoints + made
    ports = make_ports(granted.publish, endpoints, granted.internal) if granted.publish else ()
    wanted = Wanted(
        container=granted.container,
        netns=granted.netns,
        name_sandbox=granted.name_sandbox,
        networks=tuple(dict.fromkeys(granted.networks)),
        endpoints=made,
        ports=ports,
        reached=_reached(ports, endpoints),
    )
    before = granted.before
    record = before.replace(
        container=granted.container,
        mode="bridge" if endpoints else "none",
        endpoints=endpoints,
        ports=(*before.ports, *ports),
        netns_name=granted.netns if granted.name_sandbox else before.netns_name,
    )
    return Wiring(record, plan_attach(wanted, observed, settings))


def _reached(ports: tuple[PortRule, ...], endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
    """Return the endpoints that ports lead to."""
    targets = targets_of(ports)
    return tuple(
        endpoint
        for endpoint in endpoints
        if any(interface.address in targets for interface in endpoint.addresses)
    )
