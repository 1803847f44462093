"""The host on which ocinet is killed: namespaces, overlays, an anchor that lives, its state."""

from __future__ import annotations

import collections
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from sysconfig import get_paths
from typing import TYPE_CHECKING, Any

from builders import on, tcp
from hosts.namespace.isolation import Sleeper
from ocinet.base.address import Subnet
from ocinet.base.clock import Process
from ocinet.base.errors import OcinetError
from ocinet.base.paths import Paths
from ocinet.cli.main import main
from ocinet.engine.engine import Engine
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.model.attachment import Container
from ocinet.engine.plan.new_network import NetworkOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from kill_acts import Act
    from ocinet.engine.model.request import Request

ROOT = Path(__file__).resolve().parent.parent
OCINET = str(ROOT / ".venv/bin/ocinet")
HOOK = f"{get_paths()['purelib']}/ocinet/hooks/hook.py"
BUNDLE = "/run/lab/bundle"
_OVERLAID = ("/etc", "/var/lib", "/usr/local", str(ROOT / "hooks/__pycache__"))
_OTHERS = ("/etc", "/usr/local")  # where registrations make directories
_OWN = ("/etc/ocinet", "/var/lib/ocinet", "/run/ocinet", "/run/netns")
# Of the host, and no container's; the code that a registration prepares is only for speed.
_PASSING = (
    "events.jsonl", "events.jsonl.1", "settings.json", "passages.json", "table.json", "lock",
)  # fmt: skip
_CONFIG = '{"ociVersion": "1.0.2", "linux": {"namespaces": [{"type": "network"}]}}'
_LONGEST_S = 120
_PATHS = Paths()


def sh(*words: str, given: str = "") -> str:
    """Run a program that has to succeed; return what it prints."""
    argv = words if len(words) > 1 else tuple(words[0].split())
    done = subprocess.run(argv, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(argv)}: {done.stderr}")
    return done.stdout


def ocinet(*words: str) -> None:
    """Run a command that nobody kills, in this process: a new one takes ten times as long."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as told:
        status = main(list(words))
    if status:
        raise RuntimeError(f"ocinet {' '.join(words)}: {told.getvalue()}")


def _merged(path: str) -> str:
    """Return where a file of an overlay's upper layer is seen."""
    for number, place in enumerate(_OVERLAID):
        path = path.replace(f"/run/lab/upper{number}/", f"{place}/")
    return path


def _leave_names_off() -> None:
    """Have the settings say so: a name server is nobody's child, and would outlive the lab."""
    os.makedirs("/etc/ocinet", mode=0o700)
    Path("/etc/ocinet/ocinet.toml").write_text("names = false\n")


