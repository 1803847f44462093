"""A console for tests: real stores on directories of their own, and no kernel."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, Self, cast

from builders import port, record
from fakes.records import NobodyElsewhere, NoSockets
from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.clock import boot_id
from ocinet.base.errors import ConflictError, NotFoundError
from ocinet.base.paths import Paths
from ocinet.cli.console import Console, Streams
from ocinet.cli.main import main
from ocinet.engine.assembly import begin_operation
from ocinet.engine.check import Finding
from ocinet.engine.engine import Engine
from ocinet.engine.gc import Leftover
from ocinet.engine.model.attachment import Attachment, Container
from ocinet.engine.model.link import InsideLink, Link
from ocinet.engine.model.observed import FirewallState
from ocinet.engine.model.request import Route
from ocinet.engine.model.served import ServerState
from ocinet.engine.model.settings import Settings
from ocinet.engine.model.sight import Overview, Sight
from ocinet.engine.networks import Networks
from ocinet.engine.plan.steps import Step
from ocinet.engine.records.attachments import AttachmentStore
from ocinet.engine.records.cables import CableStore
from ocinet.engine.records.forward_guards import ForwardGuards
from ocinet.engine.records.left_files import LeftFiles
from ocinet.engine.records.linked import Linked
from ocinet.engine.records.mentions import Mentions
from ocinet.engine.records.networks import NetworkStore
from ocinet.engine.records.passages import Passages
from ocinet.engine.records.port_claims import PortClaims
from ocinet.engine.records.resolved_names import ResolvedNames
from ocinet.engine.sight import take_sight
from ocinet.engine.storage import Records
from ocinet.ipam.lease import Holder, Lease
from ocinet.ipam.reservation import ReservationStore
from ocinet.ipam.store import AddressStore

if TYPE_CHECKING:
    from pathlib import Path

    from ocinet.cli.engine_names import EngineContainer
    from ocinet.engine.model.naming import Rootfs
    from ocinet.engine.model.request import Publish, Request
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan import seams
    from ocinet.engine.plan.machine import Host


class Echo(Step):
    """A step that says one word."""

    word: str

    def describe(self) -> tuple[str, ...]:
        """Return the command."""
        return (f"echo {self.word}",)


class BareHost:
    """A host with docker0 and one route, one interface in every sandbox, and no links of ours."""

    def __init__(self) -> None:
        self.links = self.insides = self.bridges = self.sysctls = self
        self.names = self.firewall = self.forward_accepts = self
        self.routing_rules = self.uplinks = self.bridge_filters = self.elements = self
        self.name_server = self
        self.name_files = lambda _process: None  # everybody has the host's
        self.shaping = self.marks = self.lan = self.names_elsewhere = lambda: self

    def observe(self) -> FirewallState:
        """Return that there is no table of ours."""
        return FirewallState(table=False, generation=1)

    def link(self, ifname: str) -> Link | None:
        """Return docker0."""
        return Link(3, "docker0", "bridge", 1500, "", up=True) if ifname == "docker0" else None

    def addresses(self, _ifindex: int) -> tuple[Interface, ...]:
        """Return those of docker0."""
        return (Interface.parse("172.17.0.1/16"),)

    def connected(self, _family: int) -> tuple[tuple[int, Subnet], ...]:
        """Return docker0's."""
        return ((3, Subnet.parse("172.17.0.0/16")),)

    def occupied_subnets(self) -> tuple[Subnet, ...]:
        """Return the route."""
        return (Subnet.parse("192.168.1.0/24"),)

    def routed_subnets(self) -> tuple[Subnet, ...]:
        """Return none."""
        return ()

    def flaw(self, _network: object) -> str:
        """Return that it has no name server."""
        return "aardvark-dns is not installed"

    def texts(self) -> dict[str, str]:
        """Return that nobody is served."""
        return {}

    def state(self) -> ServerState:
        """Return that there is no server."""
        return ServerState()

    def is_news(self, _network: str, _why: str) -> bool:
        """Tell that everybody knows."""
        return False

    def delete_links(self, _ifnames: tuple[str, ...]) -> None:
        """Delete nothing."""

    def forget_flows(self, *_what: object, **_more: object) -> None:
        """Forget nothing."""

    def look_inside(self, _sandbox: object) -> tuple[InsideLink, ...]:
        """Return an interface."""
        address = Interface.parse("10.9.0.5/24")
        route = Route(Subnet.parse("0.0.0.0/0"), Address.parse("10.9.0.1"))
        return (
            InsideLink(
                "eth0",
                up=True,
                mac="02:6f:63:00:00:05",
                mtu=1500,
                addresses=(address,),
                routes=(route,),
            ),
        )


def open_records(paths: Paths, operation: Operation) -> Records:
    """Return real stores, on a host where everybody lives and nobody listens."""
    deadline, report = operation.deadline, operation.log.append
    return Records(
        attachments=AttachmentStore(paths),
        networks=NetworkStore(paths),
        leases=AddressStore(paths, deadline=deadline, holder_lives=lambda _: True, report=report),
        reservations=ReservationStore(paths, deadline=deadline),
        ports=PortClaims(paths, NoSockets(), deadline=deadline),
        passages=Passages(paths, operation.boot_id),
        guards=ForwardGuards(paths, operation.boot_id),
        linked=Linked(paths),
        cables=lambda: CableStore(paths),
        left_files=lambda: LeftFiles(paths),
        mentions=lambda: Mentions(paths),
        resolved=lambda: ResolvedNames(paths),
        elsewhere=NobodyElsewhere,
    )


