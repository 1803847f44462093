"""A wired host with an uplink, a neighbour there, and containers that serve the web."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hosts.namespace.isolation import Sleeper
from hosts.namespace.looks import run
from hosts.namespace.wired_host import PATHS, WiredHost
from hosts.requirements import require
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Request

NEIGHBOUR, UPLINK = "192.0.2.2", "192.0.2.1"
OUT, BESIDE, IN = "out", "to a sibling", "in by the published port"
_ASK = """
import socket, sys
with socket.create_connection(sys.argv[1:], 1) as server:
    server.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    raise SystemExit(not server.recv(100))
"""
_NETFILTER = ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables")


class UplinkedHost(WiredHost):
    """A host whose bridged packets pass the firewall as well."""

    def __init__(self) -> None:
        require("busybox")
        super().__init__()
        for key in _NETFILTER:
            Path("/proc/sys/net/bridge", key).write_text("1")
        self._servers: list[subprocess.Popen[bytes]] = []
        self._neighbour = self.sleepers["neighbour"] = Sleeper()
        pid = self._neighbour.pid
        run(f"ip link add up0 type veth peer name eth0 netns {pid}")
        run(f"ip addr add {UPLINK}/24 dev up0")
        run("ip link set up0 up")
        run(f"ip route add default via {NEIGHBOUR}")
        run(f"ip addr add {NEIGHBOUR}/24 dev eth0", pid=pid)
        run("ip link set eth0 up", pid=pid)

    def close(self) -> None:
        """End what still runs."""
        for server in self._servers:
            server.kill()
            server.wait()
        super().close()

    def up_serving(self, name: str, request: Request, *, bounded: bool = False) -> Attachment:
        """Attach a container that answers at its port 80; see `start`."""
        record = self.up(name, request, bounded=bounded)
        pid = self.sleepers[name].pid
        page = Path("/run/www/index.html")
        page.parent.mkdir(exist_ok=True)
        page.write_text(name)
        inside = ("nsenter", "-t", str(pid), "-n")
        self._servers.append(
            subprocess.Popen([*inside, "busybox", "httpd", "-f", "-h", "/run/www", "-p", "80"])
        )
        wait_until(lambda: ":80 " in run("ss -Hltn", pid=pid), f"{name} serves")
        return record

    def unreached(self, name: str, sibling: str, port: int = 8080) -> list[str]:
        """Return the ways that a container's packets don't get through on.

        Args:
            name: of a container that serves.
            sibling: of one on the same network.
            port: that it publishes.
        """
        beside = self.addresses(sibling)[0].partition("/")[0]
        ways = {
            OUT: self.pings(name, NEIGHBOUR),
            BESIDE: self.pings(name, beside),
            IN: self._is_answered(port),
        }
        return [way for way, passes in ways.items() if not passes]

    def _is_answered(self, port: int) -> bool:
        """Tell whether the neighbour gets an answer at a port of the host."""
        # Not busybox's wget: the static one of Debian 12 dies in here of a segmentation fault.
        words = ("nsenter", "-t", str(self._neighbour.pid), "-n", sys.executable, "-c", _ASK,
                 UPLINK, str(port))  # fmt: skip
        return subprocess.run(words, capture_output=True, check=False).returncode == 0

    def set_settings(self, text: str) -> None:
        """Write the operator's settings."""
        path = Path(PATHS.config, "ocinet.toml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    @staticmethod
    def warned() -> list[str]:
        """Return what attaches warned of, in order."""
        lines = Path(PATHS.run, "events.jsonl").read_text().splitlines()
        return [event["warning"] for event in map(json.loads, lines) if "warning" in event]
