"""Networks that a container asks for by a CDI device: `--device ocinet.dev/net=lan`.

Whoever may give a container a device is its user: an image can't, and no engine
takes one for a label or an annotation. So a device alone is a wish, and what is
asked besides goes by the rules of a hooks directory: it may be the image's.

Each device has a hook of its own (`hooks.registration.cdi_specs` writes them). All of them find the
same list in the bundle and ask for all of it, so the first one wires everything
or nothing, and the others find it done.
"""

from __future__ import annotations

from ocinet.base.errors import OcinetError, RequestError
from ocinet.base.jsontext import loads
from ocinet.engine.model.request import EndpointRequest
from ocinet.request.annotations import NET, parse_annotations
from ocinet.request.config_json import CONFIG, DEVICE, hooks_of, read_config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.model.request import Request
    from ocinet.request.own_keys import OwnKeys

KIND = "ocinet.dev/net"  # of the devices: vendor and class
_MARK = f'"{DEVICE}'.encode()


def devices_of(bundle: str) -> tuple[str, ...]:
    """Return the networks whose devices a bundle's hooks are of, in their order.

    Empty where there are none, and where the bundle can't be read.
    """
    try:
        data = read_config(bundle)
        if _MARK not in data:  # a look costs a hundredth of parsing
            return ()
        config = loads(data, CONFIG)
    except OcinetError:
        return ()
    from ocinet.request.config_json import UP_STAGES, is_our_hook  # where there is a device

    networks = [
        str(argument)[len(DEVICE) :]
        for stage, entry in (hooks_of(config) if isinstance(config, dict) else ())
        if stage in UP_STAGES and is_our_hook(entry)
        for argument in entry["args"]
        if str(argument).startswith(DEVICE)
    ]
    return tuple(dict.fromkeys(networks))


def request_by_devices(
    networks: tuple[str, ...], own: OwnKeys, trusts: Callable[[], bool]
) -> Request:
    """Return what devices and a container's own keys ask for together.

    The keys add to the devices' networks; without `ocinet.net` they are for the
    first one. They can't choose others.

    Args:
        networks: of the devices, in their order.
        own: the container's keys, less its image's.
        trusts: as for `OwnKeys.request`.

    Raises:
        RequestError: the keys ask for another network or mode, or as `OwnKeys.request`.
    """
    keys = dict(own.keys)
    if NET in keys:
        _check_agreement(networks, keys)
    else:
        keys[NET] = ";".join(networks)
    # Which networks, the devices say: of an `ocinet.net` that may be the image's it counts alone
    # whether it would lead elsewhere.
    doubts = tuple(pair for pair in own.doubts if pair[0] != NET or _steers(pair[1]))
    own = own.replace(keys=tuple(keys.items()), doubts=doubts)
    request = own.request(trusts, networks=networks)
    assert request is not None  # noqa: S101  # there is always a network
    asked = [endpoint.network for endpoint in request.endpoints]
    more = tuple(EndpointRequest(network) for network in networks if network not in asked)
    return request.replace(endpoints=request.endpoints + more)


def _steers(net: str) -> bool:
    """Tell an `ocinet.net` that has a gateway or routes in it."""
    return "gateway" in net or "routes" in net


def _check_agreement(networks: tuple[str, ...], keys: dict[str, str]) -> None:
    """Refuse an `ocinet.net` that is not about the devices' networks.

    Before it is asked who said it: that it contradicts is true for all.
    """
    request = parse_annotations(keys)
    asked = [endpoint.network for endpoint in request.endpoints] if request else []
    if not asked or not set(asked) <= set(networks):
        devices = " and ".join(f"{KIND}={network}" for network in networks)
        why = f"{keys[NET][:60]!r} contradicts the device {devices}"
        raise RequestError(NET, why, "leave one of the two out")
