"""What others do to a host, and who repairs it how fast; run in a machine of its own.

    bench/keep.py OCINET faults ROUNDS | doors ROUNDS | foreign EVENTS | idle SECONDS
        | many CONTAINERS

Containers are sleeping processes that may not change their network, wired by the engine;
the watcher and all other doors are the command. A line for each reading: who, what, how
many containers, the figure and its unit, with tabs between.

    watcher         from the fault to the event that says it is repaired
    other commands  how long they took; a line only if all was whole afterwards
    the kernel      what nft and ip take for the same, all of it at once
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.append(f"{Path(__file__).resolve().parent.parent}/tests")

from arena import inside
from faults import FAULTS, FAULTS_OF_IPV6
from hosts.namespace.isolation import Sleeper
from ocinet.base.clock import Process
from ocinet.base.paths import Paths
from ocinet.engine.engine import Engine
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.model.attachment import Container
from ocinet.engine.model.request import EndpointRequest, Publish, Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from faults import Fault
    from ocinet.engine.model.attachment import Attachment

_EVENTS = Path("/run/ocinet/events.jsonl")
_LOG = Path("/run/bench/keeper.log")
_NETWORK, _SUBNETS = "bench", ("10.9.0.0/20", "fd00:9::/64")
_HOST = "192.0.2.2"
_FIRST_PORT = 10000
_PATIENCE_S = 60
_QUIET_S = 2.0
_IDLE_S, _IDLE_MS = 0.5, 10
_LOOKING = ", in a look at all"
_DURING = f"ruleset flushed{_LOOKING}"
_AT_IT_S = 0.2  # by then it has been through what many share, and is at the containers
_ANSWER_S = 0.7  # a first packet that is dropped is sent again after a second
_DOORS = {
    "check --repair": ("check", "--repair"),
    "network reload": ("network", "reload"),
    "gc": ("gc",),
}


def say(who: str, what: str, containers: int, value: float, unit: str) -> None:
    """Tell one reading."""
    print(who, what, containers, f"{value:.3f}", unit, sep="\t", flush=True)


def run(*words: str, status: int | None = 0) -> None:
    """Run a command, which must end with that status; None: with whatever it does."""
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if status is not None and done.returncode != status:
        sys.exit(f"{' '.join(words)}: {done.stderr}{done.stdout}")


def batch(program: str, lines: Iterable[str]) -> None:
    """Have ip or bridge do many things."""
    subprocess.run([program, "-batch", "-"], input="\n".join(lines), text=True, check=True)


class Host:
    """Containers, and the command."""

    def __init__(self, ocinet: str) -> None:
        self.ocinet = ocinet
        self.sleepers: dict[str, Sleeper] = {}
        words = [word for subnet in _SUBNETS for word in ("--subnet", subnet)]
        run(ocinet, "network", "create", *words, _NETWORK)

    def start(self, name: str) -> Container:
        """Start a process that is a container's."""
        self.sleepers[name] = Sleeper(bounded=True)
        return Container(f"{name}-id", name, "", Process.of(self.sleepers[name].pid))

    def attach(self, name: str, *ports: int) -> Attachment:
        """Start a container and wire it, with its port 80 published at these."""
        container = self.start(name)
        publish = tuple(Publish("tcp", None, port, 80) for port in ports)
        request = Request("bridge", endpoints=(EndpointRequest(_NETWORK),), publish=publish)
        assert container.process
        with Engine.open(Paths()) as engine, Sandbox.open_process(container.process) as sandbox:
            return engine.attach(container, request, sandbox)

    def stop(self, name: str) -> None:
        """End a container."""
        self.sleepers.pop(name).end()
        with Engine.open(Paths()) as engine:
            engine.ended(f"{name}-id")

    def is_whole(self, *, repair: bool = False) -> bool:
        """Tell whether nothing is otherwise than it was made; a bridge by another name goes."""
        run("ip", "link", "del", "other", status=None)
        return not self.flaws(repair=repair)

    def flaws(self, *, repair: bool = False) -> list[str]:
        """Return what is otherwise than it was made."""
        with Engine.open(Paths(), timeout_s=_PATIENCE_S) as engine:
            return [finding.what for finding in engine.check(repair=repair)]

    def do(self, fault: Fault, record: Attachment) -> None:
        """Break it."""
        pid = self.sleepers[record.container.name].pid
        enter = ("nsenter", "-n", "-t", str(pid)) if fault.inside else ()
        run(*enter, "sh", "-c", fault.command_on(record))


