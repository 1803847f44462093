"""A machine in which things happen to containers, and to what they need, at random.

What happens is drawn from a seed; how things come to lie beside each other is the machine's
doing, so the same seed is the same acts, not the same run.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from hosts.command import CommandFailed
from hosts.engine.guests import DOORS, RUNTIMES, Guest

if TYPE_CHECKING:
    from collections.abc import Callable

    from hosts.engine.guests import Guests
    from hosts.lab.watcher import Watcher

NETWORKS = ("bridge", "lan", "dmz")
PORTS, DOCKERS_PORTS = range(8000, 8024), range(8100, 8130)
_MOST = 10  # containers at a time
_SIDE_BY_SIDE = 3
_HOOK_WITHIN_S = 5.0
_TRIES = 5
_LEFT_BROKEN = 3
# What a host's other programs do, as words of a shell in the lab; BRIDGE is one of ours.
_FAULTS = (
    "nft flush ruleset",
    "nft flush ruleset",
    "nft delete table inet ocinet",
    "nft flush chain inet ocinet publish",
    "nft flush map inet ocinet publish4",
    "ip link del BRIDGE",
    "ip link set BRIDGE down",
    "ip addr flush dev BRIDGE",
    "ip link del $(ip -br link show type veth | grep -o '^oc[0-9a-f]*' | shuf -n 1)",
    "ip link set $(ip -br link show type veth | grep -o '^oc[0-9a-f]*' | shuf -n 1) nomaster",
    "sysctl -qw net.ipv4.ip_forward=0",
    "umount -l /run/netns/$(ls /run/netns | shuf -n 1); rm /run/netns/$(ls /run/netns | shuf -n 1)",
)
_BRIDGES = {"bridge": "ocinet0", "lan": "br-lan", "dmz": "br-dmz"}
# A service of the host that would listen at a published port.
_SERVICE = "import socket, sys; socket.create_server(('', int(sys.argv[1]))).close()"


class Chaos:
    """Acts, some of them side by side.

    Args:
        guests: that they are about.
        watcher: that is to keep everything.
        seed: of what is drawn.
    """

    def __init__(self, guests: Guests, watcher: Watcher, seed: int) -> None:
        self._guests = guests
        self._lab = guests.lab
        self._watcher = watcher
        self._random = random.Random(seed)  # noqa: S311  # to be repeated, not to be secret
        self._service_lock = threading.Lock()  # one of the services at a time
        self._number = 0
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.spares_the_watcher = False

    def go_on(self, for_s: float) -> None:
        """Act for so long, wait for the last act's end, and leave something broken.

        Raises:
            Exception: an act failed, which no refusal is.
        """
        end = time.monotonic() + for_s
        free = threading.Semaphore(_SIDE_BY_SIDE)
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            acts = []
            while time.monotonic() < end:
                free.acquire()
                act = pool.submit(self._act, *self._draw())
                act.add_done_callback(lambda _act: free.release())
                acts.append(act)
        for act in acts:
            act.result()
        # What an act of ours may have healed by chance, the watcher has to, now.
        for _turn in range(_LEFT_BROKEN):
            self._act(*self._fault())

    def _draw(self) -> tuple[str, Callable[[], object]]:
        guests = list(self._guests.all.values())
        # Each with how often it is drawn.
        table: list[tuple[int, Callable[[], tuple[str, Callable[[], object]]]]] = [
            (8, self._fault),
            (4, self._own),
            (0 if self.spares_the_watcher else 1, self._watcher_ends),
            (1, self._docker_dies),
        ]
        if len(guests) < _MOST:
            table += [(12, self._start), (2, self._start_without_hook)]
        if guests:
            table += [(16, lambda: self._happen(self._random.choice(guests)))]
        weights = [weight for weight, _act in table]
        [(_weight, draw)] = self._random.choices(table, weights)
        return draw()

    def _act(self, name: str, act: Callable[[], object]) -> None:
        try:
            act()
        except CommandFailed as error:
            lines = (error.result.stderr or error.result.stdout).strip().splitlines() or ["?"]
            self.refused[f"{name}: {lines[-1][-300:]}"] += 1
        else:
            self.done[name] += 1

    # Containers.

    def _new(self) -> Guest:
        self._number += 1
        draw, door = self._random, self._random.choice(DOORS)
        ports = draw.sample(PORTS, draw.choice((0, 1, 1, 2)))
        if door == "docker":
            # Where a port is taken the others are not started, but Docker's would live without.
            taken = {port for guest in self._guests.all.values() for port in guest.ports}
            ports = draw.sample(sorted(set(DOCKERS_PORTS) - taken), len(ports))
        return Guest(f"soak{self._number}", door, draw.choice(NETWORKS), frozenset(ports))

    def _start(self) -> tuple[str, Callable[[], object]]:
        guest = self._new()
        return f"start by {guest.door}", lambda: self._start_now(guest)

    def _start_now(self, guest: Guest) -> None:
        with guest.lock:
            try:
                self._guests.start(guest)
            except CommandFailed:
                del self._guests.all[guest.name]
                raise

    def _start_without_hook(self) -> tuple[str, Callable[[], object]]:
        """Start one, and kill the first hook that is seen after some ms."""
        guest, delay_s = self._new(), self._random.uniform(0, 0.06)

        def act() -> None:
            killer = threading.Thread(target=self._kill_hook, args=(delay_s,))
            killer.start()
            try:
                self._start_now(guest)
            finally:
                killer.join()

        return "start, its hook killed", act

    def _kill_hook(self, delay_s: float) -> None:
        lab = os.readlink(f"/proc/{self._watcher.lab.net_pid}/ns/net")
        end = time.monotonic() + _HOOK_WITHIN_S
        while time.monotonic() < end:
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
                        words = file.read().split("\0")
                    # In this lab: /proc shows the hooks of tests that run beside it, too.
                    if any(word.endswith("/hooks/hook.py") for word in words[:6]) and (
                        os.readlink(f"/proc/{pid}/ns/net") == lab
                    ):
                        time.sleep(delay_s)
                        os.kill(int(pid), signal.SIGKILL)
                        return
                except OSError:
                    continue
            time.sleep(0.005)

    def _happen(self, guest: Guest) -> tuple[str, Callable[[], object]]:
        port = self._random.choice(PORTS)
        acts: dict[str, Callable[[Guest], object]] = {
            "remove": self._remove,
            "kill": self._guests.kill,
            "lose": self._lose,
            "again": self._guests.again,
            "publish": lambda guest: self._publish(guest, port),
            "unpublish": self._unpublish,
            "attach anew": self._attach_anew,
        }
        name = self._random.choice(list(acts))

        def act() -> None:
            with guest.lock:
                if guest.name in self._guests.all:
                    acts[name](guest)

        return f"{name} by {guest.door}" if name == "again" else name, act

    def _remove(self, guest: Guest) -> None:
        self._guests.remove(guest)
        self._forget(guest)

    def _lose(self, guest: Guest) -> None:
        self._guests.lose(guest)
        if guest.door in RUNTIMES:
            self._forget(guest)

    def _forget(self, guest: Guest) -> None:
        if guest.name not in self._guests.living():
            del self._guests.all[guest.name]

    def _publish(self, guest: Guest, port: int) -> None:
        pid = self._guests.living().get(guest.name)
        if pid:
            self._lab.ocinet("publish", guest.name, f"{port}:80")
            guest.later[pid] = guest.published(pid) | {port}

    def _unpublish(self, guest: Guest) -> None:
        pid = self._guests.living().get(guest.name)
        if pid and (ports := guest.published(pid)):
            port = min(ports)
            self._lab.ocinet("unpublish", guest.name, f"{port}:80")
            guest.later[pid] = ports - {port}

    def _attach_anew(self, guest: Guest) -> None:
        """Take one of runc's or crun's off its network and bring it back by hand."""
        pid = self._guests.living().get(guest.name)
        if pid and guest.door in RUNTIMES:
            ports = sorted(guest.published(pid))
            self._lab.ocinet("detach", guest.name)
            guest.later[pid] = set()
            words = [word for port in ports for word in ("-p", f"{port}:80")]
            given = (f"--id={guest.name}", f"--net={guest.network}")
            self._lab.ocinet("attach", f"pid:{pid}", *given, *words)
            guest.later[pid] = set(ports)

    # The host, and we ourselves.

    def _fault(self) -> tuple[str, Callable[[], object]]:
        fault = self._random.choice(_FAULTS)
        bridge = _BRIDGES[self._random.choice(NETWORKS)]
        words = fault.replace("BRIDGE", bridge)
        return fault, lambda: self._tried("sh", "-c", words)

    def _tried(self, *words: str) -> None:
        self._lab.run(*words, check=False)

    def _own(self) -> tuple[str, Callable[[], object]]:
        port = self._random.choice(PORTS)
        pause_s = self._random.uniform(0.1, 2)
        acts: dict[str, Callable[[], object]] = {
            "gc": lambda: self._lab.ocinet("gc", check=False),
            "check --repair": lambda: self._lab.ocinet("check", "--repair", check=False),
            "network reload": lambda: self._lab.ocinet("network", "reload", check=False),
            "a service of the host": lambda: self._tried("python3", "-c", _SERVICE, str(port)),
            "watcher stopped for a while": lambda: self._freeze(pause_s),
            "SIGHUP": self._reload,
        }
        name = self._random.choice(list(acts))
        return name, acts[name]

    def _reload(self) -> None:
        with self._service_lock:  # no service manager does it before it is ready
            self._watcher.signal(signal.SIGHUP)

    def _freeze(self, for_s: float) -> None:
        self._watcher.signal(signal.SIGSTOP)
        time.sleep(for_s)
        self._watcher.signal(signal.SIGCONT)

    def _watcher_ends(self) -> tuple[str, Callable[[], object]]:
        end, pause_s = self._random.choice((self._watcher.kill, self._watcher.stop)), 1.0

        def act() -> None:
            with self._service_lock:
                self._watcher.signal(signal.SIGCONT)
                end()
                time.sleep(pause_s)
                self._watcher.start()

        return "watcher ended and started", act

    def _docker_dies(self) -> tuple[str, Callable[[], object]]:
        pause_s = self._random.uniform(0, 2)

        def act() -> None:
            with self._service_lock:
                self._guests.docker.kill()
                time.sleep(pause_s)
                self._start_docker()

        return "dockerd killed and started", act

    def _start_docker(self) -> None:
        for tries_left in reversed(range(_TRIES)):
            try:
                self._guests.docker.start()
            except AssertionError:  # it does not bear a flush while it makes its rules
                if not tries_left:
                    raise
            else:
                return
