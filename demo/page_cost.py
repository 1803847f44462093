"""What the watcher's page takes of a processor, with a thousand containers.

    .venv/bin/python demo/page_cost.py [CONTAINERS [SECONDS]]        # root

A real watcher, in namespaces of its own: while nobody looks, while one does, while eight do, and,
to compare, one without a page. Traffic goes on in five of them.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from scene import Scene, isolated

_PORT = 4900
_TICK = os.sysconf("SC_CLK_TCK")


class Watcher:
    """`ocinet watch` over a scene, in a `with` block."""

    def __init__(self, scene: Scene, *flags: str) -> None:
        words = [sys.executable, "-m", "ocinet.cli.main", "watch", "--engine", "/run/nobody.sock"]
        paths = scene.paths
        self._environment = {
            **os.environ, "OCINET_CONFIG_DIR": paths.config, "OCINET_STATE_DIR": paths.state,
            "OCINET_RUN_DIR": paths.run,
        }  # fmt: skip
        self._words = [*words, "--log-format", "json", *flags]

    def __enter__(self) -> Watcher:
        """Start it, and wait until all has been looked at."""
        self._process = subprocess.Popen(
            self._words, env=self._environment, stderr=subprocess.PIPE, text=True
        )
        for line in self._process.stderr or ():
            if json.loads(line)["event"] == "watcher ready":
                break
        time.sleep(15)  # its first look at everything is over
        return self

    def __exit__(self, *_exception: object) -> None:
        """Stop it."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()

    def cpu_s(self) -> float:
        """Return the seconds of a processor that it has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def rss_mib(self) -> float:
        """Return the memory that it has."""
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def look(readers: int, token: str, seconds: float) -> tuple[int, int, float]:
    """Look for some time.

    Returns:
        The bytes that one reader got at first, and in all; seconds from picture to picture.
    """
    head = f"GET /live HTTP/1.1\r\nHost: 127.0.0.1:{_PORT}\r\nAuthorization: Bearer {token}\r\n\r\n"
    opened = [socket.create_connection(("127.0.0.1", _PORT)) for _ in range(readers)]
    for each in opened:
        each.sendall(head.encode())
    got, first, pictures = 0, 0, 0
    end = time.monotonic() + seconds
    while (rest := end - time.monotonic()) > 0:
        for ready in select.select(opened, [], [], min(rest, 0.5))[0]:
            part = ready.recv(1 << 20)
            if not part:
                raise RuntimeError("a connection was closed")
            got += len(part)
            pictures += part.count(b"event: change")
        if seconds - rest < 3:
            first = got
    for each in opened:
        each.close()
    return first // readers, got // readers, seconds / max(1, pictures / readers)


def main() -> None:
    """Measure, and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 30.0
    isolated()
    with Scene() as scene:
        scene.many(count)
        over = threading.Event()

        def talk() -> None:
            names = [f"web-{number}" for number in range(1, 6)]
            while not over.is_set():
                scene.talk(*names)
                over.wait(0.2)

        threading.Thread(target=talk, daemon=True).start()
        with Watcher(scene) as watcher:
            before = watcher.cpu_s()
            time.sleep(seconds)
            used, rss = watcher.cpu_s() - before, watcher.rss_mib()
            print(f"no page: {100 * used / seconds:.2f} % of a CPU, {rss:.0f} MiB", flush=True)
        with Watcher(scene, "--web", f"127.0.0.1:{_PORT}") as watcher:
            token = Path(scene.paths.run, "page.token").read_text()
            for readers in (0, 1, 8):
                before = watcher.cpu_s()
                if readers:
                    first, got, pace_s = look(readers, token, seconds)
                else:
                    time.sleep(seconds)
                used, rss = watcher.cpu_s() - before, watcher.rss_mib()
                time.sleep(1)
                told = f"{100 * used / seconds:.2f} % of a CPU, {rss:.0f} MiB"
                if readers:
                    told += f"; each got {first / 1e3:.0f} kB, then "
                    told += f"{(got - first) / (seconds - 3) / 1e3:.1f} kB/s"
                    told += f", a picture each {pace_s:.1f} s"
                print(f"{readers} readers: {told}", flush=True)
        over.set()


if __name__ == "__main__":
    main()
