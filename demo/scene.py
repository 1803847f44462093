"""A host of its own with containers on ocinet's networks, some of them in trouble.

    with Scene() as scene:              # in namespaces of its own: see `isolated`
        scene.some()                    # or one(), many(200)
        print(scene.ocinet("topology"))

For pictures, and for who wants to see what is shown of a host: all of it is real, wired by the
real command. A container is a sleeping process in a network namespace, as an engine's is.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from ocinet.base.clock import Process
from ocinet.base.paths import Paths
from ocinet.cli.console import Console, Streams
from ocinet.cli.main import main

if TYPE_CHECKING:
    from typing import Self

_INSIDE = "OCINET_SCENE"
_RUN = "/run/scene"
_SURROUNDINGS = """
mount -t tmpfs scene /run
mkdir -p /run/scene /run/netns
hostname shop-1
ip link set lo up
"""
_UPLINK = """
ip link add eth0 type veth peer name lan0 netns {router}
ip addr add 192.0.2.10/24 dev eth0
ip addr add 2001:db8::10/64 dev eth0 nodad
ip link set eth0 up
nsenter -t {router} -n ip addr add 192.0.2.1/24 dev lan0
nsenter -t {router} -n ip addr add 2001:db8::1/64 dev lan0 nodad
nsenter -t {router} -n ip link set lan0 up
nsenter -t {router} -n ip route add default via 192.0.2.10
ip route add default via 192.0.2.1
ip -6 route add default via 2001:db8::1
"""
_WAIT_S = 30


def isolated() -> bool:
    """Go on in namespaces of this process's own: network, mounts and the host's name.

    Returns:
        True: this is the process inside. It never returns for the one outside, which
        becomes `unshare` and that this very program, with its arguments.
    """
    if os.environ.get(_INSIDE):
        return True
    os.environ[_INSIDE] = "1"
    words = ["unshare", "-n", "-m", "-u", "--propagation", "private", sys.executable, *sys.argv]
    os.execvp("unshare", words)  # noqa: S606  with this very environment
    raise AssertionError


class Scene:
    """One host, from nothing to its end.

    Attributes:
        paths: of its installation.
    """

    def __init__(self) -> None:
        self.paths = Paths(f"{_RUN}/etc", f"{_RUN}/lib", f"{_RUN}/run", "/run/netns")
        self._environment = {
            "OCINET_CONFIG_DIR": self.paths.config,
            "OCINET_STATE_DIR": self.paths.state,
            "OCINET_RUN_DIR": self.paths.run,
            "PATH": os.environ["PATH"],
        }
        self._sleepers: dict[str, subprocess.Popen[bytes]] = {}
        self._started: list[subprocess.Popen[bytes]] = []  # two of a crowd may share a name

    def __enter__(self) -> Self:
        """Make the host, with an uplink to a router.

        Raises:
            RuntimeError: this process is in no namespaces of its own.
        """
        if not os.environ.get(_INSIDE):
            raise RuntimeError("a scene changes the host's network: call isolated() first")
        _shell(_SURROUNDINGS)
        # A name server is nobody's child, and would outlive the scene.
        os.makedirs(self.paths.config, mode=0o700)
        with open(f"{self.paths.config}/ocinet.toml", "w", encoding="utf-8") as settings:
            settings.write("names = false\n")
        router = self._start("(router)")
        _shell(_UPLINK.format(router=router))
        return self

    def __exit__(self, *_exception: object) -> None:
        """End its processes; the namespaces go with this one."""
        for sleeper in self._started:
            sleeper.kill()
        for sleeper in self._started:
            sleeper.wait()

    # -- what there is on it -------------------------------------------------------------

    def have(self, count: int) -> None:
        """Have so many containers: one, five, or many."""
        {1: self.one, 5: self.some}.get(count, lambda: self.many(count))()

    def one(self) -> None:
        """Have one container, published."""
        self.network("lan", "10.9.0.0/24")
        self.up("web", "lan", "-p", "8080:80", "-p", "8443:443")
        self.talk("web")

    def some(self) -> None:
        """Have five: two networks, one container broken, one refused."""
        self.network("shop", "10.9.0.0/24", "fd00:9::/64")
        self.network("data", "10.8.0.0/24", options=("--internal",))
        self.up("web", "shop", "-p", "8080:80", "-p", "8443:443")
        self.up("api", "shop", "--net", "data", "-p", "127.0.0.1:9000:9000")
        self.up("db", "data")
        self.up("cache", "shop")
        self.refused("worker", "shpo")
        self.talk("web", "api", "cache")
        self.break_("cache")

    def many(self, count: int = 200) -> None:
        """Have many on five networks, two of them broken, two refused, one gone."""
        networks = {
            "edge": ("10.1.0.0/24", 0.2), "shop": ("10.2.0.0/23", 0.4),
            "jobs": ("10.3.0.0/24", 0.2), "mail": ("10.4.0.0/25", 0.08),
            "data": ("10.5.0.0/24", 0.12),
        }  # fmt: skip
        roles = {
            "edge": ("proxy", "waf"), "shop": ("web", "api", "cart", "search"),
            "jobs": ("worker", "cron"), "mail": ("smtp", "imap"), "data": ("db", "cache"),
        }  # fmt: skip
        for name, (subnet, _share) in networks.items():
            self.network(name, subnet, options=("--internal",) if name == "data" else ())
        left, port = count - 2, 8000
        for name, (_subnet, share) in networks.items():
            here = left if name == "data" else min(left, round(count * share))
            left -= 0 if name == "data" else here
            for number in range(here):
                role = roles[name][number % len(roles[name])]
                published = name == "edge"
                port += published
                flags = ("-p", f"{port}:80") if published else ()
                also = ("--net", "data") if role == "api" and number < 20 else ()
                self.up(f"{role}-{number // len(roles[name]) + 1}", name, *also, *flags)
        self.refused("worker-99", "jbos")
        self.refused("proxy-77", "edge", "-p", "8001:80")
        self.talk("proxy-1", "web-1", "api-1", "smtp-1")  # of `data` there is no way out
        self.break_("cart-3")
        self.break_("imap-2", "nomaster")
        self.end("cron-4")

    # -- acts ----------------------------------------------------------------------------

    def ocinet(
        self,
        *words: str,
        columns: int = 100,
        fails: bool = False,
        out: io.StringIO | None = None,
    ) -> str:
        """Run the command; return what it printed, or said of its failure.

        Args:
            words: of it.
            columns: of its terminal.
            fails: whether it has to.
            out: where it prints to; None: to no terminal.

        Raises:
            RuntimeError: it failed, or did not.
        """
        out, err = out or io.StringIO(), io.StringIO()
        os.environ["COLUMNS"] = str(columns)
        console = Console(self._environment, streams=Streams(io.StringIO(), out, err))
        if bool(main(list(words), console)) != fails:
            raise RuntimeError(f"ocinet {' '.join(words)}: {err.getvalue()}")
        return err.getvalue() if fails else out.getvalue()

    def network(self, name: str, *subnets: str, options: tuple[str, ...] = ()) -> None:
        """Define a network."""
        flags = [word for subnet in subnets for word in ("--subnet", subnet)]
        self.ocinet("network", "create", name, *flags, *options)

    def up(self, name: str, network: str, *flags: str) -> None:
        """Start a container and attach it."""
        pid = self._start(name)
        self.ocinet("attach", f"pid:{pid}", "--name", name, "--net", network, *flags)

    def refused(self, name: str, network: str, *flags: str) -> None:
        """Start a container whose attach is refused."""
        pid = self._start(name)
        words = ("attach", f"pid:{pid}", "--name", name, "--net", network, *flags)
        self.ocinet(*words, fails=True)

    def break_(self, name: str, how: str = "down") -> None:
        """Change a container's host end, as others may."""
        end = self.host_end(name)
        _shell(f"ip link set {end} {how}")

    def end(self, name: str) -> None:
        """Kill a container, with nobody to take it down."""
        sleeper = self._sleepers.pop(name)
        sleeper.kill()
        sleeper.wait()

    def talk(self, *names: str) -> None:
        """Have containers send something to the router, so that there are figures."""
        for number, name in enumerate(names):
            pid = self._sleepers[name].pid
            _shell(
                f"nsenter -t {pid} -n busybox ping -q -c {3 + number} -i 0.05 -s 1200 192.0.2.1"
                " > /dev/null || true"
            )

    def host_end(self, name: str) -> str:
        """Return the name of a container's first host end."""
        form = "{{range .endpoints}}{{.host_ifname}} {{end}}"
        return self.ocinet("inspect", "-f", form, name).split()[0]

    def pid(self, name: str) -> int:
        """Return the process of a container."""
        return self._sleepers[name].pid

    def _start(self, name: str) -> int:
        own = os.stat("/proc/self/ns/net").st_ino
        # Whatever ends this process ends them: a namespace that somebody sleeps in stays.
        words = ["setpriv", "--pdeathsig", "KILL", "unshare", "-n", "sleep", "infinity"]
        sleeper = subprocess.Popen(words)
        self._sleepers[name] = sleeper
        self._started.append(sleeper)
        end = time.monotonic() + _WAIT_S
        while time.monotonic() < end:
            try:
                if os.stat(f"/proc/{sleeper.pid}/ns/net").st_ino != own and Process.of(sleeper.pid):
                    return sleeper.pid
            except OSError:
                pass
            time.sleep(0.002)
        raise RuntimeError(f"{name} did not start")


def _shell(script: str) -> None:
    subprocess.run(["sh", "-ec", script], check=True)
