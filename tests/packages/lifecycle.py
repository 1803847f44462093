"""A package's life in a root of its own, while containers start, stop and run.

    tests/packages/lifecycle.py DEB|RPM          in a root of Debian, with a network of its own
    tests/packages/lifecycle.py DEB --python     in one of Debian 12, which gets 13's Python
    tests/packages/lifecycle.py DEB --systemd    where systemd runs, see `under-systemd`

Installed, upgraded, downgraded, removed with containers running, installed again, purged: the
deb by dpkg, the rpm by Debian's dnf, which knows nothing of what dpkg has installed. Each
line that it prints was seen; the first that is otherwise ends it. With --python apt upgrades
Python meanwhile, from what it has fetched before. Nothing of ocinet's tree is
used but the rpm's spec, for a later version: what runs is what the package has brought.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_STATE = Path("/run/pack-test")
_HOOK = "/usr/lib/ocinet/hook"
_ENABLED = Path("/etc/systemd/system/multi-user.target.wants/ocinet-watcher.service")
_NOT_OURS = ("/var/lib/dpkg", "/var/log", "/var/cache", "/var/lib/containers", "/var/ocinet",
             "/var/lib/systemd/deb-systemd", "/var/tmp", "/etc/cni", "/usr/share/info",
             "/var/lib/rpm", "/var/lib/dnf")  # fmt: skip


def run(*words: str, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False)
    if check and done.returncode:
        sys.exit(f"FAILED: {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def saw(what: str, is_so: object) -> None:
    """Tell what was seen, or end."""
    sys.stdout.write(f"{'ok ' if is_so else 'BAD'}  {what}\n")
    sys.stdout.flush()
    if not is_so:
        sys.exit(1)


class Bundle:
    """A bundle of runc's with busybox in it.

    Args:
        name: of the container.
        command: what it runs.
    """

    def __init__(self, name: str, *command: str) -> None:
        self.name, self.path = name, _STATE / name
        (self.path / "rootfs/bin").mkdir(parents=True)
        shutil.copy("/bin/busybox", self.path / "rootfs/bin/busybox")
        run("runc", "spec", "--bundle", str(self.path))
        config = json.loads((self.path / "config.json").read_text())
        config["process"] |= {"terminal": False, "args": ["/bin/busybox", *command]}
        # No cgroup has to be writable in here.
        config["linux"]["namespaces"] = [
            each for each in config["linux"]["namespaces"] if each["type"] != "cgroup"
        ]
        (self.path / "config.json").write_text(json.dumps(config))

    def run(self, *words: str, name: str = "") -> subprocess.CompletedProcess[str]:
        """Have runc run it, to its end unless it is detached."""
        argv = ("runc", "run", *words, "--bundle", str(self.path), name or self.name)
        with tempfile.TemporaryFile("w+") as told:  # a pipe would stay open in the container
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=told, stderr=told,
                                  check=False)  # fmt: skip
            told.seek(0)
            return subprocess.CompletedProcess(argv, done.returncode, told.read(), "")


class Starts:
    """Containers that start and stop all the time, and what came of it.

    Args:
        bundle: of each.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle, self._end = bundle, threading.Event()
        self.count, self.failures = 0, [""][:0]
        self._thread = threading.Thread(target=self._go)

    def __enter__(self) -> Starts:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end.set()
        self._thread.join()

    def _go(self) -> None:
        while not self._end.is_set():
            self.count += 1
            done = self._bundle.run(name=f"{self._bundle.name}{self.count}")
            if done.returncode:
                self.failures.append(done.stdout)


def _make_later(tree: Path) -> None:
    """Make the code of an unpacked package another one."""
    with (tree / "usr/share/ocinet/code/ocinet/hooks/entry/stage.py").open("a") as file:
        file.write("\nLATER = True\n")
    (tree / "usr/share/ocinet/code/VERSION").write_text("99-feedfacecafe\n")


def _is_there(path: str, *, there: bool) -> Callable[[], bool]:
    """Return what tells whether there is something under a path, or nothing."""
    return lambda: os.path.exists(path) is there


class Packages(Protocol):
    """This version and a later one, as somebody installs them."""

    left: tuple[str, ...]  # in /usr/lib/ocinet, after `remove`

    def put(self, *, later: bool) -> None:
        """Install one, whatever is installed."""

    def remove(self) -> None:
        """Take it away with registrations in place."""

    def purge(self, *bundles: str) -> None:
        """Take all back, of these bundles as well."""


