"""A host with a network whose containers are kept apart, and who asks whom there."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from builders import network, on
from hosts.namespace.entered import entered
from hosts.namespace.looks import run
from hosts.namespace.uplinked_host import UplinkedHost
from ocinet.request.access import parse_access

if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Request

NEIGHBOUR_6 = "fd00:99::2"
_PATIENCE_S, _LONG_S = 0.3, 10.0  # for what must not come, and for what must
_TCP, _UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


def asking(name: str = "apart", **keys: str) -> Request:
    """Return the request for a network with `ocinet.KEY=VALUE` of access."""
    access = parse_access({f"ocinet.{key}": text for key, text in keys.items()})
    return on(name).replace(access=access if keys else None)


class Apart(UplinkedHost):
    """A host with a network `apart`, of both families, whose containers are kept apart."""

    def __init__(self) -> None:
        super().__init__()
        with self.engine() as engine:
            apart = network("apart", "10.7.0.0/24", "fd00:7::/64", siblings=False)
            engine.records.networks.add(apart)
        self.open_ports: list[socket.socket] = []

    def close(self) -> None:
        """Close what listens."""
        for server in self.open_ports:
            server.close()
        super().close()

    def listen(self, name: str, port: int, kind: int = _TCP) -> None:
        """Have somebody in a container's sandbox listen, of both families."""
        with entered(self.sleepers[name].pid):
            server = socket.socket(socket.AF_INET6, kind)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("::", port))
        if kind == _TCP:
            server.listen()
        self.open_ports.append(server)

    def reaches(
        self, name: str, address: str, port: int, *, source: str = "", patience_s: float = _LONG_S
    ) -> bool:
        """Tell whether a container gets a connection there."""
        with entered(self.sleepers[name].pid):
            client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, _TCP)
        with client:
            client.settimeout(patience_s)
            if source:
                client.bind((source, 0))
            return client.connect_ex((address, port)) == 0

    def is_kept_from(self, name: str, address: str, port: int, *, source: str = "") -> bool:
        """Tell whether a container gets no connection there for a while."""
        return not self.reaches(name, address, port, source=source, patience_s=_PATIENCE_S)

    def sends(self, name: str, address: str, port: int, patience_s: float = _LONG_S) -> bool:
        """Tell whether a datagram of a container's comes there, and its answer back."""
        server = self.open_ports[-1]
        server.settimeout(patience_s)
        with entered(self.sleepers[name].pid):
            client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, _UDP)
        with client:
            client.settimeout(patience_s)
            client.connect((address, port))
            client.send(b"?")
            try:
                server.sendto(b"!", server.recvfrom(10)[1])
                return client.recv(10) == b"!"
            except OSError:
                return False

    def is_silent(self, name: str, address: str, port: int) -> bool:
        """Tell whether a datagram does not come there, or no answer back, for a while."""
        return not self.sends(name, address, port, _PATIENCE_S)

    def lead_out_by_ipv6(self) -> None:
        """Give the uplink and the neighbour addresses of IPv6, and it a way back."""
        host, there = f"{NEIGHBOUR_6[:-1]}1", self.sleepers["neighbour"].pid
        run(f"ip addr add {host}/64 dev up0 nodad")
        run(f"ip addr add {NEIGHBOUR_6}/64 dev eth0 nodad", pid=there)
        run(f"ip -6 route add fd00:7::/64 via {host}", pid=there)

    def with_pair(self, web: Request, db: Request) -> tuple[str, str]:
        """Start `web` and `db`; return the addresses of `db`."""
        self.up("web", web)
        return both(self.up("db", db))


def both(record: Attachment) -> tuple[str, str]:
    """Return the addresses of a record's first interface, IPv4's first."""
    four, six = (str(held.address) for held in record.endpoints[0].addresses)
    return four, six
