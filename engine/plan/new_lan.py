"""From a person's wishes to a new network on the LAN itself: pure."""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.errors import ConflictError, NotFoundError, RequestError
from ocinet.base.names import check_ifname, check_network
from ocinet.engine.model.lan import shim_of
from ocinet.engine.model.network import Network
from ocinet.engine.model.request import EndpointRequest, Request
from ocinet.engine.plan.endpoint import check_request
from ocinet.engine.plan.free_subnet import check_subnets
from ocinet.engine.plan.new_network import check_new, choose_gateways, sort_ranges, upper_half
from ocinet.ipam.pool import Pool, Range

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Subnet
    from ocinet.engine.plan.new_network import NetworkOptions, Surroundings

_LINK_LOCAL = ("169.254.0.0/16", "fe80::/10")
# What of a network is the host's to hold, and here it holds nothing: none of the packets pass it.
_NOT_THE_HOSTS = (
    ("internal", "--internal", "the LAN's router lets them out, or does not: leave --gateway out"),
    ("egress", "--egress-address", "they leave with the containers' own addresses"),
    ("unmasked", "--no-masquerade-to", "they leave with the containers' own addresses"),
    ("joined", "--joined-by", "whoever is on the LAN reaches the containers"),
    ("dns_servers", "--dns", "the host serves no names there; containers find each other by"
     " /etc/hosts, and ask whom `ocinet.dns` says"),
    ("device", "--bridge", "there is none: say -o parent=LINK"),
    ("unmanaged", "--unmanaged", "the parent is always left as it is"),
)  # fmt: skip


def define_lan(
    name: str, options: NetworkOptions, around: Surroundings, modes: tuple[str, ...]
) -> Network:
    """Return a new network whose containers share a link of the host's.

    Args:
        name: of the network.
        options: what is wished.
        around: with the parent as its device.
        modes: that the driver knows, the default first.

    Raises:
        RequestError: a wish is malformed, or nothing that the host could hold.
        NotFoundError: there is no such parent.
        ConflictError: the parent can't be shared, or the subnet is another one's.
    """
    check_network(name)
    check_new(name, around)
    _refuse(options)
    mode = _mode(options, modes)
    _check_parent(options, around)
    subnets = options.subnets or _parents_subnets(options, around)
    given = sort_ranges(subnets, options.ranges)
    ranges = {subnet: given[subnet] or upper_half(subnet) for subnet in subnets}
    _check_shared(options, around, ranges)
    gateways = choose_gateways(subnets, options.gateways)
    pools = tuple(
        Pool(
            subnet,
            # Unlike a bridge's, it is nobody's to choose: where the router is, a person knows.
            gateways[subnet] if gateways[subnet] in options.gateways else None,
            ranges[subnet],
        )
        for subnet in subnets
    )
    network = Network(
        name=name,
        device=shim_of(name),
        pools=pools,
        managed=False,
        masquerade=False,
        mtu=options.mtu,
        labels=options.labels,
        guard=False,
        siblings=mode in ("bridge", "vepa"),
        default_route=options.default_route,
        metric=options.metric,
        routes=options.routes,
        dns=options.dns,
        driver=options.driver,
        parent=options.parent,
        mode=mode,
    )
    if options.routes:
        wish = EndpointRequest(name, routes=options.routes)
        check_request(Request("bridge", endpoints=(wish,)), (network,))
    return network.replace(host_access=_host_addresses(network, options))


def _refuse(options: NetworkOptions) -> None:
    where = f"with the driver {options.driver}"
    for field, flag, why in _NOT_THE_HOSTS:
        if getattr(options, field):
            raise RequestError(flag, f"{where} the containers' packets do not pass the host: {why}")
    if options.masquerade is not None:
        raise RequestError("--no-masquerade", f"{where} nothing is masqueraded", "leave it out")
    if not options.guard:
        raise RequestError("--no-guard", f"{where} nothing is guarded: the host sees no port of a"
                           " container, and can't keep it to its own addresses",
                           "leave it out; the LAN's switch may hold it")  # fmt: skip
    if not options.host:
        raise RequestError("--no-host", f"{where} the host is not reached, unless --host-access is"
                           " said", "leave both out")  # fmt: skip
    if not options.siblings:
        raise RequestError("--icc=false", f"{where} the kernel holds that: say -o mode=private",
                           "siblings do not reach each other then")  # fmt: skip


