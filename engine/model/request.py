"""What a container asks for, whatever door it came through."""

from __future__ import annotations

from ocinet.base.address import Address, Subnet
from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from ocinet.engine.model.access import Access
    from ocinet.engine.model.bandwidth import Bandwidth
    from ocinet.engine.model.resolution import Resolution

    Mode = Literal["bridge", "host", "container", "none"]
    Protocol = Literal["tcp", "udp", "sctp"]
    RouteKind = Literal["unicast", "blackhole", "unreachable", "prohibit"]


DEFAULT_NETWORK = "bridge"
IFNAME = "IFNAME"  # in a sysctl's key, for the name that the interface will have
PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp", "sctp")
# As `ip route` has them: what is for there is dropped, or refused with an error.
REFUSING: tuple[RouteKind, ...] = ("blackhole", "unreachable", "prohibit")
MOST_EXPOSED = 1024  # ports of one container: a link opens each by an entry of its own
_KERNELS_METRIC = {4: 0, 6: 1024}  # of a route that says none (IP6_RT_PRIO_USER)


class Route(Value):
    """A route in a sandbox.

    Attributes:
        destination: 0.0.0.0/0 or ::/0 for a default route.
        gateway: next hop; None for an on-link route, and for one that refuses.
        metric: of two routes to one destination the lower one counts; 0 where none is said.
        kind: unicast, or one of `REFUSING`.
    """

    destination: Subnet
    gateway: Address | None = None
    metric: int = 0
    kind: RouteKind = "unicast"

    @property
    def is_on_link(self) -> bool:
        """Whether its destinations are on the link."""
        return self.gateway is None and self.kind == "unicast"

    def __str__(self) -> str:
        """Spell it as `ip route add` takes it, but for the device."""
        kind = "" if self.kind == "unicast" else f"{self.kind} "
        via = f" via {self.gateway}" if self.gateway else ""
        metric = f" metric {self.metric}" if self.metric else ""
        return f"{kind}{self.destination}{via}{metric}"


def metric_of(family: int, told: int) -> int:
    """Return a route's metric: 0 for what the kernel takes where none is said."""
    return 0 if told == _KERNELS_METRIC[family] else told


class Sysctl(Value):
    """A wish for a kernel parameter in a sandbox.

    Attributes:
        key: its path below /proc/sys; with `IFNAME` it is the interface's.
        value: as it is written, with single blanks.
    """

    key: str
    value: str

    def of(self, ifname: str) -> str:
        """Return the key, once the interface has its name."""
        return self.key.replace(IFNAME, ifname)

    def __str__(self) -> str:
        """Spell it as `sysctl -w` takes it."""
        return f"{self.key.replace('/', '.')}={self.value}"


class Publish(Value):
    """A wish to reach one container port through one host port.

    Attributes:
        protocol: tcp, udp or sctp.
        host_address: None means every address of the host.
        host_port: 0 means any free one.
        container_port: 1 to 65535.
        among: with a host port of 0, the first and the last of those to choose from; None
            means the host's own range.
    """

    protocol: Protocol
    host_address: Address | None
    host_port: int
    container_port: int
    among: tuple[int, int] | None = None

    def chosen(self, host_port: int) -> Publish:
        """Return it with the host port that was chosen."""
        return self.replace(host_port=host_port, among=None)

    def may_have(self, host_port: int) -> bool:
        """Tell whether a host port is one that it asks for."""
        if self.host_port or self.among is None:
            return self.host_port in (0, host_port)
        return self.among[0] <= host_port <= self.among[1]


class EndpointRequest(Value):
    """A wish to be on one network.

    Attributes:
        network: its name.
        addresses: static ones, at most one per pool and family needed; the
            rest is given from the network's pools.
        mac: "" means a reservation's, else derived from the first address.
        ifname: "" means the first free of eth0, eth1, … in the request's order.
        mtu: bytes; 0 means the bridge's.
        gateway: replaces the network's, of the same family.
        default_route: False leaves the sandbox the default route that it has, or none.
        routes: besides the default route.
        metric: of the default route; 0 means the network's.
        sysctls: that it or the sandbox is to have.
        bandwidth: how fast it may send and be sent to; None: nothing is said.
        egress: addresses of the host's that what it sends leaves with, one per family at most.
    """

    network: str
    addresses: tuple[Address, ...] = ()
    mac: str = ""
    ifname: str = ""
    mtu: int = 0
    gateway: Address | None = None
    routes: tuple[Route, ...] = ()
    default_route: bool = True
    metric: int = 0
    sysctls: tuple[Sysctl, ...] = ()
    bandwidth: Bandwidth | None = None
    egress: tuple[Address, ...] = ()

    def has_metric(self, route: Route) -> bool:
        """Tell whether a default route has the metric that is wished."""
        return route.metric == metric_of(route.destination.family, self.metric)


class Request(Value):
    """What a container asks for, whatever door it came through.

    Attributes:
        mode: bridge (any network by name), host, container or none.
        target: with mode container, the id or name of the other one.
        endpoints: with mode bridge, at least one; the first has the default route.
        publish: only with mode bridge.
        name: the container's name, if the request gives one.
        keep_ports: whether the host ports that were chosen stay its name's.
        resolution: what it is to find by name, if the request says so; with mode bridge.
        access: who may talk to whom, likewise.
        exposed: its ports by its engine's word, as `80/tcp`; it opens none.
    """

    mode: Mode
    target: str = ""
    endpoints: tuple[EndpointRequest, ...] = ()
    publish: tuple[Publish, ...] = ()
    name: str = ""
    keep_ports: bool = False
    resolution: Resolution | None = None
    access: Access | None = None
    exposed: tuple[str, ...] = ()