class Deb:
    """By dpkg.

    Args:
        package: of this version.
    """

    left: tuple[str, ...] = ("hook", "removed")
    hooks = tuple(
        f"/etc/containers/oci/hooks.d/50-ocinet-{stage}.json"
        for stage in ("createRuntime", "poststop")
    )

    def __init__(self, package: str) -> None:
        tree, made = _STATE / "deb", str(_STATE / "next.deb")
        run("dpkg-deb", "-R", package, str(tree))
        control = tree / "DEBIAN/control"
        control.write_text(control.read_text().replace("Version: ", "Version: 99."))
        _make_later(tree)
        run("dpkg-deb", "--root-owner-group", "--build", str(tree), made)
        self._packages = (package, made)

    def put(self, *, later: bool) -> None:
        """Install one, whatever is installed."""
        run("dpkg", "--install", self._packages[later])

    def remove(self) -> None:
        """Take it away with registrations in place."""
        run("dpkg", "--remove", "ocinet")

    def purge(self, *bundles: str) -> None:
        """Take all back; it knows those bundles whose containers run.

        Killed on the way, with the maintainer's script that runs: the next one goes on.
        """
        del bundles
        removed = "/usr/lib/ocinet/removed"
        gone = ("/usr/bin/ocinet", *self.hooks, "/etc/ocinet/networks", "/etc/ocinet", removed)
        points = {f"{removed}.part is there": _is_there(f"{removed}.part", there=True)}
        points |= {f"{path} is gone": _is_there(path, there=False) for path in gone}
        killed = [what for what, is_so in points.items() if self._kill_purge(is_so)]
        saw(f"purge was killed when {', when '.join(killed)}", len(killed) > 2)
        run("dpkg", "--purge", "ocinet")

    def _kill_purge(self, is_so: Callable[[], bool]) -> bool:
        """Purge, and kill it and all that it has started once something is so; False: it ended."""
        if is_so():
            return False
        argv = ("dpkg", "--purge", "ocinet")
        with tempfile.TemporaryFile("w+") as told:
            purge = subprocess.Popen(argv, stdout=told, stderr=told, start_new_session=True)
            while not is_so() and purge.poll() is None:
                time.sleep(0.001)
            was_alive = purge.poll() is None
            if was_alive:
                os.killpg(purge.pid, signal.SIGKILL)
            purge.wait()
        return was_alive


_HOST = """Name: host
Version: 1
Release: 1
Summary: what is there without rpm
License: none
BuildArch: noarch
Provides: /bin/sh, nftables, iproute, python3 = {0.major}.{0.minor}
%description
%{{summary}}
%files
"""


class Rpm:
    """By dnf, from a repository with both.

    Args:
        package: of this version.
    """

    left: tuple[str, ...] = ("hook",)

    def __init__(self, package: str) -> None:
        self._repository, tree = _STATE / "repository", _STATE / "rpm"
        self._repository.mkdir()
        tree.mkdir()
        shutil.copy(package, self._repository)
        run("sh", "-c", f"rpm2cpio {package} | cpio --quiet -idm -D {tree}")
        _make_later(tree)
        listed = run("rpm", "-qp", "--qf", "[%{FILEMODES:perms} %{FILENAMES}\n]", package).stdout
        lines = [line.split(" ", 1) for line in listed.splitlines()]
        paths = [f"%dir {path}" if mode[0] == "d" else path for mode, path in lines]
        (_STATE / "listed").write_text("\n".join(paths))
        spec = (Path(__file__).parents[2] / "packaging/rpm/ocinet.spec").read_text()
        for name, value in {"VERSION": "99", "TREE": tree, "FILES": _STATE / "listed"}.items():
            spec = spec.replace(f"@{name}@", str(value))
        self._build("later", spec)
        self._build("host", _HOST.format(sys.version_info))
        run("createrepo_c", "--quiet", str(self._repository))
        self._dnf("install", "host")

    def _build(self, name: str, text: str) -> None:
        spec = _STATE / f"{name}.spec"
        spec.write_text(text)
        run("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {_STATE}/built",
            "--define", f"_rpmdir {self._repository}", "--define", f"_rpmfilename {name}.rpm",
            str(spec))  # fmt: skip

    def _dnf(self, *words: str) -> None:
        places = (f"--setopt=cachedir={_STATE}/cache", f"--repofrompath=test,{self._repository}")
        options = ("--quiet", "--assumeyes", "--nogpgcheck", "--disablerepo=*", "--releasever=1")
        run("dnf", *options, *places, *words)

    def put(self, *, later: bool) -> None:
        """Install one, whatever is installed."""
        there = run("rpm", "-q", "--qf", "%{VERSION}", "ocinet", check=False)
        if there.returncode:
            self._dnf("install", "ocinet" if later else "ocinet < 99")
        else:
            self._dnf("upgrade" if later else "downgrade", "ocinet")
        run("rpm", "--verify", "ocinet")

    def remove(self) -> None:
        """Take it away with registrations in place."""
        self._dnf("remove", "ocinet")

    def purge(self, *bundles: str) -> None:
        """Take all back by the command, for rpm has no purge."""
        run("ocinet", "uninstall", "--force", *bundles)
        self._dnf("remove", "ocinet", "host")


