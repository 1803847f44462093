"""One packet's way from one end to another, station by station, and what a real one says.

Every station is looked at first: the sender's interface and route, the bridge, where the
host would send it, who listens. Then a packet is sent with nft's tracing on, so the rules
that are told are those that it met, in whichever table. Where the two disagree, the real
one counts.
"""

from __future__ import annotations

from os import getpid
from shlex import join, quote
from typing import cast

from ocinet.base.address import Address
from ocinet.base.errors import RequestError
from ocinet.base.value import Value
from ocinet.engine.by_link import addresses_toward, endpoint_to, link_hops
from ocinet.engine.guard_drops import GuardDrops
from ocinet.engine.kernel.listeners import listeners
from ocinet.engine.kernel.sandbox import entered
from ocinet.engine.marks import refusal
from ocinet.engine.model.flow import (
    ANSWERED,
    ARRIVED,
    LEAVES,
    REFUSED,
    SILENT,
    UNSENT,
    Answer,
    Explanation,
    Flow,
    Hop,
    TracedRule,
)
from ocinet.engine.probing.attempt import DNS_PORT, OUTSIDER, Attempt
from ocinet.engine.probing.incoming import Incoming
from ocinet.engine.probing.routes import Way, is_forwarding, way_to
from ocinet.engine.probing.trace import Trace
from ocinet.engine.refusals import allowing
from ocinet.engine.ruleset.nft import listing
from ocinet.engine.unseen import Unseen, entering, lost_beyond

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.containers import Containers
    from ocinet.engine.kernel.sandbox import Sandbox
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.endpoint import Endpoint
    from ocinet.engine.model.request import Protocol
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine

HOST, OUTSIDE = "host", "outside"
_ANSWER_S = 2.0
_KEPT_S = 0.3  # nobody answers what does not leave
_FORBIDDEN = ("Permission denied", "Invalid argument", "No route to host")  # prohibit and the like
_CROSSED = "cross-device"  # EXDEV, of fib_validate_source
_MENDS = "ocinet check --repair"
_FORWARDING = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}


class End(Value):
    """One end of a way, as a person names it.

    Attributes:
        name: a container's, HOST, OUTSIDE, or an address.
        record: of the container, the sandbox's owner; None if it is none.
        address: that was given; None: whichever it has.
    """

    name: str
    record: Attachment | None = None
    address: Address | None = None


