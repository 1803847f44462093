"""The lab's machine from within: its commands, its neighbour at the uplink, its containers."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_Found = TypeVar("_Found")

UNIT = "ocinet-watcher"
HOST = "192.0.2.1"
NEIGHBOUR = "192.0.2.2"
IMAGE = "lab/web"
OLD_RUN = "/var/lib/lab-old-run"
_COMMAND_S = 180  # the machine is emulated
_ANSWER_S = 8
_SERVE = """#!/bin/sh
mkdir -p /www && echo $1 > /www/index.html && exec httpd -f -h /www
"""
_ROOTFS = Path("/var/lib/lab-rootfs")


class Failed(AssertionError):
    """A command failed; the text has what it said."""


def run(*words: str, check: bool = True, timeout_s: float = _COMMAND_S) -> str:
    """Run a command and return its output.

    Raises:
        Failed: its status is not 0, unless that is allowed.
    """
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=timeout_s)
    print(f"$ {' '.join(words)}\n{done.stdout}{done.stderr}", end="")
    if check and done.returncode:
        raise Failed(f"{' '.join(words)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def said(*words: str) -> str:
    """Run a command, and return all that it printed, whatever its status is."""
    done = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        timeout=_COMMAND_S,
    )  # fmt: skip
    print(f"$ {' '.join(words)}\n{done.stdout}", end="")
    return done.stdout


def wait_until(condition: Callable[[], _Found], what: str, timeout_s: float = 60) -> _Found:
    """Wait until a condition returns something true, and return that.

    Raises:
        AssertionError: it never came true.
    """
    end = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < end, f"{what}: not within {timeout_s:g} s"
        time.sleep(0.5)
    return found


def link(ifname: str) -> dict[str, Any]:
    """Return a link as `ip` shows it, with its addresses."""
    found: list[dict[str, Any]] = json.loads(run("ip", "-j", "address", "show", "dev", ifname))
    return found[0]


def ports(bridge: str) -> list[dict[str, Any]]:
    """Return the ports of a bridge."""
    found: list[dict[str, Any]] = json.loads(
        run("ip", "-j", "link", "show", "master", bridge) or "[]"
    )
    return [port for port in found if port]


def host_end(container: Container) -> str:
    """Return the name of a container's port of ocinet's bridge."""
    peer = run(*container.inside, "ip", "-o", "link", "show", "eth0").partition("@if")[2]
    index = int(peer.partition(":")[0])
    return str(next(port["ifname"] for port in ports("ocinet0") if port["ifindex"] == index))


_BIND = """
import socket, sys
kind, address, port, reuse = sys.argv[1:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
kinds = {"TCP": (1, 6), "UDP": (2, 17), "SCTP": (1, 132), "SCTP to many": (5, 132)}
opened = socket.socket(family, *kinds[kind])
opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
try:
    opened.bind((address, int(port)))
    if kind != "UDP":
        opened.listen()
except OSError as error:
    print(error.strerror)
"""


def bind_refusal(kind: str, address: str, port: int, *, reuse: bool = True) -> str:
    """Return what a service of the host is told that would listen; "" if it may.

    Args:
        kind: TCP, UDP, SCTP or "SCTP to many".
        address: of either family.
        port: of the host.
        reuse: whether it has SO_REUSEADDR, as most have.
    """
    return run("python3", "-c", _BIND, kind, address, str(port), str(int(reuse))).strip()


def ask(where: tuple[str, ...], address: str, port: int = 80) -> str:
    """Ask a web server for its name; "" if there is no answer.

    Args:
        where: words that come before a command to run it there; () is the host.
        address: IPv4 address.
        port: TCP port.
    """
    words = (*where, "busybox", "wget", "-q", "-O", "-", "-T", str(_ANSWER_S),
             f"http://{address}:{port}/")  # fmt: skip
    return run(*words, check=False).strip()


def make_uplink() -> None:
    """Give the machine an uplink, and at its other end a neighbour that serves the web."""
    run("ip", "netns", "add", "outside")
    run("ip", "link", "add", "uplink0", "type", "veth", "peer", "name", "eth0", "netns", "outside")
    configure_uplink()
    outside = ("ip", "-n", "outside")
    run(*outside, "address", "add", f"{NEIGHBOUR}/24", "dev", "eth0")
    run(*outside, "link", "set", "lo", "up")
    run(*outside, "link", "set", "eth0", "up")
    page = Path("/srv/outside")
    page.mkdir(parents=True, exist_ok=True)
    (page / "index.html").write_text("outside\n")
    run("ip", "netns", "exec", "outside", "busybox", "httpd", "-h", str(page))


def configure_uplink() -> None:
    """Give the uplink its address and the machine its default route; they may be there."""
    run("ip", "link", "set", "uplink0", "up")
    run("ip", "address", "replace", f"{HOST}/24", "dev", "uplink0")
    run("ip", "route", "replace", "default", "via", NEIGHBOUR)


OUTSIDE = ("ip", "netns", "exec", "outside")


def make_images() -> None:
    """Make the containers' image of busybox alone: it serves its own name on port 80."""
    binaries = _ROOTFS / "bin"
    binaries.mkdir(parents=True, exist_ok=True)
    shutil.copy("/bin/busybox", binaries / "busybox")
    for applet in ("sh", "httpd", "mkdir"):
        (binaries / applet).unlink(missing_ok=True)
        (binaries / applet).symlink_to("busybox")
    serve = binaries / "serve"
    serve.write_text(_SERVE)
    serve.chmod(0o755)
    archive = "/var/tmp/lab-web.tar"
    run("tar", "-C", str(_ROOTFS), "-cf", archive, ".")
    for engine in ("docker", "podman"):
        run(engine, "import", archive, f"{IMAGE}:latest")


@dataclass(frozen=True)
class Container:
    """A container of one of the engines.

    Attributes:
        engine: docker or podman.
        name: of the container.
    """

    engine: str
    name: str

    @classmethod
    def start(cls, engine: str, name: str, *options: str) -> Container:
        """Start one that serves its name, without a network of the engine's."""
        remove(engine, name)
        flags = ("-d", "--name", name, "--net=none", *options)
        run(engine, "run", *flags, f"{IMAGE}:latest", "serve", name)
        return cls(engine, name)

    @property
    def inside(self) -> tuple[str, ...]:
        """The words that run a command of the host's in its network."""
        pid = run(self.engine, "inspect", "-f", "{{.State.Pid}}", self.name).strip()
        return ("nsenter", "-t", pid, "-n")

    def address(self) -> str:
        """Return its IPv4 address, once it has one."""

        def found() -> str:
            words = (*self.inside, "ip", "-j", "-4", "address", "show", "dev", "eth0")
            links = json.loads(run(*words, check=False) or "[]")
            return next((entry["local"] for link in links for entry in link["addr_info"]), "")

        return wait_until(found, f"{self.name} has an address")

    def remove(self) -> None:
        """Stop and remove it."""
        remove(self.engine, self.name)


def remove(engine: str, name: str) -> None:
    """Remove a container, if there is one."""
    run(engine, "rm", "-f", name, check=False)


def unanswered(web: Container, other: Container, published: int) -> list[str]:
    """Return the ways to and from a container on which nothing answers.

    Args:
        web: has its port 80 published.
        other: on the same network.
        published: the host's port.
    """
    address = web.address()
    ways = {
        "the host to it": (ask((), address), web.name),
        "the other container to it": (ask(other.inside, address), web.name),
        "the neighbour to its port": (ask(OUTSIDE, HOST, published), web.name),
        "it to the neighbour": (ask(web.inside, NEIGHBOUR), "outside"),
    }
    return [way for way, (answer, expected) in ways.items() if answer != expected]


def active(unit: str) -> bool:
    """Tell whether a unit is active."""
    return said("systemctl", "is-active", unit).strip() == "active"


def main_pid() -> int:
    """Return the watcher's process."""
    return int(run("systemctl", "show", "-P", "MainPID", UNIT))


def journal(unit: str) -> str:
    """Return what a unit has logged since this boot."""
    return run("journalctl", "-b", "-o", "cat", "--no-pager", "-u", unit)


def versions() -> dict[str, str]:
    """Return the machine's programs and their versions."""
    words = {
        "Linux": ("uname", "-r"),
        "systemd": ("systemctl", "--version"),
        "Docker": ("docker", "version", "-f", "{{.Server.Version}}"),
        "podman": ("podman", "version", "-f", "{{.Version}}"),
        "runc": ("runc", "--version"),
        "crun": ("crun", "--version"),
        "nft": ("nft", "--version"),
        "firewalld": ("dpkg-query", "-W", "-f", "${Version}", "firewalld"),
        "ufw": ("dpkg-query", "-W", "-f", "${Version}", "ufw"),
        "NetworkManager": ("dpkg-query", "-W", "-f", "${Version}", "network-manager"),
        "Python": ("python3", "--version"),
    }
    return {name: run(*command, check=False).partition("\n")[0] for name, command in words.items()}
