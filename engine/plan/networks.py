"""The steps that make networks ready: all that their containers share."""

from __future__ import annotations

from _blake2 import blake2s

from ocinet.base.address import Interface
from ocinet.base.errors import ConflictError, NotFoundError
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.network import Network, rules_of
from ocinet.engine.model.observed import Observed
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.ports import targets_of
from ocinet.engine.plan.shared_steps import (
    AcceptForward,
    EnterNetwork,
    MakeBridge,
    MakeTable,
    SetSysctl,
)
from ocinet.engine.plan.steps import Explain, OpenFirewall, Step

FORWARD_IPV4 = "net/ipv4/ip_forward"
FORWARD_IPV6 = "net/ipv6/conf/all/forwarding"


def bridge_mac(network: Network) -> str:
    """Return a managed bridge's MAC, which ports that come and go don't change."""
    digest = blake2s(f"{network.name}\0{network.created}".encode(), digest_size=4).digest()
    return f"02:62:{digest.hex(':')}"


def plan_networks(
    networks: tuple[Network, ...],
    ports: tuple[PortRule, ...],
    observed: Observed,
    settings: Settings,
) -> tuple[Step, ...]:
    """Return the steps that make networks ready: all that their containers share.

    Args:
        networks: each once.
        ports: to open on the way.
        observed: of these networks' devices.
        settings: the operator's.

    Raises:
        NotFoundError: an adopted bridge is not there.
        ConflictError: a link that is no bridge has a bridge's name.
    """
    steps = _plan_devices(networks, observed)
    if networks or ports:
        steps += or_explain(_plan_forwarding(networks, ports, observed), settings)
        steps += _plan_firewall(networks, ports, observed, settings)
    return tuple(steps)


def _plan_devices(networks: tuple[Network, ...], observed: Observed) -> list[Step]:
    steps: list[Step] = []
    for network in networks:
        state = observed.device(network.device)
        if state.link and state.link.kind != "bridge":
            raise ConflictError(
                "",
                f"{network.device} is a {state.link.kind or 'physical'} link, "
                f"no bridge, so network {network.name} can't use it",
                f"rename that link, or: ocinet network rm {network.name}",
            )
        if not network.managed:
            if not state.link or not state.link.up:
                down = "down" if state.link else "not there"
                raise NotFoundError(
                    "",
                    f"the bridge {network.device} of network {network.name} is {down}",
                    f"ip link set {network.device} up",
                )
            continue
        addresses = tuple(
            Interface(pool.gateway, pool.subnet.prefixlen) for pool in network.pools if pool.gateway
        )
        if not state.link or not state.link.up or not set(addresses) <= set(state.addresses):
            steps.append(MakeBridge(network.device, bridge_mac(network), state.mtu, addresses))
    return steps


def or_explain(steps: list[Step], settings: Settings) -> list[Step]:
    """Return the steps, or where we must not write sysctls, what to do by hand."""
    if settings.manage_sysctls:
        return steps
    return [
        Explain(f"{command} is needed, and manage_sysctls is off")
        for step in steps
        for command in step.describe()
    ]


def _plan_forwarding(
    networks: tuple[Network, ...], ports: tuple[PortRule, ...], observed: Observed
) -> list[Step]:
    steps: list[Step] = []
    routed = [network for network in networks if network.managed and not network.internal]
    families = {family for network in routed for family in network.families}
    families |= {target.family for target in targets_of(ports)}
    if 4 in families and observed.ip_forward == "0":
        steps.append(SetSysctl(FORWARD_IPV4, "1", "0"))
    if 6 in families and observed.ipv6_forward == "0":
        # Forwarding makes the kernel ignore router advertisements, and with
        # them the host's own default route, unless accept_ra is 2.
        steps += [
            SetSysctl(f"net/ipv6/conf/{ifname}/accept_ra", "2", accept_ra)
            for ifname, accept_ra in observed.ra_uplinks
        ]
        steps.append(SetSysctl(FORWARD_IPV6, "1", "0"))
    return steps


def _plan_firewall(
    networks: tuple[Network, ...],
    ports: tuple[PortRule, ...],
    observed: Observed,
    settings: Settings,
) -> list[Step]:
    firewall = observed.firewall
    steps: list[Step] = [] if firewall.table else [MakeTable(*observed.recorded)]
    known = []
    for network in networks:
        state = observed.device(network.device)
        if state.link:
            known.append(rules_of(network))  # enter it all the same: a flush is mended so
        else:
            steps.append(EnterNetwork(network.device, rules_of(network)))
        known_to_drop = firewall.forward_drop
        foreign = tuple(chain for chain in observed.foreign_drop if chain not in known_to_drop)
        if firewall.forward_drop and not state.forward_accepted:
            if settings.forward_accept:
                accept = AcceptForward(network.device, network.managed, firewall.docker_user)
                steps.append(accept)
            else:
                foreign += firewall.forward_drop
        if foreign:
            steps.append(Explain(explain_forward_drop(foreign, network.device)))
    if known or ports:
        steps.append(OpenFirewall(tuple(known), ports))
    return steps


def explain_forward_drop(chains: tuple[str, ...], device: str) -> str:
    """Return what drops a bridge's packets and the commands that let them pass; or "".

    For those who want no rules of ours in other tables, and for tables of others
    that are not made by iptables, which are never touched.

    Args:
        chains: as in `FirewallState.forward_drop` or from `observe_foreign`.
        device: the bridge.
    """
    if not chains:
        return ""
    commands = " && ".join(
        f"nft insert rule {chain} {direction} '\"{device}\"' accept"
        for chain in chains
        for direction in ("iifname", "oifname")
    )
    names = " and ".join(chains)
    drops = "drops" if len(chains) == 1 else "drop"
    return f"{names} {drops} what no rule accepts, also packets of {device}: {commands}"
