"""Looking at the host before a plan is made. Reads only."""

from __future__ import annotations

from ocinet.engine.model.forwarding import FORWARD_IPV4, FORWARD_IPV6, FORWARDED
from ocinet.engine.model.observed import DeviceState, Observed
from ocinet.engine.model.passage import Passage
from ocinet.engine.source_routing import source_routing
from ocinet.engine.storage import recorded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.base.address import Address, Subnet
    from ocinet.engine.model.link import Link
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.passage import ForwardDrop
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records
    from ocinet.ipam.pool import Pool

# Bridged packets pass the firewall, too; there is none such without br_netfilter.
_BRIDGED_TOO = "net/bridge/bridge-nf-call-iptables"


def observe(
    machine: Machine,
    networks: tuple[Network, ...],
    records: Records,
    boot_id: str,
    ports: tuple[int, ...] = (),
) -> Observed:
    """Return what a plan for these networks has to know.

    Args:
        machine: that is looked at.
        networks: each once.
        records: all of them are read where our table is missing.
        boot_id: of this boot; the records of another are none.
        ports: as in `Passage`.
    """
    firewall = machine.firewall.observe()
    unnumbered = machine.forward_accepts.unnumbered()
    unchanged = records.passages.open(firewall.generation)
    passing = () if unnumbered else unchanged
    if any(network.device not in unchanged and not network.is_lan for network in networks):
        # Somebody has changed some table since the last attach: it may have been ours.
        firewall = firewall.replace(changed=machine.firewall.observe(compare=True).changed)
    managed = [network for network in networks if network.managed]
    families = sorted({family for network in managed for family in network.families})
    connected = tuple(found for family in families for found in machine.links.connected(family))
    devices = tuple(
        _device(machine, network, connected, None if network.device in passing else ports)
        for network in networks
    )
    ipv6_forward = ""
    ra_uplinks: tuple[tuple[str, str], ...] = ()
    if any(6 in network.families for network in networks):
        ipv6_forward = machine.sysctls.read(FORWARD_IPV6) or ""
        # While it forwards, the kernel passes over router advertisements: the uplinks that live
        # by them are looked for before forwarding is turned on, and only then.
        if ipv6_forward == "0":
            ra_uplinks = _ra_uplinks(machine)
    ip_forward = machine.sysctls.read(FORWARD_IPV4) or ""
    # Switched on by somebody else, after us perhaps: then nothing is to be guarded any more.
    by_others = {ip_forward, ipv6_forward} - {"", "0", FORWARDED}
    return Observed(
        devices=devices,
        firewall=firewall,
        recorded=(
            recorded(records, boot_id)
            if firewall.changed or not firewall.table
            else Observed.recorded
        ),
        ip_forward=ip_forward,
        ipv6_forward=ipv6_forward,
        ra_uplinks=ra_uplinks,
        routing=source_routing(machine, records),
        absent=_absent(machine, networks),
        guards=records.guards.all() if by_others else (),
    )


def _absent(machine: Machine, networks: tuple[Network, ...]) -> tuple[Address, ...]:
    """Return the addresses that packets are to leave with, and that nobody answers to here."""
    wanted = tuple(address for network in networks for address in network.egress)
    if not wanted:
        return ()
    here = {interface.address for interface in machine.links.addresses(0)}
    return tuple(address for address in wanted if address not in here)


def is_still_so(machine: Machine, networks: tuple[Network, ...], observed: Observed) -> bool:
    """Tell, from little, whether nothing has been undone since it was observed.

    A network's bridge, forwarding, the way from 127.0.0.1 and that of answers are undone by a
    failed attach that made them, if no record tells of anyone who uses them. So are accept
    rules in the tables of others: where any table has changed, they are looked for. Our
    own table is made again by whoever finds it missing.
    """
    firewall = machine.firewall.observe()
    if firewall.uplinks != observed.firewall.uplinks:
        return False
    # The host's own interface goes with the last container there.
    if any(
        network.is_lan and _device(machine, network, (), None) != observed.device(network.device)
        for network in networks
    ):
        return False
    if firewall.generation != observed.firewall.generation:
        passages = (
            _passage(machine, network, observed.device(network.device).link, ())
            for network in networks
            if not network.is_lan
        )
        if any(map(machine.forward_accepts.judge, passages)):
            return False
    return all(
        machine.sysctls.read(key) == value
        for key, value in (
            (FORWARD_IPV4, observed.ip_forward),
            (FORWARD_IPV6, observed.ipv6_forward),
            *((_route_localnet(state.device), state.route_localnet) for state in observed.devices),
        )
        if value
    )


def _route_localnet(device: str) -> str:
    return f"net/ipv4/conf/{device}/route_localnet"


def _device(
    machine: Machine,
    network: Network,
    connected: tuple[tuple[int, Subnet], ...],
    ports: tuple[int, ...] | None,
) -> DeviceState:
    """Return what is seen of a network's bridge; without ports nothing is judged."""
    if network.is_lan:
        from ocinet.engine.lan_ends import parent_of

        return parent_of(machine, network)
    name = network.device
    link = machine.links.link(name)
    ifindex = link.ifindex if link else 0
    # An earlier version took what an adopted bridge's definition says: never less than it has.
    mtu = (network.managed and network.mtu) or _mtu_by_uplink(machine, network, link)
    # Read in any case, for `is_still_so`: it goes with the bridge.
    localnet = machine.sysctls.read(_route_localnet(name)) if link else None
    passage = None if ports is None else _passage(machine, network, link, ports)
    addresses = machine.links.addresses(ifindex) if link else ()
    # One in a VRF has its routes in another table.
    routed = network.managed and link is not None and link.up and not link.master
    own = [pool.gateway for pool in network.pools] if routed else []
    return DeviceState(
        device=name,
        link=link,
        addresses=addresses,
        unrouted=tuple(
            interface
            for interface in addresses
            if interface.address in own and (ifindex, interface.subnet) not in connected
        ),
        mtu=mtu,
        route_localnet=localnet or "",
        drops=machine.forward_accepts.judge(passage) if passage else (),
        apart=_apart(machine, passage) if passage else (),
        judged=passage is not None,
        passage=passage,
        in_the_way=_in_the_way(machine, network, connected, ifindex) if network.managed else (),
    )


