"""The steps that make networks ready: all that their containers share."""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.forwarding import FORWARD_IPV4, FORWARD_IPV6, FORWARDED
from ocinet.engine.model.network import Network, rules_of
from ocinet.engine.model.observed import DeviceState, Observed
from ocinet.engine.model.passage import ForwardDrop
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.driver import driver_of
from ocinet.engine.plan.own_steps import Explain, OpenFirewall
from ocinet.engine.plan.ports import targets_of
from ocinet.engine.plan.steps import Step

# By what their chains are called.
_OWNERS = (("inet firewalld ", "firewalld's"), ("ufw", "ufw's"), ("DOCKER", "Docker's"))


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
        ConflictError: a link that is no bridge has a bridge's name; or a network's subnet
            is in use on another link by now.
    """
    devices = [
        step
        for network in networks
        for step in driver_of(network.driver).ready(network, observed.device(network.device))
    ]
    steps = list(devices)
    # Of what is on the LAN itself, nothing passes the host, and its firewall.
    networks = tuple(network for network in networks if not network.is_lan)
    if networks or ports:
        # The table comes first: with a guard in it, before anything is forwarded.
        steps += _plan_table(observed)
        steps += _plan_forwarding(networks, ports, observed, settings)
        steps += _plan_firewall(networks, ports, observed, settings)
        steps += _plan_closing(networks, devices, settings)
        steps += _plan_uplinks(ports, observed)
    return tuple(steps)


def _plan_uplinks(ports: tuple[PortRule, ...], observed: Observed) -> tuple[Step, ...]:
    """Follow what routes say of sources; on few hosts they say anything, or did."""
    routing = observed.routing
    of_ours = observed.firewall.uplinks or any(rule.is_ours for rule in routing.rules)
    if not (of_ours or routing.ways or ((ports or routing.leaving) and routing.addresses)):
        return ()
    from ocinet.engine.plan.uplinks import plan_uplinks

    return plan_uplinks(ports, observed)


def or_explain(steps: list[Step], settings: Settings) -> list[Step]:
    """Return the steps, or where we must not write sysctls, what to do by hand."""
    if settings.manage_sysctls:
        return steps
    return [
        Explain(f"{command} is needed, and manage_sysctls is off")
        for step in steps
        for command in step.describe()
    ]


def _plan_closing(
    networks: tuple[Network, ...], devices: list[Step], settings: Settings
) -> list[Step]:
    """Close the bridges that are made, when our table knows them: from then on it marks."""
    if not devices:
        return []
    from ocinet.engine.plan.closing import plan_closing
    from ocinet.engine.plan.shared_steps import MakeBridge

    made = {step.device for step in devices if isinstance(step, MakeBridge)}
    return plan_closing((net for net in networks if net.device in made), settings)


def _plan_table(observed: Observed) -> list[Step]:
    if observed.firewall.table and not observed.firewall.changed:
        return []
    from ocinet.engine.plan.shared_steps import MakeTable, RebuildTable

    if observed.firewall.changed:
        return [RebuildTable(*observed.recorded)]
    return [MakeTable(*observed.recorded)]


def _plan_forwarding(
    networks: tuple[Network, ...],
    ports: tuple[PortRule, ...],
    observed: Observed,
    settings: Settings,
) -> list[Step]:
    steps: list[Step] = []
    switched_on = []
    on = FORWARDED if settings.manage_sysctls else "1"  # a person's is not ours to take back
    routed = [network for network in networks if network.managed and not network.internal]
    families = {family for network in routed for family in network.families}
    families |= {target.family for target in targets_of(ports)}
    if 4 in families and observed.ip_forward == "0":
        switched_on.append(4)
    if 6 in families and observed.ipv6_forward == "0":
        switched_on.append(6)
    if switched_on:
        steps = or_explain(_forward(switched_on, on, observed), settings)
    if switched_on or observed.guards:
        from ocinet.engine.plan.guard import plan_guards

        values = {4: observed.ip_forward, 6: observed.ipv6_forward}
        return plan_guards(switched_on, values, observed.guards, settings) + steps
    return steps


def _forward(families: list[int], on: str, observed: Observed) -> list[Step]:
    """Switch forwarding on, for the first of a boot."""
    from ocinet.engine.plan.shared_steps import SetSysctl

    steps: list[Step] = []
    if 4 in families:
        steps.append(SetSysctl(FORWARD_IPV4, on, "0"))
    if 6 in families:
        # Forwarding makes the kernel ignore router advertisements, and with
        # them the host's own default route, unless accept_ra is 2.
        steps += [
            SetSysctl(f"net/ipv6/conf/{ifname}/accept_ra", "2", accept_ra)
            for ifname, accept_ra in observed.ra_uplinks
        ]
        steps.append(SetSysctl(FORWARD_IPV6, on, "0"))
    return steps


def _plan_firewall(
    networks: tuple[Network, ...],
    ports: tuple[PortRule, ...],
    observed: Observed,
    settings: Settings,
) -> list[Step]:
    steps: list[Step] = []
    known = []
    for network in networks:
        state = observed.device(network.device)
        if state.link:
            known.append(rules_of(network))  # enter it all the same: a flush is mended so
        else:
            from ocinet.engine.plan.shared_steps import EnterNetwork

            steps.append(EnterNetwork(network.device, rules_of(network)))
        steps += _plan_passage(network, state, settings)
    steps += [Explain(explain_absent(address)) for address in observed.absent]
    if known or ports:
        steps.append(OpenFirewall(tuple(known), ports))
    return steps


def explain_absent(address: Address) -> str:
    """Return why what leaves a network gets no answer, and what helps."""
    return (
        f"what leaves the network bears {address}, which no link of this host has, so no "
        f"answer comes back: ip address add {address} dev LINK"
    )


def _plan_passage(network: Network, state: DeviceState, settings: Settings) -> list[Step]:
    """Return what opens the chains of others, or tells what opens them."""
    if not state.drops and not state.apart:
        return []
    from ocinet.engine.plan.passage_steps import AcceptForward, JoinZone  # for few attaches

    steps: list[Step] = []
    device, may = network.device, settings.forward_accept
    # Told not to touch others' tables, we can't renew rules there, and nobody misses them.
    drops = tuple(drop for drop in state.drops if not drop.idle and (may or not drop.outdated))
    opened = tuple(drop for drop in drops if may and drop.accept_in)
    if opened:
        chains = tuple(drop.accept_in for drop in opened)
        isolation = tuple(dict.fromkeys(name for drop in opened for name in drop.isolation))
        steps.append(AcceptForward(device, network.managed, chains, isolation))
    for drop in drops:
        if drop.zoned and drop.zoned.opens and state.passage and may:
            steps.append(JoinZone(device, state.passage))
        elif drop.zoned:
            from ocinet.engine.ruleset.firewalld import explain  # for few hosts

            steps.append(Explain(explain(drop, drop.zoned, device)))
        elif drop.legacy:
            from ocinet.engine.ruleset import legacy

            text = legacy.explain(drop, device, managed=network.managed)
            steps.append(Explain(text))
        elif drop.ipset:
            steps.append(Explain(explain_ipset(drop, device)))
    told = [drop for drop in drops if drop.zoned or drop.legacy or drop.ipset]
    closed = tuple(drop for drop in drops if drop not in opened and drop not in told)
    if closed:
        steps.append(Explain(explain_forward_drop(closed, device)))
    if state.apart:
        steps.append(Explain(explain_apart(state.apart, device)))
    return steps


def explain_ipset(drop: ForwardDrop, device: str) -> str:
    """Return that nobody knows whether a chain drops a bridge's packets, and what shows it."""
    return (
        f"{drop.chain} looks packets of {device} up in the set {drop.ipset}, where ocinet can't "
        f"look them up, and may drop them: ipset list {drop.ipset}"
    )