class NotingNetworks(Networks):
    """Networks, of which removals are written down.

    Args:
        engine: that writes them down.
    """

    def __init__(self, engine: NotingEngine) -> None:
        super().__init__(engine.operation, engine.machine, engine.records)
        self._engine = engine

    def remove(self, name: str) -> None:
        """Remove the definition, unless it is used."""
        self._engine.note("remove_network", name)
        if not self.find(name):
            raise NotFoundError("", f"there is no network {name}")
        for known in self._engine.records.attachments.all():
            if any(endpoint.network == name for endpoint in known.endpoints):
                what = f"cannot remove network {name}"
                raise ConflictError(what, f"{known.container.name} is on it")
        self._engine.records.networks.remove(name)


class NotingEngine(Engine):
    """An engine that writes down what it is asked to do."""

    def __init__(self, paths: Paths) -> None:
        operation = begin_operation(paths, timeout_s=5, settings=Settings())
        records = open_records(paths, operation)
        super().__init__(paths, operation, cast("Host", BareHost()), records)
        self.calls: list[tuple[Any, ...]] = []
        self.failure: BaseException | None = None
        self.warnings: list[str] = []
        self.findings: tuple[Leftover, ...] = ()
        self.damage: tuple[Finding, ...] = ()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Do nothing."""

    @property
    def networks(self) -> NotingNetworks:
        """The networks."""
        return NotingNetworks(self)

    def note(self, *call: Any) -> None:
        """Write a call down, and fail if that is wished."""
        self.calls.append(call)
        if self.failure:
            raise self.failure

    def attach(
        self,
        container: Container,
        request: Request,
        sandbox: seams.Sandbox,
        rootfs: Rootfs | None = None,
    ) -> Attachment:
        """Keep a record as an engine would."""
        del rootfs
        self.note("attach", container, request, sandbox.identity)
        attachment = record(container.id, container.name, container=container,
                            sandbox=sandbox.identity, ports=(port(8080, 80),))  # fmt: skip
        self.records.attachments.put(attachment)
        return attachment

    def plan(
        self, container: Container, request: Request, sandbox: seams.Sandbox
    ) -> tuple[Step, ...]:
        """Return two steps."""
        self.note("plan", container, request, sandbox.identity)
        return (Echo("one"), Echo("two"))

    def detach(self, container_id: str, *, bundle: str | None = None, force: bool = False) -> bool:
        """Remove the record."""
        del bundle
        self.note("detach", container_id, force)
        self.records.attachments.remove(container_id)
        return True

    def publish(self, target: str, publishes: tuple[Publish, ...]) -> Attachment:
        """Return the record with ports."""
        self.note("publish", target, publishes)
        return record(ports=(port(8080, 80),))

    def unpublish(self, target: str, publishes: tuple[Publish, ...]) -> Attachment:
        """Return the record without ports."""
        self.note("unpublish", target, publishes)
        return record()

    def gc(self, *, dry_run: bool = False) -> tuple[Leftover, ...]:
        """Return the findings."""
        self.note("gc", dry_run)
        return self.findings

    def check(self, *_targets: str, repair: bool = False, **_more: object) -> tuple[Finding, ...]:
        """Return the damage."""
        self.note("check", repair)
        return self.damage

    def sight(self) -> Sight:
        """Look at the records, on a host without a link of ours."""
        book, firewall = self.addresses, self.host.firewall
        return take_sight(lambda: Overview(()), firewall, self.records, book, self.operation)

    def shadowed(self, *_targets: str) -> tuple[Finding, ...]:
        """Look at no socket of this machine."""
        return ()


class Outcome:
    """What a command left: its exit code and what it printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def data(self) -> Any:
        """The output as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """The output by lines."""
        return self.out.splitlines()


class Shell:
    """Runs commands on one installation."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(f"{root}/etc", f"{root}/var", f"{root}/run", f"{root}/netns")
        self.environment = {
            "OCINET_CONFIG_DIR": self.paths.config,
            "OCINET_STATE_DIR": self.paths.state,
            "OCINET_RUN_DIR": self.paths.run,
        }
        self.engine = NotingEngine(self.paths)
        self.executed: list[tuple[str, list[str]]] = []
        self.opened = 0
        self.elsewhere: list[EngineContainer] = []  # what Docker and the others have

    def run(self, *arguments: str, stdin: str = "", is_root: bool = True) -> Outcome:
        """Run one command."""
        out, err = io.StringIO(), io.StringIO()

        def open_engine(_paths: Paths) -> Engine:
            self.opened += 1
            return cast("Engine", self.engine)

        def look_up(name: str, engine: str) -> tuple[EngineContainer, ...]:
            return tuple(
                known
                for known in self.elsewhere
                if name in (known.container.name, known.container.id)
                and engine in ("", known.engine)
            )

        console = Console(
            self.environment,
            streams=Streams(io.StringIO(stdin), out, err),
            open_engine=open_engine,
            execute=lambda file, argv: self.executed.append((file, argv)),
            look_up=look_up,
            is_root=is_root,
        )
        console.paths = self.paths
        code = main(list(arguments), console)
        return Outcome(code, out.getvalue(), err.getvalue())

    def lease(self, address: str, container_id: str, network: str = "lan") -> Lease:
        """Give an address out."""
        pools = self.engine.records.networks.get(network).pools
        holder = Holder(container_id, "eth0", "4:9", "oc0123456789abc", None, boot_id())
        wanted = (Address.parse(address),)
        return self.engine.records.leases.allocate(network, pools, wanted, holder, "web")[0]
