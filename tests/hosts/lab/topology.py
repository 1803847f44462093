"""One set of containers and networks, wired by ocinet or by Docker, and who answers whom in it.

    lan    web (publishes its port 80), sibling
    dmz    other
    vault  kept, keeper                       an internal network
    host                                      the lab itself, with a service at port 9000
    outside                                   a neighbour on the uplink, at port 7000

A question names who asks, where and at which port; an answer is `web sees
sibling`, or how nobody answered. Both are made of names, so that one table
serves every subnet.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_interface
from typing import TYPE_CHECKING, NamedTuple

from hosts.lab.machine import LAB_V4, LAB_V6, OUTSIDE_V4, OUTSIDE_V6
from hosts.lab.namespace import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Literal

    from hosts.engine.dockerd import Docker
    from hosts.engine.runtimes import Container
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Namespace, Protocol

    Family = Literal[4, 6]

EVERY, LOOP, AT_UPLINK = 8080, 8081, 8082  # host ports of web's
PORTS = (f"{EVERY}:80", f"127.0.0.1:{LOOP}:80", f"{LAB_V4}:{AT_UPLINK}:80")
PORTS_V6 = (f"[{LAB_V6}]:{AT_UPLINK}:80",)
NETWORKS = {"web": "lan", "sibling": "lan", "other": "dmz", "kept": "vault", "keeper": "vault"}
HOST_SERVICE, OUTSIDE_SERVICE, SERVICE = 9000, 7000, 80

REFUSED, SILENT, NO_ROUTE = "refused", "silent", "no route"
_FAILURES = {
    "ECONNREFUSED": REFUSED,
    "ETIMEDOUT": SILENT,
    "ENETUNREACH": NO_ROUTE,
    "EHOSTUNREACH": NO_ROUTE,
}
# Patience where an answer is due, so that a busy machine is no failure.
_ANSWER_S, _SILENCE_S = 5.0, 0.4
_ASKERS = 6
# How outside finds the containers' own addresses, as a neighbour in a data centre could.
_WAYS_IN = (("10.72.0.0/13", LAB_V4), ("172.16.0.0/12", LAB_V4), ("fc00::/7", LAB_V6))


class Question(NamedTuple):
    """Who asks, and whom.

    Attributes:
        asker: a container, `host` or `outside`.
        target: a name of `Topology.address`.
        port: of the target.
        protocol: tcp or udp.
        family: 4 or 6.
    """

    asker: str
    target: str
    port: int
    protocol: Protocol = "tcp"
    family: Family = 4


class Topology:
    """The lab with containers in it, and names for all their addresses.

    Args:
        lab: the host.
        containers: their sandboxes by name.
        networks: by container.
    """

    def __init__(
        self, lab: Lab, containers: dict[str, Namespace], networks: dict[str, str]
    ) -> None:
        self.lab = lab
        self.places = {"host": lab, "outside": lab.outside, **containers}
        self._addresses: dict[tuple[str, int], str] = {
            ("uplink", 4): LAB_V4,
            ("uplink", 6): LAB_V6,
            ("outside", 4): OUTSIDE_V4,
            ("outside", 6): OUTSIDE_V6,
            ("loopback", 4): "127.0.0.1",
            ("loopback", 6): "::1",
        }
        for name, place in containers.items():
            for text in place.addresses("eth0"):
                interface = ip_interface(text)
                self._addresses[name, interface.version] = str(interface.ip)
                gateway = (f"{networks[name]} gateway", interface.version)
                self._addresses[gateway] = str(next(interface.network.hosts()))
        self._names = {address: name for (name, _), address in self._addresses.items()}
        # The kernel tells one address of one refused port a second, else.
        for key in ("net/ipv4/icmp_ratelimit", "net/ipv6/icmp/ratelimit"):
            lab.set_sysctl(key, "0")

    def address(self, name: str, family: Family = 4) -> str:
        """Return the address of a container, `uplink`, `loopback`, `outside` or `lan gateway`."""
        return self._addresses[name, family]

    def serve(self, *names: str, protocols: Sequence[Protocol] = ("tcp", "udp")) -> None:
        """Listen in these places, or in all of them, at the port that each place has."""
        ports = {"host": HOST_SERVICE, "outside": OUTSIDE_SERVICE}
        for name in names or self.places:
            for protocol in protocols:
                self.places[name].serve(protocol, ports.get(name, SERVICE), name=name)

    def open_ways_in(self) -> None:
        """Let outside send to the containers' own addresses through the host."""
        for subnet, via in _WAYS_IN:
            self.lab.outside.run("ip", "route", "add", subnet, "via", via)

    def ask(self, question: Question, *, expected: str = "") -> str:
        """Ask one question.

        Args:
            question: whom to ask.
            expected: an answer that is due gets more time.
        """
        place = self.places[question.asker]
        address = self.address(question.target, question.family)
        timeout_s = _SILENCE_S if expected == SILENT else _ANSWER_S
        try:
            reply = place.ask(question.protocol, address, question.port, timeout_s=timeout_s)
        except Unreachable as error:
            return _FAILURES.get(str(error), str(error))
        return f"{reply.server} sees {self._names.get(reply.peer[0], reply.peer[0])}"

    def ask_all(self, expected: dict[Question, str]) -> dict[Question, str]:
        """Ask many at once, and return their answers."""
        with ThreadPoolExecutor(_ASKERS) as executor:
            answers = executor.map(
                lambda asked: self.ask(asked[0], expected=asked[1]), expected.items()
            )
            return dict(zip(expected, answers, strict=True))


