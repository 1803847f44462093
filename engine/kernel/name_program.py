"""The name server's life: aardvark-dns, found, started, told and ended, as nobody's child.

It makes itself a daemon, and notes its id in the folder that it reads. What is signalled is
looked at before, by a file that holds the process: one that has this folder among its words.

Who starts it may be a hook, which must not wait, and whose session, descriptors and control
group it must not share: a runtime waits for the end of its hook's stderr, an engine's unit
may be stopped. So systemd starts it as a unit of its own, or a launcher does, from the root
of each cgroup hierarchy. The launcher has a lock that the server inherits: of two that are
started at once one serves, and one that is started while the former ends waits for that.
"""

from __future__ import annotations

import posix
from _signal import (  # type: ignore[import-not-found]  # C; `signal` brings `enum` along: 4 ms
    SIGCONT,
    SIGHUP,
    SIGINT,
    SIGPIPE,
    SIGQUIT,
    SIGTERM,
    pidfd_send_signal,
)
from _thread import start_new_thread
from errno import ENOSYS
from sys import executable

from ocinet.base.atomic import age_clock_ns
from ocinet.base.clock import is_stopped
from ocinet.base.errors import OcinetError
from ocinet.base.files import Directory, check_directory, check_file, exists
from ocinet.engine.model.served import SEARCH_DOMAIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = "aardvark-dns"
# Where podman looks for its helpers (containers.conf(5), helper_binaries_dir), as distributions
# have them: Debian the last one, most others the one before.
PLACES = ("/usr/local/libexec/podman", "/usr/local/lib/podman", "/usr/libexec/podman",
          "/usr/lib/podman")  # fmt: skip
_PID_FILE = "aardvark.pid"
_PORT = "53"
_STARTING = "starting"  # beside the folder: when it was started, in ns since the boot
_ASKED = "resolvers"  # likewise: which /etc/resolv.conf it has read
_RESOLV_CONF = "/etc/resolv.conf"
_LOCK = "serving"  # likewise: the lock that the launcher takes, and the server has as its file 3
_STARTS_NS = 3_000_000_000  # a start that takes longer has failed
_CAUGHT = b"\nSigCgt:\t"
_CGROUPS = "/sys/fs/cgroup"
_SYSTEMD, _SYSTEMD_RUN = "/run/systemd/system", "/usr/bin/systemd-run"

# Python, for it is there, unlike flock(1). Arguments: the lock, where a server notes its id, where
# cgroups are ("-": it stays in its own), then the command. All that is in v2's one root are others'
# cgroups; in v1's place, which is none itself, are the roots of the hierarchies. A server that has
# the lock for so long and listens to us does not end: if no id is noted, that was lost, and is
# noted again, or nobody could tell it anything any more. The limit: each question that is passed on
# has a socket until it is answered, five seconds at most, and whoever asks may ask thousands a
# second. With 4096 they take 31 MB (measured, 1.4), and a thousand networks have their sockets; an
# engine's own limit may be none.
_LAUNCH = """\
import fcntl, posix, resource, sys, time
lock, note, root, *command = sys.argv[1:]
for fd in map(int, posix.listdir("/proc/self/fd")):
    if fd > 2:
        try:
            posix.close(fd)
        except OSError:
            pass
posix.chdir("/")
posix.umask(0o077)
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
most = 4096 if most == resource.RLIM_INFINITY else min(most, 4096)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
if root != "-" and posix.access(root, posix.F_OK):
    is_one = posix.access(f"{root}/cgroup.procs", posix.F_OK)
    for folder in (".",) if is_one else posix.listdir(root):
        try:
            fd = posix.open(f"{root}/{folder}/cgroup.procs", posix.O_WRONLY)
            posix.write(fd, b"0")
            posix.close(fd)
        except OSError:
            pass
held = posix.open(lock, posix.O_RDWR | posix.O_CREAT | posix.O_NOFOLLOW, 0o600)
for attempt in range(1000):
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
    except BlockingIOError:
        time.sleep(0.005)
else:
    file, line = posix.fstat(held), bytes(1).join(map(str.encode, (*command, "")))
    for pid in filter(str.isdigit, posix.listdir("/proc")):
        try:
            if open(f"/proc/{pid}/cmdline", "rb").read() != line:
                continue
            other = posix.stat(f"/proc/{pid}/fd/3")
            caught = open(f"/proc/{pid}/status").read().partition("SigCgt:")[2].split()[0]
            is_same = (other.st_dev, other.st_ino) == (file.st_dev, file.st_ino)
            if is_same and int(caught, 16) & 1:
                fd = posix.open(note, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL, 0o600)
                posix.write(fd, pid.encode())
                posix.kill(int(pid), 1)
        except OSError:
            pass
    sys.exit(0)
posix.set_inheritable(posix.dup2(held, 3), True)
posix.execve(command[0], command, {"PATH": "/usr/bin:/bin"})
"""

