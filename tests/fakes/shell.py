"""A console for tests: real stores on directories of their own, and no kernel."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, Self, cast

from builders import port, record
from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.clock import Deadline, boot_id
from ocinet.base.errors import ConflictError, NotFoundError
from ocinet.base.events import EventLog
from ocinet.base.paths import Paths
from ocinet.cli.console import Console, Streams
from ocinet.cli.main import main
from ocinet.engine.assembly import Parts
from ocinet.engine.firewall.forward_accept import ForwardAccepts
from ocinet.engine.firewall.netfilter import NetfilterSocket
from ocinet.engine.firewall.table import Firewall
from ocinet.engine.gc import Finding
from ocinet.engine.kernel.bridges import Bridges
from ocinet.engine.kernel.listeners import ListeningSockets
from ocinet.engine.kernel.netns_names import NetnsNames
from ocinet.engine.kernel.sysctl import Sysctls
from ocinet.engine.model.attachment import Attachment, Container
from ocinet.engine.model.link import InsideLink
from ocinet.engine.model.request import Route
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.new_network import Device
from ocinet.engine.plan.steps import Step
from ocinet.engine.records.attachments import AttachmentStore
from ocinet.engine.records.networks import NetworkStore
from ocinet.engine.records.port_claims import PortClaims
from ocinet.ipam.lease import Holder, Lease
from ocinet.ipam.store import AddressStore

if TYPE_CHECKING:
    from pathlib import Path

    from ocinet.engine.engine import Engine
    from ocinet.engine.kernel.sandbox import Sandbox
    from ocinet.engine.model.link import Link
    from ocinet.engine.model.request import Publish, Request
    from ocinet.engine.plan import seams


class Echo(Step):
    """A step that says one word."""

    word: str

    def describe(self) -> tuple[str, ...]:
        """Return the command."""
        return (f"echo {self.word}",)


class FakeHost:
    """A host with no routes and one bridge."""

    def occupied(self) -> tuple[Subnet, ...]:
        """Return the routes."""
        return (Subnet.parse("192.168.1.0/24"),)

    def device(self, ifname: str) -> Device | None:
        """Return docker0."""
        addresses = (Interface.parse("172.17.0.1/16"),)
        return Device("bridge", addresses=addresses) if ifname == "docker0" else None


class FakeKernel:
    """A kernel that has one interface in every sandbox, and no links."""

    def link(self, _ifname: str) -> Link | None:
        """Return nothing."""
        return None

    def delete_links(self, _ifnames: tuple[str, ...]) -> None:
        """Delete nothing."""

    def look_inside(self, _sandbox: Sandbox) -> tuple[InsideLink, ...]:
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


def make_parts(paths: Paths) -> Parts:
    """Return real stores around a kernel that has nothing."""
    deadline = Deadline(5)
    log = EventLog(paths.run)
    fake, netfilter = FakeKernel(), NetfilterSocket()
    return Parts(
        paths=paths,
        settings=Settings(),
        deadline=deadline,
        boot_id=boot_id(),
        log=log,
        links=cast("seams.Links", fake),
        insides=cast("seams.Insides", fake),
        bridges=Bridges(),
        sysctls=Sysctls(),
        names=NetnsNames(paths),
        firewall=Firewall(netfilter),
        forward_accepts=ForwardAccepts(netfilter),
        networks=NetworkStore(paths, Settings(), deadline, host=FakeHost()),
        addresses=AddressStore(
            paths, deadline=deadline, holder_lives=lambda _: True, report=log.append
        ),
        ports=PortClaims(paths, ListeningSockets(), deadline=deadline),
        attachments=AttachmentStore(paths),
        held_locks=set(),
    )


class NotingEngine:
    """An engine that writes down what it is asked to do."""

    def __init__(self, paths: Paths) -> None:
        self.parts = make_parts(paths)
        self.calls: list[tuple[Any, ...]] = []
        self.failure: BaseException | None = None
        self.warnings: list[str] = []
        self.findings: tuple[Finding, ...] = ()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Do nothing."""

    def _note(self, *call: Any) -> None:
        self.calls.append(call)
        if self.failure:
            raise self.failure

    def attach(self, container: Container, request: Request, sandbox: Sandbox) -> Attachment:
        """Keep a record as an engine would."""
        self._note("attach", container, request, sandbox.identity)
        attachment = record(container.id, container.name, container=container,
                            sandbox=sandbox.identity, ports=(port(8080, 80),))  # fmt: skip
        self.parts.attachments.put(attachment)
        return attachment

    def plan(self, container: Container, request: Request, sandbox: Sandbox) -> tuple[Step, ...]:
        """Return two steps."""
        self._note("plan", container, request, sandbox.identity)
        return (Echo("one"), Echo("two"))

    def detach(self, container_id: str, *, force: bool = False) -> bool:
        """Remove the record."""
        self._note("detach", container_id, force)
        self.parts.attachments.remove(container_id)
        return True

    def publish(self, target: str, publishes: tuple[Publish, ...]) -> Attachment:
        """Return the record with ports."""
        self._note("publish", target, publishes)
        return record(ports=(port(8080, 80),))

    def unpublish(self, target: str, publishes: tuple[Publish, ...]) -> Attachment:
        """Return the record without ports."""
        self._note("unpublish", target, publishes)
        return record()

    def gc(self, *, dry_run: bool) -> tuple[Finding, ...]:
        """Return the findings."""
        self._note("gc", dry_run)
        return self.findings

    def remove_network(self, name: str) -> None:
        """Remove the definition, unless it is used."""
        self._note("remove_network", name)
        if not self.parts.networks.find(name):
            raise NotFoundError("", f"there is no network {name}")
        for attachment in self.parts.attachments.all():
            if any(endpoint.network == name for endpoint in attachment.endpoints):
                what = f"cannot remove network {name}"
                raise ConflictError(what, f"{attachment.container.name} is on it")
        self.parts.networks.remove(name)


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

    def run(self, *arguments: str, stdin: str = "", is_root: bool = True) -> Outcome:
        """Run one command."""
        out, err = io.StringIO(), io.StringIO()

        def open_engine(_paths: Paths) -> Engine:
            self.opened += 1
            return cast("Engine", self.engine)

        console = Console(
            self.environment,
            streams=Streams(io.StringIO(stdin), out, err),
            open_engine=open_engine,
            execute=lambda file, argv: self.executed.append((file, argv)),
            is_root=is_root,
        )
        console.paths = self.paths
        code = main(list(arguments), console)
        return Outcome(code, out.getvalue(), err.getvalue())

    def lease(self, address: str, container_id: str, network: str = "lan") -> Lease:
        """Give an address out."""
        pools = self.engine.parts.networks.get(network).pools
        holder = Holder(container_id, "eth0", "4:9", "oc0123456789abc", None, boot_id())
        wanted = (Address.parse(address),)
        return self.engine.parts.addresses.allocate(network, pools, wanted, holder, "web")[0]
