"""From a record, and what is left of its wiring, to the steps that make it whole again.

Others change a host as well: a link manager takes a bridge down, somebody flushes the
firewall. What a record tells of is compared with what is there, and each thing that is
missing is named, with the steps that put it back: addresses and ports are those of before.
What a container has that its record does not tell of is its own.
"""

from __future__ import annotations

from ocinet.base.value import Value
from ocinet.engine.model.attachment import Attachment
from ocinet.engine.model.endpoint import Endpoint, PortRule
from ocinet.engine.model.link import Link
from ocinet.engine.model.network import Network
from ocinet.engine.model.observed import DeviceState, Observed
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.attach import (
    Wanted,
    alias_of,
    network_of,
    plan_by_source,
    plan_endpoint,
    plan_loopback,
    plan_refusing,
)
from ocinet.engine.plan.bridge_flaws import port_flaws
from ocinet.engine.plan.closing import CloseBridge
from ocinet.engine.plan.driver import driver_of
from ocinet.engine.plan.driver_bridge import bridge_mac, gateways
from ocinet.engine.plan.flaw import Connected, Flaw, Left
from ocinet.engine.plan.guard import GuardForwarding, UnguardForwarding, guard_flaw
from ocinet.engine.plan.inside_flaws import missing_inside, unrefused, unset
from ocinet.engine.plan.lan_flaws import explain_shrunk, lack_of_shim, unreached
from ocinet.engine.plan.lan_steps import AddChild, MakeShim
from ocinet.engine.plan.networks import explain_absent, or_explain, plan_networks
from ocinet.engine.plan.own_steps import (
    ConfigureInside,
    Explain,
    NameSandbox,
    OpenFirewall,
    RaiseLoopback,
)
from ocinet.engine.plan.passage_steps import AcceptForward, JoinZone
from ocinet.engine.plan.port_flaws import lack_of_bridge
from ocinet.engine.plan.port_steps import SetHairpin, Unplug
from ocinet.engine.plan.shared_steps import (
    EnterNetwork,
    MakeBridge,
    MakeTable,
    RebuildTable,
    RouteLoopback,
    SetSysctl,
)
from ocinet.engine.plan.steps import Step
from ocinet.engine.plan.uplink_steps import FollowUplinks
from ocinet.engine.plan.wiring import reached_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ocinet.base.clock import Process


class Users(Value):
    """Who is on networks.

    Attributes:
        endpoints: theirs.
        ports: what they publish.
    """

    endpoints: tuple[Endpoint, ...]
    ports: tuple[PortRule, ...]


def users_of(records: Iterable[Attachment]) -> Users:
    """Return who is on networks, by their records."""
    known = tuple(records)
    return Users(
        tuple(endpoint for record in known for endpoint in record.endpoints),
        tuple(port for record in known for port in record.ports),
    )


def plan_shared(
    networks: tuple[Network, ...], users: Users, observed: Observed, settings: Settings
) -> tuple[Flaw, ...]:
    """Return what of networks is not as it has to be, but for our table: that is compared.

    Args:
        networks: each once.
        users: all who are on them.
        observed: of these networks' devices, and of what they need of the host.
        settings: the operator's.

    Raises:
        NotFoundError: an adopted bridge is not there.
        ConflictError: a link that is no bridge has a bridge's name.
    """
    reached = reached_by(users.ports, users.endpoints)

    def loopback(state: DeviceState) -> list[Step]:
        alone = observed.replace(devices=(state,))
        return or_explain(plan_loopback(users.ports, reached, alone), settings)

    flaws: list[Flaw] = []
    for step in plan_networks(networks, users.ports, observed, settings):
        # Entering what is in already is no flaw: it is done at each attach.
        # Whether a bridge that is there is closed, is compared by itself.
        if isinstance(step, CloseBridge):
            flaws = [_with_bridge(flaw, step, observed) for flaw in flaws]
        elif not isinstance(step, OpenFirewall | EnterNetwork | MakeTable):
            made = observed.device(step.device) if isinstance(step, MakeBridge) else None
            with_it = loopback(made) if made and not made.link else ()
            act = step.replace(required=True) if isinstance(step, JoinZone) else step
            flaws.append(Flaw(_text(step, observed), (act, *with_it)))
    flaws += _mtu_flaws(networks, users, observed)
    flaws += unreached(networks, users.endpoints, observed)
    for state in observed.devices:
        if state.link:
            flaws += [Flaw(_text(step, observed), (step,)) for step in loopback(state)]
    return tuple(flaws)


