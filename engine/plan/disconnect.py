"""From a record, and a network that its container is to leave, to what goes and what stays."""

from __future__ import annotations

from ocinet.base.address import Subnet
from ocinet.base.value import Value
from ocinet.engine.model.attachment import Attachment
from ocinet.engine.model.endpoint import Endpoint
from ocinet.engine.model.network import Network
from ocinet.engine.model.request import Route, metric_of
from ocinet.engine.plan.attach import gateway_of, has_default, inside_of, source_ways
from ocinet.engine.plan.detach import addresses_of
from ocinet.engine.plan.own_steps import ConfigureInside
from ocinet.engine.plan.refusal_steps import Unrefuse
from ocinet.engine.plan.source_steps import UnrouteBySource
from ocinet.engine.plan.steps import Step
from ocinet.engine.plan.sysctl_steps import restoring

_ANYWHERE = {4: Subnet(4, 0, 0), 6: Subnet(6, 0, 0)}


class Parting(Value):
    """What leaving one network of several comes to.

    Attributes:
        gone: the record of what goes: its endpoints, and the ports that lead to them.
        kept: the record of what stays.
        before: steps while the interface is still there.
        after: steps once it is gone, and its default route with it.
    """

    gone: Attachment
    kept: Attachment
    before: tuple[Step, ...]
    after: tuple[Step, ...]


def plan_disconnect(
    record: Attachment, network: str, networks: tuple[Network, ...], netns: str
) -> Parting:
    """Return what goes and what stays.

    The default route of a family goes to the first network that is left and has a way
    out, as with Docker. Ports that lead to an address that goes, go.

    Args:
        record: attached, and on that network.
        network: its name.
        networks: of all its endpoints.
        netns: how `ip -n` reaches the sandbox: a name or a path.
    """
    going = tuple(endpoint for endpoint in record.endpoints if endpoint.network == network)
    addresses = addresses_of(going)
    left = tuple(endpoint for endpoint in record.endpoints if endpoint.network != network)
    staying = _with_default(left, going, networks)
    gone = record.replace(
        endpoints=going,
        ports=tuple(port for port in record.ports if port.address in addresses),
        # Both belong to the sandbox, and stay with it.
        netns_name="",
        members=(),
    )
    kept = record.replace(
        mode="bridge" if staying else "none",
        endpoints=staying,
        ports=tuple(port for port in record.ports if port.address not in addresses),
        served=tuple(name for name in record.served if name != network),
    )
    ways = source_ways(staying, networks)
    former = tuple(way for way in source_ways(record.endpoints, networks) if way not in ways)
    before: list[Step] = [UnrouteBySource(former, netns)] if former else []
    refused = {route for endpoint in going for route in endpoint.refusing}
    refused.difference_update(route for endpoint in staying for route in endpoint.refusing)
    if refused:
        before.append(Unrefuse(tuple(sorted(refused, key=str)), netns))
    held = {known.key for endpoint in staying for known in endpoint.sysctls}
    replaced = tuple(
        known for endpoint in going for known in endpoint.replaced_sysctls if known.key not in held
    )
    put_back = restoring(replaced, netns)
    return Parting(
        gone,
        kept,
        (*before, put_back) if put_back else tuple(before),
        tuple(
            ConfigureInside(inside_of(endpoint, announce=False), netns, endpoint.host_ifname)
            for endpoint in staying
            if endpoint not in left
        ),
    )


def _with_default(
    left: tuple[Endpoint, ...], going: tuple[Endpoint, ...], networks: tuple[Network, ...]
) -> tuple[Endpoint, ...]:
    """Return the endpoints that stay, one of each family with the default route that goes.

    Where one has such a route, of a higher metric, it counts from now on as it is.
    """
    staying = list(left)
    for route in [route for endpoint in going for route in endpoint.routes]:
        family = route.destination.family
        if route.destination.prefixlen or any(has_default(end, family) for end in staying):
            continue
        for place, endpoint in enumerate(staying):
            own = [wish for wish in endpoint.addresses if wish.address.family == family]
            gateway = gateway_of(endpoint, own[0], networks) if own else None
            network = next((net for net in networks if net.name == endpoint.network), None)
            if gateway and network and network.default_route:
                metric = metric_of(family, network.metric)
                routes = (Route(_ANYWHERE[family], gateway, metric), *endpoint.routes)
                staying[place] = endpoint.replace(routes=routes)
                break
    return tuple(staying)
