"""What a container may ask for, as flags: declared, and read as annotations would be."""

from __future__ import annotations

from ocinet.base.errors import RequestError
from ocinet.cli.engine_names import split_engine
from ocinet.cli.parser import Parser, add_switch, add_text
from ocinet.request.annotations import (
    GATEWAY,
    KEEP_PORTS,
    NAME,
    NET,
    NO_GATEWAY,
    OPTIONS,
    PREFIX,
    PUBLISH,
    parse_annotations,
)
from ocinet.request.grammar import ACCESS_KEYS, ALIAS, RESOLUTION_KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import (
        Namespace,
        _ActionsContainer,  # the one name for parsers and groups
    )

    from ocinet.engine.model.request import Request

PORT = "[[ADDR:][PORT]:]PORT[/PROTO]"
_FLAGS = {
    PREFIX + "ip6": "--ip6",
    PREFIX + "ip": "--ip",
    PREFIX + "mac": "--mac-address",
    PREFIX + "ifname": "--ifname",
    PREFIX + "mtu": "--mtu",
    PREFIX + "gateway": "--gateway",
    PREFIX + "routes": "--route",
    PREFIX + "metric": "--metric",
    PREFIX + "sysctl": "--sysctl",
    PREFIX + "bandwidth": "--bandwidth",
    PREFIX + "egress-address": "--egress-address",
    PUBLISH: "--publish",
    NAME: "--name",
    KEEP_PORTS: "--keep-ports",
    NET: "--net",
    **{key: f"--{key.removeprefix(PREFIX)}" for key in (*RESOLUTION_KEYS, *ACCESS_KEYS)},
    ALIAS: "--network-alias",
}


def add_request(parser: Parser) -> None:
    """Add what a container may ask for, spelled as docker and podman spell it."""
    group = parser.add_argument_group("what the container gets")
    network = "NETWORK[:OPT=VALUE,…]"
    options = f"network, with options {', '.join(OPTIONS)} (default: bridge)"
    add_text(group, "--net", "--network", metavar=network, says=options, several=True)
    add_endpoint(group)
    says = "publish a container port on the host (default: on every address, on a free port)"
    add_text(group, "-p", "--publish", metavar=PORT, says=says, several=True)
    says = "keep the host ports that are chosen for its name (default: others at each start)"
    add_switch(group, "--keep-ports", says=says)
    says = "the container's name (default: its id's first 12 characters)"
    add_text(group, "--name", metavar="NAME", says=says)


def add_endpoint(group: _ActionsContainer) -> None:
    """Add what a container may ask for of the first network that it is on."""
    for family, flag in ((4, "--ip"), (6, "--ip6")):
        says = f"static IPv{family} address on the first network (default: a free one)"
        add_text(group, flag, metavar="ADDRESS", says=says, several=True)
    says = "MAC of the first interface (default: derived from its address)"
    add_text(group, "--mac-address", metavar="MAC", says=says)
    says = "name of the first interface in the container (default: eth0)"
    add_text(group, "--ifname", metavar="NAME", says=says)
    says = "MTU of the first interface in bytes (default: the bridge's)"
    add_text(group, "--mtu", metavar="BYTES", says=says)
    says = "default gateway (default: the first network's)"
    add_text(group, "--gateway", metavar="ADDRESS", says=says)
    says = "leave the default route that is there, or none (default: the first network's)"
    add_switch(group, "--no-default-route", says=says)
    _add_traffic(group)
    says = "resolver that the container asks (default: the host's)"
    add_text(group, "--dns", metavar="ADDRESS", says=says, several=True)
    says = "domain in which it looks for names, or . for none (default: the host's)"
    add_text(group, "--dns-search", metavar="DOMAIN", says=says, several=True)
    says = "option of resolv.conf, as ndots:2 (default: the host's)"
    add_text(group, "--dns-option", "--dns-opt", metavar="OPTION[:NUMBER]", says=says, several=True)
    says = "name that it finds at an address, which may be host-gateway"
    add_text(group, "--add-host", metavar="NAME:ADDRESS", says=says, several=True)
    says = "name by which others find it on each of its networks, besides its own"
    add_text(group, "--network-alias", "--alias", metavar="NAME", says=says, several=True)
    says = "name for itself (default: as it was started)"
    add_text(group, "--hostname", metavar="NAME", says=says)
    says = "name by which it alone finds another container (default for NAME: the container's)"
    add_text(group, "--link", metavar="CONTAINER[:NAME]", says=says, several=True)
    says = "where it may connect to on networks with --icc=false, or none (default: nowhere)"
    add_text(group, "--allow", metavar="TO[:PORT[/PROTO]]", says=says, several=True)
    says = "port that others there may connect to, or none (default: no port)"
    add_text(group, "--expose", metavar="PORT[/PROTO][@FROM]", says=says, several=True)
    says = "where its packets may leave its networks to, none or any (default: any)"
    add_text(group, "--egress", metavar="TO[:PORT[/PROTO]]", says=says, several=True)


