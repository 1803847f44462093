"""Making a container's network whole again, where others have changed the host since.

What is one container's needs its lock. What is there is left as it is: a container's
connections outlive it.
"""

from __future__ import annotations

from ocinet.base.errors import BusyError, ConflictError, OcinetError
from ocinet.base.value import Value
from ocinet.engine.astray import explain_astray
from ocinet.engine.journal import Journal
from ocinet.engine.model.forwarding import FORWARD_IPV6, LOOPBACK_ROUTED
from ocinet.engine.observe import observe, uplink_mtu
from ocinet.engine.plan.closing import nowhere, plan_unclosed
from ocinet.engine.plan.driver_bridge import gateways
from ocinet.engine.plan.flaw import Flaw, Left
from ocinet.engine.plan.mend import (
    open_flaw,
    plan_follow,
    plan_own,
    plan_refusals,
    plan_shared,
    plan_table,
    processes_of,
    users_of,
)
from ocinet.engine.plan.own_steps import Explain, make_table
from ocinet.engine.plan.repair_kinds import kinds_of
from ocinet.engine.plan.shared_steps import RouteLoopback
from ocinet.engine.ruleset.filters import NO_LOOPBACK
from ocinet.engine.storage import recorded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.link import InsideLink
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.observed import DeviceState, Observed
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.plan.mend import Users
    from ocinet.engine.storage import Records


class Damage(Value):
    """What was found of one container's network, or of what many share.

    Attributes:
        flaws: what is not as its record has it.
        networks: whose devices were looked at.
        observed: these devices, then; None if they were not looked at.
    """

    flaws: tuple[Flaw, ...]
    networks: tuple[Network, ...] = ()
    observed: Observed | None = None