# None that systemd 239 does not know: it would refuse all of it. It listens below port 1024, reads
# its folder and /etc/resolv.conf, writes its id, and talks with resolvers and syslog.
_UNIT = (
    "Type=forking", "Restart=on-abnormal", "RestartSec=1", "NoNewPrivileges=yes",
    "CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "ProtectSystem=strict", "ProtectHome=yes",
    "PrivateTmp=yes", "PrivateDevices=yes", "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes", "ProtectControlGroups=yes", "RestrictNamespaces=yes",
    "RestrictRealtime=yes", "LockPersonality=yes", "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service", "UMask=0077", "MemoryMax=256M",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
)  # fmt: skip


class NameProgram:
    """One server, which reads one folder.

    Args:
        folder: that is above the one that it reads, and ours.
        path: of the one that it reads.
        places: where it is looked for.
        spawn: starts a process that nobody waits for.
        systemd: what is there where it runs, and its command.
    """

    def __init__(
        self,
        folder: str,
        path: str,
        places: tuple[str, ...] = PLACES,
        spawn: Callable[[tuple[str, ...]], None] | None = None,
        systemd: tuple[str, str] = (_SYSTEMD, _SYSTEMD_RUN),
    ) -> None:
        self._folder = folder
        self._path = path
        self._places = places
        self._spawn = spawn or _spawn
        self._systemd = systemd

    def find(self) -> str:
        """Return the path of the program; "" if there is none that root alone may write to."""
        for place in self._places:
            path = f"{place}/{PROGRAM}"
            try:
                status = posix.stat(path)
                check_directory(place, posix.stat(place))
                check_file(path, status)
            except (OSError, OcinetError):
                continue
            if status.st_mode & 0o111 and posix.access(path, posix.X_OK):
                return path
        return ""

    @property
    def pid(self) -> int:
        """The id of the server that runs; 0 if none does."""
        pid, fd = self._opened()
        if fd >= 0:
            posix.close(fd)
        return pid

    def is_starting(self) -> bool:
        """Tell whether one was started a moment ago, and has not noted its id yet."""
        # An empty file is about to have an id in it.
        if self._noted():
            return False
        with Directory(self._folder) as folder:
            noted = folder.noted(_STARTING)
        return noted.isdigit() and 0 <= age_clock_ns() - int(noted) < _STARTS_NS

    def tell(self) -> bool:
        """Have the server read its files anew.

        Returns:
            False if none runs. One that is about to start reads them by itself: it notes its id,
            and then listens for the signal, before it reads.
        """
        pid, fd = self._opened()
        if not pid:
            return False
        self._note_resolvers(seen=True)
        try:
            # Before it listens, the signal would end it.
            if _catches_hup(pid):
                _signal(pid, fd, SIGHUP)
        except (OSError, ValueError):
            return False
        finally:
            if fd >= 0:
                posix.close(fd)
        return True

    def is_stopped(self) -> bool:
        """Tell whether it runs and does nothing, by SIGSTOP or a debugger."""
        pid = self.pid
        return bool(pid) and is_stopped(pid)

    def is_stale(self) -> bool:
        """Tell whether the host's /etc/resolv.conf is another one than it has read."""
        with Directory(self._folder) as folder:
            return folder.noted(_ASKED) != _resolvers()

    def ailment(self) -> str:
        """Return "" if it runs, unstopped, and has read the host's /etc/resolv.conf as it is.

        Else a text that is another one after each start, and for each change of that file.
        """
        pid = self.pid
        if not pid:
            with Directory(self._folder) as folder:
                return f"{self._noted()} has ended, of {folder.noted(_STARTING)!r}"
        if is_stopped(pid):
            return f"{pid} is stopped"
        with Directory(self._folder) as folder:
            asked, now = folder.noted(_ASKED), _resolvers()
        return "" if asked == now else f"{asked} is now {now}"

    def _note_resolvers(self, *, seen: bool = False) -> None:
        """Note which /etc/resolv.conf it is to read: versions before 1.17 follow no change.

        Args:
            seen: whether it runs: from then on it is about to start no more, though 1.14 takes
                its id away when it ends, as by a file that it can't read.
        """
        now = _resolvers()
        with Directory(self._folder) as folder:
            if seen and (started := folder.noted(_STARTING)).isdigit():
                folder.note(_STARTING, f"{started} seen")
            if folder.noted(_ASKED) != now:
                folder.note(_ASKED, now)

    def start(self, program: str) -> None:
        """Start it, without waiting, unless one is about to; needs the files' lock.

        Raises:
            OSError: nothing can be started.
        """
        if self.is_starting():
            return
        with Directory(self._folder) as folder:
            has_failed = folder.noted(_STARTING).isdigit() and not self._noted()
        if self.pid:
            return  # it has noted its id since it was looked for, and reads its files after that
        if self._noted():  # of one that was killed
            with Directory(self._path) as served:
                served.remove(_PID_FILE)
        with Directory(self._folder) as folder:
            folder.note(_STARTING, str(age_clock_ns()))
        self._note_resolvers()
        # Where systemd was asked and no server came of it, it goes without.
        has_systemd = all(map(exists, self._systemd)) and not has_failed
        command = (program, "--config", self._path, "--port", _PORT,
                   "--filter-search-domain", SEARCH_DOMAIN, "run")  # fmt: skip
        files = f"{self._folder}/{_LOCK}", f"{self._path}/{_PID_FILE}"
        launch = (executable, "-I", "-S", "-c", _LAUNCH, *files,
                  "-" if has_systemd else _CGROUPS, *command)  # fmt: skip
        self._spawn((*self._unit_words(), *launch) if has_systemd else launch)

    def _unit_words(self) -> tuple[str, ...]:
        # Of its own for each start: one that ends keeps its name until it is collected.
        name = f"ocinet-names-{age_clock_ns():x}"
        properties = (*_UNIT, f"ReadWritePaths={self._folder}")
        return (
            _SYSTEMD_RUN, "--no-block", "--quiet", "--collect", f"--unit={name}",
            "--description=Names of ocinet's networks",
            *(f"--property={line}" for line in properties), "--",
        )  # fmt: skip

    def stop(self) -> bool:
        """End it, without waiting; needs the files' lock.

        Returns:
            False if none runs.
        """
        pid, fd = self._opened()
        if not pid:
            with Directory(self._path) as served:
                served.remove(_PID_FILE)  # of one that was killed
            return False
        try:
            # First: killed after it, this leaves the id of one that ends, not one without an id.
            # Who has the lock next starts another one, which waits until this is gone.
            _signal(pid, fd, SIGTERM)
            with Directory(self._path) as served:
                served.remove(_PID_FILE)
            with Directory(self._folder) as folder:
                folder.remove(_STARTING)
        except ProcessLookupError:
            return False
        finally:
            if fd >= 0:
                posix.close(fd)
        return True

    def _opened(self) -> tuple[int, int]:
        """Return the server's id, and a file that holds the process; 0 and -1 if none runs."""
        pid, fd = self._noted(), -1
        if not pid:
            return 0, -1
        try:
            try:
                fd = posix.pidfd_open(pid)
            except OSError as error:
                if error.errno != ENOSYS:  # a kernel before 5.3
                    return 0, -1
            if self.is_ours(pid):
                return pid, fd
        except (OSError, OverflowError):
            pass
        if fd >= 0:
            posix.close(fd)
        return 0, -1

    def _noted(self) -> int:
        with Directory(self._path) as served:
            noted = served.read(_PID_FILE) or b""
        return int(noted) if noted.isdigit() and len(noted) <= 10 else 0

    def is_ours(self, pid: int) -> bool:
        """Tell whether a process is a server that reads this folder, started by us.

        Anybody can call himself so. But our lock's file lies where root alone may open it.
        """
        try:
            words = _read(f"/proc/{pid}/cmdline").split(b"\0")  # none of a zombie
        except OSError:
            return False
        is_called_so = self._path.encode() in words and words[0].endswith(PROGRAM.encode())
        return is_called_so and self._has_lock(pid)

    def _has_lock(self, pid: int) -> bool:
        try:
            lock = posix.stat(f"{self._folder}/{_LOCK}")
            held = posix.stat(f"/proc/{pid}/fd/3")
        except PermissionError:  # who may not look at it, may not signal it either
            return True
        except OSError:
            return False
        return (held.st_dev, held.st_ino) == (lock.st_dev, lock.st_ino)


