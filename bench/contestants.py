"""What one attach and one detach are for each contestant.

Those that publish ports have their number in the name: "ocinet-10p". All have a /16,
masquerade, and one IPv4 address per container.
"""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from arena import IFNAME, PATH, SETTLE_S, Command, spawn

if TYPE_CHECKING:
    from arena import Container, Cost, Operation

ROOT = Path(__file__).resolve().parent.parent
OCINET = ROOT / ".venv/bin/ocinet"
PYTHON = ("/usr/bin/python3", "-I", "-S")
CNI = Path("/usr/lib/cni")
NETAVARK = Path("/usr/lib/podman/netavark")
_FIRST_PORT, _PORTS = 20000, 40000


def hook() -> Path:
    """Return the script that runtimes run, as it is installed in .venv."""
    found = sorted(ROOT.glob(".venv/lib/python3*/site-packages/ocinet/hooks/hook.py"))
    return found[-1] if found else ROOT / ".venv/no-hook"


def _container_id(number: int) -> str:
    # As engines have them: names made of the first digits must differ.
    return hashlib.sha256(str(number).encode()).hexdigest()


class Contestant:
    """One way to wire a sandbox.

    Args:
        name: as the report has it.
        ports: how many each container publishes.
    """

    def __init__(self, name: str, ports: int = 0) -> None:
        self.name = name
        self.ports = ports

    def is_here(self) -> bool:
        """Tell whether it is installed."""
        return True

    def prepare(self) -> list[Command]:
        """Return what is run once, before all else."""
        return []

    def attach(self, container: Container) -> Operation:
        """Yield the commands that wire; each is sent what the one before printed."""
        raise NotImplementedError

    def detach(self, container: Container) -> Operation:
        """Yield the commands that unwire."""
        raise NotImplementedError

    def published(self, number: int) -> list[tuple[int, int]]:
        """Return a container's ports: of the host, of the container."""
        first = _FIRST_PORT + number * self.ports % _PORTS
        return [(first + index, 80 + index) for index in range(self.ports)]


class Bare:
    """An interpreter that starts and ends: what no hook in Python can beat."""

    name = "bare"
    command = Command((*PYTHON, "-c", "pass"))

    def run(self) -> Cost:
        """Run it once, on a machine that has settled."""
        time.sleep(SETTLE_S)
        return spawn(self.command)[0]


class Ocinet(Contestant):
    """The hook.

    Args:
        ports: how many each container publishes.
        is_range: whether they are asked for as one range.
        guard: whether what it sends is judged, as it is by default.
        apart: whether containers are kept apart but for what each allows.
    """

    def __init__(
        self, ports: int, *, is_range: bool = False, guard: bool = True, apart: bool = False
    ) -> None:
        name = f"ocinet-{ports}p{' range' if is_range else ''}{'' if guard else ', no guard'}"
        super().__init__(f"{name}{', apart' if apart else ''}", ports)
        self._apart = apart
        self._is_range = is_range
        self._guard = guard
        self._environment = {"PATH": PATH, "OCINET_CONFIG_DIR": "/run/etc-ocinet"}
        self._script = str(hook())

    def is_here(self) -> bool:
        """Tell whether .venv has it."""
        return hook().exists()

    def prepare(self) -> list[Command]:
        """Register the hook, as users do, and define a network as wide as the others' are."""
        flags = ("" if self._guard else " --no-guard") + (" --icc=false" if self._apart else "")
        said = (
            "hooks install --hooks-dir /run/hooks.d",
            f"network create bench --subnet 10.92.0.0/16{flags}",
        )
        return [Command((str(OCINET), *words.split()), self._environment) for words in said]

    def attach(self, container: Container) -> Operation:
        """Run createRuntime."""
        state = {**self._state(container.number, "creating"), "pid": container.pid}
        yield self._command("createRuntime", state)

    def detach(self, container: Container) -> Operation:
        """Run poststop."""
        yield self._command("poststop", self._state(container.number, "stopped"))

    def _command(self, stage: str, state: dict[str, object]) -> Command:
        return Command((*PYTHON, self._script, stage), self._environment, json.dumps(state))

    def _state(self, number: int, status: str) -> dict[str, object]:
        annotations = {"ocinet.net": "bench"}
        if self._apart:
            # The first and the second one, by the name that an id is.
            annotations["ocinet.allow"] = _container_id(1 - number if number < 2 else 0)[:12]
        if ports := self.published(number):
            words = [f"{one}:{two}" for one, two in ports]
            if self._is_range:
                (first, first_inner), (last, last_inner) = ports[0], ports[-1]
                words = [f"{first}-{last}:{first_inner}-{last_inner}"]
            annotations["ocinet.publish"] = ",".join(words)
        return {"ociVersion": "1.0.2", "id": _container_id(number), "status": status,
                "bundle": "/", "annotations": annotations}  # fmt: skip


# The LAN that both are on: a parent whose other end nobody answers behind.
_LAN = Command(
    (
        "/bin/sh",
        "-c",
        "ip link add lan0 type veth peer name lan1 && ip link set lan1 up && ip link set lan0 up",
    )
)


class LanOcinet(Ocinet):
    """The hook, with a network of the driver macvlan: the LAN is asked who has an address."""

    def __init__(self) -> None:
        super().__init__(0)
        self.name = "ocinet-macvlan"

    def prepare(self) -> list[Command]:
        """Make the parent, and define the network."""
        registration, _network = super().prepare()
        words = "network create bench -d macvlan -o parent=lan0 --subnet 10.92.0.0/16"
        defined = Command(
            (str(OCINET), *words.split(), "--gateway", "10.92.0.1"), self._environment
        )
        return [_LAN, registration, defined]