@contextmanager
def watching(ocinet: str) -> Iterator[subprocess.Popen[bytes]]:
    """Have a watcher beside what is done, with no engine to watch."""
    # As its unit has it: while a thousand answer again, it is not the last one to be served.
    words = ["nice", "-n", "-10", ocinet, "watch", "--engine", "/run/bench/nobody.sock",
             "--log-format=json"]  # fmt: skip
    with _LOG.open("w") as log, subprocess.Popen(words, stderr=log) as watcher:
        try:
            wait_until(lambda: "watcher ready" in _LOG.read_text(), "the watcher")
            time.sleep(_QUIET_S)
            yield watcher
        finally:
            watcher.terminate()


def wait_until(condition: object, what: str) -> None:
    """Wait until something is so, or end this process."""
    assert callable(condition)
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"{what}: not after {_PATIENCE_S} s\n{_LOG.read_text()[-2000:]}")
        time.sleep(0.001)


def spent_ms(pid: int) -> float:
    """Return the CPU time of a process and of the children that it waited for."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    own = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e6
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return own + (int(fields[13]) + int(fields[14])) * 1000 / os.sysconf("SC_CLK_TCK")


def each_fault(host: Host, record: Attachment, rounds: int) -> None:
    """Have a watcher repair each fault, so many times.

    Another one each time, and all faults in turn: the same over and over would be somebody
    who undoes each repair, and is let have it.
    """
    for _ in range(rounds):
        with watching(host.ocinet):
            for name, fault in {**FAULTS, **FAULTS_OF_IPV6}.items():
                length = _EVENTS.stat().st_size
                began = time.monotonic()
                host.do(fault, record)
                wait_until(partial(_is_told, length), name)
                say("watcher", name, 1, (time.monotonic() - began) * 1000, "ms")
                # What was broken in several steps may take a second look.
                wait_until(host.is_whole, f"{name}: all of it")


def _is_told(length: int) -> bool:
    """Tell whether a repair is among the events that follow so many bytes of them."""
    with _EVENTS.open() as events:
        events.seek(length)
        return '"repaired"' in events.read()


def each_door(host: Host, record: Attachment, rounds: int) -> None:
    """Have commands repair each fault, and those who come next."""
    pid = host.sleepers["web"].pid
    again = ("attach", f"pid:{pid}", "--id=web-id", "--name=web", "--net", _NETWORK)
    ports = ("-p", "8080:80", "-p", "8081:80")
    for _ in range(rounds):
        for name, fault in {**FAULTS, **FAULTS_OF_IPV6}.items():
            for door, words in {**_DOORS, "attach again": (*again, *ports)}.items():
                host.do(fault, record)
                began = time.monotonic()
                run(host.ocinet, *words, status=None)
                took_ms = (time.monotonic() - began) * 1000
                if host.is_whole(repair=True):
                    say(door, name, 1, took_ms, "ms")
            host.do(fault, record)
            began = time.monotonic()
            host.attach("next")
            took_ms = (time.monotonic() - began) * 1000
            if host.is_whole(repair=True):
                say("next attach", name, 1, took_ms, "ms")
            host.stop("next")


def many(host: Host, number: int) -> None:
    """Have a thousand containers' rules, and then their bridge, go and come back."""
    with ExitStack() as stack:
        known = []
        for at in range(number):
            record = host.attach(f"c{at}", _FIRST_PORT + at)
            known.append(_serve(record, host.sleepers[f"c{at}"].pid, stack))
        neighbours, leads_to = zip(*known, strict=True)
        _kernel_alone(number)
        batch("ip", neighbours)
        batch("bridge", leads_to)
        netns = _outside(stack)
        watcher = stack.enter_context(watching(host.ocinet))
        wait_until(lambda: reached(netns, number) == number, "all answer before it")
        wait_until(lambda: _is_idle(watcher.pid), "it has looked at all of them once")

        def is_back(name: str) -> bool:
            if name == "bridge deleted":  # and with it what is known of neighbours
                return _ports() == number + 1
            if reached(netns, 1) == 0:
                return False
            batch("ip", neighbours)  # a link that was down has none
            return reached(netns, number) == number

        for name in ("ruleset flushed", _DURING, "bridge down", "bridge deleted"):
            command = FAULTS[name.removesuffix(_LOOKING)].command.replace("BRIDGE", _bridge())
            before_ms = spent_ms(watcher.pid)
            if name == _DURING:
                watcher.send_signal(signal.SIGHUP)
                wait_until(lambda: "settings read" in _LOG.read_text(), "it looks at all of them")
                time.sleep(_AT_IT_S)
            run("sh", "-c", command)
            began = time.monotonic()
            wait_until(partial(is_back, name), name)
            what = "all on it" if name == "bridge deleted" else "all reached"
            say("watcher", f"{name}, {what}", number, time.monotonic() - began, "s")
            time.sleep(2 * _QUIET_S)
            say("watcher", f"{name}, cpu", number, (spent_ms(watcher.pid) - before_ms) / 1000, "s")
            if left := host.flaws():
                sys.exit(f"{name}: not all of it is repaired: {left}")


