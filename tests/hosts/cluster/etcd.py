"""A member of etcd's: the real program, in a namespace of its own or in the test's."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import TYPE_CHECKING

from hosts.requirements import SEARCH_PATH
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CLIENTS, PEERS = 2379, 2380
READY_S = 30


class EtcdMember:
    """One member; started, stopped, wiped, and started again.

    Args:
        name: of it.
        address: at which it listens.
        all_members: names and addresses of all, this one too.
        directory: for its data and what it logs.
        enter: words that run a command where it lives.
        options: more words for etcd.
    """

    def __init__(
        self,
        name: str,
        address: str,
        all_members: dict[str, str],
        directory: Path,
        enter: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        self.name, self.address = name, address
        self.directory = directory / name
        self._all = all_members
        self._enter = tuple(enter)
        self.options = tuple(options)
        self.scheme = "http"
        self._process: subprocess.Popen[bytes] | None = None
        self._lives = 0

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"{self.scheme}://{self.address}:{CLIENTS}"

    def start(self) -> None:
        """Start it; `wait` tells when it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        cluster = ",".join(f"{name}=http://{at}:{PEERS}" for name, at in self._all.items())
        words = (
            "etcd", "--name", self.name, "--data-dir", str(self.directory / f"data{self._lives}"),
            "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
            "--listen-peer-urls", f"http://{self.address}:{PEERS}",
            "--initial-advertise-peer-urls", f"http://{self.address}:{PEERS}",
            "--initial-cluster", cluster, "--initial-cluster-token", f"life{self._lives}",
            "--heartbeat-interval", "100", "--election-timeout", "1000", "--unsafe-no-fsync",
            *self.options,
        )  # fmt: skip
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._enter, *words], env={"PATH": SEARCH_PATH, "HOME": "/"},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def wait(self) -> None:
        """Wait until it answers, by a majority."""
        wait_until(self.answers, f"etcd {self.name}", timeout_s=READY_S, interval_s=0.05)

    def answers(self) -> bool:
        """Tell whether it does."""
        assert self._process is None or self._process.poll() is None, self.log()[-3000:]
        return self.ctl("get", "x", check=False, timeout_s=2) is not None

    def ctl(self, *words: str, check: bool = True, timeout_s: float = 10) -> str | None:
        """Run etcdctl on this member; None if it fails and need not succeed."""
        tls: tuple[str, ...] = ()
        if self.scheme == "https":
            tls = ("--insecure-skip-tls-verify", "--insecure-transport=false")
        done = subprocess.run(
            [*self._enter, "etcdctl", "--endpoints", self.url, *tls,
             f"--command-timeout={timeout_s:g}s", f"--dial-timeout={timeout_s:g}s", *words],
            env={"PATH": SEARCH_PATH, "ETCDCTL_API": "3", "HOME": "/"}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False, timeout=timeout_s + 20,
        )  # fmt: skip
        if done.returncode:
            assert not check, done.stderr
            return None
        return done.stdout

    def keys(self, prefix: str = "/ocinet/") -> dict[str, dict[str, object]]:
        """Return what stands below a prefix."""
        told = self.ctl("get", "--prefix", prefix, "-w", "json") or "{}"
        from base64 import b64decode

        found = {}
        for entry in json.loads(told).get("kvs", ()):
            key = b64decode(entry["key"]).decode()
            found[key] = json.loads(b64decode(entry.get("value", "")) or b"null")
        return found

    def compact(self) -> None:
        """Forget all former revisions."""
        told = json.loads(self.ctl("get", "x", "-w", "json") or "{}")
        self.ctl("compact", str(told["header"]["revision"]))

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> None:
        """Kill it; a second time does nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def wipe(self) -> None:
        """Have it know nothing the next time it is started."""
        assert self._process is None, "it runs"
        self._lives += 1

    def log(self) -> str:
        """Return what it logged."""
        return (self.directory / "log").read_text(errors="replace")
