"""`-o KEY=VALUE` as docker and podman have it: what of a new network each of them wishes."""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.errors import RequestError
from ocinet.base.names import check_ifname, did_you_mean
from ocinet.engine.plan.new_network import NetworkOptions

_LARGEST_METRIC = (1 << 32) - 1


def with_driver_option(options: NetworkOptions, text: str) -> NetworkOptions:
    """Return the options with one `-o KEY=VALUE` of docker or podman added.

    Raises:
        RequestError: the key is not known, or its value makes no sense.
    """
    key, _, value = text.partition("=")
    field = _DRIVER_OPTIONS.get(key)
    if field is None:
        hint = did_you_mean(key, _DRIVER_OPTIONS) or f"known are: {', '.join(_DRIVER_OPTIONS)}"
        raise RequestError("", f"unknown option {key!r}", hint)
    if field == "mode" and options.driver == "bridge":
        field = "unmanaged"
    if field in _OF_LANS:
        return _with_lan_option(options, field, value)
    if field == "device":
        return options.replace(device=check_ifname(value))
    if field in _NUMBERS:
        most, what = _NUMBERS[field]
        if not (value.isascii() and value.isdigit() and len(value) <= most):
            raise RequestError("", f"{key} must be a number{what}, not {value!r}")
        return _checked_metric(options.replace(**{field: int(value)}))
    if field in _EGRESS:
        address = Address.parse(value)
        if address.family != _EGRESS[field]:
            raise RequestError("", f"{key} must be an IPv{_EGRESS[field]} address, not {value}")
        others = (known for known in options.egress if known.family != address.family)
        return options.replace(egress=(*others, address))
    words = ("managed", "unmanaged") if field == "unmanaged" else ("false", "true")
    value = _TRUTHS.get(value, value)
    if value not in words:
        raise RequestError("", f"{key} must be {' or '.join(words)}, not {value!r}")
    is_so = value == words[1]
    return options.replace(**{field: not is_so if field == "default_route" else is_so})


def _with_lan_option(options: NetworkOptions, field: str, value: str) -> NetworkOptions:
    if field == "mode":
        return options.replace(mode=value)
    if field == "parent" and value == "lo":
        raise RequestError("", "lo is the loopback, and leads to no LAN", "name the LAN's link")
    if field == "parent":
        return options.replace(parent=check_ifname(value))
    own = Address.parse(value)
    known = tuple(address for address in options.host_addresses if address.family != own.family)
    return options.replace(host_access=True, host_addresses=(*known, own))


def _checked_metric(options: NetworkOptions) -> NetworkOptions:
    if options.metric > _LARGEST_METRIC:
        raise RequestError("", f"{options.metric} is no metric", f"use 1 to {_LARGEST_METRIC}")
    return options


_OF_LANS = ("parent", "mode", "host_addresses")
_NUMBERS = {"mtu": (5, " of bytes"), "metric": (10, "")}  # digits at most, and of what
_TRUTHS = {"0": "false", "1": "true"}  # as podman takes them, too
_EGRESS = {"egress4": 4, "egress6": 6}
_DRIVER_OPTIONS = {
    "com.docker.network.driver.mtu": "mtu",
    "com.docker.network.bridge.name": "device",
    "com.docker.network.bridge.enable_ip_masquerade": "masquerade",
    "com.docker.network.bridge.enable_icc": "siblings",
    "com.docker.network.host_ipv4": "egress4",
    "com.docker.network.host_ipv6": "egress6",
    "outbound_addr4": "egress4",
    "outbound_addr6": "egress6",
    "mtu": "mtu",
    "metric": "metric",
    "no_default_route": "default_route",
    "mode": "mode",
    "macvlan_mode": "mode",
    "parent": "parent",
    "host_access": "host_addresses",
}