class PlainOcinet(Ocinet):
    """The hook without its preload: Python looks for each module in its folder."""

    def __init__(self, ports: int) -> None:
        super().__init__(ports)
        self.name += " no preload"
        self._script = "/run/plain/ocinet/hooks/hook.py"

    def prepare(self) -> list[Command]:
        """Copy what is installed, less the preload; Python's own caches count as they are."""
        root = hook().parents[2]
        copy = (f"mkdir /run/plain && cp -aL {root}/ocinet /run/plain && "
                "rm /run/plain/ocinet/hooks/__pycache__/preload-* && "
                f"ln -s {root}/pyroute2 /run/plain")  # fmt: skip
        return [*super().prepare(), Command(("/bin/sh", "-c", copy))]


class Cni(Contestant):
    """The reference plugins: bridge with host-local and ipMasq, and portmap for ports.

    Args:
        ports: how many each container publishes.
        guard: whether it has `macspoofchk`, which has frames with other MACs dropped.
    """

    def __init__(self, ports: int, *, guard: bool = False) -> None:
        super().__init__(f"cni-{ports}p{', macspoofchk' if guard else ''}", ports)
        self._guard = guard

    def is_here(self) -> bool:
        """Tell whether the plugins are installed."""
        return (CNI / "portmap").exists()

    def attach(self, container: Container) -> Operation:
        """Run the chain; a plugin is given what the one before answered."""
        result = yield self._command("bridge", "ADD", container, None)
        if self.ports:
            yield self._command("portmap", "ADD", container, json.loads(result))

    def detach(self, container: Container) -> Operation:
        """Run the chain backwards."""
        empty: dict[str, object] = {"cniVersion": "0.4.0", "interfaces": [], "ips": []}
        if self.ports:
            yield self._command("portmap", "DEL", container, empty)
        yield self._command("bridge", "DEL", container, None)

    def _command(
        self, plugin: str, verb: str, container: Container, last: dict[str, object] | None
    ) -> Command:
        environment = {
            "PATH": PATH, "CNI_PATH": str(CNI), "CNI_COMMAND": verb, "CNI_IFNAME": IFNAME,
            "CNI_CONTAINERID": _container_id(container.number), "CNI_NETNS": container.netns,
        }  # fmt: skip
        config: dict[str, object] = {
            "cniVersion": "0.4.0", "name": "bench", "type": plugin, "bridge": "cni0",
            "isGateway": True, "ipMasq": True, "macspoofchk": self._guard,
            "ipam": {"type": "host-local", "subnet": "10.90.0.0/16",
                     "routes": [{"dst": "0.0.0.0/0"}]},
            "capabilities": {"portMappings": True},
            "runtimeConfig": {"portMappings": [
                {"hostPort": one, "containerPort": two, "protocol": "tcp"}
                for one, two in self.published(container.number)
            ]},
        }  # fmt: skip
        if last is not None:
            config["prevResult"] = last
        return Command((str(CNI / plugin),), environment, json.dumps(config))


class LanCni(Cni):
    """The plugin macvlan with host-local, which asks nobody whether an address is free."""

    def __init__(self) -> None:
        super().__init__(0)
        self.name = "cni-macvlan"

    def is_here(self) -> bool:
        """Tell whether the plugin is installed."""
        return (CNI / "macvlan").exists()

    def prepare(self) -> list[Command]:
        """Make the parent."""
        return [_LAN]

    def attach(self, container: Container) -> Operation:
        """Run the plugin."""
        yield self._lan("ADD", container)

    def detach(self, container: Container) -> Operation:
        """Run it once more."""
        yield self._lan("DEL", container)

    def _lan(self, verb: str, container: Container) -> Command:
        command = self._command("macvlan", verb, container, None)
        ipam = {"type": "host-local", "subnet": "10.90.0.0/16", "gateway": "10.90.0.1",
                "routes": [{"dst": "0.0.0.0/0"}]}  # fmt: skip
        config = {"cniVersion": "0.4.0", "name": "bench", "type": "macvlan", "master": "lan0",
                  "mode": "bridge", "ipam": ipam}  # fmt: skip
        return Command(command.argv, command.environment, json.dumps(config))


class Netavark(Contestant):
    """What podman calls; it is given the addresses, as podman gives them."""

    def __init__(self, ports: int) -> None:
        super().__init__(f"netavark-{ports}p", ports)

    def is_here(self) -> bool:
        """Tell whether it is installed."""
        return NETAVARK.exists()

    def attach(self, container: Container) -> Operation:
        """Run setup."""
        yield self._command("setup", container)

    def detach(self, container: Container) -> Operation:
        """Run teardown."""
        yield self._command("teardown", container)

    def _command(self, verb: str, container: Container) -> Command:
        high, low = divmod(container.number, 250)
        mappings = [{"host_ip": "", "host_port": one, "container_port": two,
                     "protocol": "tcp", "range": 1}
                    for one, two in self.published(container.number)]  # fmt: skip
        request = {
            "container_id": _container_id(container.number),
            "container_name": f"bench{container.number}", "port_mappings": mappings,
            "networks": {"bench": {"interface_name": IFNAME,
                                   "static_ips": [f"10.91.{high}.{low + 2}"]}},
            "network_info": {"bench": {
                "name": "bench", "id": "b" * 64, "driver": "bridge", "network_interface": "nv0",
                "subnets": [{"subnet": "10.91.0.0/16", "gateway": "10.91.0.1"}],
                "ipv6_enabled": False, "internal": False, "dns_enabled": False,
                "ipam_options": {"driver": "host-local"},
            }},
        }  # fmt: skip
        return Command((str(NETAVARK), verb, container.netns), stdin=json.dumps(request))
