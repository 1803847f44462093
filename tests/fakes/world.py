"""An engine on a host in memory, with records in memory: transactions without root.

    world = World()
    web = world.start("web")
    world.attach(web, on("lan"))
    world.end(web)                      # its process, and its sandbox with it
    world.gc()

What happens between two acts, and where one fails, is said by `world.trace`, which
the host, the firewall and the records share: see `fakes.trace`.
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any, cast

import builders
from fakes.cables import FakeCables
from fakes.host import FakeHost
from fakes.records import (
    FakeAttachments,
    FakeGuards,
    FakeLeases,
    FakeLinked,
    FakeMentions,
    FakeNetworks,
    FakePassages,
    FakePortClaims,
    FakeReservations,
    FakeResolved,
    NoLeftFiles,
)
from ocinet.base.clock import Deadline
from ocinet.base.paths import Paths
from ocinet.engine.assembly import machine_on
from ocinet.engine.detach import Detach
from ocinet.engine.engine import Engine
from ocinet.engine.liveness import Liveness
from ocinet.engine.locks import Locks
from ocinet.engine.model.attachment import Container
from ocinet.engine.model.settings import Settings
from ocinet.engine.operation import Operation
from ocinet.engine.storage import Records

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.trace import Trace
    from ocinet.base.clock import Process
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.request import Request
    from ocinet.engine.records.port_claim import PortClaim
    from ocinet.ipam.lease import Lease

BOOT = "6d9c1b1e-0000-4000-8000-000000000001"
# Acts of the records, as against looks, which change nothing.
_WRITES = {"put", "remove", "set_aside", "add", "allocate", "give_back", "release",
           "remove_network", "claim", "release_all"}  # fmt: skip


class _Noted:
    """A store, whose calls are noted in a trace, and fail where that says so."""

    def __init__(self, room: str, store: object, trace: Trace) -> None:
        self._room = room
        self._store = store
        self._trace = trace

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)

        def call(*args: object, **options: object) -> object:
            noted = f"{self._room}.{name}"
            fails = self._trace.enter(noted, acts=name in _WRITES)
            result = method(*args, **options)
            if fails:
                self._trace.leave(noted)
            return result

        return call


class World:
    """A host, its records, and the engines of as many processes as a test wants.

    Args:
        networks: that are defined; `lan` and `dmz` if none is given.
        settings: the operator's; None: the defaults, but that no names are served.

    Attributes:
        host: see `FakeHost`.
        events: what was told, by its phrase.
        timeout_s: seconds that each operation may take.
    """

    def __init__(self, *networks: Network, settings: Settings | None = None) -> None:
        self.host = FakeHost()
        self.trace = self.host.trace
        self.events: list[tuple[str, dict[str, object]]] = []
        self.timeout_s = 20.0
        self._settings = settings or Settings(names=False)
        self._directory = tempfile.TemporaryDirectory(prefix="ocinet-world-")
        self._paths = Paths(run=self._directory.name)
        self.attachments = FakeAttachments()
        self.networks = FakeNetworks(
            *(networks or (builders.network(), builders.network("dmz", "10.8.0.0/24")))
        )
        self.leases = FakeLeases(self._holder_lives)
        self.reservations = FakeReservations()
        self.ports = FakePortClaims(self._claim_stands)
        self.passages = FakePassages()
        self.guards = FakeGuards()
        self.linked = FakeLinked()
        self.cables = FakeCables()
        self.mentions = FakeMentions()
        self.resolved = FakeResolved()
        self.records = Records(
            attachments=cast("Any", _Noted("attachments", self.attachments, self.trace)),
            networks=cast("Any", _Noted("networks", self.networks, self.trace)),
            leases=cast("Any", _Noted("leases", self.leases, self.trace)),
            reservations=self.reservations,
            ports=cast("Any", _Noted("ports", self.ports, self.trace)),
            passages=self.passages,
            guards=self.guards,
            linked=cast("Any", _Noted("linked", self.linked, self.trace)),
            cables=lambda: self.cables,
            left_files=NoLeftFiles,
            mentions=lambda: self.mentions,
            resolved=lambda: self.resolved,
            elsewhere=lambda: self.host.names_elsewhere,
        )

    def __enter__(self) -> World:
        """Return itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Remove the directory of its locks."""
        self._directory.cleanup()

    def _holder_lives(self, lease: Lease) -> bool:
        liveness = Liveness(self.host.links, self.attachments, self.operation())
        return liveness.holder_lives(lease) or self._stands(lease.holder.container)

    def _claim_stands(self, claim: PortClaim) -> bool:
        return self._stands(claim.container)

    def _stands(self, container_id: str) -> bool:
        records = self.records.replace(
            attachments=self.attachments,
            networks=self.networks,
            leases=self.leases,
            ports=self.ports,
        )
        operation = self.operation()
        machine = machine_on(self.host.seams(), records, operation)
        return not Detach(operation, machine, records).take_down_dead(container_id)

    def operation(self, **changes: Any) -> Operation:
        """Return a new operation, as each process has its own."""
        deadline = Deadline(changes.pop("timeout_s", self.timeout_s))
        return Operation(
            deadline=deadline,
            boot_id=BOOT,
            settings=self._settings,
            locks=Locks(self._paths.run, deadline),
            log=cast("Any", self),
            is_alive=lambda process: self.host.processes.home(process) is not None,
        ).replace(**changes)

    def append(self, event: str, **fields: object) -> None:
        """Note what the engine tells."""
        self.events.append((event, fields))

    def told(self, event: str) -> list[dict[str, object]]:
        """Return what was told under a phrase."""
        return [fields for phrase, fields in self.events if phrase == event]

    def engine(self, **changes: Any) -> Engine:
        """Return a new engine, as each process has its own."""
        return Engine(self._paths, self.operation(**changes), self.host.seams(), self.records)

    # -- what people and runtimes do -----------------------------------------------------

    def start(self, name: str) -> Container:
        """Start a container in a sandbox of its own."""
        return self.again(name, self.host.start())

    @staticmethod
    def again(name: str, process: Process) -> Container:
        """Return a process as the container of that name."""
        return Container(f"{name}-id", name, f"/bundles/{name}", process, "hook")

    def attach(self, container: Container, request: Request, **changes: Any) -> Attachment:
        """Attach as a hook would."""
        process = container.process
        assert process
        with self.engine(**changes) as engine, self.host.open_sandbox(process) as sandbox:
            return engine.attach(container, request, sandbox)

    def up(self, name: str, request: Request, **changes: Any) -> Container:
        """Start a container and attach it."""
        container = self.start(name)
        self.attach(container, request, **changes)
        return container

    def end(self, container: Container) -> None:
        """End a container's process; nobody is told."""
        assert container.process
        self.host.end(container.process)

    def poststop(self, container: Container) -> bool:
        """Detach as a runtime's poststop would."""
        with self.engine() as engine:
            return engine.detach(container.id, bundle=container.bundle)

    def gc(self, **changes: Any) -> list[tuple[str, str]]:
        """Collect; return kinds and names of what was found."""
        with self.engine(**changes) as engine:
            return [(leftover.kind, leftover.name) for leftover in engine.gc()]

    # -- what there is -------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return all that is persisted or done, to compare."""
        return {
            **self.host.state(),
            "guards": self.guards.all(),
            "records": self.attachments.all(),
            "networks": self.networks.all(),
            "leases": {
                network: [
                    (str(lease.address), lease.holder.container)
                    for lease in self.leases.leases(network)
                ]
                for network in self.leases.networks()
            },
            "linked": sorted(self.linked.links),
            "ports": [
                (claim.container, claim.protocol, claim.host_port) for claim in self.ports.all()
            ],
        }

    @property
    def table(self) -> dict[str, Any] | None:
        """What our table holds, by set; None if there is none."""
        return self.host.firewall.contents()

    def published(self) -> dict[tuple[int, str, int], Any]:
        """Return where published ports lead, by family, protocol and port."""
        table = self.table or {}
        return {
            (family, key[0], key[-1]): to
            for family in (4, 6)
            for kind in (f"publish{family}", f"publish{family}_at")
            for key, to in table.get(kind, {}).items()
        }

    def between(self, name: str, act: Callable[[], object]) -> None:
        """Have something done once, before the next call of that name."""
        waiting = [act]

        def before(called: str) -> None:
            if called == name and waiting:
                waiting.pop()()

        self.trace.before = before


