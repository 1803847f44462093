"""A watcher in a lab, as a service manager would run it."""

from __future__ import annotations

import contextlib
import json
import signal
from typing import TYPE_CHECKING, Any

from hosts.lab.namespace import Background
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hosts.lab.machine import Lab

LOG = "/run/lab/watcher.log"
_READY_S = 30
_END_S = 30
_SETTLE_S = 10  # the watcher is told of an end some time later, by podman a second
_NOT_READ = "settings not read, the former ones hold"


def write_settings(lab: Lab, settings: str) -> None:
    """Write the lab's `ocinet.toml`."""
    lab.path("/etc/ocinet").mkdir(mode=0o700, exist_ok=True)
    lab.path("/etc/ocinet/ocinet.toml").write_text(settings)


class Watcher:
    """`ocinet watch` beside the test; a context manager.

    At the end of the block all containers of the lab's engines are removed, and
    it must have taken down what it made for them.

    Args:
        lab: where it runs; its settings are `/etc/ocinet/ocinet.toml` there.
        options: more words for the command.
        env: variables besides the lab's own.
        within: words before the command, as `unshare --pid`; such a one is ended by `kill`.
    """

    def __init__(
        self,
        lab: Lab,
        options: Sequence[str] = (),
        env: dict[str, str] | None = None,
        within: Sequence[str] = (),
    ) -> None:
        self.lab = lab
        self._within = tuple(within)
        self._options = tuple(options)
        self._env = dict(env or {})
        self._service: Background | None = None

    def __enter__(self) -> Watcher:
        """Start it, and wait until it says that it is ready."""
        self.start()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Stop it; what it logged goes into the transcript of a failed test."""
        try:
            if error is None and self.runs:
                for engine in self.lab.engines:
                    engine.remove_all()
                self.lab.assert_no_container_left(settle_s=_SETTLE_S)
            if self.runs:
                self.stop()
        finally:
            self.lab.transcript.add("watcher", self.lab.path(LOG).read_text()[-6000:])

    def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        ready = len(self.said("watcher ready"))
        self.launch()

        def is_ready() -> bool:
            assert self.runs, f"it ended: {self.lab.path(LOG).read_text()[-3000:]}"
            return len(self.said("watcher ready")) > ready

        wait_until(is_ready, "the watcher's start", timeout_s=_READY_S)

    def launch(self) -> None:
        """Start it, without waiting."""
        words = ("watch", "--log-format=json", "--log-level=debug", *self._options)
        self._service = self.lab.start(
            "sh", "-c", f'exec "$@" >> {LOG} 2>&1', "sh", *self._within, self.lab.command, *words,
            env=self._env,
        )  # fmt: skip

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._service is not None and self._service.process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._service is not None
        return self._service.process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._service is not None
        self._service.process.send_signal(number)

    def stop(self) -> int:
        """Ask it to end, as a service manager does; returns its exit status."""
        self.signal(signal.SIGTERM)
        assert self._service is not None
        return self._service.process.wait(_END_S)

    def kill(self) -> None:
        """Kill it, in the midst of whatever it does."""
        self.signal(signal.SIGKILL)
        assert self._service is not None
        self._service.process.wait(_END_S)

    def log(self) -> list[dict[str, Any]]:
        """Return all that it logged, of every start; without a line that a kill has torn."""
        path = self.lab.path(LOG)
        lines = path.read_text().splitlines() if path.exists() else []
        entries = []
        for line in lines:
            if line.startswith("{"):
                with contextlib.suppress(json.JSONDecodeError):
                    entries.append(json.loads(line))
        return entries

    def configure(self, settings: str) -> None:
        """Write `ocinet.toml`; it reads that when it is started or reloaded."""
        write_settings(self.lab, settings)

    def reload(self) -> None:
        """Have it read the settings anew, and wait until it has, or says that it can't."""
        told = [self.said("settings read"), self.said(_NOT_READ)]
        self.signal(signal.SIGHUP)
        wait_until(lambda: [self.said("settings read"), self.said(_NOT_READ)] != told, "the reload")

    def wait_until_said(
        self, event: str, container: str = "", *, timeout_s: float = 10
    ) -> dict[str, Any]:
        """Wait until it logs an event, about one container or any; returns the first."""
        what = f"{event!r} in the watcher's log"
        wait_until(lambda: self.said(event, container), what, timeout_s=timeout_s)
        return self.said(event, container)[0]

    def said(self, event: str, container: str = "") -> list[dict[str, Any]]:
        """Return what it logged of one event, about one container or any."""
        return [
            entry
            for entry in self.log()
            if entry["event"] == event and str(entry.get("container", "")).startswith(container)
        ]

    def complaints(self, container: str = "") -> list[dict[str, Any]]:
        """Return what it logged as a warning or an error, about one container or any."""
        return [
            entry
            for entry in self.log()
            if entry["level"] in ("warning", "error")
            and str(entry.get("container", "")).startswith(container)
        ]