def _apart(machine: Machine, passage: Passage) -> tuple[ForwardDrop, ...]:
    """Return who drops what an adopted bridge carries from port to port.

    Nobody may have meant to: where Docker has loaded br_netfilter, its FORWARD with the
    policy DROP meets every bridge of the host. But its owner may, as with `icc=false`.
    """
    if passage.managed or machine.sysctls.read(_BRIDGED_TOO) != "1":
        return ()
    bridged = passage.replace(published=False, out=False, siblings=True)
    return tuple(drop for drop in machine.forward_accepts.judge(bridged) if not drop.outdated)


def _mtu_by_uplink(machine: Machine, network: Network, link: Link | None) -> int:
    """Return the MTU of a network that says none: the uplink's when its bridge was made.

    Or the uplink's by now, as long as nobody is on the bridge: interfaces with different
    MTUs on one bridge lose what the smaller ones can't take.
    """
    if link is None:
        return machine.bridges.uplink_mtu()
    if not network.managed or link.running or machine.links.ports(link):
        return link.mtu
    return uplink_mtu(machine) or link.mtu


def uplink_mtu(machine: Machine) -> int:
    """Return the MTU of the link of the IPv4 default route; 0 without one. Costs two questions."""
    ifname = machine.bridges.uplink()
    found = machine.links.link(ifname) if ifname else None
    return found.mtu if found else 0


def _in_the_way(
    machine: Machine,
    network: Network,
    connected: tuple[tuple[int, Subnet], ...],
    ifindex: int,
) -> tuple[Subnet, ...]:
    """Return what has come since the network was defined, and overlaps a subnet of it."""
    pools = [pool.subnet for pool in network.pools]
    found = _overlapping(pools, connected, ifindex)
    if found:
        # One was listed after the other: the bridge may have been made anew in between, and
        # what it had before is nobody else's.
        link = machine.links.link(network.device)
        now = [each for family in (4, 6) for each in machine.links.connected(family)]
        # And one that bears another name by now gets its own back, with all that is on it.
        link = link or _renamed(machine, network)
        found = _overlapping(pools, now, link.ifindex if link else 0)
    if not ifindex and not found:
        # Routes are asked for only now: the kernel's own for a bridge comes after one
        # that is there, and a list of them all can be long.
        found = [
            other
            for other in machine.bridges.routed_subnets()
            if any(other.overlaps(pool) and other.prefixlen >= pool.prefixlen for pool in pools)
        ]
    return tuple(found)


def _renamed(machine: Machine, network: Network) -> Link | None:
    """Return a network's bridge where somebody has given it another name (`make_bridge`)."""
    from ocinet.engine.plan.driver_bridge import bridge_mac  # where something is in the way alone

    mac = bridge_mac(network)
    bridges = (link for link in machine.links.links() if link.kind == "bridge")
    return next((link for link in bridges if link.mac == mac), None)


def _overlapping(
    pools: list[Subnet], connected: Iterable[tuple[int, Subnet]], ifindex: int
) -> list[Subnet]:
    """Return the subnets of other links than that one which overlap one of these."""
    return [
        other
        for at, other in connected
        if at != ifindex and any(other.overlaps(pool) for pool in pools)
    ]


def _passage(
    machine: Machine, network: Network, link: Link | None, ports: tuple[int, ...]
) -> Passage:
    """Return what should pass the chains of others of a network's packets.

    What its containers send out of an adopted bridge is its owner's to let pass, and nothing
    leaves an internal network.
    """
    uplink = machine.bridges.uplink()
    leads_out = machine.links.link(uplink) if uplink else None
    borne = machine.links.addresses(leads_out.ifindex) if leads_out else ()
    return Passage(
        device=network.device,
        ifindex=link.ifindex if link else 0,
        addresses=tuple(map(_a_containers_address, network.pools)),
        published=not network.internal,
        out=network.managed and not network.internal,
        siblings=network.managed and machine.sysctls.read(_BRIDGED_TOO) == "1",
        uplink=uplink,
        managed=network.managed,
        hosts=tuple(interface.address for interface in borne),
        ports=ports,
    )


def _a_containers_address(pool: Pool) -> Address:
    """Return one from the middle of a pool, where nobody in particular has it."""
    return pool.subnet.first + pool.subnet.size // 2


def _ra_uplinks(machine: Machine) -> tuple[tuple[str, str], ...]:
    """Return the links whose default route a router advertised, unless they keep it."""
    accept_ra = (
        (ifname, machine.sysctls.read(f"net/ipv6/conf/{ifname}/accept_ra") or "")
        for ifname in machine.bridges.advertised_uplinks()
    )
    # 1 is "unless it forwards"; whoever wrote 2 is not concerned (ip-sysctl, accept_ra).
    return tuple((ifname, value) for ifname, value in accept_ra if value == "1")
