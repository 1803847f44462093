"""From a request, and what is there already, to what is to be made: the pure part of an attach.

The way of a request: `missing` says what of it is not there yet, `check_request`
what its networks can't give; then the attach allocates and claims, and
`plan_wiring` says what comes of it, as a record and as steps.
"""

from __future__ import annotations

from ocinet.base.errors import ConflictError, ExhaustedError
from ocinet.base.value import Value
from ocinet.engine.model.attachment import Attachment, Container
from ocinet.engine.model.endpoint import Endpoint, PortRule
from ocinet.engine.model.network import Network
from ocinet.engine.model.observed import Observed
from ocinet.engine.model.request import EndpointRequest, Publish, Request
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.attach import Wanted, plan_attach, plan_shape
from ocinet.engine.plan.driver import driver_of
from ocinet.engine.plan.endpoint import Grant, assign_ifnames, make_endpoint
from ocinet.engine.plan.ports import check_ports, make_ports, targets_of
from ocinet.engine.plan.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.engine.model.access import Access
    from ocinet.engine.model.bandwidth import Bandwidth
    from ocinet.engine.model.link import Link
    from ocinet.engine.model.request import Route
    from ocinet.engine.model.resolution import Resolution


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
        resolution: what is wished of resolvers and names, by now.
        access: who may talk to whom, by now.
        bandwidths: by network, of endpoints that are there and have another one.
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
    resolution: Resolution | None = None
    access: Access | None = None
    bandwidths: tuple[tuple[str, Bandwidth | None], ...] = ()

    @property
    def made(self) -> tuple[Endpoint, ...]:
        """The endpoints that the grants come to."""
        made: tuple[Endpoint, ...] = ()
        wishes = zip(self.missing.endpoints, self.networks, self.grants, strict=True)
        for wish, network, grant in wishes:
            # One default route for each family: whoever has it since an earlier attach keeps it.
            # Of another metric, each has one.
            routed = [
                route
                for endpoint in (*self.before.endpoints, *made)
                for route in endpoint.routes
                if not route.destination.prefixlen
            ]
            by_it = wish.default_route and bool(network.default_route or wish.gateway)
            asked = wish.replace(metric=wish.metric or network.metric)
            default_for = tuple(
                family for family in (4, 6) if by_it and not _is_routed(family, asked, routed)
            )
            made += (make_endpoint(asked, network, grant.replace(default_for=default_for)),)
        return made

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All endpoints, those that are there first."""
        return self.before.endpoints + self.made


def _is_routed(family: int, wish: EndpointRequest, routed: list[Route]) -> bool:
    """Tell whether there is a default route of a family that leaves no place for another one."""
    there = [route for route in routed if route.destination.family == family]
    return any(not wish.metric or wish.has_metric(route) for route in there)


def check_quotas(lacking: Missing, before: Attachment, settings: Settings) -> None:
    """Refuse what would give one container more than its share of what all live on.

    Args:
        lacking: what it is to get.
        before: the record of what it has.
        settings: the operator's.

    Raises:
        ExhaustedError: it is more than the settings allow; they are named.
    """
    wished = sum(max(1, len(wish.addresses)) for wish in lacking.endpoints)
    asked = (
        ("max_networks", "networks", len(lacking.endpoints), len(before.endpoints)),
        ("max_addresses", "addresses", wished, sum(len(end.addresses) for end in before.endpoints)),
        # A port has a rule for each family.
        (
            "max_ports",
            "published ports",
            len(lacking.publish),
            len({(rule.protocol, rule.host_port, rule.port) for rule in before.ports}),
        ),
    )
    for setting, what, more, has in asked:
        most = getattr(settings, setting)
        if more and has + more > most:
            why = f"it would have {has + more} {what}, and a container may have {most}"
            raise ExhaustedError("", why, f"raise {setting} in ocinet.toml")


def is_satisfied(request: Request, record: Attachment) -> bool:
    """Tell whether a record has all that a request asks for.

    Raises:
        ConflictError: it has some of it, but not as it is asked for.
    """
    return (
        not _missing_endpoints(request, record)
        and not _missing_ports(request, record)
        and resolution_of(request, record) == record.resolution
        and access_of(request, record) == record.access
        and not changed_bandwidths(request, record)
    )


def resolution_of(request: Request, before: Attachment) -> Resolution | None:
    """Return what a container wishes of resolvers and names, by a request and what it had."""
    wished = request.resolution
    return wished.over(before.resolution) if wished else before.resolution


def resolution_begun(record: Attachment, before: Attachment) -> Resolution | None:
    """Return what of a container's wishes is on record while it is being attached.

    Until its files say so, it is no more than a wish. But by its aliases and its hostname others
    may mean it who come at the same moment, and it may have links to them: what is open to it they
    learn from its record.

    Args:
        record: as it is to be.
        before: what there is. Of one that has something already a roll back keeps this, so
            its names are those of before.
    """
    wished = record.resolution
    if wished is None or before.endpoints or before.ports:
        return before.resolution
    had = before.resolution or wished.replace(servers=(), search=(), options=(), hosts=())
    return had.replace(hostname=wished.hostname, aliases=wished.aliases, links=wished.links)


def access_of(
    request: Request, before: Attachment, networks: tuple[Network, ...] = ()
) -> Access | None:
    """Return who may talk to a container, and to whom it may, by a request and what it had.

    Args:
        request: what is asked for.
        before: what there is.
        networks: that it comes to.
    """
    apart = any(network.apart for network in networks)
    if request.access is None and not apart:
        return before.access
    from ocinet.engine.model.access import access_with  # for few

    if not (apart and request.exposed):
        return access_with(request.access, before.access, apart=apart)
    from ocinet.engine.plan.exposed import listening

    return access_with(request.access, before.access, listening(request.exposed), apart=True)


def changed_bandwidths(
    request: Request, before: Attachment
) -> tuple[tuple[str, Bandwidth | None], ...]:
    """Return the limits that endpoints shall have from now on, by their networks' names."""
    wished = {wish.network: wish.bandwidth for wish in request.endpoints if wish.bandwidth}
    if not wished:
        return ()
    new = (
        (endpoint, wished[endpoint.network].over(endpoint.bandwidth))
        for endpoint in before.endpoints
        if endpoint.network in wished
    )
    return tuple((end.network, limits) for end, limits in new if limits != end.bandwidth)


