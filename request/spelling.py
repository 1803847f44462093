"""A request as the annotations that say it: what `annotations` reads, written."""

from __future__ import annotations

from ocinet.request.access import spell_access
from ocinet.request.annotations import (
    EXPOSED,
    KEEP_PORTS,
    NAME,
    NET,
    NO_GATEWAY,
    PREFIX,
    PUBLISH,
    spell_mode,
)
from ocinet.request.bandwidth import spell_bandwidth
from ocinet.request.publish import spell_publish
from ocinet.request.resolution import spell_resolution

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.request import EndpointRequest, Request


def to_annotations(request: Request) -> dict[str, str]:
    """Spell a request as the annotations that `parse_annotations` reads it from."""
    annotations = {}
    if request.mode != "bridge":
        annotations[NET] = spell_mode(request)
    # As a person would write it, for people read these in `config.json`.
    elif len(request.endpoints) == 1 and not _aliases(request, request.endpoints[0].network):
        endpoint = request.endpoints[0]
        annotations[NET] = endpoint.network
        for name, texts in _spell_options(endpoint).items():
            annotations[PREFIX + name] = ",".join(texts)
    else:
        annotations[NET] = ";".join(
            _spell_endpoint(endpoint, _aliases(request, endpoint.network))
            for endpoint in request.endpoints
        )
    if request.publish:
        annotations[PUBLISH] = ",".join(spell_publish(publish) for publish in request.publish)
    if request.name:
        annotations[NAME] = request.name
    if request.keep_ports:
        annotations[KEEP_PORTS] = "true"
    if request.resolution:
        annotations |= spell_resolution(request.resolution)
    if request.access:
        annotations |= spell_access(request.access)
    if request.exposed:
        annotations[EXPOSED] = ",".join(request.exposed)
    return annotations


def _spell_options(endpoint: EndpointRequest) -> dict[str, list[str]]:
    """Spell the options of an endpoint that are not the default, in their order."""
    spelled = {
        "ip": [str(address) for address in endpoint.addresses if address.family == 4],
        "ip6": [str(address) for address in endpoint.addresses if address.family == 6],
        "mac": [endpoint.mac] if endpoint.mac else [],
        "ifname": [endpoint.ifname] if endpoint.ifname else [],
        "mtu": [str(endpoint.mtu)] if endpoint.mtu else [],
        "gateway": _spell_gateway(endpoint),
        "routes": [str(route) for route in endpoint.routes],
        "metric": [str(endpoint.metric)] if endpoint.metric else [],
        "sysctl": [str(wish) for wish in endpoint.sysctls],
        "egress-address": [str(address) for address in endpoint.egress],
        "bandwidth": spell_bandwidth(endpoint.bandwidth) if endpoint.bandwidth else [],
    }
    return {name: texts for name, texts in spelled.items() if texts}


def _spell_gateway(endpoint: EndpointRequest) -> list[str]:
    if not endpoint.default_route:
        return [NO_GATEWAY]
    return [str(endpoint.gateway)] if endpoint.gateway else []


def _aliases(request: Request, network: str) -> list[str]:
    """Return the aliases that are of one network alone."""
    aliases = request.resolution.aliases if request.resolution else ()
    return [alias.name for alias in aliases if alias.network == network]


def _spell_endpoint(endpoint: EndpointRequest, aliases: list[str]) -> str:
    options = _spell_options(endpoint) | ({"alias": aliases} if aliases else {})
    spelled = ",".join(f"{name}={text}" for name, texts in options.items() for text in texts)
    return f"{endpoint.network}:{spelled}" if spelled else endpoint.network
