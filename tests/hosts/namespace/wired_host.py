"""What the engine's tests in namespaces share: an engine, containers, a snapshot."""

from __future__ import annotations

import json
import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builders import container, network, on
from hosts.namespace.isolation import Sleeper, leave_uncounted
from hosts.namespace.looks import addresses_json, ip_json, pings, run, spelled
from ocinet.base.clock import Process
from ocinet.base.paths import Paths
from ocinet.engine.engine import Engine
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.model.attachment import Container
from ocinet.engine.model.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.plan.steps import Step

# What is noted of the host, and of what is no container's.
_OF_THE_HOST = ("lock", "events.jsonl", "settings.json", "passages.json", "table.json",
                "forwarding.json", "tally.json")  # fmt: skip
PATHS = Paths("/run/test/etc", "/run/test/lib", "/run/ocinet", "/run/netns")


def exchanged(
    engine: Engine,
    *,
    trace: Callable[[Step], None] | None = None,
    names: object = None,
    **stores: object,
) -> Engine:
    """Return an engine with some of what it works with exchanged for something else."""
    operation = engine.operation.replace(trace=trace) if trace else engine.operation
    host = engine.host.replace(names=names) if names else engine.host
    return Engine(PATHS, operation, host, engine.records.replace(**stores), engine.to_close)


class WiredHost:
    """An engine on the machine of one test, with networks `lan` and `dmz`."""

    def __init__(self) -> None:
        self.sleepers: dict[str, Sleeper] = {}
        engine = self.engine()
        with engine:
            engine.records.networks.add(network())
            engine.records.networks.add(network("dmz", "10.8.0.0/24"))

    def engine(self, trace: Callable[[Step], None] | None = None) -> Engine:
        """Return a new engine, as each process has its own."""
        return exchanged(Engine.open(PATHS), trace=trace)

    def start(self, name: str, *, bounded: bool = False) -> Container:
        """Start a sleeping process in a sandbox of its own; return it as a container.

        Args:
            name: the container's.
            bounded: whether it may not change its network, as most containers.
        """
        self.sleepers[name] = Sleeper(bounded=bounded)
        return self.container(name, self.sleepers[name].pid)

    @staticmethod
    def container(name: str, pid: int) -> Container:
        """Return a process as a container."""
        return container(name, Process.of(pid))

    def join(self, name: str, owner: str) -> Container:
        """Start a process in another container's sandbox, and count it as a member."""
        self.sleepers[name] = Sleeper(beside=self.sleepers[owner].pid)
        member = self.container(name, self.sleepers[name].pid)
        self.attach(member, Request("container", owner))
        return member

    def addresses(self, name: str, ifname: str = "eth0") -> list[str]:
        """Return the global addresses of a container's interface, as the kernel has them."""
        return spelled(addresses_json(ifname, self.sleepers[name].pid))

    def pings(self, name: str, address: str) -> bool:
        """Tell whether a container reaches an address."""
        return pings(address, self.sleepers[name].pid)

    def attach(
        self, container: Container, request: Request, trace: Callable[[Step], None] | None = None
    ) -> Attachment:
        """Attach as a hook would."""
        with self.engine(trace) as engine, open_sandbox(container) as sandbox:
            return engine.attach(container, request, sandbox)

    def attach_at_once(self, containers: list[Container], request: Request) -> set[int]:
        """Attach containers side by side, as many hooks would; return the exit statuses.

        Why one failed is on the test's stderr.
        """
        children = []
        for waiting in containers:
            child = os.fork()
            if not child:
                leave_uncounted()  # nobody saves what it takes, and fifty are in a hurry
                code = 1
                try:
                    self.attach(waiting, request)
                    code = 0
                except Exception:  # noqa: BLE001  # the status is the answer, as a hook's
                    traceback.print_exc()
                finally:
                    os._exit(code)
            children.append(child)
        return {os.waitpid(child, 0)[1] for child in children}

    def up(self, name: str, request: Request | None = None, *, bounded: bool = False) -> Attachment:
        """Start a container and attach it, on `lan` unless told otherwise; see `start`."""
        return self.attach(self.start(name, bounded=bounded), request or on("lan"))

    def poststop(self, name: str, bundle: str = "") -> bool:
        """Detach as a runtime's poststop would."""
        with self.engine() as engine:
            return engine.detach(f"{name}-id", bundle=bundle or f"/bundles/{name}")

    def stop(self, name: str) -> bool:
        """End a container's process and run its poststop."""
        self.sleepers.pop(name).end()
        return self.poststop(name)

    def gc(self, *, dry_run: bool = False) -> list[tuple[str, str]]:
        """Collect; return kinds and names."""
        with self.engine() as engine:
            return [(finding.kind, finding.name) for finding in engine.gc(dry_run=dry_run)]

    def close(self) -> None:
        """End what still runs."""
        for sleeper in self.sleepers.values():
            sleeper.end()

    def __enter__(self) -> Self:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """End what still runs."""
        self.close()


def open_sandbox(container: Container) -> Sandbox:
    """Open a container's sandbox."""
    assert container.process
    return Sandbox.open_process(container.process)


def records() -> list[str]:
    """Return the names of all state files that mean something, without locks."""
    found = []
    for root, _directories, files in os.walk(PATHS.run):
        found += [
            os.path.relpath(f"{root}/{name}", PATHS.run)
            for name in files
            if name not in _OF_THE_HOST and not root.endswith(("/locks", "/pids"))
        ]
    return sorted(found)


def snapshot() -> dict[str, Any]:
    """Return what there is on the host: links, addresses, rules, state, names."""
    links = [
        (link["ifname"], link.get("linkinfo", {}).get("info_kind"), link.get("master"))
        for link in ip_json("-d link")
    ]
    addresses = [
        (link["ifname"], address["local"])
        for link in ip_json("addr")
        for address in link.get("addr_info", [])
        if address["scope"] == "global"
    ]
    rules = json.loads(run("nft -j list ruleset"))["nftables"]
    for rule in rules:
        for thing in rule.values():
            if isinstance(thing, dict):
                thing.pop("handle", None)
    return {
        "links": sorted(links, key=str),
        "addresses": addresses,
        "rules": [rule for rule in rules if "metainfo" not in rule],
        "records": records(),
        "names": sorted(os.listdir(PATHS.netns)) if Path(PATHS.netns).is_dir() else [],
        "ip_forward": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
    }