def _kernel_alone(number: int) -> None:
    """Tell what the kernel takes for the same rules, and for the ports of a bridge."""
    shown = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True)
    device = _bridge()
    with Engine.open(Paths()) as engine:
        bridge = engine.host.links.link(device)
        assert bridge
        ends = [link.ifname for link in engine.host.links.ports(bridge)]
    leave = [f"link set {end} nomaster" for end in ends]
    join = [f"link set {end} master {device} up" for end in ends]
    batch("ip", leave)
    for what, program, given in (
        ("ruleset flushed", ["nft", "-f", "-"], f"flush ruleset\n{shown.stdout}"),
        ("bridge deleted", ["ip", "-batch", "-"], "\n".join(join)),
    ):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(program, input=given, text=True, check=True)
        took_s, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        say("the kernel", what, number, took_s, "s")
        say("the kernel", f"{what}, cpu", number, cpu_s, "s")
    batch("bridge", [f"link set dev {end} hairpin on" for end in ends])


def _is_idle(pid: int) -> bool:
    """Tell whether a process does nothing for a while."""
    before_ms = spent_ms(pid)
    time.sleep(_IDLE_S)
    return spent_ms(pid) - before_ms < _IDLE_MS


def _serve(record: Attachment, pid: int, stack: ExitStack) -> tuple[str, str]:
    """Listen in a sandbox, which knows its gateway; return how it is known outside.

    To `ip -batch`: the kernel keeps 1,024 neighbours for all namespaces together, but for those
    that are set for good. And to `bridge -batch`: a bridge that was down knows nobody who has
    not spoken since. Without these, each of a thousand is asked for, and sent to, at a thousand
    ports: that would be the kernel's time, and what is measured is the watcher's.
    """
    [endpoint] = record.endpoints
    gateway = next(route.gateway for route in endpoint.routes if route.gateway)
    with Engine.open(Paths()) as engine:
        bridge = engine.host.links.link(endpoint.device)
    assert bridge
    netns = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        with inside(netns):
            stack.enter_context(socket.create_server(("", 80)))
            run("ip", "neigh", "replace", str(gateway), "lladdr", bridge.mac, "dev", "eth0",
                "nud", "permanent")  # fmt: skip
    finally:
        os.close(netns)
    address = endpoint.addresses[0].address
    return (
        f"neigh replace {address} lladdr {endpoint.mac} dev {endpoint.device} nud permanent",
        f"fdb replace {endpoint.mac} dev {endpoint.host_ifname} master static",
    )


