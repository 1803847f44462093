"""Figures of a host that is really there: as `ip -s` has them, scraped, and shown by `top`."""

from __future__ import annotations

import grp
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from builders import on
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.wired_host import PATHS, WiredHost
from hosts.waiting import wait_until
from ocinet.cli.console import Console, Streams
from ocinet.cli.main import main
from ocinet.engine.model.bandwidth import Bandwidth, Limit

if TYPE_CHECKING:
    from collections.abc import Iterator

_TIMEOUT_S = 50
_PLACE = "/run/figures/metrics.sock"
_BOUND = ("setpriv", "--pdeathsig", "KILL")  # it ends with the test, however that ends
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
_ENVIRONMENT = {
    "OCINET_CONFIG_DIR": PATHS.config,
    "OCINET_STATE_DIR": PATHS.state,
    "OCINET_RUN_DIR": PATHS.run,
    "PATH": os.environ.get("PATH", ""),
}


def ocinet(*words: str) -> tuple[int, str, str]:
    """Run a command; return its status, and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    streams = Streams(io.StringIO(), out, err)
    status = main(list(words), Console(_ENVIRONMENT, streams=streams, is_root=True))
    return status, out.getvalue(), err.getvalue()


def samples(text: str) -> dict[tuple[str, str], float]:
    """Return what an exposition says, by name and labels."""
    return {(name, labels): float(value) for name, labels, value in _SAMPLE.findall(text)}


def host_stats(host_end: str) -> Any:
    """Return what the kernel counted at a host end."""
    return json.loads(run(f"ip -s -j link show dev {host_end}"))[0]["stats64"]


def send(host: WiredHost, name: str, count: int = 200) -> None:
    """Have a container send datagrams to its gateway."""
    code = f"import socket; s = socket.socket(2, 2); [s.sendto(b'x' * 900, ('10.9.0.1', 9)) for _ in range({count})]"  # noqa: E501  # one program
    run("nsenter", "-n", "-t", str(host.sleepers[name].pid), sys.executable, "-c", code)


@contextmanager
def sending(host: WiredHost, name: str, host_end: str) -> Iterator[None]:
    """Have a container send without end, some hundred packets a second."""
    code = (
        "import socket, time; s = socket.socket(2, 2)\n"
        "while True: s.sendto(b'x' * 900, ('10.9.0.1', 9)); time.sleep(0.002)"
    )
    pid = str(host.sleepers[name].pid)
    process = subprocess.Popen([*_BOUND, "nsenter", "-n", "-t", pid, sys.executable, "-c", code])
    try:
        before = host_stats(host_end)["rx"]["packets"]
        wait_until(
            lambda: host_stats(host_end)["rx"]["packets"] > before + 100,
            "it sends", timeout_s=_TIMEOUT_S,
        )  # fmt: skip
        yield
    finally:
        process.kill()
        process.wait()


def of_endpoint(told: dict[tuple[str, str], float], what: str, name: str) -> float:
    labels = f'container="{name}",id="{name}-id",network="lan",interface="eth0"'
    return told[f"ocinet_endpoint_{what}_total", labels]


def host_with(*names: str) -> tuple[WiredHost, dict[str, str]]:
    """Return a host with containers on `lan`, and the host ends of each."""
    host = WiredHost()
    ends = {}
    for name in names:
        record = host.up(name, on("lan"))
        ends[name] = record.endpoints[0].host_ifname
    return host, ends


@in_namespaces
def test_metrics_are_what_the_kernel_counted() -> None:
    """The host end's, swapped: what it received, the container sent. And a file of it, whole."""
    host, ends = host_with("web", "db")
    send(host, "web")
    status, text, _ = ocinet("metrics")
    assert status == 0
    told = samples(text)
    stats = host_stats(ends["web"])
    assert stats["rx"]["packets"] >= 200
    for what, side, key in (
        ("transmit_packets", "rx", "packets"), ("transmit_bytes", "rx", "bytes"),
        ("receive_packets", "tx", "packets"), ("receive_bytes", "tx", "bytes"),
    ):  # fmt: skip
        assert of_endpoint(told, what, "web") == stats[side][key], what
    assert told["ocinet_containers", 'state="running"'] == 2
    assert told["ocinet_pool_used_addresses", 'network="lan",family="4"'] == 2
    done = told["ocinet_operations_total", 'operation="attach",door="hook",outcome="ok"']
    took = told["ocinet_operation_duration_seconds_count", 'operation="attach",door="hook"']
    assert done == took == 2
    os.mkdir("/run/textfiles")
    path = "/run/textfiles/ocinet.prom"
    assert ocinet("metrics", "--textfile", path)[0] == 0
    assert os.stat(path).st_mode & 0o777 == 0o644
    assert os.listdir("/run/textfiles") == ["ocinet.prom"]
    with open(path) as file:
        assert samples(file.read()).keys() == told.keys()
    status, _, said = ocinet("metrics", "--textfile", "/run/textfiles/ocinet.txt")
    assert (status, "ends with .prom" in said) == (2, True)
    assert ocinet("metrics", "--textfile", "/run/none/ocinet.prom")[0] == 1