def files() -> dict[str, int]:
    """Return all files but those of dpkg and of engines, with their sizes."""
    found = {}
    for top in ("/etc", "/usr", "/var", "/run/ocinet"):
        for folder, folders, names in os.walk(top):
            folders[:] = [name for name in folders if f"{folder}/{name}" not in _NOT_OURS
                          and name != "__pycache__"]  # fmt: skip
            found[folder] = -1
            found |= {f"{folder}/{name}": os.lstat(f"{folder}/{name}").st_size for name in names}
    return found


def kernel() -> str:
    """Return links, tables and forwarding."""
    tables = run("nft", "list", "tables").stdout
    links = sorted(link["ifname"] for link in json.loads(run("ip", "-j", "link").stdout))
    return f"{links} {tables} {Path('/proc/sys/net/ipv4/ip_forward').read_text()}"


def pings(pid: str) -> bool:
    """Tell whether a container reaches its gateway."""
    argv = ("nsenter", "-t", pid, "-n", "busybox", "ping", "-c1", "-W5", "10.9.0.1")
    return run(*argv, check=False).returncode == 0


def leftovers() -> str:
    """Return what gc would find: nothing, after stops that went well."""
    return run("ocinet", "gc", "--dry-run").stdout


def install(packages: Packages, web: Bundle, short: Bundle) -> str:
    """Install it, and have a container run; returns its process."""
    packages.put(later=False)
    saw(f"installed: {run('ocinet', 'version').stdout.strip()}", packages)
    has_engine = any(map(shutil.which, ("dockerd", "podman")))
    saw("the unit is enabled where an engine is", _ENABLED.is_symlink() == has_engine)
    run("ocinet", "network", "create", "--subnet", "10.9.0.0/24", "lan")
    for bundle in (short, web):
        run("ocinet", "hooks", "add", str(bundle.path), "--net", "lan")
    config = json.loads((web.path / "config.json").read_text())
    paths = {entry["path"] for listed in config["hooks"].values() for entry in listed}
    saw(f"registered: {paths}", paths == {_HOOK})
    told = web.run("--detach")
    saw(f"a container runs {told.stdout}", told.returncode == 0)
    return str(json.loads(run("runc", "state", "web").stdout)["pid"])


def upgrade(packages: Packages, short: Bundle, pid: str) -> None:
    """Upgrade and downgrade while others start and stop, and one runs."""
    with Starts(short) as starts:
        for later, version in ((True, "99"), (False, ""), (True, "99")):
            before = starts.count
            packages.put(later=later)
            current = os.readlink("/usr/lib/ocinet/current")
            while starts.count < before + 3:
                time.sleep(0.1)
            saw(f"upgraded or downgraded to {current}", current.startswith(version))
    saw(f"{starts.count} starts meanwhile, {len(starts.failures)} failed {starts.failures[:1]}",
        not starts.failures)  # fmt: skip
    names = [record["name"] for record in json.loads(run("ocinet", "ps", "-a", "--json").stdout)]
    saw(f"of all these, {names} is on record, and gc finds nothing",
        names == ["web"] and not leftovers())  # fmt: skip
    saw("who ran all the time reaches its gateway", pings(pid))


def remove(packages: Packages, short: Bundle, pid: str) -> None:
    """Remove it with a container running, registered with podman for all containers."""
    run("ocinet", "hooks", "install", "--podman", "--always")
    hook = Path("/etc/containers/oci/hooks.d/50-ocinet-createRuntime.json")
    entry = json.loads(hook.read_text())["hook"]
    argv = (entry["path"], *entry["args"][1:])
    state = {"ociVersion": "1.0.2", "id": "x", "pid": 4242, "status": "created", "bundle": "/"}
    packages.remove()
    left = tuple(sorted(os.listdir("/usr/lib/ocinet")))
    saw(f"removed; {left} stays, for registrations and for purge", left == packages.left)
    saw("who runs keeps its network", pings(pid))
    done = run(*argv, stdin=json.dumps(state), check=False)
    saw("who does not ask for ocinet starts under --always", done.returncode == 0)
    asks = {**state, "annotations": {"ocinet.net": "lan"}}
    done = run(*argv, stdin=json.dumps(asks), check=False)
    saw(f"who asks is refused: {done.stderr.strip()}", done.returncode == 1)
    told = short.run()
    saw("and so by runc", told.returncode != 0 and "not installed any more" in told.stdout)
    run("runc", "delete", "--force", "web")