class Mend:
    """Compares a record with what is there, and puts back what is missing.

    Args:
        operation: by whose time, settings, locks and log it goes.
        machine: with the container's sandbox, if it is about one.
        records: of all containers: our table holds what they say.
        shared: whether a container is compared by all that it shares with others as well:
            its networks and our table, which takes as long as nft does.
        inside: whether what is in the sandbox is.
    """

    def __init__(
        self,
        operation: Operation,
        machine: Machine,
        records: Records,
        *,
        shared: bool = True,
        inside: bool = True,
    ) -> None:
        self._operation = operation
        self._with_shared = shared
        self._with_inside = inside
        self._machine = machine
        self._records = records

    def compare(self, record: Attachment) -> Damage:
        """Return what is not as the record has it. Reads only.

        Raises:
            OcinetError: it can't be looked at, or not be put right: an adopted bridge, or the
                network itself, is not there.
        """
        networks = self._networks_of(record)
        machine = self._machine
        damage = Damage((), networks)
        if self._with_shared:
            damage = self.compare_networks(networks, users_of((record,)), strict=False)
            damage = damage.replace(flaws=damage.flaws + self._table_flaws(damage.observed))
        processes = processes_of(record) if record.netns_name else ()
        host_ends = machine.host_ends(record)
        left = Left(
            host_ends=host_ends,
            inside=self._inside(),
            named=not processes or machine.names.shows(record.netns_name, processes),
            guards=tuple(machine.bridge_filters.guards(host_ends).items()),
            strict=not self._with_shared,
            sysctls=self._sysctls(record),
            shapes=machine.shapes(record),
            absent=machine.absent(record),
        )
        # On the LAN the parent is the one that all depends on.
        bridges = (machine.links.link(network.parent or network.device) for network in networks)
        by_name = {link.ifname: link for link in bridges if link}
        netns = record.netns_name or machine.sandbox.path
        own = plan_own(record, networks, by_name, left, netns)
        return damage.replace(flaws=damage.flaws + own)

    def compare_networks(
        self, networks: tuple[Network, ...], users: Users, *, strict: bool = True
    ) -> Damage:
        """Return what of networks is not as it has to be, but for our table. Reads only.

        Args:
            networks: each once.
            users: who is on them.
            strict: whether it is an error where a network works, but can't be closed.

        Raises:
            OcinetError: as `compare`.
        """
        ports = tuple(port.host_port for port in users.ports if port.protocol == "tcp")
        boot_id = self._operation.boot_id
        observed = observe(self._machine, networks, self._records, boot_id, ports)
        settings, sysctls = self._operation.settings, self._machine.sysctls
        observed = observed.replace(uplink_mtu=uplink_mtu(self._machine))
        if any(end.egress for end in users.endpoints):
            from ocinet.engine.plan.egress import with_leaving

            # By the records as well: what our table has lost of it is put back in one go.
            routing = with_leaving(observed.routing, users.endpoints)
            observed = observed.replace(routing=routing)
        flaws = plan_shared(networks, users, observed, settings)
        keys = [f"net/ipv6/conf/{net.device}/accept_ra" for net in networks if net.managed]
        flaws += plan_refusals({key: sysctls.read(key) or "" for key in keys}, settings)
        flaws += self._open_flaws(networks, observed, strict=strict)
        ready = (net for net in networks if _is_ready(net, observed.device(net.device)))
        astray = explain_astray(self._machine, ready, users.endpoints)
        flaws += tuple(Flaw(text, (Explain(text),)) for text in astray)
        return Damage(flaws, networks, observed)

    def _open_flaws(
        self, networks: tuple[Network, ...], observed: Observed, *, strict: bool
    ) -> tuple[Flaw, ...]:
        """Return the bridges that are open while our table is not there."""
        machine = self._machine
        unmarked = machine.bridge_filters.unmarked()
        has_ipv6 = machine.sysctls.read(FORWARD_IPV6) is not None
        flaws: list[Flaw] = []
        for network in networks:
            state = observed.device(network.device)
            if not state.link:
                continue  # it is closed when it is made
            there = machine.bridge_filters.present(network.device)
            if network.managed:
                missing = tuple(
                    rule
                    for rule in nowhere(network.device)
                    if network.internal
                    and (rule.family == 4 or has_ipv6)
                    and not machine.routing_rules.has(rule)
                )
                steps = plan_unclosed(network, there, unmarked, missing, self._operation.settings)
                flaws += [open_flaw(step.replace(strict=strict)) for step in steps]
            elif state.route_localnet == LOOPBACK_ROUTED and there.ingress != NO_LOOPBACK:
                flaws.append(open_flaw(RouteLoopback(network.device, LOOPBACK_ROUTED)))
        return tuple(flaws)

    def repair(self, record: Attachment | None, damage: Damage) -> Attachment | None:
        """Put right what was found to be otherwise than it has to be; return the record.

        Args:
            record: of whom; None for what many share.
            damage: what was found.

        Raises:
            OcinetError: something can't be put right. What was put right before that stays.
        """
        if not damage.flaws:
            return record
        holder = record.container.id if record else ""
        journal = Journal(self._operation, self._machine, self._records.attachments, holder)
        for flaw in damage.flaws:
            try:
                journal.apply(flaw.steps)
            except OcinetError as error:
                raise error.within(f"cannot put right that {flaw.text}") from error
        self._tell(record, damage.flaws)
        mended = record and self._machine.with_indexes(record)
        if mended and mended != record:
            self._records.attachments.put(mended)
        if damage.observed:
            mend_followers(
                self._operation, self._machine, self._records, damage.networks, damage.observed
            )
        return mended

    def _networks_of(self, record: Attachment) -> tuple[Network, ...]:
        names = dict.fromkeys(endpoint.network for endpoint in record.endpoints)
        return tuple(self._records.networks.get(name) for name in names)

    def _inside(self) -> tuple[InsideLink, ...] | None:
        machine = self._machine
        return machine.insides.look_inside(machine.sandbox) if self._with_inside else None

    def _sysctls(self, record: Attachment) -> tuple[tuple[str, str | None], ...]:
        keys = [known.key for endpoint in record.endpoints for known in endpoint.sysctls]
        if not keys or not self._with_inside:
            return ()
        machine = self._machine
        wanted = tuple((key, None) for key in keys)
        return tuple(machine.marks.sysctls(machine.sandbox, wanted).items())

    def _table_flaws(self, observed: Observed | None) -> tuple[Flaw, ...]:
        """Return what our table lacks of all that is recorded."""
        if observed is None:
            return ()
        lines: tuple[str, ...] = ()
        if observed.firewall.table:  # else it has looked the records up
            expected = recorded(self._records, self._operation.boot_id)
            observed = observed.replace(recorded=expected)
            lines = self._machine.firewall.flaws(*expected)
        return plan_table(lines, observed)

    def _tell(self, record: Attachment | None, flaws: tuple[Flaw, ...]) -> None:
        what = "; ".join(flaw.text for flaw in flaws)
        whose = {"container": record.container.id, "name": record.container.name} if record else {}
        self._operation.log.append("repaired", **whose, what=what, kinds=kinds_of(flaws))