@in_namespaces
def test_what_a_guard_refused_is_told() -> None:
    """A container that says it is another one."""
    host, _ends = host_with("web")
    pid = host.sleepers["web"].pid
    run(f"nsenter -n -t {pid} ip link set eth0 address 02:00:00:00:00:77")
    send(host, "web", 30)
    told = samples(ocinet("metrics")[1])
    assert of_endpoint(told, "refused_packets", "web") > 0


def _rows(text: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(text)}


@in_namespaces
def test_top_shows_what_passes_and_who_has_come_and_gone() -> None:
    """One sends without end; it ends, and another one comes."""
    host, ends = host_with("web", "db")
    with sending(host, "web", ends["web"]):
        status, text, _ = ocinet("top", "--no-stream", "--format", "json")
    assert status == 0
    rows = _rows(text)
    assert list(rows) == ["web", "db"]  # the most first
    assert rows["web"]["per_second"]["tx_packets"] > 0
    assert rows["db"]["per_second"]["tx_bytes"] == 0
    table = ocinet("top", "-n", "2", "--interval", "0.1", "--sort", "name")[1]
    shown = [line.split()[0] for line in table.splitlines() if line]
    assert shown == ["CONTAINER", "db", "web"] * 2
    assert set(_rows(ocinet("top", "--no-stream", "--json", "web")[1])) == {"web"}
    with host.engine() as engine:
        engine.detach("web-id")
    lines: list[str] = []

    class Stream(io.StringIO):
        """Between two turns, another one comes."""

        def write(self, text: str) -> int:
            lines.append(text)
            if len(lines) == 1:
                host.up("new", on("lan"))
            return len(text)

    streams = Streams(io.StringIO(), Stream(), io.StringIO())
    console = Console(_ENVIRONMENT, streams=streams, is_root=True)
    assert main(["top", "-n", "3", "--interval", "0.2", "--json"], console) == 0
    turns = [_rows(line) for line in lines if line]
    assert [set(turn) for turn in turns] == [{"db"}, {"db", "new"}, {"db", "new"}]
    assert turns[1]["new"]["per_second"] is None
    assert turns[2]["new"]["per_second"]["tx_bytes"] < 1_000_000


@in_namespaces
def test_top_and_ps_show_who_may_send_how_much() -> None:
    """Where nobody has a limit, there is no column for it; by two networks, what both let pass."""
    host, _ends = host_with("web")
    assert "MAX" not in ocinet("top", "--no-stream")[1]
    limit = Bandwidth(Limit(80_000_000), Limit(8_000_000))
    host.up("slow", on("lan", bandwidth=limit))
    lan, dmz = on("lan", "dmz").endpoints
    half = on("lan").replace(endpoints=(lan.replace(bandwidth=limit), dmz))
    host.up("half", half)
    heading, *lines = ocinet("top", "--no-stream", "--sort", "name")[1].splitlines()
    assert heading.endswith("RX MAX/S   TX MAX/S")
    assert [line.split("   ")[-1].strip() for line in lines] == ["-", "1 MB", "-"]
    assert [" 10 MB " in line for line in lines] == [False, True, False]
    rows = _rows(ocinet("top", "--no-stream", "--json")[1])
    assert rows["slow"]["most_per_second"] == {"rx_bytes": 10_000_000, "tx_bytes": 1_000_000}
    assert rows["half"]["most_per_second"] == {"rx_bytes": 0, "tx_bytes": 0}
    assert rows["web"]["most_per_second"] is None
    told = ocinet("ps", "--filter", "name=slow", "--format", "{{.Bandwidth}}")[1]
    assert told.startswith("lan in=80mbit burst ")
    assert "lan out=8mbit" in told