def _outside(stack: ExitStack) -> int:
    """Make a neighbour at an uplink; return its namespace."""
    outside = stack.enter_context(Sleeper())
    run("ip", "link", "add", "up0", "type", "veth", "peer", "name", "eth0",
        "netns", str(outside.pid))  # fmt: skip
    run("ip", "address", "add", f"{_HOST}/24", "dev", "up0")
    run("ip", "link", "set", "up0", "up")
    for words in ("address add 192.0.2.1/24 dev eth0", "link set eth0 up"):
        run("nsenter", "-n", "-t", str(outside.pid), "ip", *words.split())
    netns = os.open(f"/proc/{outside.pid}/ns/net", os.O_RDONLY)
    stack.callback(os.close, netns)
    return netns


def _ports() -> int:
    """Return how many ports the bridge has."""
    with Engine.open(Paths()) as engine:
        bridge = engine.host.links.link(_bridge())
        return len(engine.host.links.ports(bridge)) if bridge else 0


def _bridge() -> str:
    with Engine.open(Paths()) as engine:
        return engine.networks.get(_NETWORK).device


def reached(netns: int, number: int) -> int:
    """Return how many of the published ports answer from outside."""
    asked = []
    with ExitStack() as stack, inside(netns):
        for at in range(number):
            one = stack.enter_context(socket.socket())
            one.settimeout(0)
            with suppress(BlockingIOError):
                one.connect((_HOST, _FIRST_PORT + at))
            asked.append(one)
        end = time.monotonic() + _ANSWER_S
        while (found := sum(map(_is_connected, asked))) < number and time.monotonic() < end:
            time.sleep(0.005)
        return found


def _is_connected(one: socket.socket) -> bool:
    try:
        one.getpeername()
    except OSError:
        return False
    return True


def foreign(ocinet: str, events: int) -> None:
    """Have others make and delete pairs, and see what the watcher takes for it."""
    at_once = 500
    adds = [f"link add f{n} group 77 type veth peer name g{n} group 77" for n in range(at_once)]
    with watching(ocinet) as watcher:
        batch("ip", (*adds, "link del group 77"))  # what is loaded, and kept, once
        time.sleep(_QUIET_S)
        before_ms, before = spent_ms(watcher.pid), _size(watcher.pid)
        for _ in range(events // (2 * at_once)):
            batch("ip", (*adds, "link del group 77"))
        time.sleep(_QUIET_S)
        say("watcher", "foreign link events, cpu", events, spent_ms(watcher.pid) - before_ms, "ms")
        grown = [now - then for now, then in zip(_size(watcher.pid), before, strict=True)]
        say("watcher", "foreign link events, grown by", events, grown[0], "kB")
        say("watcher", "foreign link events, opened", events, grown[1], "files")


def _size(pid: int) -> tuple[int, int]:
    """Return a process's memory in kB, and its open files."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]), len(os.listdir(f"/proc/{pid}/fd"))


def idle(ocinet: str, seconds: int) -> None:
    """Have nothing happen, and see what the watcher takes for it."""
    with watching(ocinet) as watcher:
        before_ms = spent_ms(watcher.pid)
        time.sleep(seconds)
        say("watcher", "idle, cpu", seconds, spent_ms(watcher.pid) - before_ms, "ms")


def main(ocinet: str, what: str, number: int) -> None:
    """Measure one of them."""
    host = Host(ocinet)
    record = host.attach("web", 8080, 8081)
    if what == "faults":
        each_fault(host, record, number)
    elif what == "doors":
        each_door(host, record, number)
    elif what == "foreign":
        foreign(ocinet, number)
    elif what == "idle":
        idle(ocinet, number)
    else:
        many(host, number)
    for sleeper in host.sleepers.values():
        sleeper.end()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
