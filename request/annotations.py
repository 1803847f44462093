"""The one parser of `ocinet.*` keys: annotations, labels and flags alike.

    ocinet.net       bridge | host | none | container:NAME_or_ID | NETWORK
                     NETWORK[:OPTION,…][;NETWORK[:OPTION,…]]…
                     OPTION: ip= ip6= routes= (each may be repeated)
                     alias=  mac= ifname= mtu= gateway= metric= sysctl= bandwidth=
    ocinet.ip        ADDRESS[,ADDRESS]…          for the first network, as are
    ocinet.ip6       ADDRESS[,ADDRESS]…          the seven that follow
    ocinet.mac       02:42:ac:11:00:02
    ocinet.ifname    eth0
    ocinet.mtu       68 to 65535
    ocinet.gateway   ADDRESS | none               none: no default route
    ocinet.routes    SUBNET[ via ADDRESS][ metric NUMBER][,…]…, or without via:
                     blackhole|unreachable|prohibit SUBNET
    ocinet.metric    1 to 4294967295: of the default route
    ocinet.sysctl    KEY=VALUE[,KEY=VALUE]…, see `sysctls`
    ocinet.bandwidth in=RATE[,out=RATE], see `bandwidth`
    ocinet.egress-address ADDRESS[,ADDRESS]      what it sends leaves with
    ocinet.publish   PUBLISH[,PUBLISH]…, see `publish`
    ocinet.name      the container's name
    ocinet.rejoin    true | false: the watcher restarts it where the owner of its sandbox
                     comes back in another one; with every mode, and it asks for nothing
    ocinet.keep-ports true | false: the host ports that are chosen stay the name's
    ocinet.dns, ocinet.dns-search, ocinet.dns-option, ocinet.add-host, ocinet.hostname,
    ocinet.alias, ocinet.link, see `resolution`
    ocinet.allow, ocinet.expose, ocinet.egress, see `access`
    ocinet.sandbox   written by `ocinet hooks add`: DEV:INODE that must be found
    ocinet.bundle    written by `ocinet hooks add`: what `hooks remove` restores

Each thing may be given once. Blanks around items are skipped. A key that is not known is an
error, and so is one that is ours but for quotes or case: a typo must not mean "no network".
"""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.base.names import check_container, check_network, did_you_mean
from ocinet.base.value import Value
from ocinet.engine.model.request import DEFAULT_NETWORK, EndpointRequest, Request, Route
from ocinet.request.grammar import (
    ACCESS_KEYS,
    BLANK,
    RESOLUTION_KEYS,
    SHOWN,
    first_repeated,
    quote,
    read_address,
    read_gateway,
    read_ifname,
    read_ipv4,
    read_ipv6,
    read_mac,
    read_metric,
    read_mtu,
    read_route,
    read_truth,
    shorten,
    split_items,
    within,
)
from ocinet.request.publish import parse_publish

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    from ocinet.engine.model.access import Access
    from ocinet.engine.model.request import Mode
    from ocinet.engine.model.resolution import Resolution

    T = TypeVar("T")

PREFIX = "ocinet."
NET = "ocinet.net"
GATEWAY = "ocinet.gateway"
ROUTES = "ocinet.routes"
METRIC = "ocinet.metric"
PUBLISH = "ocinet.publish"
NAME = "ocinet.name"
KEEP_PORTS = "ocinet.keep-ports"
SANDBOX = "ocinet.sandbox"
BUNDLE = "ocinet.bundle"
EXPOSED = "ocinet.exposed"
REJOIN = "ocinet.rejoin"
NO_NETWORK = "none"
NO_GATEWAY = "none"
FLAT_OPTIONS = ("ip", "ip6", "mac", "ifname", "mtu", "gateway", "routes", "metric", "sysctl",
                "bandwidth", "egress-address")  # fmt: skip
