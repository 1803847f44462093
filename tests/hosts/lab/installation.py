"""ocinet on a machine: its command, and what it has recorded there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hosts.lab.namespace import Namespace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hosts.command import Result

_COMMAND = Path(sys.executable).with_name("ocinet")


class Installation(Namespace):
    """A machine's own namespace, in which ocinet is installed."""

    @property
    def command(self) -> str:
        """The path of the `ocinet` command."""
        return str(_COMMAND)

    def ocinet(
        self,
        *words: str,
        check: bool = True,
        stdin: str = "",
        env: Mapping[str, str] | None = None,
        timeout_s: float = 30,
    ) -> Result:
        """Run the `ocinet` command, as `lab.ocinet("ps", "--format", "json").json()`."""
        argv = (self.command, *words)
        return self.run(*argv, check=check, stdin=stdin, env=dict(env or {}), timeout_s=timeout_s)

    def make_network(self, name: str, *subnets: str) -> None:
        """Define a network, as `lab.make_network("lan", "10.9.0.0/24", "fd00:9::/64")`."""
        words = [word for subnet in subnets for word in ("--subnet", subnet)]
        self.ocinet("network", "create", *words, name)

    def records(self) -> dict[str, dict[str, Any]]:
        """Return the record of every container that ocinet knows, also of the dead, by name."""
        shown = self.ocinet("ps", "--all", "--json").json()
        return {record["name"]: record for record in shown if record["status"] != "failed"}

    def all_events(self) -> list[dict[str, Any]]:
        """Return the event log: what was done to containers, and to the host."""
        told = self.run("cat", "/run/ocinet/events.jsonl", check=False).stdout
        return [json.loads(line) for line in told.splitlines()]

    def events(self, kind: str = "") -> list[dict[str, Any]]:
        """Return what the event log has of containers, of one kind or all."""
        events = [event for event in self.all_events() if event["event"] != "host changed"]
        return [event for event in events if kind in ("", event["event"])]