def bridge_netfilter(lab: Lab, *, on: bool) -> None:
    """Have bridged packets pass the firewall, or not."""
    for key in ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables"):
        lab.set_sysctl(f"net/bridge/{key}", str(int(on)))


def attach(container: Container, network: str, *ports: str) -> None:
    """Wire a running container with `ocinet attach`, under its own name.

    Args:
        container: of runc or crun.
        network: as `--net` has it, options and all.
        ports: to publish.
    """
    words = [word for port in ports for word in ("--publish", port)]
    container.runtime.lab.ocinet(
        "attach", f"pid:{container.pid}", "--name", container.id, "--net", network, *words
    )


def run_attached(lab: Lab, name: str, network: str, *ports: str) -> Container:
    """Start a container and wire it; see `attach`."""
    container = lab.runc.run(lab.bundle(name))
    attach(container, network, *ports)
    return container


def both(ports: Iterable[str]) -> tuple[str, ...]:
    """Return each port for TCP and for UDP."""
    return tuple(f"{port}/{protocol}" for port in ports for protocol in ("tcp", "udp"))


def detach_all(lab: Lab) -> None:
    """Take down whatever is attached; no hook does it for what `attach` wired."""
    names = [record["name"] for record in lab.ocinet("ps", "--format", "json").json()]
    if names:
        lab.ocinet("detach", "--force", *names)


def make_world(lab: Lab, *names: str, ipv6: bool = False) -> Topology:
    """Build the world, or the part of it with these containers, with ocinet.

    The containers are taken down with the lab's others.
    """
    networks = {name: NETWORKS[name] for name in names or NETWORKS}
    for network in dict.fromkeys(networks.values()):
        options = ["--ipv6"] * ipv6 + ["--internal"] * (network == "vault")
        lab.ocinet("network", "create", *options, network)
    containers = {}
    for name, network in networks.items():
        ports = both(PORTS + PORTS_V6 * ipv6) if name == "web" else ()
        containers[name] = run_attached(lab, name, network, *ports).namespace
    return Topology(lab, containers, networks)


def make_docker_world(docker: Docker) -> Topology:
    """Build the world with dockerd's own bridge networks."""
    for network in dict.fromkeys(NETWORKS.values()):
        options = ["--internal"] * (network == "vault")
        docker("network", "create", *options, network)
    containers = {}
    for name, network in NETWORKS.items():
        ports = both(PORTS) if name == "web" else ()
        words = [f"--publish={port}" for port in ports]
        made = docker.run(f"--name={name}", *words, network=network)
        containers[name] = made.namespace
    return Topology(docker.lab, containers, NETWORKS)


def cut_rule(lab: Lab, chain: str, words: str) -> None:
    """Delete the one rule of a chain of our table that has these words."""
    listed = lab.run("nft", "-a", "list", "chain", "inet", "ocinet", chain).stdout
    rules = [line for line in listed.splitlines() if words in line and " # handle " in line]
    assert len(rules) == 1, f"{words!r} is in {len(rules)} rules of {chain}"
    handle = rules[0].rpartition(" # handle ")[2]
    lab.run("nft", "delete", "rule", "inet", "ocinet", chain, "handle", handle)