OPTIONS = (*FLAT_OPTIONS, "alias")  # alone, that one is for every network
KEYS = (
    NET,
    *(PREFIX + option for option in FLAT_OPTIONS),
    PUBLISH,
    NAME,
    KEEP_PORTS,
    REJOIN,
    *RESOLUTION_KEYS,
    *ACCESS_KEYS,
    SANDBOX,
    BUNDLE,
    EXPOSED,
)

DEFAULT_REQUEST = Request("bridge", "", (EndpointRequest(DEFAULT_NETWORK),))

# A hook has a deadline, and one annotation may be as long as a whole state, 1 MiB.
MAX_NETWORKS = 32
MAX_REPEATED = 64
_LONGEST_EXPOSED = 1 << 14

# Quotes as shells, word processors and CSV have them, and all that `str.isspace` calls so.
_AROUND = (
    "\"'`\u00b4\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb \t\n\v\f\r\x1c\x1d\x1e\x1f\x85\xa0"
    "\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u2028\u2029\u202f"
    "\u205f\u3000\ufeff"
)
_REPEATABLE = ("ip", "ip6", "routes", "alias", "sysctl", "bandwidth", "egress-address")
_INTERNAL = (SANDBOX, BUNDLE, EXPOSED)
_CONTAINER = "container:"


class _Option(Value):
    """One option of an endpoint, and where it was written."""

    name: str
    text: str
    where: str


def parse_annotations(annotations: Mapping[str, str]) -> Request | None:
    """Read what a container asks for; keys of others are skipped.

    >>> asked = parse_annotations({"ocinet.net": "lan:ip=10.9.0.5;dmz", "com.example": "x"})
    >>> [endpoint.network for endpoint in asked.endpoints]
    ['lan', 'dmz']

    Args:
        annotations: such as {"ocinet.net": "lan", "ocinet.publish": "8080:80"}.

    Returns:
        None if no key asks for anything.

    Raises:
        RequestError: a key is not known, or a value or a combination is not
            legal; the error names the key.
    """
    keys = _our_keys(annotations)
    if not keys:
        return None
    name = within(NAME, _container_name, keys.pop(NAME)) if NAME in keys else ""
    net = keys.pop(NET, DEFAULT_NETWORK)
    mode, target = within(NET, _mode, net)
    if mode != "bridge":
        if keys:
            raise RequestError(min(keys), f"it does not go with {NET}={shorten(net)}",
                               "leave it out, or name a network")  # fmt: skip
        return Request(mode, target, name=name)
    publish = parse_publish(keys.pop(PUBLISH), PUBLISH) if PUBLISH in keys else ()
    keep_ports = within(KEEP_PORTS, read_truth, keys.pop(KEEP_PORTS, "false"))
    wishes = {key: keys.pop(key) for key in RESOLUTION_KEYS if key in keys}
    said = {key: keys.pop(key) for key in ACCESS_KEYS if key in keys}
    networks = _networks(net, keys)
    aliases = tuple(
        (network, option.text, option.where)
        for network, options in networks
        for option in options
        if option.name == "alias"
    )
    resolution = _resolution(wishes, aliases) if wishes or aliases else None
    endpoints = _check_endpoints([_endpoint(*network) for network in networks])
    access = _access(said) if said else None
    exposed = annotations.get(EXPOSED, "")
    ports = tuple(exposed.split(",")) if 0 < len(exposed) <= _LONGEST_EXPOSED else ()
    return Request(mode, "", endpoints, publish, name, keep_ports, resolution, access, ports)


def is_ours(key: str) -> bool:
    """Tell a key of ours, also one that would be ours without quotes, blanks and capitals.

    >>> [is_ours(key) for key in ("ocinet.net", '"ocinet.net', " Ocinet.net", "my-ocinet.net")]
    [True, True, True, False]
    """
    return key.startswith(PREFIX) or _plain(key).startswith(PREFIX)


