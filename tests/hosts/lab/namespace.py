"""A network namespace to run, listen, connect and look in.

What it shows comes from `ip -j` and `nft`, never from the code under test.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hosts.command import CommandFailed, Result, Transcript, run_command
from hosts.namespace.looks import spelled
from hosts.requirements import SEARCH_PATH
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    Protocol = Literal["tcp", "udp"]

_PEER = ("/usr/bin/python3", "-I", "-S", str(Path(__file__).with_name("peer.py")))
_READY_S = 10.0


class Unreachable(Exception):
    """Nobody answered; the argument is the errno's name, as `ETIMEDOUT`."""


@dataclass(frozen=True)
class Reply:
    """What a server said of the client that asked.

    Attributes:
        server: the server's name.
        peer: the client's address and port as the server saw them.
        local: the address and port at which the server was met.
    """

    server: str
    peer: tuple[str, int]
    local: tuple[str, int]

    @classmethod
    def parse(cls, line: str) -> Reply:
        """Read a line that `peer.py` printed or sent."""
        told = json.loads(line)
        return cls(told["server"], tuple(told["peer"]), tuple(told["local"]))


class Background:
    """A command that goes on until it is stopped or its namespace is closed."""

    def __init__(self, argv: Sequence[str], words: Sequence[str], env: dict[str, str]) -> None:
        self.argv = tuple(argv)
        self.process = subprocess.Popen(
            list(words), env=env, stdin=subprocess.DEVNULL, text=True, bufsize=1,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    @property
    def pid(self) -> int:
        """Id of the command; it is the one that was entered, not `nsenter`."""
        return self.process.pid

    def line(self) -> str:
        """Wait for the next line of output; "" at its end."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def stop(self) -> str:
        """Kill it and return what it had printed and nobody had read; "" if it was stopped."""
        assert self.process.stdout is not None
        if self.process.stdout.closed:
            return ""
        self.process.kill()
        rest, _ = self.process.communicate()
        return rest

    def __enter__(self) -> Background:
        """Return itself; stopped at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stop it."""
        self.stop()


class Server(Background):
    """A listening `peer.py`."""

    def seen(self) -> list[Reply]:
        """Stop listening, and return every client that came, in order."""
        return [Reply.parse(line) for line in self.stop().splitlines() if line.startswith("{")]


class Namespace:
    """The network namespace of a process, seen from a lab's mount namespace.

    Args:
        name: for the transcript.
        net_pid: a process in the network namespace.
        mount_pid: a process in the mount namespace.
        transcript: where every command is noted.

    Attributes:
        background: what was started here and not closed yet.
    """

    def __init__(self, name: str, net_pid: int, mount_pid: int, transcript: Transcript) -> None:
        self.name = name
        self.net_pid = net_pid
        self.mount_pid = mount_pid
        self.transcript = transcript
        self.environment = {
            "PATH": SEARCH_PATH,
            "HOME": "/run/lab/home",
            "LANG": "C.UTF-8",
        }
        self.background: list[Background] = []

    @property
    def sandbox(self) -> str:
        """The namespace as `DEV:INODE`."""
        status = os.stat(f"/proc/{self.net_pid}/ns/net")
        return f"{status.st_dev}:{status.st_ino}"

    def path(self, path: str) -> Path:
        """Return where the test finds a path of the lab.

        Absolute symbolic links on the way are followed outside the lab.
        """
        return Path(f"/proc/{self.mount_pid}/root") / path.lstrip("/")

    def entering(self, cwd: str = "/") -> tuple[str, ...]:
        """Return the words that run the command after them in here."""
        return (
            "nsenter", f"--net=/proc/{self.net_pid}/ns/net",
            f"--mount=/proc/{self.mount_pid}/ns/mnt", f"--wdns={cwd}", "--",
        )  # fmt: skip

    def run(
        self,
        *argv: str,
        check: bool = True,
        stdin: str = "",
        cwd: str = "/",
        env: dict[str, str] | None = None,
        timeout_s: float = 30,
    ) -> Result:
        """Run a command to its end.

        Args:
            argv: the command.
            check: whether a status other than 0 fails the test.
            stdin: what it reads.
            cwd: where it runs, a path in the lab.
            env: variables besides the lab's own.
            timeout_s: then it is killed and the test fails.

        Raises:
            CommandFailed: see `check` and `timeout_s`.
        """
        try:
            result = run_command(
                argv, enter=self.entering(cwd), env=self.environment | (env or {}),
                stdin=stdin, timeout_s=timeout_s,
            )  # fmt: skip
        except CommandFailed as error:
            self.transcript.add(self.name, error)
            raise
        self.transcript.add(self.name, result)
        if check and result.status:
            raise CommandFailed(result, f"failed in {self.name}")
        return result

    def start(self, *argv: str, env: dict[str, str] | None = None) -> Background:
        """Start a command that goes on beside the test; see `Background`."""
        self.transcript.add(self.name, f"$ {' '.join(argv)} &")
        words = (*self.entering(), *argv)
        background = Background(argv, words, self.environment | (env or {}))
        self.background.append(background)
        return background

    def close(self) -> None:
        """Stop everything that was started in the background."""
        for background in self.background:
            background.stop()
        self.background.clear()

    def serve(self, protocol: Protocol, port: int, address: str = "", name: str = "") -> Server:
        """Listen, and tell each client whom the server sees; returns when it listens.

        Args:
            protocol: tcp or udp.
            port: 1 to 65535.
            address: "" means every address of both families.
            name: what it calls itself; the namespace's name by default.

        Raises:
            CommandFailed: it could not listen there.
        """
        argv = (*_PEER, "serve", protocol, address, str(port), name or self.name)
        server = Server(argv, (*self.entering(), *argv), self.environment)
        self.background.append(server)
        told = server.line()
        self.transcript.add(self.name, f"serve {protocol} {address or '*'} {port}: {told}")
        if told != "ready":
            raise CommandFailed(Result(argv, 1, told, server.stop(), 0), "cannot listen")
        return server

    def ask(
        self,
        protocol: Protocol,
        address: str,
        port: int,
        *,
        timeout_s: float = 1,
        source: tuple[str, int] = ("", 0),
    ) -> Reply:
        """Connect to a server that `serve` started, and return what it saw.

        Raises:
            Unreachable: nobody answered in time, or somebody refused.
        """
        argv = (
            *_PEER, "ask", protocol, address, str(port), str(timeout_s), source[0], str(source[1]),
        )  # fmt: skip
        result = run_command(
            argv, enter=self.entering(), env=self.environment, timeout_s=timeout_s + _READY_S
        )
        answer = (result.stdout or result.stderr).strip()
        self.transcript.add(self.name, f"ask {protocol} {address} {port}: {answer}")
        if result.status or not answer:
            raise Unreachable(answer)
        return Reply.parse(answer)

    def reaches(self, protocol: Protocol, address: str, port: int, timeout_s: float = 1) -> bool:
        """Tell whether a server that `serve` started answers there."""
        try:
            self.ask(protocol, address, port, timeout_s=timeout_s)
        except Unreachable:
            return False
        return True

    def pings(self, address: str, timeout_s: int = 1) -> bool:
        """Tell whether an ICMP echo comes back."""
        family = "-6" if ":" in address else "-4"
        asked = self.run(
            "busybox", "ping", family, "-c", "1", "-W", str(timeout_s), address, check=False
        )
        return asked.status == 0

    def wait_for_carrier(self, ifname: str) -> None:
        """Wait until a link that has been set up carries packets.

        The kernel acts on a new carrier up to a second later. Asking for the
        link hurries that on since Linux 6.8; before, it must be waited for.
        """
        look = ("ip", "-o", "link", "show", "dev", ifname)
        wait_until(lambda: "state UP" in self.run(*look).stdout, f"carrier of {ifname}")

    def links(self) -> dict[str, dict[str, Any]]:
        """Return what `ip -j -d link` shows, by interface name."""
        return {link["ifname"]: link for link in self.run("ip", "-j", "-d", "link").json()}

    def addresses(self, ifname: str, scope: str = "global") -> list[str]:
        """Return an interface's addresses as `ADDRESS/PREFIX`, sorted."""
        shown = self.run("ip", "-j", "address", "show", "dev", ifname).json()
        return spelled((info for link in shown for info in link.get("addr_info", ())), scope)

    def routes(self, *, v6: bool = False) -> list[dict[str, Any]]:
        """Return what `ip -j route` shows."""
        routes: list[dict[str, Any]] = self.run("ip", "-j", "-6" if v6 else "-4", "route").json()
        return routes

    def ruleset(self) -> str:
        """Return what `nft list ruleset` shows."""
        return self.run("nft", "list", "ruleset").stdout

    def sysctl(self, key: str) -> str:
        """Read a setting, as `net/ipv4/ip_forward`; "" if the kernel lacks it."""
        return self.run("cat", f"/proc/sys/{key}", check=False).stdout.strip()

    def set_sysctl(self, key: str, value: str) -> None:
        """Write a setting of this namespace, as `net/ipv4/ip_forward`."""
        self.run("sh", "-c", f"echo {value} > /proc/sys/{key}")