class Lab:
    """A host of its own; the process has to be in namespaces of its own already."""

    def __init__(self) -> None:
        self.sleepers: dict[str, Sleeper] = {}
        self._directories: frozenset[str] = frozenset()

    def __enter__(self) -> Self:
        """Lay file systems over what is written to."""
        self._directories = frozenset(
            folder for top in _OTHERS for folder, _folders, _names in os.walk(top)
        )
        sh("mount --make-rprivate /")
        sh("mount -t tmpfs -o mode=755 lab /run")
        for number, place in enumerate(_OVERLAID):
            if os.path.isdir(place):
                upper, work = f"/run/lab/upper{number}", f"/run/lab/work{number}"
                os.makedirs(upper)
                os.makedirs(work)
                sh("mount", "-t", "overlay", "lab", place,
                   "-o", f"lowerdir={place},upperdir={upper},workdir={work}")  # fmt: skip
        for place in ("/etc/ocinet", "/var/lib/ocinet"):
            shutil.rmtree(place, ignore_errors=True)
        _leave_names_off()
        sh("ip link set lo up")
        os.makedirs(BUNDLE)
        return self

    def __exit__(self, *_exception: object) -> None:
        """End who sleeps."""
        for sleeper in self.sleepers.values():
            sleeper.end()

    @staticmethod
    def path(name: str) -> str:
        """Return where a file of the lab's own is."""
        return f"/run/lab/{name}"

    @staticmethod
    def engine() -> Engine:
        """Return the engine of a process that nobody kills."""
        return Engine.open(_PATHS)

    def start(self, name: str) -> Container:
        """Return a container that runs."""
        if name not in self.sleepers or not self.sleepers[name].pid:
            self.sleepers[name] = Sleeper()
        pid = self.sleepers[name].pid
        return Container(f"{name}-id", name, f"/run/lab/{name}", Process.of(pid), "hook")

    def pid(self, name: str) -> int:
        """Return the process of a container, which runs from now on."""
        self.start(name)
        return self.sleepers[name].pid

    def end(self, name: str) -> None:
        """End a container's process; nobody is told."""
        if name in self.sleepers:
            self.sleepers[name].end()

    def attach(self, name: str, request: Request | None = None) -> None:
        """Attach a container."""
        container = self.start(name)
        assert container.process
        with self.engine() as engine, Sandbox.open_process(container.process) as sandbox:
            engine.attach(container, request or on("lan", publish=(tcp(8080),)), sandbox)

    def detach(self, name: str) -> None:
        """Detach a container, if it is attached."""
        with self.engine() as engine:
            engine.detach(f"{name}-id", force=True)

    def create(self, name: str, subnet: str, **options: Any) -> None:
        """Define a network, if it is not."""
        with self.engine() as engine:
            wish = NetworkOptions((Subnet.parse(subnet),), **options)
            engine.networks.create(name, wish, ignore=True)

    def remove(self, name: str) -> None:
        """Remove a network, if it is there."""
        with self.engine() as engine:
            if engine.networks.find(name):
                engine.networks.remove(name)

    def gc(self) -> None:
        """Collect, until nothing is found."""
        for _time in range(3):
            with self.engine() as engine:
                if not engine.gc():
                    return

    def wipe(self) -> None:
        """Make it a host that ocinet has never been on."""
        for path in self._files():
            if os.path.basename(path).startswith(".tmp-"):
                os.unlink(_merged(path))
        for link in json.loads(sh("ip -j link show group 28515") or "[]"):
            words = ("ip", "link", "del", link.get("ifname", "none"))
            subprocess.run(words, capture_output=True, check=False)
        sh("nft flush ruleset")
        for family in ("-4", "-6"):
            while "blackhole" in sh(f"ip {family} rule"):
                sh(f"ip {family} rule del pref 1")
        for place in _OWN:
            shutil.rmtree(place, ignore_errors=True)
        _leave_names_off()
        Path("/proc/sys/net/ipv4/ip_forward").write_text("0")

    # -- what there is ---------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return all that ocinet may have made, to compare."""
        return {**self._files(), **self._kernel()}

    def difference(self, before: dict[str, Any]) -> str:
        """Return what is otherwise than before."""
        now = self.state()
        told = []
        for key in sorted({*before, *now}):
            was, there = before.get(key), now.get(key)
            if key == "rules":
                words, former = (collections.Counter(str(text).split()) for text in (there, was))
                more, less = words - former, former - words
                told += [f"rules: +{dict(more)} -{dict(less)}"] if more or less else []
            elif was != there:
                told.append(f"{key}: {was!r} -> {there!r}"[:300])
        return "; ".join(told)[:1500]

    def _files(self) -> dict[str, str]:
        found = {}
        uppers = [f"/run/lab/upper{number}" for number in range(len(_OVERLAID))]
        for top in (*uppers, BUNDLE, "/run/ocinet", "/run/netns"):
            for folder, _folders, names in os.walk(top):
                merged = _merged(folder)
                if merged.startswith(_OTHERS) and merged not in self._directories:
                    found[folder] = "a directory"
                for name in names:
                    path = f"{folder}/{name}"
                    if name in _PASSING or "/locks" in folder or name.endswith((".pyc", ".bin")):
                        continue
                    if os.path.islink(path):
                        found[path] = os.readlink(path)
                    elif os.path.isfile(path):
                        found[path] = Path(path).read_text(errors="replace")
        return found

    @staticmethod
    def _kernel() -> dict[str, Any]:
        told = sh("/bin/sh", "-c", "ip -j addr; echo; ip rule; ip -6 rule; nft list ruleset")
        listed, _, rest = told.partition("\n")
        shown = [
            (link["ifname"], link.get("master"),
             sorted(held["local"] for held in link["addr_info"] if held["scope"] == "global"))
            for link in json.loads(listed or "[]")
        ]  # fmt: skip
        # Elements are listed in the order of a hash, over several lines.
        words = sorted(rest.replace(",", " ").split())
        return {
            "links": sorted(shown, key=str),
            "rules": " ".join(words),
            "forward": Path("/proc/sys/net/ipv4/ip_forward").read_text(),
        }

    def torn(self) -> str:
        """Return a file that is half-written, under a name that counts; or ""."""
        for path, text in self._files().items():
            name = os.path.basename(path)
            ours = "/ipam/" in path or "/ports/" in path
            if name.startswith(".") or os.path.islink(path):
                continue
            if name.endswith(".json") or (ours and "/holders/" not in path):
                try:
                    json.loads(text)
                except ValueError as error:
                    return f"{path}: {error}"
        events = Path("/run/ocinet/events.jsonl")
        lines = events.read_text().splitlines() if events.exists() else []
        for line in lines:
            try:
                json.loads(line)
            except ValueError:
                return f"events.jsonl: {line[:100]}"
        return ""

    def doubles(self) -> str:
        """Return an address that two have, as records say and as the kernel has it; or ""."""
        seen: dict[str, str] = {}
        for name, sleeper in self.sleepers.items():
            if not sleeper.pid:
                continue
            told = sh(f"nsenter -n -t {sleeper.pid} ip -j addr")
            for link in json.loads(told or "[]"):
                for held in link["addr_info"]:
                    address = held["local"]
                    if held["scope"] == "global" and seen.setdefault(address, name) != name:
                        return f"{address}: {seen[address]} and {name}"
        with self.engine() as engine:
            records = engine.records.attachments.all()
        held = [
            (endpoint.network, str(interface))
            for record in records
            for endpoint in record.endpoints
            for interface in endpoint.addresses
        ]
        return "" if len(held) == len(set(held)) else str(held)


