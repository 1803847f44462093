"""A usual start and stop of a container, by hook and by wrapper, with all that is called there.

By this `make awake` writes who stays awake (`ocinet.hooks.asleep`), and a test holds it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
from importlib.util import MAGIC_NUMBER
from marshal import loads
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, NamedTuple

import ocinet.hooks
from builders import network, on, subnets, tcp
from hosts.name_server import names_served
from hosts.namespace.isolation import Sleeper
from hosts.namespace.looks import link_json, run
from hosts.namespace.wired_host import PATHS, WiredHost
from hosts.waiting import has_ended, wait_until
from ocinet.base.paths import VARIABLES
from ocinet.engine.engine import Engine
from ocinet.engine.plan.new_network import NetworkOptions
from ocinet.hooks.asleep import CO_OPTIMIZED, LIST
from ocinet.hooks.entry.on_demand import FIRST_OF
from ocinet.hooks.preload import PARTS, preload_path, refresh

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Runs hook.py as it is, and at its end notes which parts were loaded, and what was called by
# then. A stub has the name of its function, and calls `wake`.
_NOTED = """\
import posix, sys
notes, script = sys.argv[1:3]
del sys.argv[:2]
called, woken, parts, end = {}, {}, [], posix._exit
def place(frame):
    return frame.f_globals.get("__name__", ""), frame.f_code.co_qualname
def note(frame, event, _argument):
    if event == "call":
        module, function = place(frame)
        if module.startswith("ocinet.") and frame.f_code.co_flags & 1:
            called[module, function] = True
        elif function == "preload":
            parts.append(frame.f_locals["part"])
        elif function == "wake":
            woken[place(frame.f_back)] = True
def noted_exit(status):
    sys.setprofile(None)
    with open(notes, "a") as file:
        for names, places in ((",".join(parts), called), ("woken", woken)):
            for module, function in places:
                file.write(" ".join((names, module, function)) + chr(10))
    end(status)