def explain_apart(drops: tuple[ForwardDrop, ...], device: str) -> str:
    """Return who keeps containers on an adopted bridge from each other, and what lets them.

    Args:
        drops: one at least.
        device: the bridge.
    """
    commands = " && ".join(
        f"nft insert rule {drop.chain} iifname '\"{device}\"' oifname '\"{device}\"' accept"
        for drop in drops
    )
    names = " and ".join(map(_named, drops))
    return (
        f"{names} drops what containers on {device} send each other, for bridged packets pass "
        f"it too: {commands}, or for all bridges: sysctl -w net.bridge.bridge-nf-call-iptables=0"
    )


def explain_forward_drop(drops: tuple[ForwardDrop, ...], device: str) -> str:
    """Return who drops a bridge's packets, and the commands that let them pass.

    For those who want no rules of ours in other tables, and for tables of others
    that are not made by iptables, which are never touched.

    Args:
        drops: one at least.
        device: the bridge.
    """
    commands = " && ".join(
        f"nft insert rule {drop.chain} {packets} accept"
        for drop in drops
        for packets in drop.lets or (f"{way} '\"{device}\"'" for way in ("iifname", "oifname"))
    )
    names = " and ".join(map(_named, drops))
    verb = "drops" if len(drops) == 1 else "drop"
    return f"{names} {verb} packets of {device} that no rule accepts: {commands}"


def _named(drop: ForwardDrop) -> str:
    """Return a chain with whose it is, and where in it the packets end."""
    owner = next((owner for mark, owner in _OWNERS if mark in f"{drop.chain} {drop.at}"), "")
    at = f"in {drop.at}" if drop.at != drop.chain.split(" ", 2)[2] else ""
    known = ", ".join(part for part in (owner, at) if part)
    return f"{drop.chain} ({known})" if known else drop.chain