def _mode(options: NetworkOptions, modes: tuple[str, ...]) -> str:
    mode = options.mode or modes[0]
    if mode not in modes:
        raise RequestError("-o mode", f"{mode!r} is none of {options.driver}'s",
                           f"use one of: {', '.join(modes)}")  # fmt: skip
    if options.host_access and mode != "bridge":
        raise RequestError("--host-access", f"with mode={mode} no other interface of the parent"
                           " reaches the containers, so the host's does not",
                           "say -o mode=bridge")  # fmt: skip
    return mode


def _check_parent(options: NetworkOptions, around: Surroundings) -> None:
    if not options.parent:
        why = f"the driver {options.driver} needs to know by which link of the host the containers"
        raise RequestError("", f"{why} are on the LAN", f"say -o parent={around.uplink or 'eth0'}")
    check_ifname(options.parent)
    there = around.device
    if there is None:
        hint = f"say -o parent={around.uplink}" if around.uplink else "see: ip link"
        raise NotFoundError("", f"there is no link {options.parent} to be the parent", hint)
    if there.why_not:
        raise ConflictError("", f"{options.parent} can't be the parent: it {there.why_not}",
                            there.hint)  # fmt: skip


def _parents_subnets(options: NetworkOptions, around: Surroundings) -> tuple[Subnet, ...]:
    """Return the LAN's subnets, as the parent's own addresses tell them."""
    from ocinet.base.address import Subnet

    local = [Subnet.parse(text) for text in _LINK_LOCAL]
    bears = around.device.addresses if around.device else ()
    found = [held.subnet for held in bears if not any(held.address in each for each in local)]
    first = [subnet for subnet in found if subnet.family == 4]
    usable = first if first and not (options.ipv6 or around.ipv6) else found
    if not usable:
        raise RequestError("", f"{options.parent} has no address to read the LAN's subnet from",
                           "say --subnet, and --gateway")  # fmt: skip
    return tuple(dict.fromkeys(usable))


def _check_shared(
    options: NetworkOptions, around: Surroundings, ranges: dict[Subnet, tuple[Range, ...]]
) -> None:
    """Refuse what another network gives out, too; a LAN's subnet may be shared by their ranges."""
    strangers = []
    for other in around.networks:
        shared = [pool for pool in other.pools if pool.subnet in ranges]
        if other.parent != options.parent or not shared:
            strangers.append(other)
            continue
        for pool in shared:
            for theirs in pool.ranges:
                for own in ranges[pool.subnet]:
                    if (
                        own.first.value <= theirs.last.value
                        and theirs.first.value <= own.last.value
                    ):
                        why = f"network {other.name} on {other.parent} gives out {theirs.first}"
                        raise ConflictError("", f"{why} to {theirs.last}, too",
                                            "say another --ip-range")  # fmt: skip
    check_subnets(list(ranges), tuple(strangers))


def _host_addresses(network: Network, options: NetworkOptions) -> tuple[Address, ...]:
    """Return by which addresses the host is beside its containers: said, or each range's last."""
    if not options.host_access:
        return ()
    chosen = []
    for pool in network.pools:
        said = [address for address in options.host_addresses if address in pool.subnet]
        last = pool.ranges[-1].last if pool.ranges else pool.subnet.last
        if not said and last == pool.subnet.last and last.family == 4 and pool.subnet.size > 2:
            last = Address(last.family, last.value - 1)  # the last one is the broadcast's
        own = said[0] if said else last
        if own == pool.gateway:
            raise RequestError("--host-access", f"{own} is the gateway's", "say -o host_access=")
        chosen.append(own)
    for address in options.host_addresses:
        if address not in chosen:
            raise RequestError("-o host_access", f"{address} is in no subnet of the network")
    return tuple(chosen)