def check(world: World) -> None:
    """Assert what holds at any time between two transactions.

    Each living container has what its record says, no two of them share an address,
    and no published port leads to anybody but its owner.
    """
    host, living = world.host, []
    for record in world.attachments.all():
        process = record.container.process
        home = host.processes.home(process) if process else None
        if record.state == "attached" and home and not record.member_of:
            living.append(record)
            for endpoint in record.endpoints:
                assert world.networks.find(endpoint.network), f"{endpoint.network} is gone"
                outer = host.namespace.links[endpoint.host_ifname]
                assert (outer.up, outer.master and outer.master.ifname) == (True, endpoint.device)
                inner = home.links[endpoint.ifname]
                assert set(endpoint.addresses) <= set(inner.addresses), record.container.name
            # Without a table nobody reaches anybody, until the next attach makes it.
            for port in record.ports if world.table is not None else ():
                key = (port.address.family, port.protocol, port.host_port)
                assert world.published()[key] == (port.address, port.port), record.container.name
    addresses = [
        (endpoint.network, interface.address)
        for record in living
        for endpoint in record.endpoints
        for interface in endpoint.addresses
    ]
    assert len(addresses) == len(set(addresses)), "an address was given twice"
    owners = {
        (port.address, port.port) for record in world.attachments.all() for port in record.ports
    }
    assert set(world.published().values()) <= owners, "a port leads to nobody's"


def check_nothing_left(world: World) -> None:
    """End every container, collect, and assert that nothing of them is left."""
    for process in list(world.host.processes._homes):  # all of them
        world.host.end(process)
    world.trace.before = lambda _name: None
    world.gc()
    world.gc()  # an owner goes with its last member, so a second run may have more to do
    state = world.state()
    assert (state["records"], state["leases"], state["ports"]) == ((), {}, [])
    assert (state["names"], world.published()) == ({}, {})
    assert world.linked.is_empty(), "a link by name is left"
    devices = {network.device for network in world.networks.all()}
    ours = {link.ifname for link in world.host.links.links()}
    assert ours <= devices, "a link is left"