posix._exit = noted_exit
code = compile(open(script).read(), script, "exec")
sys.setprofile(note)
exec(code, {"__name__": "__main__", "__file__": script})
"""
# What a runtime does at create, as far as the wrapper sees it.
_RUNTIME = """\
#!/bin/sh
unshare -n sh -c 'echo $$ > /run/pid; exec sleep 100' > /dev/null 2>&1 &
until [ -s /run/pid ]; do sleep 0.01; done
"""
# As where Docker is.
_FORWARD = (
    "table ip filter { chain FORWARD { type filter hook forward priority 0; policy drop; }; }"
)
_PLACES = dict(zip(VARIABLES, (PATHS.config, PATHS.state, PATHS.run), strict=True))
# Networks, and what is asked for on them: as most do, and as few.
_USUAL = ("", "lan", "lan publish", "both publish")
_RARE = ("apart publish", "apart allow", "lan link", "onlan")
# What is loaded for these few: of all else, nobody who asks for nothing shall pay for them.
_PARTS_OF_FEW = {part for parts in FIRST_OF.values() for part in parts.values()}
_LINUX = {"namespaces": [{"type": "network"}, {"type": "mount"}]}


def installed(folder: Path, *, awake: str | None = None) -> str:
    """Install our packages in a folder, with their preload; return the path of hook.py.

    Args:
        folder: that `ocinet` will be in.
        awake: who stays awake there; None: as it is.
    """
    tree = Path(next(iter(ocinet.hooks.__path__))).parent
    for package in ("base", "ipam", "engine", "request", "hooks"):
        skipped = shutil.ignore_patterns("__pycache__")
        shutil.copytree(tree / package, folder / "ocinet" / package, ignore=skipped)
    # The first of all makes the bridge by it.
    pyroute2 = Path(sysconfig.get_path("purelib"), "pyroute2")
    (folder / "pyroute2").symlink_to(pyroute2)
    if awake is not None:
        (folder / "ocinet/hooks" / LIST).write_text(awake)
    script = f"{folder}/ocinet/hooks/hook.py"
    refresh(script)
    return script


def define_on_lan(engine: Engine) -> None:
    """Define a network on the LAN that the uplink leads to."""
    options = NetworkOptions(subnets("192.0.2.0/24"), driver="macvlan", parent="up0", dns=False)
    engine.networks.create("onlan", options)


class Rehearsal(NamedTuple):
    """What was called.

    Attributes:
        awake: who has to be awake, by part of the preload and module.
        woken: modules and functions that slept.
    """

    awake: dict[tuple[str, str], set[str]]
    woken: set[tuple[str, str]]


def rehearse(script: str) -> Rehearsal:
    """Start and stop containers in usual ways.

    To be called in namespaces of its own. The host has an uplink, another's firewall, a service
    and, in one of two networks, a container with ports near theirs. What the first act of a kind
    finds to do is not usual.

    Args:
        script: path of an installation's `hook.py`.
    """
    run("ip link add up0 type veth peer name away")
    run("ip addr add 192.0.2.1/24 dev up0")
    run("ip link set away up")
    run("ip link set up0 up")
    run("ip route add default via 192.0.2.2")
    run("nft -f -", given=_FORWARD)
    with WiredHost() as host, socket.create_server(("127.0.0.1", 2222)):
        with host.engine() as engine:
            engine.records.networks.add(network("both", "10.7.0.0/24", "fd00:7::/64"))
            engine.records.networks.add(network("apart", "10.6.0.0/24", siblings=False))
            define_on_lan(engine)
        host.up("first", on("lan", publish=(tcp(8100), tcp(8200))))
        host.up("closed", on("apart"))
        host.up("outside", on("onlan"))
        _Acts(script, Path("/run/notes.first"), 8100).run()
        notes = Path("/run/notes.usual")
        _Acts(script, notes, 8200).run()
        _Acts(script, Path("/run/notes.first"), 8220).run(_RARE)
        rare = Path("/run/notes.rare")
        _Acts(script, rare, 8240).run(_RARE)
        with names_served():
            host.up("named", on("lan"))
            host.up("beside", on("both"))
            host.up("kept", on("apart"))
            _Acts(script, notes, 8300).run()
            _Acts(script, rare, 8400).run(_RARE)
    modules = {part: set(functions_of(script, part)) for part in PARTS}
    of_few = {part: modules[part] for part in _PARTS_OF_FEW}
    awake: dict[tuple[str, str], set[str]] = {}
    return Rehearsal(awake, _read(notes, modules, awake) | _read(rare, of_few, awake))


def _read(
    notes: Path, modules: Mapping[str, set[str]], awake: dict[tuple[str, str], set[str]]
) -> set[tuple[str, str]]:
    """Return who was woken of these parts' modules, and note who was called of them."""
    woken = set()
    for line in notes.read_text().splitlines():
        parts, module, function = line.split(" ")
        if parts == "woken" and any(module in names for names in modules.values()):
            woken.add((module, function))
        for part in parts.split(","):
            if module in modules.get(part, ()) and "<" not in function:
                awake.setdefault((part, module), set()).add(function)
    return woken


def functions_of(script: str, part: str) -> dict[str, set[str]]:
    """Return the modules of a part, and of each the functions that could sleep.

    Args:
        script: path of an installation's `hook.py`, whose preload is made.
        part: its name.
    """
    content = Path(preload_path(script, part)).read_bytes()
    _loader, what = loads(content[len(MAGIC_NUMBER) + 4 :])  # noqa: S302  # made by this test
    return {name: set(_functions(code)) for name, _names, _imports, code, _place in what[-1]}


def _functions(code: CodeType) -> Iterator[str]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and constant.co_flags & CO_OPTIMIZED:
            yield constant.co_qualname
        elif isinstance(constant, CodeType):
            yield from _functions(constant)