class Explain:
    """Walks ways.

    Args:
        operation: by whose time it goes.
        machine: the host.
        containers: that are known.
        open_sandbox: of a record.
    """

    def __init__(
        self,
        operation: Operation,
        machine: Machine,
        containers: Containers,
        open_sandbox: Callable[[Attachment], Sandbox],
    ) -> None:
        self._deadline = operation.deadline
        self._machine = machine
        self._containers = containers
        self._open_sandbox = open_sandbox

    def end(self, text: str) -> End:
        """Return the end that a person names.

        Args:
            text: HOST, OUTSIDE, an address, or a container's name, id or an id's start.

        Raises:
            NotFoundError: there is no such container.
        """
        if text in (HOST, OUTSIDE):
            return End(text)
        try:
            return End(text, address=Address.parse(text))
        except RequestError:
            record = self._containers.find(text)
        owner = self._containers.get(record.member_of) if record.member_of else record
        return End(record.container.name, owner)

    def walk(self, start: End, end: End, protocol: str, port: int, family: int) -> Explanation:
        """Walk from one end to the other.

        Args:
            start: a container, the host, or the outside.
            end: where to.
            protocol: tcp, udp or icmp.
            port: 0 for icmp.
            family: 4 or 6, where the end's address leaves it open.

        Raises:
            RequestError: there is no such way.
            OcinetError: an end can't be looked at, or no packet can be sent at all.

        Effects: one packet is sent, two where it needs an answer to be given up. Those that
            would leave for the outside are dropped at the host's last rule.
        """
        destination = self._address_of(end, start, family)
        if start.name == OUTSIDE:
            return self._inward(end, destination, protocol, port)
        sandbox = self._open_sandbox(start.record) if start.record else None
        try:
            attempt = Attempt(protocol, destination, port, sandbox)
            try:
                return self._outward(start, end, attempt, sandbox)
            finally:
                attempt.close()
        finally:
            if sandbox:
                sandbox.close()

    def _address_of(self, end: End, start: End, family: int) -> Address:
        if end.address:
            return end.address
        if end.name == OUTSIDE:
            return OUTSIDER[family]
        if end.record:
            known = addresses_toward(start.record, end.record)
            found = [address for address in known if address.family == family]
            if not found:
                raise RequestError("", f"{end.name} has no address of IPv{family}")
            return found[0]
        return self._hosts_address(start, family)

    def _hosts_address(self, start: End, family: int) -> Address:
        """Return the host's address on the container's bridge, or the uplink's."""
        devices = [endpoint.device for endpoint in _endpoints(start.record)]
        for device in filter(None, devices or [self._machine.bridges.uplink()]):
            link = self._machine.links.link(device)
            for interface in self._machine.links.addresses(link.ifindex) if link else ():
                if interface.address.family == family:
                    return interface.address
        hint = "name one"
        if any(not endpoint.host_ifname for endpoint in _endpoints(start.record)):
            hint = "no macvlan reaches its parent: ocinet network create --host-access"
        raise RequestError("", f"the host has no address of IPv{family} there", hint)

    def _outward(
        self, start: End, end: End, attempt: Attempt, sandbox: Sandbox | None
    ) -> Explanation:
        destination = attempt.destination
        hops = self._leaving(start, destination, sandbox)
        flow = attempt.flow
        if flow is None:
            return Explanation(hops, (), Answer(UNSENT, attempt.error))
        leaves = end.name == OUTSIDE
        guards = GuardDrops(self._machine.bridge_filters, _endpoints(start.record))
        with Trace(flow, "original" if leaves else "") as trace:
            answer = attempt.send(_KEPT_S if leaves else _ANSWER_S)
            rules = trace.rules()
        if leaves and any(rule.verdict == LEAVES for rule in rules):
            answer = Answer(ARRIVED, "at the last rule, and was kept from leaving")
            beyond = lost_beyond(flow, self._machine.bridges.uplink(), sandbox, self._deadline)
            if beyond is not None:
                rules, answer = (*rules[:-1], *beyond), Answer(SILENT)
        endpoint = endpoint_to(start.record, destination)
        through = self._through(flow, endpoint)
        hops = (*hops, *guards.hops(start.name), *through)
        return self._told((start, end), hops, flow, (rules, answer))

    def _leaving(
        self, start: End, destination: Address, sandbox: Sandbox | None
    ) -> tuple[Hop, ...]:
        """Look at the sender's own side: its route, and the pair that leads to the bridge."""
        way = way_to(destination, self._deadline, sandbox)
        mends = f"ocinet check --repair {start.name}" if start.record else ""
        if way.error:
            what = f"no way to {destination}: {way.error}"
            hop = refusal(start.record, destination)
            if start.record and way.error in _FORBIDDEN:  # of somebody's: no record has it
                enter = entering(start.record)
                mends = f"see the rule or route: {enter} ip rule; {enter} ip route"
            return (hop or Hop(start.name, what, ok=False, remedy=mends),)
        via = f" via {way.gateway}" if way.gateway else ""
        hops = [Hop(start.name, f"sends by {way.ifname}{via}")]
        own = (endpoint for endpoint in _endpoints(start.record) if endpoint.ifname == way.ifname)
        return (*hops, *map(self._host_end, own), *link_hops(start.record, way.ifname))

    def _host_end(self, endpoint: Endpoint) -> Hop:
        """Look at the end of a pair that the host has, and at its bridge."""
        if not endpoint.host_ifname:
            return Hop(HOST, f"is past by then: {endpoint.ifname} is on the LAN itself")
        link = self._machine.links.link(endpoint.host_ifname)
        bridge = self._machine.links.link(endpoint.device)
        name = f"{endpoint.host_ifname} on {endpoint.device}"
        if link is None:
            flaw = f"{endpoint.host_ifname} is gone"
        elif bridge is None:
            flaw = f"the bridge {endpoint.device} is gone"
        elif not link.up or not bridge.up:
            flaw = f"{endpoint.host_ifname if not link.up else endpoint.device} is down"
        elif link.master != bridge.ifindex:
            flaw = f"{endpoint.host_ifname} is no port of {endpoint.device}"
        elif not is_forwarding(endpoint.host_ifname, self._deadline):
            flaw = f"{name} does not forward yet (spanning tree)"
        else:
            return Hop(HOST, name)
        return Hop(HOST, flaw, ok=False, remedy=_MENDS)

    def _through(self, flow: Flow, endpoint: Endpoint | None) -> tuple[Hop, ...]:
        """Look at where the host sends what came by a bridge."""
        if endpoint is None or not endpoint.host_ifname:
            return ()
        if any(flow.destination in interface.subnet for interface in endpoint.addresses):
            on_bridge = self._machine.links.link(endpoint.device)
            addresses = self._machine.links.addresses(on_bridge.ifindex) if on_bridge else ()
            if flow.destination not in {interface.address for interface in addresses}:
                return ()  # bridged: no routing
        way = way_to(flow.destination, self._deadline, source=flow.source, by=endpoint.device)
        return (self._routed(way, flow, endpoint.device),)

    def _routed(self, way: Way, flow: Flow, by: str) -> Hop:
        if way.ifname == "lo":
            return Hop(HOST, f"{flow.destination} is the host's own")
        key = _FORWARDING[flow.family]
        if self._machine.sysctls.read(key) == "0":  # then it knows no way either
            told = f"forwards nothing: {key.replace('/', '.')} is 0"
            return Hop(HOST, told, ok=False, remedy=_MENDS)
        if _CROSSED in way.error:
            told = f"reverse path filtering drops what comes by {by} from {flow.source}"
            remedy = f"sysctl -w net.ipv4.conf.{quote(by)}.rp_filter=2"
            return Hop(HOST, told, ok=False, remedy=remedy)
        if way.error:
            asked = f"ip route get {flow.destination} from {flow.source} iif {quote(by)}"
            told = f"has no way to {flow.destination}: {way.error}"
            return Hop(HOST, told, ok=False, remedy=f"see the rule or route: ip rule; {asked}")
        via = f" via {way.gateway}" if way.gateway else ""
        return Hop(HOST, f"routes it to {way.ifname}{via}")

    def _inward(self, end: End, destination: Address, protocol: str, port: int) -> Explanation:
        """Have a packet come in by the uplink."""
        if protocol == "icmp":
            raise RequestError("", "what comes from outside is for a port", f"say {end.name}:PORT")
        name = self._machine.bridges.uplink()
        uplink = self._machine.links.link(name) if name else None
        if uplink is None or not uplink.mac:
            why = "there is no default route by an Ethernet link, so nothing comes from outside"
            raise RequestError("", why)
        source = OUTSIDER[destination.family]
        flow = Flow(protocol, source, 32768 + getpid() % 28000, destination, port)
        hops = [Hop(OUTSIDE, f"sends to {destination}, in by {uplink.ifname}")]
        way = way_to(destination, self._deadline, source=source, by=uplink.ifname)
        hops.append(self._routed(way, flow, uplink.ifname))
        incoming = Incoming(uplink.ifname, uplink.mac, self._deadline)
        try:
            with Trace(flow, "reply") as trace:
                incoming.send(flow)
                rules = trace.rules()
                if protocol == "tcp":
                    incoming.send(flow, reset=True)  # or its listener would answer for a minute
        finally:
            incoming.close()
        left = [rule for rule in rules if rule.verdict == LEAVES and rule.is_answer]
        answer = Answer(SILENT)
        if left:
            answer = Answer(REFUSED if left[0].is_reset else ANSWERED)
        return self._told((End(OUTSIDE), end), tuple(hops), flow, (rules, answer))

    def _told(
        self,
        ends: tuple[End, End],
        hops: tuple[Hop, ...],
        flow: Flow,
        outcome: tuple[tuple[TracedRule, ...], Answer],
    ) -> Explanation:
        """Put together what was looked at and what the packet met."""
        start, end = ends
        rules, answer = outcome
        dropped = [rule for rule in rules if rule.verdict == "drop"]
        drop = dropped[0] if dropped and answer.kind not in (ANSWERED, ARRIVED) else None
        record, port = self._receiver(flow, end)
        met = []
        for rule in rules:
            is_end = rule is drop
            remedy = _remedy(rule, start, record, flow) if is_end else ""
            met.append(Hop(HOST, _spell(rule), ok=not is_end, remedy=remedy))
        arrival = None
        if flow.protocol != "icmp" and (record or end.name == HOST):
            arrival = self._arrival(flow.protocol, record, port)
        is_silent = answer.kind == SILENT and not drop
        may_be_silent = flow.protocol == "udp" and flow.port != DNS_PORT
        if is_silent and may_be_silent and arrival and arrival.ok:
            answer = Answer(ARRIVED, "where somebody listens, who need not answer")
        elif is_silent and flow.protocol == "udp" and arrival and arrival.ok:
            mute, asked = f"{arrival.what}, and answers no question", "ss -Hlnup sport = 53"
            arrival = arrival.replace(what=mute, ok=False, remedy=f"see who it is: {asked}")
        last: tuple[Hop, ...] = (arrival,) if arrival else ()
        # What a rule of the sandbox's own drops there, its kernel does not send.
        if not drop and answer.kind in (SILENT, UNSENT):
            uplink = self._machine.bridges.uplink() if OUTSIDE in (start.name, end.name) else ""
            records = (start.record, record or end.record)
            unseen = Unseen(records, uplink, self._machine, self._open_sandbox, self._deadline)
            last += tuple(unseen.hops(flow, rules))
        return Explanation((*hops, *met, *last), rules, answer, drop)

    def _receiver(self, flow: Flow, end: End) -> tuple[Attachment | None, int]:
        """Return the container that is to answer, and at which port; None: the host, or others."""
        own = {interface.address for interface in self._machine.links.addresses(0)}
        if end.name == HOST or flow.destination.is_loopback or flow.destination in own:
            return self._published(flow) or (None, flow.port)
        return end.record, flow.port

    def _arrival(self, protocol: str, record: Attachment | None, port: int) -> Hop:
        """Look at who would have to answer."""
        transport = cast("Protocol", protocol)  # icmp has no ports to listen at
        if record is None:
            there = listeners(transport, port)
        else:
            with self._open_sandbox(record) as sandbox, entered(sandbox):
                there = listeners(transport, port)
        place = record.container.name if record else HOST
        if there:
            return Hop(place, f"somebody listens at {there[0].place}")
        return Hop(place, f"nobody listens at port {port}/{protocol}", ok=False)

    def _published(self, flow: Flow) -> tuple[Attachment, int] | None:
        """Return who has published the port that is asked for, and its own port."""
        for record in self._containers.all():
            for rule in record.ports:
                at = rule.host_address
                if (rule.protocol, rule.host_port) == (flow.protocol, flow.port) and (
                    at in (None, flow.destination) and rule.address.family == flow.family
                ):
                    return record, rule.port
        return None