def _add_traffic(group: _ActionsContainer) -> None:
    """Add where packets of the first interface go, how fast, and by which parameters."""
    says = "one more route, with its metric after it, or blackhole, unreachable, prohibit before it"
    add_text(group, "--route", metavar="SUBNET[ via ADDRESS]", says=says, several=True)
    says = "metric of the first network's default route (default: the network's)"
    add_text(group, "--metric", metavar="NUMBER", says=says)
    says = "kernel parameter of the container, where IFNAME is the first interface's name"
    add_text(group, "--sysctl", metavar="KEY=VALUE", says=says, several=True)
    says = "how fast it may be sent to (in=) and send (out=), as tc has rates, or none"
    add_text(group, "--bandwidth", metavar="[in=|out=]RATE", says=says, several=True)
    says = "the host's address that what it sends leaves with (default: the network's)"
    add_text(group, "--egress-address", metavar="ADDRESS", says=says, several=True)


def read_annotations(arguments: Namespace) -> dict[str, str]:
    """Return what the flags of `add_request` ask for, as annotations would."""
    single = {
        "mac": arguments.mac_address,
        "ifname": arguments.ifname,
        "mtu": arguments.mtu,
        "gateway": arguments.gateway,
        "hostname": arguments.hostname,
        "metric": arguments.metric,
    }
    several = {
        "ip": arguments.ip,
        "ip6": arguments.ip6,
        "routes": arguments.route,
        "sysctl": arguments.sysctl,
        "bandwidth": arguments.bandwidth,
        "egress-address": arguments.egress_address,
        "dns": arguments.dns,
        "dns-search": arguments.dns_search,
        "dns-option": arguments.dns_option,
        "add-host": arguments.add_host,
        "alias": arguments.network_alias,
        "link": arguments.link,
        "allow": arguments.allow,
        "expose": arguments.expose,
        "egress": arguments.egress,
    }
    annotations = {PREFIX + key: value for key, value in single.items() if value is not None}
    annotations |= {PREFIX + key: ",".join(values) for key, values in several.items() if values}
    if arguments.no_default_route:
        if arguments.gateway is not None:
            why = "--gateway names one, and --no-default-route wants none"
            raise RequestError("", why, "leave one of them out")
        annotations[GATEWAY] = NO_GATEWAY
    if arguments.net:
        annotations[NET] = ";".join(arguments.net)
    if arguments.publish:
        annotations[PUBLISH] = ",".join(arguments.publish)
    if arguments.name is not None:
        annotations[NAME] = arguments.name
    if arguments.keep_ports:
        annotations[KEEP_PORTS] = "true"
    return annotations


def read_request(annotations: dict[str, str]) -> Request:
    """Read annotations that were made from flags; none of them means `bridge`.

    Whose engine `container:docker:web` names is left out: see `targets.read_shared`.

    Raises:
        RequestError: as `parse_annotations`, but naming the flag.
    """
    try:
        request = parse_annotations(_without_engine({NET: "bridge", **annotations}))
    except RequestError as error:
        raise _in_flags(error) from error
    assert request is not None  # noqa: S101  # there is always a network
    return request


def _without_engine(annotations: dict[str, str]) -> dict[str, str]:
    mode, _, target = annotations[NET].partition(":")
    if mode != "container":
        return annotations
    return {**annotations, NET: f"{mode}:{split_engine(target)[1]}"}


def _in_flags(error: RequestError) -> RequestError:
    """Return the error with flags in the place of annotations' keys."""
    what = error.what
    for key, flag in _FLAGS.items():
        if what == key or what.startswith(f"{key}:"):
            what = flag + what[len(key) :]
    return type(error)(what, error.why, error.hint)
