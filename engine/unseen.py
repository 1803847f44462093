"""Where a packet may be lost that no answer came to, and that no rule of a trace has dropped.

What is found is no proof, but that there is such a thing on its way: rules of a device or of a
sandbox, queues that drop, neighbours that were set by hand.
"""

from __future__ import annotations

from functools import partial
from shlex import quote

from ocinet.base.errors import OcinetError
from ocinet.engine.firewall.netfilter import legacy_tables
from ocinet.engine.kernel.sandbox import entered
from ocinet.engine.model.flow import LEAVES, Hop
from ocinet.engine.probing.attempt import Attempt
from ocinet.engine.probing.hidden import (
    FixedNeighbour,
    fixed_neighbours,
    hooked_chains,
    lossy_queues,
)
from ocinet.engine.probing.trace import Trace
from ocinet.engine.ruleset.nft import IPTABLES, listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ocinet.base.address import Address
    from ocinet.base.clock import Deadline
    from ocinet.engine.kernel.sandbox import OpenNamespace, Sandbox
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.flow import Flow, TracedRule
    from ocinet.engine.plan.machine import Machine

HOST = "host"
_KEPT_S = 1.0  # as long as the kernel waits for the gateway to say its MAC
_IP = {4: "ip", 6: "ip6"}


class Unseen:
    """One look at the way of one packet.

    Args:
        records: of the containers at its ends, the sandboxes' owners.
        uplink: by which it leaves or comes in; "": by none.
        machine: the host.
        open_sandbox: of a record.
        deadline: of the operation.
    """

    def __init__(
        self,
        records: Iterable[Attachment | None],
        uplink: str,
        machine: Machine,
        open_sandbox: Callable[[Attachment], Sandbox],
        deadline: Deadline | None,
    ) -> None:
        self._records = {record.container.id: record for record in records if record}
        ends = [end for record in self._records.values() for end in record.endpoints]
        self._limited = {end.host_ifname for end in ends if end.bandwidth}
        own = (name for end in ends for name in (end.host_ifname, end.device))
        self._links = tuple(dict.fromkeys(filter(None, (*own, uplink))))
        self._machine = machine
        self._open_sandbox = open_sandbox
        self._deadline = deadline

    def hops(self, flow: Flow, rules: tuple[TracedRule, ...]) -> Iterator[Hop]:
        """Yield all there is, each as a station that it may not get past.

        Args:
            flow: that had no answer.
            rules: that it met.
        """
        family = _IP[flow.family]
        yield from (_untracked(rule) for rule in rules if "notrack" in rule.rule.split())
        yield from _legacy(HOST, "", family)
        yield from self._tried(self._on_links)
        yield from self._tried(lambda: fixed(self._records.values(), self._deadline))
        for record in self._records.values():
            yield from self._tried(partial(self._within, record, family))

    @staticmethod
    def _tried(look: Callable[[], Iterable[Hop]]) -> tuple[Hop, ...]:
        """Return what a look finds; nothing where a program is missing, or a container is gone."""
        try:
            return tuple(look())
        except OcinetError:
            return ()

    def _on_links(self) -> Iterator[Hop]:
        for each in hooked_chains(self._deadline):
            for ifname in set(each.devices).intersection(self._links):
                told = f"{each.chain} looks at what passes {ifname} ({each.hook}), untraced"
                yield Hop(HOST, told, ok=False, remedy=listing(each.chain))
        for queue in lossy_queues(self._links, self._deadline):
            if queue.ifname not in self._limited or queue.kind != "tbf":
                how = f"has dropped {queue.dropped} and holds {queue.held} packets back"
                told = f"a queue of {queue.ifname} ({queue.kind}) {how}"
                yield Hop(
                    HOST, told, ok=False, remedy=f"tc qdisc del dev {quote(queue.ifname)} root"
                )

    def _within(self, record: Attachment, family: str) -> Iterator[Hop]:
        """Look at what is in a sandbox besides what we have put there."""
        name, enter = record.container.name, entering(record)
        with self._open_sandbox(record) as sandbox:
            for each in hooked_chains(self._deadline, sandbox):
                if each.kind == "filter":
                    told = f"has a chain of its own, {each.chain} ({each.hook}, {each.policy})"
                    remedy = f"{enter} {listing(each.chain)}"
                    yield Hop(name, told, ok=False, remedy=remedy)
            with entered(sandbox):
                legacy = tuple(_legacy(name, f"{enter} ", family))
            yield from legacy
            known = self._macs()
            for neighbour in fixed_neighbours(self._deadline, sandbox):
                if neighbour.mac != known.get(neighbour.address, neighbour.mac):
                    told = (
                        f"takes {neighbour.address} to be at {neighbour.mac}, which somebody has"
                        f" set, and it is at {known[neighbour.address]}"
                    )
                    remedy = f"{enter} {_forgetting(neighbour)}"
                    yield Hop(name, told, ok=False, remedy=remedy)

    def _macs(self) -> dict[Address, str]:
        """Return where the ends, and the host on their bridges, are met."""
        ends = [end for record in self._records.values() for end in record.endpoints]
        found = {held.address: end.mac for end in ends for held in end.addresses}
        for link in filter(None, map(self._machine.links.link, {end.device for end in ends})):
            held_there = self._machine.links.addresses(link.ifindex)
            found |= {held.address: link.mac for held in held_there}
        return found