def missing(request: Request, before: Attachment) -> Missing:
    """Return what a container has not got of a request.

    Raises:
        ConflictError: it has some of it, but not as it is asked for.
    """
    used = tuple(endpoint.ifname for endpoint in before.endpoints)
    endpoints = assign_ifnames(_missing_endpoints(request, before), used)
    publish = _missing_ports(request, before)
    # Before any claim: undoing that one would give up what the running port stands on.
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
        # Passed over, it would look as if the container had got what it asks for.
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


def check_host_ends(record: Attachment, host_ends: Iterable[Link]) -> None:
    """Refuse ports of a container whose interface is gone, or leads nowhere.

    Whoever asks for them does not ask for what else others have changed to be put right.

    Args:
        record: of what it has.
        host_ends: those of its host's ends that are there.

    Raises:
        ConflictError: one is not there, or no port of a bridge.
    """
    masters = {end.ifname: end.master for end in host_ends}
    for endpoint in record.endpoints:
        if endpoint.host_ifname and not masters.get(endpoint.host_ifname):
            how = f"off {endpoint.device}" if endpoint.host_ifname in masters else "gone"
            raise ConflictError(
                "",
                f"{endpoint.host_ifname}, the host end of {endpoint.ifname}, is {how},"
                " so no port can lead there",
                "ocinet check --repair",
            )


def check_drivers(granted: Granted, beside: tuple[Network, ...]) -> None:
    """Refuse what a driver can't give, to who comes to its network and to who is there already.

    Who may talk to whom is said for all of a container, whichever of the two came first.

    Args:
        granted: with what is wished, and what access and limits come to.
        beside: networks that it is on whose driver does not give everything.

    Raises:
        RequestError: what, why, and what helps.
    """
    shapes = dict(granted.bandwidths)
    here = (EndpointRequest(net.name, bandwidth=shapes.get(net.name)) for net in beside)
    wishes, networks = (*granted.missing.endpoints, *here), (*granted.networks, *beside)
    for wish, network in zip(wishes, networks, strict=True):
        driver_of(network.driver).check(granted.access, wish, network)


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
    made, shapes = granted.made, dict(granted.bandwidths)
    kept = tuple(
        end.replace(bandwidth=shapes[end.network]) if end.network in shapes else end
        for end in granted.before.endpoints
    )
    endpoints = kept + made
    ports = make_ports(granted.publish, endpoints, granted.internal) if granted.publish else ()
    wanted = Wanted(
        container=granted.container,
        netns=granted.netns,
        name_sandbox=granted.name_sandbox,
        networks=tuple(dict.fromkeys(granted.networks)),
        endpoints=made,
        ports=ports,
        reached=reached_by(ports, endpoints),
        beside=granted.before.endpoints,
    )
    before = granted.before
    record = before.replace(
        container=granted.container,
        mode="bridge" if endpoints else "none",
        endpoints=endpoints,
        ports=(*before.ports, *ports),
        netns_name=granted.netns if granted.name_sandbox else before.netns_name,
        resolution=granted.resolution,
        access=granted.access,
    )
    steps = plan_attach(wanted, observed, settings)
    for end, had in zip(kept, before.endpoints, strict=True):
        if end is not had:
            steps += plan_shape(end, had.bandwidth, granted.container)
    return Wiring(record, steps)


def reached_by(
    ports: tuple[PortRule, ...], endpoints: tuple[Endpoint, ...]
) -> tuple[Endpoint, ...]:
    """Return the endpoints that ports lead to."""
    targets = targets_of(ports)
    return tuple(
        endpoint
        for endpoint in endpoints
        if any(interface.address in targets for interface in endpoint.addresses)
    )