@in_namespaces
def test_top_says_what_makes_no_sense() -> None:
    """Bounds, and a name that nobody has."""
    host_with("web")
    for words, why in (
        (["-n", "0"], "-n 0 makes no sense"),
        (["--interval", "0"], "an interval of 0 s makes no sense"),
        (["--interval", "nan"], "an interval of nan s makes no sense"),
        (["--sort", "age"], "invalid choice"),
        (["wbe"], "no container wbe is known"),
    ):
        status, _, said = ocinet("top", *words)
        assert status != 0
        assert why in said


@contextmanager
def watcher(*flags: str) -> Iterator[None]:
    """Run the watcher beside the test, without engines, until it is ready."""
    process = subprocess.Popen(
        [*_BOUND, sys.executable, "-m", "ocinet.cli.main", "watch", *flags],
        env={**os.environ, **_ENVIRONMENT}, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_TIMEOUT_S)


def scrape() -> str:
    """Return what the watcher answers, or "" while nobody does."""
    with socket.socket(socket.AF_UNIX) as made:
        made.settimeout(_TIMEOUT_S)
        try:
            made.connect(_PLACE)
        except OSError:
            return ""
        made.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        data = b""
        while more := made.recv(1 << 16):
            data += more
    return data.decode().partition("\r\n\r\n")[2]


@pytest.mark.timeout(150)  # two watchers, each with all that it loads
@in_namespaces
def test_watcher_is_scraped_and_counts_on_when_it_is_started_anew() -> None:
    """With what it tells of itself; counters never go back."""
    host, _ends = host_with("web")
    os.makedirs(os.path.dirname(_PLACE))
    with watcher("--metrics", f"unix:{_PLACE}"):
        first = samples(wait_until(scrape, "it answers", timeout_s=_TIMEOUT_S))
        assert first["ocinet_watcher_up", ""] == 1
        assert first["ocinet_watcher_workers", ""] == 4
        assert first["process_open_fds", ""] > 5
        assert ("ocinet_watcher_engine_up", 'socket="/run/docker.sock"') in first
    assert not os.path.exists(_PLACE)
    send(host, "web")
    host.up("db", on("lan"))
    # By the settings, and for a group: that of the directory, as the unit may give nothing away.
    group = grp.getgrnam("daemon").gr_gid
    os.chown(os.path.dirname(_PLACE), 0, group)
    os.chmod(os.path.dirname(_PLACE), 0o2750)  # noqa: S103  # set-group-ID is what it is about
    Path(PATHS.config).mkdir(parents=True, exist_ok=True)
    Path(PATHS.config, "ocinet.toml").write_text(
        f'metrics = "unix:{_PLACE}"\nmetrics_group = "daemon"\n'
    )
    with watcher():
        second = samples(wait_until(scrape, "it answers", timeout_s=_TIMEOUT_S))
        status = os.stat(_PLACE)
        assert (status.st_mode & 0o777, status.st_gid) == (0o660, group)
    ours = {key: value for key, value in first.items()
            if key[0].startswith("ocinet") and key[0].endswith("_total")}  # fmt: skip
    assert {key for key, value in ours.items() if second.get(key, 0) < value} == set()
    attached = "ocinet_operations_total", 'operation="attach",door="hook",outcome="ok"'
    assert (first[attached], second[attached]) == (1, 2)