def plan_refusals(found: Mapping[str, str], settings: Settings) -> tuple[Flaw, ...]:
    """Return the bridges that have come to take a router's advertisements from a container.

    Args:
        found: the values of these sysctls, by key.
        settings: the operator's.
    """
    steps: list[Step] = [
        SetSysctl(key, "0", value) for key, value in found.items() if value not in ("", "0")
    ]
    explained = or_explain(steps, settings)
    return tuple(
        Flaw(f"{step.key} is {step.before}, and has to be 0", (wanted,))
        for step, wanted in zip(steps, explained, strict=True)
        if isinstance(step, SetSysctl)
    )


def _with_bridge(flaw: Flaw, step: CloseBridge, observed: Observed) -> Flaw:
    """Have a bridge that is made anew closed as well."""
    makes = isinstance(flaw.steps[0], MakeBridge) and flaw.steps[0].device == step.device
    made = makes and not observed.device(step.device).link
    return flaw.replace(steps=(*flaw.steps, step)) if made else flaw


def open_flaw(step: CloseBridge | RouteLoopback) -> Flaw:
    """Return what a bridge is open to that a step closes."""
    if isinstance(step, CloseBridge):
        return Flaw(f"{step.device} is open to what our table has not let pass", (step,))
    return Flaw(f"{step.device} is open to 127.0.0.1 while our table is not there", (step,))


def plan_table(lines: tuple[str, ...], observed: Observed) -> tuple[Flaw, ...]:
    """Return what our table lacks, as one flaw, for one transaction mends all of it.

    Args:
        lines: what was found of one that is there.
        observed: with what is recorded.
    """
    if not observed.firewall.table:
        return (Flaw("the table inet ocinet is gone", (MakeTable(*observed.recorded),)),)
    return (Flaw("; ".join(lines), (RebuildTable(*observed.recorded),)),) if lines else ()


def plan_own(
    record: Attachment,
    networks: tuple[Network, ...],
    links: Mapping[str, Link],
    left: Left,
    netns: str,
) -> tuple[Flaw, ...]:
    """Return what of a container's own wiring is not as its record has it.

    Args:
        record: attached.
        networks: of its endpoints, each once.
        links: bridges that are there, by name: a host end whose bridge is not, has to follow
            to the one that is made in its place.
        left: what is left of the wiring.
        netns: how `ip -n` reaches the sandbox: a name or a path.
    """
    wanted = _wanted(record, networks, netns)
    flaws = [] if left.named else _name_flaws(record)
    flaws += [Flaw(text, (Explain(text),)) for text in map(explain_absent, left.absent)]
    for endpoint in record.endpoints:
        flaws += _endpoint_flaws(endpoint, wanted, links, left)
    if not record.endpoints and left.inside is not None:
        down = any(link.ifname == "lo" and not link.up for link in left.inside)
        flaws += [Flaw("in the sandbox, lo is down", (RaiseLoopback(netns),))] if down else []
    return tuple(flaws)


def plan_follow(
    record: Attachment, observed: Observed, host_ends: tuple[Link, ...], settings: Settings
) -> tuple[Flaw, ...]:
    """Return what a container lacks of bridges that were just made anew, on the host's side.

    Who deletes a bridge, or renames it, leaves its ports behind, up and nobody's.

    Args:
        record: of anyone.
        observed: of these bridges' devices.
        host_ends: those of its host's ends that are there.
        settings: the operator's.
    """
    devices = {state.device: state.link for state in observed.devices}
    wanted = _wanted(record, (), record.netns_name)
    loopback = or_explain(plan_loopback(wanted.ports, wanted.reached, observed), settings)
    flaws = [Flaw(_text(step, observed), (step,)) for step in loopback]
    ends = {end.ifname: end for end in host_ends}
    for endpoint in record.endpoints:
        link = ends.get(endpoint.host_ifname)
        if link and endpoint.device in devices:
            bridge = devices[endpoint.device]
            is_reached = endpoint in wanted.reached
            flaws += port_flaws(endpoint, None, link, bridge, is_reached=is_reached)
    return tuple(flaws)


def processes_of(record: Attachment) -> tuple[Process, ...]:
    """Return who may be shown by the name of a sandbox, its owner first unless that has gone."""
    of_members = [member.process for member in record.members]
    owner = record.container.process
    everybody = [*of_members, owner] if record.left else [owner, *of_members]
    return tuple(process for process in everybody if process)


def _name_flaws(record: Attachment) -> list[Flaw]:
    text = f"its name {record.netns_name} under /run/netns is gone"
    return [Flaw(text, (NameSandbox(record.netns_name, processes_of(record)[0]),))]


def _wanted(record: Attachment, networks: tuple[Network, ...], netns: str) -> Wanted:
    return Wanted(
        container=record.container,
        netns=netns,
        name_sandbox=False,
        networks=networks,
        endpoints=record.endpoints,
        ports=record.ports,
        reached=reached_by(record.ports, record.endpoints),
    )