def _is_ready(network: Network, state: DeviceState) -> bool:
    """Tell whether a bridge has all that its routes come with: in a VRF they are elsewhere."""
    link = state.link
    routed = link and link.running and not link.master and not state.unrouted
    return bool(routed and set(gateways(network)) <= set(state.addresses))


def rebuild_table(operation: Operation, machine: Machine, records: Records) -> None:
    """Replace our table by one that holds what is recorded; no container's lock may be held.

    Who detaches closes its ports before its record goes, and who attaches opens them before
    its record says so: in between, a table that is made of the records has a port too many,
    which the next one to publish it would find taken, or one too few. So whoever is at work
    is waited for, and looked at again.

    Raises:
        OcinetError: nft failed; or somebody was at work for too long.
    """
    with operation.locks.shared():
        entered = set(make_table(machine))
    errors: list[BusyError] = []
    for record in records.attachments.all():
        if is_at_work(operation, record):
            try:
                with operation.locks.container(record.container.id):
                    _settle_ports(machine, records, record, entered)
            except BusyError as error:  # it is stopped, or hangs: the others can be settled
                errors.append(error)
    if errors:
        raise errors[0]


def is_at_work(operation: Operation, record: Attachment) -> bool:
    """Tell whether somebody holds the lock of a record's container just now."""
    try:
        with operation.locks.container(record.container.id, wait=False):
            pass
    except BusyError:
        return True
    return False


def _settle_ports(
    machine: Machine, records: Records, seen: Attachment, entered: set[PortRule]
) -> None:
    """Have our table hold of one container what its record says now; needs its lock."""
    now = records.attachments.get(seen.container.id)
    ports = now.done.ports if now else ()
    gone = [port for port in seen.done.ports if port in entered and port not in ports]
    # By key, whoever's it is: what another container has claimed meanwhile is not ours to close.
    claims = records.ports.all() if gone else ()
    others = {
        (claim.protocol, claim.host_port + offset)
        for claim in claims
        if claim.container != seen.container.id
        for offset in range(claim.count)
    }
    machine.firewall.close(
        tuple(port for port in gone if (port.protocol, port.host_port) not in others)
    )
    for port in ports:
        if port not in entered:
            try:
                machine.firewall.open((), (port,))
            except ConflictError:
                continue  # its attach came after the table was made


def mend_followers(
    operation: Operation,
    machine: Machine,
    records: Records,
    networks: tuple[Network, ...],
    before: Observed,
) -> None:
    """Have everybody's host ends be ports of bridges that were just made anew.

    Who can't follow is told in the event log: it is not the trouble of who came first.

    Args:
        operation: by whose settings and log it goes.
        machine: where the bridges are.
        records: whose host ends they are.
        networks: whose bridges are there by now.
        before: these bridges as they were: only those that were not there are made anew.
    """
    remade = tuple(network for network in networks if not before.device(network.device).link)
    if not remade:
        return
    observed = observe(machine, remade, records, operation.boot_id)
    # What is being attached is not to follow: its own attach has it up once it is guarded.
    done = [record.done for record in records.attachments.all()]
    # Only now: one whose attach ended between would be in the records, and still be down here.
    ends = {link.ifname: link for link in machine.links.links()}
    for record in done:
        names = (endpoint.host_ifname for endpoint in record.endpoints)
        own = tuple(ends[name] for name in names if name in ends)
        for flaw in plan_follow(record, observed, own, operation.settings):
            container, name = record.container.id, record.container.name
            try:
                for step in flaw.steps:
                    step.apply(machine)
            except OcinetError as error:
                operation.log.append(
                    "repair failed", container=container, name=name, error=str(error)
                )
            else:
                operation.log.append(
                    "repaired", container=container, name=name, what=flaw.text,
                    kinds=kinds_of([flaw]),
                )  # fmt: skip