class _Acts:
    """All acts, each by a process of its own.

    Args:
        script: path of hook.py.
        notes: where they note what is called.
        number: of the first container.
    """

    def __init__(self, script: str, notes: Path, number: int) -> None:
        self._script = script
        self._notes = notes
        self._number = number

    def run(self, ways: tuple[str, ...] = _USUAL) -> None:
        """Start and stop containers in each of these ways, and under the wrapper."""
        for asked in ways:
            # On the LAN itself an interface stays in a sandbox that strangers keep.
            for kept in (False,) if asked == "onlan" else (True, False):
                self._number += 1
                keys = self._keys(asked)
                bundle = self._podmans(keys) if kept else self._bundle("bundle", keys)
                # Another in its sandbox keeps that when its own process has ended.
                with Sleeper() as sleeper, Sleeper(beside=sleeper.pid) as other:
                    if not kept:
                        other.end()
                    self._hook("createRuntime", keys, bundle, sleeper.pid)
                    assert bool(link_json("eth0", sleeper.pid)) is bool(asked)
                    assert self._is_published() is ("publish" in asked)
                    sleeper.end()
                    self._hook("poststop", keys, bundle)
                    assert not self._is_published()
                    assert not (kept and link_json("eth0", other.pid))
        self._number += 1
        self._create(self._keys("lan publish"))
        pid = int(Path("/run/pid").read_text())
        assert link_json("eth0", pid)
        assert self._is_published()
        os.kill(pid, signal.SIGKILL)
        # A poststop for one that runs is ignored, and told.
        wait_until(lambda: has_ended(pid), "the container's end")
        self._hook("poststop", {}, "/run/moby")

    @property
    def _id(self) -> str:
        return f"{self._number:064x}"

    def _is_published(self) -> bool:
        return f" {self._number} " in run("nft list map inet ocinet publish4")

    def _keys(self, asked: str) -> dict[str, str]:
        name, _, more = asked.partition(" ")
        keys = {
            "ocinet.net": name,
            "ocinet.publish": f"{self._number}:80" if "publish" in more else "",
            "ocinet.allow": "closed:80/tcp" if "allow" in more else "",
            "ocinet.link": "first:db" if "link" in more else "",
        }
        return {key: text for key, text in keys.items() if text}

    def _bundle(self, path: str, keys: dict[str, str]) -> str:
        config = {"annotations": keys, "root": {"path": "rootfs"}, "linux": _LINUX}
        _write(f"{path}/rootfs/etc/hosts", "")
        return str(_write(f"{path}/config.json", json.dumps(config)).parent)

    def _podmans(self, keys: dict[str, str]) -> str:
        """Lay out a bundle where podman has it, with what it knows of the container."""
        image = "5f" * 32
        containers = [{"id": self._id, "names": ["web"], "image": image}]
        listed = json.dumps(containers, separators=(",", ":"))  # as podman writes it
        _write("podman/overlay-containers/containers.json", listed)
        _write(f"podman/overlay-images/{image}/manifest", json.dumps({"schemaVersion": 2}))
        return self._bundle(f"podman/overlay-containers/{self._id}/userdata", keys)

    def _create(self, labels: dict[str, str]) -> None:
        """Create a container as Docker has it done under the wrapper."""
        docker = f"docker/containers/{self._id}"
        state = {
            "ID": self._id, "Name": "/web", "Image": "sha256:00", "Driver": "overlay2",
            "Config": {"Labels": labels}, "NetworkSettings": {"Networks": {"none": {}}},
        }  # fmt: skip
        config = {"linux": _LINUX, "root": {"path": "/run/docker/overlay2/x/merged"}}
        _write("docker/image/overlay2/imagedb/content/sha256/00", "{}")
        _write(f"{docker}/hostconfig.json", json.dumps({"NetworkMode": "none"}))
        _write(f"{docker}/config.v2.json", json.dumps(state))
        _write("moby/config.json", json.dumps(config))
        _write("pid", "")
        runtime = _write("runtime", _RUNTIME)
        runtime.chmod(0o755)
        places = (f"{name}={path}" for name, path in _PLACES.items())
        call = ("create", "--bundle", "/run/moby", "--pid-file", "/run/pid", self._id)
        self._start("runtime", *places, str(runtime), *call, state="")

    def _hook(self, stage: str, keys: dict[str, str], bundle: str, pid: int = 0) -> None:
        status = "created" if pid else "stopped"
        state = {"ociVersion": "1.0.2", "id": self._id, "status": status, "pid": pid,
                 "bundle": bundle, "annotations": keys}  # fmt: skip
        # As podman's hooks directory has it, where most ask for nothing.
        flags = ("--hooks-dir",) if "podman" in bundle or not keys else ()
        self._start(stage, *flags, state=json.dumps(state))

    def _start(self, *words: str, state: str) -> None:
        command = ["/usr/bin/python3", "-I", "-S", "-c", _NOTED, str(self._notes), self._script]
        done = subprocess.run([*command, *words], input=state, env=_PLACES, text=True, check=False,
                              capture_output=True)  # fmt: skip
        assert (done.returncode, done.stderr) == (0, ""), (words, done.stderr)


def _write(path: str, text: str) -> Path:
    file = Path("/run", path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file