def fixed(records: Iterable[Attachment], deadline: Deadline | None) -> Iterator[Hop]:
    """Yield the containers that the host takes to be elsewhere, for somebody has set it so.

    Raises:
        OcinetError: it can't be looked at.
    """
    wanted = {
        (interface.address, end.device): (record.container.name, end.mac)
        for record in records
        for end in record.endpoints
        for interface in end.addresses
    }
    for neighbour in fixed_neighbours(deadline) if wanted else ():
        name, mac = wanted.get((neighbour.address, neighbour.ifname), ("", neighbour.mac))
        if neighbour.mac != mac:
            told = (
                f"takes {neighbour.address}, {name}'s, to be at {neighbour.mac}, which somebody"
                f" has set, and it is at {mac}"
            )
            yield Hop(HOST, told, ok=False, remedy=_forgetting(neighbour))


def _forgetting(neighbour: FixedNeighbour) -> str:
    """Return the command by which it is asked again; containers may call links anything."""
    return f"ip neigh del {neighbour.address} dev {quote(neighbour.ifname)}"


def entering(record: Attachment) -> str:
    """Return the words before a command that is to run in a container's sandbox."""
    if record.netns_name:
        return f"ip netns exec {quote(record.netns_name)}"
    process = record.container.process
    path = f"/proc/{process.pid}/ns/net" if process else record.path
    return f"nsenter --net={quote(path)}"


def lost_beyond(
    flow: Flow, uplink: str, sandbox: OpenNamespace | None, deadline: Deadline | None
) -> tuple[TracedRule, ...] | None:
    """Look whether what has passed every rule gets past the uplink's own hook as well.

    Args:
        flow: that would leave the host.
        uplink: by which.
        sandbox: that it comes from; None: the host.
        deadline: of the operation.

    Returns:
        None if it does; else the rule that drops it, or () where that is not told: the
        question for the gateway's MAC, say, is dropped, and is no packet of the flow.

    Raises:
        OcinetError: it can't be looked at.

    Effects: where there is such a chain, one more packet, dropped at the uplink's very end.
    """
    chains = hooked_chains(deadline) if uplink else ()
    there = {each.chain for each in chains if each.hook == "egress" and uplink in each.devices}
    if not there:
        return None
    attempt = Attempt(flow.protocol, flow.destination, flow.port, sandbox)
    try:
        if attempt.flow is None:
            return None
        with Trace(attempt.flow, "original", uplink) as trace:
            attempt.send(_KEPT_S)
            met = trace.rules()
    finally:
        attempt.close()
    if any(rule.verdict == LEAVES for rule in met):
        return None
    return tuple(rule for rule in met if rule.verdict == "drop" and rule.chain in there)[:1]


def _untracked(rule: TracedRule) -> Hop:
    told = (
        f"{rule.chain}: {rule.rule}: what no connection is kept of is neither masqueraded nor led"
        " to a published port, and no answer to it is known"
    )
    return Hop(HOST, told, ok=False, remedy=listing(rule.chain))


def _legacy(place: str, enter: str, family: str) -> Iterator[Hop]:
    """Tell of iptables-legacy in the network namespace that this thread is in."""
    legacy = legacy_tables(family)
    if legacy:
        tool = f"{IPTABLES[family]}-legacy"
        told = f"{tool} has rules in {', '.join(legacy)}, which nft does not trace"
        yield Hop(place, told, ok=False, remedy=f"{enter}{tool} -nvL")