def spell_mode(request: Request) -> str:
    """Spell what `ocinet.net` says of a request that names no network."""
    return _CONTAINER + request.target if request.mode == "container" else request.mode


def _our_keys(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return the keys by which something is asked for, each with its value."""
    ours = {key: text.strip(BLANK) for key, text in annotations.items() if is_ours(key)}
    for key in ours:
        if key not in KEYS:
            _refuse_disguised(key)
            names = [name.removeprefix(PREFIX) for name in KEYS if name not in _INTERNAL]
            near = did_you_mean(key.removeprefix(PREFIX)[:SHOWN], names)
            hint = near or f"known are: {', '.join(names)}"
            raise RequestError(f"annotation {quote(key)}", "there is no such key", hint)
    # Those are ours to write: a bundle that asks for nothing else asks for nothing.
    asking = {key: text for key, text in ours.items() if key not in _INTERNAL}
    for key, text in asking.items():
        if not text:
            raise RequestError(key, "its value is empty", "leave the key out")
    # Of members, whom their engine is to restart: the watcher's matter alone.
    within(REJOIN, read_truth, asking.pop(REJOIN, "false"))
    return asking


def _refuse_disguised(key: str) -> None:
    """Refuse a key that its writer takes for one of ours.

    podman 4 reads `--annotation` as CSV, with its quotes; 5 takes what stands there, and
    `--annotation '"ocinet.publish=80:80,81:81"'` gives the key `"ocinet.publish`.

    Raises:
        RequestError: it is one.
    """
    plain = _plain(key)
    if plain in KEYS or (plain.startswith(PREFIX) and not key.startswith(PREFIX)):
        why = f"it is no key of ours, but {shorten(plain)} with quotes, blanks or capitals"
        hint = f"write {shorten(plain)}=…; in --annotation podman 4 alone needs and reads quotes"
        raise RequestError(f"annotation {quote(key)}", why, hint)


def _plain(key: str) -> str:
    return key.strip(_AROUND).lower()


def _mode(net: str) -> tuple[Mode, str]:
    if net == "host":
        return "host", ""
    if net == NO_NETWORK:
        return "none", ""
    if net.startswith(_CONTAINER):
        return "container", check_container(net[len(_CONTAINER) :], "container")
    return "bridge", ""


def _resolution(wishes: Mapping[str, str], aliases: tuple[tuple[str, str, str], ...]) -> Resolution:
    from ocinet.request.resolution import parse_resolution  # for the few that say so

    return parse_resolution(wishes, aliases)


def _access(wishes: Mapping[str, str]) -> Access:
    from ocinet.request.access import parse_access  # likewise

    return parse_access(wishes)


def _container_name(text: str) -> str:
    return check_container(text, "container name")


def _networks(net: str, flat: Mapping[str, str]) -> list[tuple[str, list[_Option]]]:
    """Join the networks' options with the flat keys, which are the first one's."""
    networks = _split_networks(net)
    first, options = networks[0]
    for key, text in flat.items():
        name = key[len(PREFIX) :]
        if any(option.name == name for option in options):
            raise RequestError(key, f"{NET} has {name}= for {first} already", "give it once")
        texts = within(key, split_items, text) if name in _REPEATABLE else [text]
        options = [*options, *(_Option(name, item, key) for item in texts)]
    networks[0] = first, options
    return networks


def _split_networks(net: str) -> list[tuple[str, list[_Option]]]:
    networks = []
    entries = within(NET, lambda whole: split_items(whole, ";"), net)
    if len(entries) > MAX_NETWORKS:
        raise RequestError(NET, f"there are more than {MAX_NETWORKS} networks in it")
    for entry in entries:
        name, colon, tail = entry.partition(":")
        network = within(NET, check_network, name.strip(BLANK))
        what = f"{NET}: {network}"
        items = within(what, split_items, tail) if colon else []
        networks.append((network, [_option(item, what) for item in items]))
    return networks


def _option(item: str, what: str) -> _Option:
    name, equals, text = item.partition("=")
    name = name.strip(BLANK)
    if not equals or name not in OPTIONS:
        hint = did_you_mean(name[:SHOWN], OPTIONS) or f"known are: {', '.join(OPTIONS)}"
        raise RequestError(what, f"{quote(item)} is no option", hint)
    return _Option(name, text.strip(BLANK), f"{what}: {name}")


def _endpoint(network: str, options: list[_Option]) -> EndpointRequest:
    gateways = [option for option in options if option.name == "gateway"]
    default_route = all(option.text != NO_GATEWAY for option in gateways)
    if not default_route:
        if len(gateways) > 1:
            raise RequestError(gateways[1].where, "gateway comes twice", "give it once")
        options = [option for option in options if option.name != "gateway"]
    return EndpointRequest(
        network=network,
        addresses=_each(options, "ip", read_ipv4) + _each(options, "ip6", read_ipv6),
        mac=_single(options, "mac", read_mac, ""),
        ifname=_single(options, "ifname", read_ifname, ""),
        mtu=_single(options, "mtu", read_mtu, 0),
        gateway=_single(options, "gateway", read_gateway, None),
        routes=_routes(options),
        default_route=default_route,
        metric=_single(options, "metric", read_metric, 0),
        egress=_each(options, "egress-address", read_address),
        **_rare(options),
    )


def _rare(options: list[_Option]) -> dict[str, Any]:
    """Parse what few say, by parsers that they alone load."""
    said = {option.name for option in options}
    found: dict[str, Any] = {}
    if "sysctl" in said:
        from ocinet.request.sysctls import read_sysctl

        found["sysctls"] = _each(options, "sysctl", read_sysctl)
    if "bandwidth" in said:
        from ocinet.request.bandwidth import merged, read_bandwidth

        found["bandwidth"] = merged(_each(options, "bandwidth", read_bandwidth))
    return found


def _each(options: list[_Option], name: str, parse: Callable[[str], T]) -> tuple[T, ...]:
    """Parse every option of that name."""
    values: list[T] = []
    for option in options:
        if option.name == name:
            value = within(option.where, parse, option.text)
            if value in values or (values and name not in _REPEATABLE):
                raise RequestError(
                    option.where, f"{quote(option.text)} comes twice", "give it once"
                )
            if len(values) == MAX_REPEATED:
                raise RequestError(option.where, f"there are more than {MAX_REPEATED} of them")
            values.append(value)
    return tuple(values)


def _single(options: list[_Option], name: str, parse: Callable[[str], T], default: T) -> T:
    """Parse the only option of that name, if there is one."""
    values = _each(options, name, parse)
    return values[0] if values else default


def _check_endpoints(endpoints: list[EndpointRequest]) -> tuple[EndpointRequest, ...]:
    for what, values in (
        ("network", [endpoint.network for endpoint in endpoints]),
        ("interface", [endpoint.ifname for endpoint in endpoints if endpoint.ifname]),
        ("address", [str(address) for endpoint in endpoints for address in endpoint.addresses]),
        ("MAC", [endpoint.mac for endpoint in endpoints if endpoint.mac]),
        ("sysctl", [wish.of(end.network) for end in endpoints for wish in end.sysctls]),
    ):
        twice = first_repeated(values)
        if twice:
            raise RequestError(NET, f"the {what} {twice} comes twice", "give it once")
    return tuple(endpoints)


def _routes(options: list[_Option]) -> tuple[Route, ...]:
    routes = _each(options, "routes", read_route)
    twice = first_repeated([f"{route.destination} {route.metric}" for route in routes])
    if twice:
        where = next(option.where for option in options if option.name == "routes")
        hint = "give one route to it, or another metric"
        raise RequestError(where, f"{twice.split()[0]} comes twice", hint)
    return routes
