"""The engine: a container's life, and what people and the watcher ask for besides.

Hooks have no use for that, and do not load it.
"""

from __future__ import annotations

from ocinet.base.errors import NotFoundError, OcinetError, RequestError
from ocinet.engine.assembly import machine_on
from ocinet.engine.attach import network_of
from ocinet.engine.journal import Journal
from ocinet.engine.lifecycle import Lifecycle
from ocinet.engine.model.attachment import Attachment
from ocinet.engine.model.request import Request
from ocinet.engine.observe import observe
from ocinet.engine.plan.networks import plan_networks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.addresses import Addresses
    from ocinet.engine.black_holes import BlackHole
    from ocinet.engine.cables import Cables
    from ocinet.engine.check import Check, Finding
    from ocinet.engine.containers import Containers
    from ocinet.engine.gc import Leftover
    from ocinet.engine.kernel.address_losses import AddressLosses
    from ocinet.engine.kernel.sandbox import Sandbox
    from ocinet.engine.model.flow import Explanation
    from ocinet.engine.model.refused import Refused
    from ocinet.engine.model.request import Publish
    from ocinet.engine.model.scope import Scope
    from ocinet.engine.model.sight import Sight
    from ocinet.engine.names_elsewhere import NamesElsewhere
    from ocinet.engine.networks import Networks


