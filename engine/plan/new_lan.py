"""From a person's wishes to a new network on the LAN itself: pure."""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.errors import ConflictError, NotFoundError, OcinetError, RequestError
from ocinet.base.names import check_ifname, check_network
from ocinet.engine.model.lan import shim_of
from ocinet.engine.model.network import Network
from ocinet.engine.model.request import EndpointRequest, Request
from ocinet.engine.plan.endpoint import check_request
from ocinet.engine.plan.free_subnet import check_subnets
from ocinet.engine.plan.new_network import (
    check_mtu,
    check_new,
    choose_gateways,
    sort_ranges,
    upper_half,
)
from ocinet.ipam.pool import Pool, Range, bounds, check_static

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
    check_mtu(options, pools)
    if around.device and 0 < around.device.mtu < options.mtu:
        why = f"{options.mtu} is more than {options.parent} has, which is {around.device.mtu}"
        raise RequestError("--mtu", why, f"use {around.device.mtu} or less, or leave it out")
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
    return network.replace(host_access=_host_addresses(network, options, around))


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


def _host_addresses(
    network: Network, options: NetworkOptions, around: Surroundings
) -> tuple[Address, ...]:
    """Return by which addresses the host is beside its containers: said, or the ranges' last."""
    if not options.host_access:
        return ()
    for address in options.host_addresses:
        try:
            check_static(network.pools, address)
        except OcinetError as error:
            raise error.within("-o host_access") from error
        if taken := _whose(address, options, around):
            raise ConflictError("-o host_access", f"{address} is {taken}", "say another one")
    chosen = []
    for pool in network.pools:
        said = [address for address in options.host_addresses if address in pool.subnet]
        if len(said) > 1:
            why = f"{said[0]} and {said[1]} are in one subnet, where the host has one"
            raise RequestError("-o host_access", why)
        chosen.append(said[0] if said else _last_free(network, pool, options, around))
    return tuple(chosen)


def _last_free(
    network: Network, pool: Pool, options: NetworkOptions, around: Surroundings
) -> Address:
    """Return the last address of a pool's ranges that nobody is known to have.

    Raises:
        ConflictError: there is none.
    """
    low, high = bounds(pool.subnet)
    for part in reversed(pool.ranges or (Range(pool.subnet.first, pool.subnet.last),)):
        first, last = max(part.first.value, low), min(part.last.value, high)
        for value in range(last, first - 1, -1):
            address = Address(pool.subnet.family, value)
            if address != pool.gateway and not _whose(address, options, around):
                return address
    raise ConflictError("--host-access", f"all of {network.name}'s addresses in {pool.subnet} are"
                        " had by others", "say -o host_access=ADDRESS")  # fmt: skip


def _whose(address: Address, options: NetworkOptions, around: Surroundings) -> str:
    """Return whose an address is on the LAN, by what is known here; "" if nobody's."""
    if around.device and address in [held.address for held in around.device.addresses]:
        return f"{options.parent}'s own"
    for other in around.networks:
        if other.parent != options.parent:
            continue
        if address in other.host_access:
            return f"the host's on network {other.name}"
        for given in (part for pool in other.pools for part in pool.ranges):
            inside = given.first.value <= address.value <= given.last.value
            if inside and given.first.family == address.family:
                return f"one that network {other.name} gives out"
    return ""
