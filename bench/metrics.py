#!/usr/bin/env python3
"""What a scrape costs with a thousand containers: CPU time of the watcher, a scrape each 15 s.

    unshare -n -m .venv/bin/python bench/metrics.py [CONTAINERS]

In network and mount namespaces of its own, as root. The watcher runs with no engine, once
without metrics and once with them, for the same time; each scrape's CPU is what its process
took more. It says at the end what share of one CPU that is, and beside it what `ip -s -j link`
takes for the same links: on a machine that is busy both take more.
"""

from __future__ import annotations

import os
import re
import resource
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ocinet.base.clock import Process
from ocinet.base.paths import Paths
from ocinet.engine.engine import Engine
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.model.attachment import Container
from ocinet.engine.model.request import EndpointRequest, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

_OCINET = os.path.join(os.path.dirname(sys.executable), "ocinet")
_PLACE = "/run/metrics.sock"
_PATHS = Paths("/run/etc", "/run/lib")
_SCRAPES = 20
_INTERVAL_S = 15.0  # that Prometheus scrapes at; here they follow faster, and are counted each
_PAUSE_S = 1.5  # a text that was gathered serves for a second
_TICKS = os.sysconf("SC_CLK_TCK")


def _run(*words: str) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def _cpu_s(pid: int) -> float:
    """Return what a process took, and what it ran."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / _TICKS


def _scrape() -> str:
    with socket.socket(socket.AF_UNIX) as made:
        made.settimeout(60)
        try:
            made.connect(_PLACE)
        except OSError:
            return ""
        made.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        data = b""
        while more := made.recv(1 << 16):
            data += more
    return data.decode().partition("\r\n\r\n")[2]


def _attach(number: int, pid: int) -> None:
    process = Process.of(pid)
    assert process
    container = Container(f"{number:064x}", f"web-{number}", process=process)
    request = Request("bridge", endpoints=(EndpointRequest("lan"),))
    with Engine.open(_PATHS) as engine, Sandbox.open_process(process) as sandbox:
        engine.attach(container, request, sandbox)


@contextmanager
def _watcher(*flags: str) -> Iterator[int]:
    with subprocess.Popen([_OCINET, "watch", *flags], stderr=subprocess.DEVNULL) as process:
        try:
            yield process.pid
        finally:
            process.terminate()


def _settle(pid: int) -> None:
    """Wait until it has looked at all containers."""
    before, quiet = -1.0, 0
    while quiet < 3:
        time.sleep(1)
        now = _cpu_s(pid)
        quiet = quiet + 1 if now - before < 0.05 else 0
        before = now


def main(count: int) -> None:
    """Make the containers, and measure."""
    _run("mount", "-t", "tmpfs", "tmpfs", "/run")
    _run("ip", "link", "set", "lo", "up")
    os.environ.update(OCINET_CONFIG_DIR=_PATHS.config, OCINET_STATE_DIR=_PATHS.state)
    # A name server is nobody's child, and would outlive all of this.
    Path(_PATHS.config).mkdir(parents=True)
    Path(_PATHS.config, "ocinet.toml").write_text("names = false\n")
    _run(_OCINET, "network", "create", "--subnet", "10.9.0.0/16", "lan")
    sleepers = [subprocess.Popen(["unshare", "-n", "sleep", "inf"]) for _ in range(count)]
    try:
        own = os.readlink("/proc/self/ns/net")
        for number, sleeper in enumerate(sleepers):
            while os.readlink(f"/proc/{sleeper.pid}/ns/net") == own:
                time.sleep(0.01)
            _attach(number, sleeper.pid)
        _measure(count)
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()


def _ip_s() -> float:
    """Return the CPU time of one `ip -s -j link`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(_SCRAPES):
        _run("ip", "-s", "-j", "link")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent_s / _SCRAPES


def _measure(count: int) -> None:
    lasts_s = _SCRAPES * _PAUSE_S
    with _watcher() as pid:
        _settle(pid)
        before = _cpu_s(pid)
        time.sleep(lasts_s)
        idle_s = _cpu_s(pid) - before
    with _watcher("--metrics", f"unix:{_PLACE}") as pid:
        while not _scrape():
            time.sleep(0.1)
        _settle(pid)
        text, before = "", _cpu_s(pid)
        for _ in range(_SCRAPES):
            time.sleep(_PAUSE_S)
            text = _scrape()
        scraped_s = _cpu_s(pid) - before
    each_s = max(0.0, scraped_s - idle_s) / _SCRAPES
    took_s = re.findall(r"^ocinet_gather_duration_seconds (.*)$", text, re.MULTILINE)[0]
    print(f"{count} containers: {len(text) / 1000:.0f} kB, {text.count(chr(10))} lines")
    print(f"watcher alone, in {lasts_s:.0f} s: {idle_s:.2f} s of CPU")
    print(f"with {_SCRAPES} scrapes in it: {scraped_s:.2f} s")
    print(f"a scrape: {each_s * 1000:.0f} ms of CPU (the last took {float(took_s) * 1000:.0f} ms)")
    print(f"ip -s -j link: {_ip_s() * 1000:.0f} ms of CPU")
    print(f"each {_INTERVAL_S:.0f} s: {each_s / _INTERVAL_S:.2%} of one CPU")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