def unit() -> tuple[str, str]:
    """Return the unit's process, and the version that it runs, once it is ready."""
    run("systemctl", "is-active", "ocinet-watcher")
    pid = run("systemctl", "show", "--value", "--property=MainPID", "ocinet-watcher").stdout.strip()
    held = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{pid}/fd")]
    return pid, next(path for path in held if path.startswith("/usr/lib/ocinet/"))


def under_systemd(packages: Packages) -> None:
    """Have the unit restarted by each upgrade, stopped and removed, while a container runs."""
    short, web = Bundle("short", "true"), Bundle("web", "sleep", "3600")
    pid = install(packages, web, short)
    with Starts(short) as starts:
        for later in (True, False, True):
            before = unit()
            packages.put(later=later)  # the restart has waited until it is ready
            now = unit()
            saw(f"the watcher of {before[1]} became one of {now[1]}",
                before[0] != now[0] and before[1] != now[1])  # fmt: skip
            saw("who runs reaches its gateway", pings(pid))
    saw(f"{starts.count} starts meanwhile, {len(starts.failures)} failed {starts.failures[:1]}",
        not starts.failures)  # fmt: skip
    saw("nothing is left of these", not leftovers())
    run("systemctl", "stop", "ocinet-watcher")
    saw("the unit is stopped, who runs keeps its network", pings(pid))
    packages.remove()
    saw("and when the package is removed", pings(pid))


def upgrade_python(packages: Packages) -> None:
    """Have /usr/bin/python3 become another one while containers start, stop and run."""
    short, web = Bundle("short", "true"), Bundle("web", "sleep", "3600")
    pid = install(packages, web, short)
    before, registered = os.readlink("/usr/bin/python3"), (web.path / "config.json").read_bytes()
    environment = ("env", "DEBIAN_FRONTEND=noninteractive")
    with Starts(short) as starts:
        while starts.count < 3:
            time.sleep(0.1)
        run(*environment, "apt-get", "install", "--yes", "--no-download", "-t", "trixie", "python3")
        count = starts.count
        while starts.count < count + 3:
            time.sleep(0.1)
    now = os.readlink("/usr/bin/python3")
    saw(f"/usr/bin/python3 was {before}, and is {now}", before != now)
    failed = f"{len(starts.failures)} failed {starts.failures[:1]}"
    saw(f"{starts.count} starts meanwhile, {failed}", not starts.failures)
    tag = now.replace("python", "cpython-").replace(".", "")
    code = Path("/usr/lib/ocinet/current/ocinet/hooks/__pycache__")
    saw(f"code is compiled and preloaded for {tag}", list(code.glob(f"preload-stage.{tag}.bin")))
    verified = run("ocinet", "hooks", "verify", str(web.path), check=False)
    saw(f"verify runs the hook {verified.stderr}", verified.returncode == 0)
    saw("which is registered as before", registered == (web.path / "config.json").read_bytes())
    saw("who ran all the time reaches its gateway", pings(pid))
    run("runc", "delete", "--force", "web")
    saw("and nothing is left of any, when it ends", not leftovers())
    run("apt-get", "purge", "--yes", f"lib{before}-minimal", check=False)
    saw("starts without the former Python, too", short.run().returncode == 0)


def main(package: str, *words: str) -> None:
    """Go through all of it."""
    if words:
        _STATE.mkdir()
        {"--python": upgrade_python, "--systemd": under_systemd}[words[0]](Deb(package))
        return
    started = time.monotonic()
    _STATE.mkdir()
    files_before, kernel_before = files(), kernel()
    packages: Packages = (Rpm if package.endswith(".rpm") else Deb)(package)
    short, web = Bundle("short", "true"), Bundle("web", "sleep", "3600")
    pid = install(packages, web, short)
    upgrade(packages, short, pid)
    saw("verify runs the hook", run("ocinet", "hooks", "verify", str(web.path)).returncode == 0)
    remove(packages, short, pid)
    packages.put(later=True)
    saw("installed again: what is registered works", short.run().returncode == 0)
    packages.purge(str(web.path), str(short.path))
    now = files()
    changed = sorted(path for path in {*now, *files_before}
                     if now.get(path) != files_before.get(path))  # fmt: skip
    saw(f"purged: no file is left {changed[:5]}", not changed)
    saw(f"and nothing in the kernel: {kernel().strip()}", kernel() == kernel_before)
    saw(f"{time.monotonic() - started:.0f} s in all", started)


if __name__ == "__main__":
    main(*sys.argv[1:])