def _mtu_flaws(networks: tuple[Network, ...], users: Users, observed: Observed) -> list[Flaw]:
    """Return bridges of ours that have come to pass less than their containers send.

    One whose network says no MTU has what the uplink had when it was made: it may be more
    by now, and no less than what most of those on it were given, who asked for none.
    """
    flaws: list[Flaw] = []
    for network in networks:
        state = observed.device(network.device)
        sent = [end.mtu for end in users.endpoints if end.device == network.device]
        if not network.managed or network.mtu or not state.link or not sent:
            continue
        if 0 < observed.uplink_mtu < state.link.mtu:
            text = _explain_mtu(network, state.link.mtu, observed.uplink_mtu)
            flaws.append(Flaw(text, (Explain(text),)))
        usual = max(sorted(set(sent)), key=sent.count)
        if state.link.mtu < usual:
            mend = MakeBridge(network.device, bridge_mac(network), usual, gateways(network))
            flaws.append(Flaw(_text(mend, observed), (mend,)))
    return flaws


def _explain_mtu(network: Network, mtu: int, uplink_mtu: int) -> str:
    return (
        f"{network.device} passes {mtu} bytes, as the uplink did when it was made, and that "
        f"{uplink_mtu} by now: larger packets get out in parts, or are refused; it follows when "
        f"all who are on it have been stopped once: ocinet network inspect {network.name}"
    )


def _endpoint_flaws(
    endpoint: Endpoint, wanted: Wanted, links: Mapping[str, Link], left: Left
) -> list[Flaw]:
    network = network_of(endpoint, wanted.networks)
    driver, is_reached = driver_of(network.driver), endpoint in wanted.reached
    parent = links.get(network.parent)
    if parent and parent.mtu < endpoint.mtu:  # nothing that shares it can send more
        text = explain_shrunk(endpoint, parent)
        fitted = endpoint.replace(mtu=parent.mtu)
        return [Flaw(text, (Explain(text),)), *_endpoint_flaws(fitted, wanted, links, left)]
    if why := driver.lost(endpoint, left):
        hairpin = (SetHairpin(endpoint.host_ifname),) if is_reached else ()
        made = (*_made_whole(endpoint, wanted), *plan_by_source(wanted), *plan_refusing(wanted))
        gone = Unplug(endpoint.ifname, endpoint.mac, wanted.netns, endpoint.ifindex)
        return [Flaw(why, (gone, *made, *hairpin))]
    alias = alias_of(wanted.container, endpoint)
    found = driver.flaws(Connected(endpoint, network, is_reached, alias), links, left)
    if left.inside is None:
        return found
    _add, configure, *rest = _made_whole(endpoint, wanted)
    missing = missing_inside(endpoint, left.inside)
    if missing:
        found.append(Flaw(f"in the sandbox, {missing}", (configure, *plan_by_source(wanted))))
    lacks, other = unrefused(endpoint, left.inside), unset(endpoint, left.sysctls)
    found += [Flaw(f"in the sandbox, {lacks}", plan_refusing(wanted))] if lacks else []
    return found + ([Flaw(f"in the sandbox, {other}", tuple(rest))] if other else [])


def _made_whole(endpoint: Endpoint, wanted: Wanted) -> tuple[Step, ...]:
    """Return the steps that make an endpoint with the MTU and MAC that it had."""
    add, configure, *rest = plan_endpoint(endpoint, wanted)
    if isinstance(configure, ConfigureInside):
        inside = configure.inside.replace(mtu=endpoint.mtu, mac=endpoint.mac)
        configure = configure.replace(inside=inside)
    if isinstance(add, AddChild):
        add = add.replace(child=add.child.replace(again=True))
    return add, configure, *rest


def _text(step: Step, observed: Observed) -> str:
    """Say why a step that makes a network ready is needed."""
    if isinstance(step, MakeBridge):
        return f"the bridge {step.device} {lack_of_bridge(step, observed.device(step.device))}"
    if isinstance(step, MakeShim):
        return lack_of_shim(step, observed.device(step.device).shim)
    if isinstance(step, GuardForwarding | UnguardForwarding):
        return guard_flaw(step)
    if isinstance(step, FollowUplinks):
        return "what the host's routes and rules say of sources is not followed (ip rule, ip route)"
    if isinstance(step, SetSysctl):
        return f"{step.key} is {step.before}, and has to be {step.value}"
    if isinstance(step, RouteLoopback):
        return f"{step.describe()[0].removeprefix('sysctl -w ')} is needed"
    if isinstance(step, AcceptForward):
        return f"{' and '.join(step.chains)} lacks the rules that let packets of {step.device} pass"
    return step.describe()[0].splitlines()[0].removeprefix("# ")