class Engine(Lifecycle):
    """All that is done with containers and networks; see `Lifecycle` for how it is opened."""

    @property
    def containers(self) -> Containers:
        """The containers that are known, as people and the watcher deal with them."""
        from ocinet.engine.containers import Containers  # not on the hook's path

        return Containers(self.operation, self.machine, self.records.attachments)

    @property
    def networks(self) -> Networks:
        """The networks, as people deal with them."""
        from ocinet.engine.networks import Networks  # not on the hook's path

        return Networks(self.operation, self.machine, self.records)

    @property
    def names(self) -> NamesElsewhere:
        """The names of containers, as other hosts hear of them, and theirs here."""
        from ocinet.engine.names_elsewhere import NamesElsewhere  # for who has many hosts

        return NamesElsewhere(self.operation, self.machine, self.records)

    @property
    def cables(self) -> Cables:
        """The links between two containers, as people deal with them."""
        from ocinet.engine.cables import Cables  # not on the hook's path

        return Cables(self.operation, self.host, self.machine, self.records)

    @property
    def addresses(self) -> Addresses:
        """The addresses, as people deal with them."""
        from typing import cast

        from ocinet.engine.addresses import Addresses, LeaseBook
        from ocinet.engine.records.kept_ports import KeptPorts
        from ocinet.ipam.reservation import ReservationStore

        # Transactions see the store as `Leases`; it is both.
        book = cast("LeaseBook", self.records.leases)
        deadline = self.operation.deadline
        reservations = ReservationStore(self._paths, deadline=deadline)
        kept = KeptPorts(self._paths, deadline=deadline)
        return Addresses(book, reservations, kept, self.records.ports)

    def rename(self, container_id: str, name: str) -> bool:
        """Know a container by another name from now on; see `renaming.rename`."""
        from ocinet.engine.renaming import rename

        return rename(self.operation, self.machine, self.records, container_id, name)

    def open_sandbox(self, record: Attachment) -> Sandbox:
        """Open the sandbox of a container that is known; to be closed.

        Raises:
            NotFoundError: it is gone.
        """
        from ocinet.engine.kernel.sandbox import open_recorded

        return open_recorded(record)

    def prepare(self, name: str) -> bool:
        """Make a network ready for its first container, and whole again after a flush.

        Each attach does it as well, but a first one takes many times as long.

        Args:
            name: of the network; the default one is defined by it, if it is not yet.

        Returns:
            False if there was nothing to do.

        Raises:
            OcinetError: it can't be done; what was done of it stays for the
                first attach to go on with.

        Effects:
            The bridge, forwarding, our firewall table and what is in it.
        """
        self.operation.check_settings()
        operation, machine, records = self.operation, self.machine, self.records
        try:
            networks = (network_of(name, operation, machine, records),)
            observed = observe(machine, networks, records, operation.boot_id)
            if observed.firewall.table and all(
                state.link and all(drop.idle for drop in state.drops) for state in observed.devices
            ):
                return False
            steps = plan_networks(networks, (), observed, operation.settings)
            Journal(operation, machine, records.attachments, "").apply(steps)
        except OcinetError as error:
            raise error.within(f"cannot prepare the network {name}") from error
        return True

    def guard_ipv6(self, container_id: str, sandbox: Sandbox) -> AddressLosses | None:
        """Listen for the loss of a container's addresses of IPv6; to be closed.

        Returns:
            None if it has none.

        Raises:
            SystemFailure: the sandbox can't be entered.
        """
        from ocinet.engine.kernel.address_losses import AddressLosses
        from ocinet.engine.restore import has_ipv6

        record = self.records.attachments.get(container_id)
        return AddressLosses(sandbox) if record and has_ipv6(record) else None

    def restore_ipv6(self, container_id: str, sandbox: Sandbox) -> bool:
        """Put lost addresses of IPv6 back; see `restore.restore_ipv6`."""
        from ocinet.engine.restore import restore_ipv6

        return restore_ipv6(self.operation, self.machine, self.records, container_id, sandbox)

    def disconnect(self, target: str, network: str) -> Attachment:
        """Take a container that runs off one of its networks; see `disconnect.Disconnect`.

        Args:
            target: an id, a name, or an id's start.
            network: its name.

        Raises:
            OcinetError: it is not on it, has ended, or something can't be removed.
        """
        from ocinet.engine.disconnect import Disconnect

        known = self.containers.find(target)
        try:
            # One sandbox, one record: a member's network is its owner's.
            owner = self.containers.get(known.member_of) if known.member_of else known
            if owner is None:
                raise NotFoundError("", "its sandbox's record is gone", "ocinet gc")
            with self.open_sandbox(owner) as sandbox:
                machine = machine_on(self.host, self.records, self.operation, sandbox)
                parted = Disconnect(self.operation, machine, self.records)
                record = parted.disconnect(owner.container.id, network)
        except OcinetError as error:
            what = f"cannot disconnect {known.container.name} from {network}"
            raise error.within(what) from error
        self.warnings += machine.warnings
        return record

    def publish(self, target: str, publishes: tuple[Publish, ...]) -> Attachment:
        """Publish ports of a container that runs.

        Args:
            target: an id, a name, or an id's start.
            publishes: as in a request.

        Raises:
            OcinetError: it can't be done; what was published stays so.
        """
        known = self.containers.find(target)
        container = known.container
        if not known.endpoints:
            raise RequestError(
                f"cannot publish ports of {container.name}",
                "it is on no network of ocinet's",
                f"ocinet attach {container.name} --net bridge",
            )
        with self.open_sandbox(known) as sandbox:
            # An attach of ports alone: it can be repeated, and is recorded and undone as any other.
            return self.attach(container, Request("bridge", publish=publishes), sandbox)

    def unpublish(self, target: str, publishes: tuple[Publish, ...]) -> Attachment:
        """Take published ports of a container back.

        Args:
            target: an id, a name, or an id's start.
            publishes: a host port of 0 means every one that leads to the
                container port; no host address means whatever it is.

        Raises:
            NotFoundError: one of them is not published; nothing has changed then.
        """
        from ocinet.engine.unpublish import unpublish

        container_id = self.containers.find(target).container.id
        return unpublish(self.operation, self.machine, self.records, container_id, publishes)

    def check(
        self,
        *targets: str,
        repair: bool = False,
        scope: Scope | None = None,
        may_repair: Callable[[str, str], bool] | None = None,
        give_way: Callable[[], None] = lambda: None,
    ) -> tuple[Finding, ...]:
        """Compare what is recorded with what is there; see `check.Check`.

        Args:
            targets: ids, names, or starts of ids; none: every container.
            repair: put right what is found.
            scope: what is looked at; None: everything.
            may_repair: whether this is put right as well, by whose it is and what.
            give_way: called between two containers, when no lock is held.
        """
        from ocinet.engine.model.scope import EVERYTHING

        check = self._check(may_repair or (lambda _whose, _what: repair))
        if scope is None:  # a person, or a timer of theirs
            scope = EVERYTHING
            check.strays()
        attachments = self.records.attachments
        if targets:
            wanted = tuple(map(self.containers.find, targets))
        elif scope.containers is None or scope.networks:
            wanted = attachments.all()
        else:  # a few of perhaps a thousand
            wanted = tuple(filter(None, map(attachments.get, scope.containers)))
        return check.run(wanted, scope, give_way)

    def shadowed(self, *targets: str) -> tuple[Finding, ...]:
        """Return the services of the host that listen where living containers are published.

        Args:
            targets: ids, names, or starts of ids; none: every container.
        """
        from ocinet.engine.shadowed import find_shadowed

        containers = self.containers
        wanted = map(containers.find, targets) if targets else containers.all()
        return find_shadowed(record for record in wanted if not containers.is_dead(record))

    def refused(self) -> tuple[Refused, ...]:
        """Return what our table has refused, for nobody allows it, and still knows of.

        Raises:
            KernelError: the kernel would not say.
        """
        return self.host.elements.refused()

    def sight(self) -> Sight:
        """Return all that is there and recorded, by few lists; see `sight.take_sight`.

        Raises:
            OcinetError: the kernel would not say, or a state directory can't be read.
        """
        from ocinet.engine.kernel.overview import look_over
        from ocinet.engine.sight import take_sight

        firewall = self.machine.firewall
        return take_sight(look_over, firewall, self.records, self.addresses, self.operation)

    def reload(self, *networks: str) -> tuple[Finding, ...]:
        """Make our table anew, and put right all that is on networks; see `check.Check`.

        Args:
            networks: their names; none: every network.

        Raises:
            NotFoundError: one of them is not defined.
            OcinetError: the table can't be made.
        """
        for name in networks:
            self.records.networks.get(name)
        return self._check(lambda _whose, _what: True).reload(networks)

    def _check(self, may_repair: Callable[[str, str], bool]) -> Check:
        from ocinet.engine.check import Check
        from ocinet.engine.kernel.sandbox import may_change_network

        return Check(
            self.operation,
            self.host,
            self.records,
            self.open_sandbox,
            may_change_network,
            may_repair,
        )

    def explain(
        self,
        start: str,
        end: str,
        *,
        protocol: str = "icmp",
        port: int = 0,
        family: int = 4,
        compare: bool = False,
    ) -> Explanation:
        """Walk a packet's way from one end to another; see `explain.Explain.walk`.

        Args:
            start: an id, a name, or an id's start; "host"; "outside".
            end: the same, or an address.
            protocol: tcp, udp or icmp.
            port: 0 for icmp.
            family: 4 or 6, where the end is no address.
            compare: whether what it leads by is compared with the records as well.
        """
        from ocinet.engine.drift import compared
        from ocinet.engine.explain import Explain

        explain = Explain(self.operation, self.machine, self.containers, self.open_sandbox)
        ends = explain.end(start), explain.end(end)

        def walk() -> Explanation:
            return explain.walk(*ends, protocol, port, family)

        return compared(walk, ends, self.check) if compare else walk()

    def black_hole(self, target: str, family: int) -> BlackHole | None:
        """Return the size of packets that a container loses without a word on the way outside.

        Args:
            target: an id, a name, or an id's start.
            family: 4 or 6.

        Raises:
            SystemFailure: no packet can be sent, or traced; see `black_holes`.
        """
        from ocinet.engine.black_holes import find_black_hole

        record = self.containers.find(target)
        with self.open_sandbox(record) as sandbox:
            return find_black_hole(sandbox, self.host.bridges.uplink(), family)

    def gc(self, *, dry_run: bool = False) -> tuple[Leftover, ...]:
        """Remove everything of ours that nobody holds; see `gc.collect`."""
        from ocinet.engine.gc import collect

        leftovers = collect(self.operation, self.machine, self.records, dry_run=dry_run)
        if any(leftover.removed for leftover in leftovers):
            self._tell_flaw()
        return leftovers
