"""A machine with ocinet on it: its own files, machine id, boot, and agent."""

from __future__ import annotations

import json
import signal
import uuid
from typing import TYPE_CHECKING, Any

from hosts.lab.installation import Installation
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.command import Transcript
    from hosts.lab.namespace import Background

LOG = "/run/agent.log"
_READY_S = 30


class ClusterHost(Installation):
    """A host; see `world.World.add_host`.

    Args:
        name: of it.
        pid: of the process that holds its namespaces.
        address: of its underlay.
        transcript: where every command is noted.
    """

    def __init__(self, name: str, pid: int, address: str, transcript: Transcript) -> None:
        super().__init__(name, pid, pid, transcript)
        self.address = address
        self._agent: Background | None = None

    def be(self, machine_id: str) -> None:
        """Have another machine id."""
        self.path("/etc/machine-id").write_text(f"{machine_id}\n")

    def serve_names(self) -> None:
        """Have names served, which costs what is not about them a process each."""
        self.path("/etc/ocinet/ocinet.toml.d/50-host.toml").unlink()

    def boot(self) -> None:
        """Begin another boot: /run is empty, all processes are gone, /etc and /var/lib stay."""
        self.kill_agent()
        self.run("sh", "-c", "rm -rf /run/ocinet; cp /run/boot_id /run/former")
        self.path("/run/boot_id").write_text(f"{uuid.uuid4()}\n")

    def join(self, *words: str, cluster: str = "prod", **named: Any) -> list[str]:
        """Join, and return the shares."""
        done = self.ocinet("cluster", "join", cluster, "--name", self.name, *words, **named)
        return done.stdout.split()

    def refused(self, *words: str, env: dict[str, str] | None = None) -> str:
        """Run a command that has to fail; return what it says, on its one line or two."""
        done = self.ocinet(*words, check=False, env=env)
        assert done.status != 0, f"{words} succeeded"
        assert len(done.stderr.strip().splitlines()) <= 2, done.stderr
        return done.stderr

    def start_agent(self, *, wait: bool = True) -> None:
        """Start the agent, and wait until this host is a member."""
        words = ("cluster", "run", "--log-format=json", "--log-level=debug")
        self._agent = self.start("sh", "-c", f'exec "$@" >> {LOG} 2>&1', "sh", self.command, *words)
        if wait:
            self.wait_for_state("member")

    def kill_agent(self) -> None:
        """Kill it, in the midst of whatever it does; none that runs is fine."""
        if self._agent is not None:
            self._agent.process.kill()
            self._agent.process.wait(_READY_S)
            self._agent = None

    def stop_agent(self) -> int:
        """Ask it to end, as a service manager does; returns its exit status."""
        assert self._agent is not None
        self._agent.process.send_signal(signal.SIGTERM)
        status = self._agent.process.wait(_READY_S)
        self._agent = None
        return status

    @property
    def agent_runs(self) -> bool:
        """Whether it has not ended."""
        return self._agent is not None and self._agent.process.poll() is None

    def status(self) -> dict[str, Any]:
        """Return what `cluster status` tells."""
        told: dict[str, Any] = self.ocinet(
            "cluster", "status", "--format", "json", check=False
        ).json()
        return told or {}

    def wait_for_state(
        self, state: str, why: str = "", timeout_s: float = _READY_S
    ) -> dict[str, Any]:
        """Wait until the agent tells that it is in a state; return all that it tells."""

        def is_so() -> dict[str, Any]:
            told = self.told()
            so = told.get("state") == state and why in str(told.get("why"))
            return told if so else {}

        try:
            return wait_until(is_so, f"{self.name} is {state}", timeout_s=timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.told()}\n{self.log()[-3000:]}") from error

    def told(self) -> dict[str, Any]:
        """Return the agent's bulletin, without asking ocinet."""
        try:
            told: dict[str, Any] = json.loads(self.path("/run/ocinet/cluster.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return told

    def peers(self) -> dict[str, dict[str, Any]]:
        """Return whom the agent knows, by their names."""
        return {peer["name"]: peer for peer in self.told().get("peers", ())}

    def log(self) -> str:
        """Return what the agent logged."""
        path = self.path(LOG)
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        """Stop everything that was started here."""
        if self.log():
            self.transcript.add(f"{self.name} agent", self.log()[-6000:])
        self._agent = None
        server = self.path("/run/ocinet/names/served/aardvark.pid")
        if server.exists():  # it is nobody's child
            self.run("kill", "-9", server.read_text().strip(), check=False)
        super().close()

    def set_address(self, address: str) -> None:
        """Have another underlay address, in the place of the one it had."""
        # In this order: a second address of one subnet goes with the first.
        self.run("ip", "address", "del", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        self.address = address

    def cut(self) -> None:
        """Be cut off from everybody, without being told."""
        self.run("nft", "add", "table", "netdev", "cut")
        self.run("nft", "add chain netdev cut in { type filter hook ingress device eth0 priority 0;"
                 " policy drop; }")  # fmt: skip

    def heal(self) -> None:
        """Be cut off no more."""
        self.run("nft", "delete", "table", "netdev", "cut")