def _resolvers() -> str:
    """Return what tells one state of the host's /etc/resolv.conf from another."""
    try:
        status = posix.stat(_RESOLV_CONF)
    except OSError:
        return "none"
    return f"{status.st_ino} {status.st_size} {status.st_ctime_ns}"


def _signal(pid: int, fd: int, number: int) -> None:
    """Send a signal that is heard: who is stopped hears none, and keeps its port and lock."""
    for each in (SIGCONT, number):  # behind the other nobody may be there
        if fd >= 0:
            pidfd_send_signal(fd, each)
        else:
            posix.kill(pid, each)


def _catches_hup(pid: int) -> bool:
    caught = _read(f"/proc/{pid}/status").partition(_CAUGHT)[2].partition(b"\n")[0]
    return bool(int(caught, 16) >> SIGHUP - 1 & 1)


def _read(path: str) -> bytes:
    fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return posix.read(fd, 4096)
    finally:
        posix.close(fd)


def _spawn(words: tuple[str, ...]) -> None:
    """Start a process in a session of its own, with nothing of ours but /dev/null."""
    actions = [(posix.POSIX_SPAWN_OPEN, 0, "/dev/null", posix.O_RDWR, 0),
               (posix.POSIX_SPAWN_DUP2, 0, 1), (posix.POSIX_SPAWN_DUP2, 0, 2)]  # fmt: skip
    pid = posix.posix_spawn(
        words[0], words, {b"PATH": b"/usr/bin:/bin"}, file_actions=actions, setsid=True,
        setsigmask=(), setsigdef=(SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE),
    )  # fmt: skip
    # A hook has ended long before; in a watcher it would stay a zombie.
    start_new_thread(_reap, (pid,))


def _reap(pid: int) -> None:
    try:
        posix.waitpid(pid, 0)
    except OSError:
        return  # somebody else has waited for all children
