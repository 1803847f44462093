"""What names cost: an attach with them and one without, a query beside Docker's and podman's.

with names, without     the hook, on two networks of one machine, one after the other; x is how
                        many names the first one's server knows already
query                   an address of a container by its name, from another one's namespace, by
                        the same program: our server, dockerd's 127.0.0.11, podman's
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from arena import PATH, BenchError, Command, spawn
from contestants import PYTHON, hook
from engine_contestants import Contestant, Docker, Podman, PodmanHooks, can_run_docker
from machine import OCINET, SETTLE_S, Machine, make_image, remove_cgroups, wait_until
from samples import Key, Sample, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from arena import Cost
    from samples import Samples

NAME = "names"
_SCRIPT = "/serve"
_SLEEP = "#!/bin/sh\nexec sleep 100000\n"
_READ = "while read line; do echo $line; done < /etc/resolv.conf"  # the image has a shell alone
_NEWNET = 0x40000000
_SERVED = "/run/ocinet/names/served/net-named"
_MANY = 1000
_ENVIRONMENT = {"PATH": PATH}
_WITH, _WITHOUT = "ocinet, with names", "ocinet, without"
_OURS = "ocinet's server"


def run(record: Callable[[Sample], None], *, quick: bool) -> None:
    """Measure attaches, then queries.

    Args:
        record: takes each reading.
        quick: fewer rounds.

    Raises:
        BenchError: a command failed.
    """
    rounds, queries = (10, 200) if quick else (60, 2000)
    with Machine() as machine:
        words = (sys.executable, __file__, "attach", str(rounds))
        for line in machine.run(*words, timeout_s=600).splitlines():
            record(Sample(*json.loads(line)))
    try:
        _queries(record, queries)
    finally:
        remove_cgroups()


def _queries(record: Callable[[Sample], None], count: int) -> None:
    contestants: list[tuple[Contestant, str]] = [
        (PodmanHooks(_OURS, "--network=none", "--annotation=ocinet.net=named"), ""),
        (Podman("podman's server", "--network=named", is_bridge=True), ""),
    ]
    if can_run_docker():
        docker = Docker("Docker's 127.0.0.11", "--network=named", is_bridge=True)
        contestants.append((docker, "127.0.0.11"))
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        image = make_image(directory, {_SCRIPT.strip("/"): _SLEEP})
        asked: list[tuple[Contestant, int, str]] = []
        for contestant, server in contestants:
            machine = stack.enter_context(Machine())
            contestant.prepare(machine, image)
            asked.append((contestant, *_pair(contestant, server)))
        for _round in range(4):
            for one in asked:
                _ask(record, one, 2, count // 4)
        ours = asked[0]
        served = ours[0].machine.path(_SERVED)
        served.write_text(served.read_text() + _known(_MANY))
        tell = f"kill -HUP $(cat {_SERVED.rpartition('/')[0]}/aardvark.pid)"
        ours[0].machine.run("sh", "-c", tell)
        time.sleep(1)  # it may lose what it is asked while it reads anew
        _ask(record, ours, _MANY, count)


def _ask(
    record: Callable[[Sample], None], asked: tuple[Contestant, int, str], known: int, count: int
) -> None:
    contestant, pid, server = asked
    words = (sys.executable, __file__, "ask", str(pid), server, str(count))
    for line in contestant.machine.run(*words).splitlines():
        record(Sample(NAME, contestant.name, "query", known, float(line), "ms"))


def _pair(contestant: Contestant, server: str) -> tuple[int, str]:
    """Start two containers of a network; return the pid of one, and whom it asks."""
    if contestant.is_bridge:
        contestant("network", "create", "named")
    else:
        contestant.machine.run(str(OCINET), "network", "create", "named")
    made = [
        contestant("run", "--detach", f"--name={name}", *contestant.options, "probe", "/bin/sh",
                   _SCRIPT).strip()
        for name in ("web", "db")
    ]  # fmt: skip
    pid = int(contestant("inspect", "--format={{.State.Pid}}", made[0]))
    resolv_conf = contestant("exec", made[0], "/bin/sh", "-c", _READ)
    servers = [line.split()[1] for line in resolv_conf.splitlines() if "nameserver" in line]
    server = server or servers[0]
    ask = (sys.executable, __file__, "ask", str(pid), server, "1")
    wait_until(lambda: contestant.machine.succeeds(*ask), contestant.name, SETTLE_S)
    return pid, server


# -- within a machine ---------------------------------------------------------------------


def _attaches(rounds: int) -> Iterator[Sample]:
    """Yield how long attach and detach take, on a network with names and on one without."""
    for network, subnet, more in (
        ("named", "10.92.0.0/16", ()),
        ("mute", "10.93.0.0/16", ("--no-dns",)),
    ):
        words = (str(OCINET), "network", "create", "--subnet", subnet, *more, network)
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    # As who registers it does, it prepares what the hook loads.
    words = (str(OCINET), "hooks", "install", "--hooks-dir", "/run/hooks.d")
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    # One that stays on each network: what the first one there finds to do is not usual.
    for network in ("named", "mute"):
        _hook("createRuntime", f"stays-{network}", _sleeper().pid, network)
    yield from _rounds(rounds, 0)
    _know(_MANY)
    yield from _rounds(rounds, _MANY)


def _rounds(rounds: int, known: int) -> Iterator[Sample]:
    for number in range(rounds + 2):
        ways = [("named", _WITH), ("mute", _WITHOUT)]
        for network, contestant in ways[:: 1 if number % 2 else -1]:
            name = f"{network}-{known}-{number}"
            with _sleeper() as sleeper:
                attached = _hook("createRuntime", name, sleeper.pid, network)
                sleeper.kill()
            detached = _hook("poststop", name, 0, network)
            if number > 1:
                for measure, cost in (("attach", attached), ("detach", detached)):
                    yield Sample(NAME, contestant, measure, known, cost.wall_ms, "ms")
                    yield Sample(NAME, contestant, f"{measure} cpu", known, cost.cpu_ms, "ms")


def _hook(stage: str, name: str, pid: int, network: str) -> Cost:
    state = {
        "ociVersion": "1.0.2", "id": name, "bundle": f"/run/{name}", "pid": pid,
        "status": "creating" if stage == "createRuntime" else "stopped",
        "annotations": {"ocinet.net": network, "ocinet.name": name},
    }  # fmt: skip
    Path(f"/run/{name}").mkdir(exist_ok=True)
    Path(f"/run/{name}/config.json").write_text(
        json.dumps({"ociVersion": "1.0.2", "linux": {"namespaces": [{"type": "network"}]},
                    "annotations": state["annotations"]})
    )  # fmt: skip
    command = Command((*PYTHON, str(hook()), stage), _ENVIRONMENT, json.dumps(state))
    return spawn(command)[0]


def _know(count: int) -> None:
    """Have the server of a network know so many containers more, which it never sees."""
    with open(_SERVED, "a", encoding="ascii") as file:
        file.write(_known(count))


def _known(count: int) -> str:
    return "".join(
        f"{number:064x} 10.92.{100 + number // 250}.{number % 250 + 2}  known-{number}"
        f",{number:012x}\n"
        for number in range(count)
    )


def _sleeper() -> subprocess.Popen[bytes]:
    """Start a process with a network namespace of its own."""
    # Nothing of ours: whoever reads what we print would wait for its end.
    child = subprocess.Popen(
        ["unshare", "--net", "sleep", "infinity"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    own = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{child.pid}/ns/net") == own:
        os.sched_yield()
    return child


def _asked(pid: int, server: str, count: int) -> Iterator[float]:
    """Yield the milliseconds of queries for db, from a process's network namespace."""
    with open(f"/proc/{pid}/ns/net") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _NEWNET):
            raise BenchError("no way into the container's namespace")
    for number in range(count):
        query = struct.pack(">6H", number, 0x100, 1, 0, 0, 0) + b"\x02db\0\0\1\0\1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(2)
            began = time.perf_counter()
            asking.connect((server, 53))
            asking.send(query)
            answer = asking.recv(512)
            took_s = time.perf_counter() - began
        if answer[3] & 15 or not answer[7]:
            raise BenchError(f"{server} does not know db: {answer!r}")
        yield took_s * 1000


def _more(measure: str, known: int) -> Callable[[Samples], float]:
    # Of CPU time: by the clock, a busy machine's attaches differ by more than that.
    key = Key(NAME, _WITH, f"{measure} cpu", known)
    return lambda samples: samples.median(key) - samples.median(key._replace(contestant=_WITHOUT))


TARGETS = (
    Target("attach with names, ms of CPU more than without", _more("attach", 0), 1, None),
    Target(f"the same beside {_MANY} names", _more("attach", _MANY), 1, None),
    Target("a query, ms", lambda samples: samples.median(Key(NAME, _OURS, "query", 2)), 1, None),
    Target(
        f"a query beside {_MANY} names, ms",
        lambda samples: samples.median(Key(NAME, _OURS, "query", _MANY)),
        1,
        None,
    ),
)

if __name__ == "__main__":
    if sys.argv[1] == "attach":
        for sample in _attaches(int(sys.argv[2])):
            print(json.dumps(sample), flush=True)
    else:
        for took_ms in _asked(int(sys.argv[2]), sys.argv[3], int(sys.argv[4])):
            print(took_ms)