def _endpoints(record: Attachment | None) -> tuple[Endpoint, ...]:
    return record.endpoints if record else ()


def _spell(rule: TracedRule) -> str:
    back = "answer: " if rule.is_answer else ""
    if rule.verdict == LEAVES:
        return f"{back}passes every rule, and would leave"
    return f"{back}{rule.chain}: {rule.rule or 'policy'} → {rule.verdict}"


def _remedy(drop: TracedRule, start: End, receiver: Attachment | None, flow: Flow) -> str:
    """Return the command that lets through what a rule dropped.

    Args:
        drop: the rule.
        start: who sent it.
        receiver: the container that it is for; None if it is for nobody of ours.
        flow: of the packet.
    """
    if drop.chain.startswith("inet ocinet refused"):
        return allowing(start.record, receiver, flow)
    if drop.chain.startswith("inet ocinet "):
        name = receiver.container.name if receiver else "its own"
        return f"attach {start.name} to a network of {name}, or publish the port: ocinet publish"
    if drop.chain.split()[:2] in (["ip", "filter"], ["ip6", "filter"]):
        return f"{_MENDS}; with forward_accept off, see ocinet plan"
    devices = [endpoint.device for endpoint in _endpoints(receiver or start.record)]
    if not devices or drop.chain.startswith("netdev "):
        return f"see who wants it: {listing(drop.chain)}"
    direction = "oifname" if bool(receiver) != drop.is_answer else "iifname"
    # A frame comes and goes by ports there; which bridge they are of, not every kernel can tell.
    device = "'\"oc*\"'" if drop.chain.startswith("bridge ") else devices[0]
    return f"nft insert rule {join(drop.chain.split(' ', 2))} {direction} {device} accept"