class Scene:
    """One act on the host, made ready for each round, and brought back after it.

    Args:
        lab: the host.
        act: that is done.
    """

    def __init__(self, lab: Lab, act: Act) -> None:
        self.lab = lab
        self._act = act
        self._whole: dict[str, Any] = {}
        self._is_finished = False
        self._left: str | None = None

    def __enter__(self) -> Self:
        """Make the host as the act finds it."""
        self._make()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Leave nothing."""
        self.lab.wipe()

    def _make(self) -> None:
        for name in list(self.lab.sleepers):
            self.lab.end(name)
        self.lab.wipe()
        if not self._act.virgin:
            self.lab.create("lan", "10.9.0.0/24")
            self.lab.attach("anchor", on("lan", publish=(tcp(9090),)))
        Path(f"{BUNDLE}/config.json").write_text(_CONFIG)
        self._whole = self.lab.state()

    @contextmanager
    def ready(self, act: Act) -> Iterator[dict[str, Any]]:
        """Prepare a round; yields what is there before the act."""
        act.prepare(self.lab)
        self._is_finished, self._left = False, None
        yield self.lab.state() if act.undone else self._whole
        if not self._is_finished:
            self.finish(act)
        if self.left():
            self._make()  # so that the next one does not find what this one did

    def left(self) -> str:
        """Return what is otherwise than before, once it is finished; looked at once."""
        if self._left is None:
            self._left = self.lab.difference(self._whole)
        return self._left

    def run(self, act: Act, *under: str) -> subprocess.CompletedProcess[str]:
        """Do it, under another program."""
        argv, given = act.command(self.lab)
        process = subprocess.Popen(
            (*under, *argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        try:
            told = process.communicate(given, timeout=_LONGEST_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            told = process.communicate()
        return subprocess.CompletedProcess(argv, process.returncode, *told)

    def finish(self, act: Act) -> None:
        """Take back what the act was to do, and collect."""
        try:
            act.finish(self.lab)
        except OcinetError as error:
            print(f"{act.name}: {error}", file=sys.stderr)
        self.lab.gc()
        self._is_finished, self._left = True, None
