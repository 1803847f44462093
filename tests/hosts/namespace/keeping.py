"""A watcher of no engine, in a process of its own, that keeps what is attached."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hosts.namespace.wired_host import PATHS
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from typing import Self

ENVIRONMENT = {
    "OCINET_CONFIG_DIR": PATHS.config,
    "OCINET_STATE_DIR": PATHS.state,
    "OCINET_RUN_DIR": PATHS.run,
}
_WATCH = ("ocinet.cli.main", "watch", "--engine", "/run/nobody.sock", "--log-format", "json")


class Keeping:
    """`ocinet watch` with no engine to watch, in a `with` block.

    Args:
        flags: further ones.

    Attributes:
        pid: of the watcher.
    """

    def __init__(self, *flags: str) -> None:
        self._flags = flags

    def __enter__(self) -> Self:
        """Start it, and wait until it is ready and has looked at everything."""
        self._log = tempfile.TemporaryFile("w+b")  # closed at the end of the block
        self._process = subprocess.Popen(
            [sys.executable, "-m", *_WATCH, *self._flags],
            env={**os.environ, **ENVIRONMENT},
            stderr=self._log,
        )
        self.pid = self._process.pid
        try:
            wait_until(lambda: self.told("watcher ready"), "the watcher is ready", timeout_s=20)
        except BaseException:  # nobody else would end it
            self._process.kill()
            self._process.wait()
            self._log.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop it: it must have met nothing unforeseen."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        log = self.log()
        self._log.close()
        if exception[0] is None:
            assert self._process.returncode == 0, log
        assert not [line for line in log if line["level"] == "error"], log

    def log(self) -> list[dict[str, Any]]:
        """Return all that it has logged."""
        text = os.pread(self._log.fileno(), 1 << 24, 0).decode()
        return [json.loads(line) for line in text.splitlines()]

    def told(self, event: str) -> list[dict[str, Any]]:
        """Return what it has logged of one kind."""
        return [line for line in self.log() if line["event"] == event]

    def cpu_s(self) -> float:
        """Return the seconds of processor time that it has used, without its children's."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
