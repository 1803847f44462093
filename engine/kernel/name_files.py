"""A container's `/etc/hosts` and `/etc/resolv.conf`, looked for and written from outside.

The image decides what lies at these paths, and may be hostile: a link to a file of the
host, a FIFO, a device. So a path is walked by openat2(2) beneath the container's root,
which stands for `/` on the way, what is found is held by `O_PATH` and judged before it
is opened, and nothing is asked of the path again.

A file of ours covers the image's as a mount, as podman's and Docker's do: the image stays
as it is, bundles can share a root file system, and a read-only one is no obstacle. It is
made in the container's own `/dev`, a file system in memory with a limit, and loses its
name there at once: what the container writes to it fills nothing of the host's, and it is
gone with the container's mounts, whoever is killed. (A file system made for it alone would
have to be unmounted again, and that waits for all processors: 0.2 ms at best, and 12 to 80
on a busy host.)

What runtimes do at createRuntime and prestart, runc 1.1 and crun 1.8 alike: the mounts of
`config.json` are there, the container's process has still the host's root.
"""

from __future__ import annotations

import posix
from _stat import S_ISREG
from errno import ELOOP, ENOENT, ENOTDIR, ENXIO, EREMOTE, EROFS

from ocinet.base.errors import SystemFailure, told
from ocinet.base.names import is_hostname
from ocinet.engine.kernel.container_root import (
    HANDLE,
    OWN_PROC,
    make_beneath,
    mount_over,
    open_beneath,
    open_root,
)
from ocinet.engine.model.naming import HOSTNAME, HOSTS, RESOLV_CONF, FoundFile, FoundFiles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.base.clock import Process
    from ocinet.engine.model.naming import FileState, NameFile, Place

_CLOEXEC = posix.O_CLOEXEC
_MAX_BYTES = 1 << 16
_NAME = ".ocinet-"
_HOSTS_RESOLV_CONF = "/etc/resolv.conf"
_BEHIND_STUB = "/run/systemd/resolve/resolv.conf"
_STUB = b"127.0.0.53"
_HEX = frozenset("0123456789abcdef")


class NameFiles:
    """The name files of containers that have files of their own."""

    def look(self, place: Place) -> FoundFiles | None:
        """Return what there is, or None if that can't be known yet, or the container is gone.

        Raises:
            SystemFailure: it can't be looked for, as by a kernel before 5.6.
        """
        try:
            mounts = _Mounts(place)
            root = open_root(place, mounts.judge)
            if root < 0:
                return None
            try:
                mounts.root = mounts.of(root)
                hosts, resolv_conf = (_found(root, path, mounts) for path in (HOSTS, RESOLV_CONF))
                is_called = bool(place.rootfs and place.rootfs.hostname)
                hostname = "" if is_called else _hostname(root, mounts)
            finally:
                posix.close(root)
            resolvers = _read(_HOSTS_RESOLV_CONF)
            behind = _read(_BEHIND_STUB) if _STUB in resolvers else b""
        except OSError as error:
            raise _refused(error) from error
        return FoundFiles(hosts, resolv_conf, _text(resolvers), _text(behind), hostname)

    def write(self, place: Place, files: tuple[NameFile, ...]) -> None:
        """Have files say what they shall; all that has to be mounted, or nothing of it.

        Raises:
            SystemFailure: one of them is not what it was when it was looked for, or it
                can't be written.
            StrandedError: there is no way back from the container's mounts.
        """
        opened: list[int] = []
        try:
            mounts = _Mounts(place)
            root = open_root(place, mounts.judge)
            if root < 0:
                return
            opened.append(root)
            mounts.root = mounts.of(root)
            covering = tuple(file for file in files if file.mounted)
            for file in files:
                if not file.mounted:
                    _rewrite(root, file, mounts)
            if covering:
                _cover(root, place, covering, mounts, opened)
        except OSError as error:
            raise _refused(error) from error
        finally:
            for fd in opened:
                posix.close(fd)

    def exchange_hostname(self, process: Process, name: str = "") -> str:
        """Return what a container calls itself, and give it another name if there is one.

        Raises:
            SystemFailure: it is not allowed.
            StrandedError: there is no way back.
        """
        from ocinet.engine.kernel.hostnames import exchange_hostname  # for the few that wish one

        try:
            return exchange_hostname(process, name)
        except OSError as error:
            raise told("cannot give the container its hostname", error) from error


def _refused(error: OSError) -> SystemFailure:
    return told("cannot write the container's /etc/hosts and /etc/resolv.conf", error)


class _Mounts:
    """The mounts of a process, each by its number.

    Attributes:
        root: the number of that which the container's root is on, once it is known.
    """

    def __init__(self, place: Place) -> None:
        self._pid = place.process.pid
        self._may_run = place.may_run
        self._table = b""
        self.root = b""

    def of(self, fd: int) -> bytes:
        """Return the number of the mount that an open file is on."""
        info = _read(f"{OWN_PROC}/fdinfo/{fd}")
        return info.partition(b"mnt_id:")[2].split(None, 1)[0]

    def line(self, fd: int) -> bytes:
        """Return what there is to say of the mount that a file is on (mountinfo, proc(5))."""
        return self._all().partition(b"\n%s " % self.of(fd))[2].partition(b"\n")[0]

    def state(self, fd: int) -> FileState:
        """Tell whose a file is that is a mount."""
        fields = _text(self.line(fd)).split(" ", 3)  # parent, device, path in its file system
        return state_of(fields[2] if len(fields) > 2 else "")

    def judge(self, fd: int) -> None:
        """Refuse what is open on a file system that may never answer; the first is the root."""
        from ocinet.engine.kernel.local_walk import judge  # not for who is about to start

        number = self.of(fd)
        judge(self._all(), number, is_root=self.root in (b"", number))

    def reach(self, root: int, path: str) -> int:
        """Open a handle of what is at a path beneath the container's root."""
        if not self._may_run:
            return open_beneath(root, path, HANDLE)
        from ocinet.engine.kernel.local_walk import walk

        return walk(root, path, self.judge)

    def _all(self) -> bytes:
        if not self._table:
            self._table = b"\n" + _read(f"/proc/{self._pid}/mountinfo", 1 << 22)
        return self._table


def _hostname(root: int, mounts: _Mounts) -> str:
    """Return what an engine has written into a container's /etc/hostname, as Docker does."""
    found = _found(root, HOSTNAME, mounts)
    name = found.text.strip()
    # The container can write there as well.
    return name if found.state == "engine" and is_hostname(name) else ""


def _found(root: int, path: str, mounts: _Mounts) -> FoundFile:
    """Return what is at a path of a container."""
    try:
        fd = mounts.reach(root, path)
    except OSError as error:
        if error.errno in (ENOENT, ENOTDIR):
            return FoundFile("free")
        if error.errno == EREMOTE:  # all of it: who stops this one must be told of
            raise
        return FoundFile("left", why=f"/{path} of the container can't be reached: {error.strerror}")
    try:
        number = mounts.of(fd)
        if not S_ISREG(posix.fstat(fd).st_mode):
            return FoundFile(
                "left", why=f"/{path} of the container is no file, so it is left as it is"
            )
        if number == mounts.root:
            return FoundFile("free")
        state = mounts.state(fd)
        if state == "left":
            return FoundFile("left")
        fixed = bool(posix.fstatvfs(fd).f_flag & posix.ST_RDONLY)
        if fixed and state == "engine":
            elsewhere = _open_elsewhere(fd, mounts)
            fixed = elsewhere < 0
            if not fixed:
                posix.close(elsewhere)
        text = _read(f"{OWN_PROC}/fd/{fd}", _MAX_BYTES + 1)
    finally:
        posix.close(fd)
    if len(text) > _MAX_BYTES:
        return FoundFile("left", why=f"/{path} of the container is longer than {_MAX_BYTES} bytes")
    return FoundFile(state, _text(text), fixed)


def _open_elsewhere(fd: int, mounts: _Mounts) -> int:
    from ocinet.engine.kernel.other_mounts import open_elsewhere  # for whose root is read-only

    return open_elsewhere(fd, mounts.line(fd))


def state_of(source: str) -> FileState:
    """Tell whose a file is that is a mount of its own, by its path in its file system.

    >>> state_of("/.ocinet-hosts//deleted"), state_of("/srv/hosts")
    ('ours', 'left')
    """
    parts = source.removesuffix("//deleted").split("/")
    if parts[-1].startswith(_NAME):
        return "ours"
    # podman: STORAGE/overlay-containers/ID/userdata/hosts; Docker: ROOT/containers/ID/hosts
    folders = parts[:-1]
    if folders and folders[-1] == "userdata":
        folders.pop()
    is_id = bool(folders) and len(folders[-1]) == 64 and _HEX.issuperset(folders[-1])
    return "engine" if is_id else "left"


def _rewrite(root: int, file: NameFile, mounts: _Mounts) -> None:
    """Write a file in place: it is a mount, which no other file can be renamed over."""
    fd = mounts.reach(root, file.path)
    try:
        if mounts.of(fd) == mounts.root or not S_ISREG(posix.fstat(fd).st_mode):
            raise OSError(ELOOP, f"/{file.path} is another file by now")
        data = _bytes(file.text)
        try:
            written = posix.open(f"{OWN_PROC}/fd/{fd}", posix.O_WRONLY | _CLOEXEC)
        except OSError as error:
            written = _open_elsewhere(fd, mounts) if error.errno == EROFS else -1
            if written < 0:
                raise
    finally:
        posix.close(fd)
    try:
        # In this order it is never empty, and whoever reads meanwhile has the new beginning.
        posix.pwrite(written, data, 0)
        posix.ftruncate(written, len(data))
    finally:
        posix.close(written)


def _cover(
    root: int,
    place: Place,
    files: tuple[NameFile, ...],
    mounts: _Mounts,
    opened: list[int],
) -> None:
    """Mount files of ours over what is at their paths; opens more that is to be closed."""
    folder = _memory(root)
    opened.append(folder)
    targets = []
    for file in files:
        target = _target(root, file.path)
        opened.append(target)
        if mounts.of(target) != mounts.root and mounts.state(target) != "engine":
            raise OSError(ELOOP, f"/{file.path} has been mounted meanwhile")
        targets.append(target)
    try:
        sources = []
        for file in files:
            source = _made(folder, file, place.process.pid)
            opened.append(source)
            sources.append(source)
        mount_over(place, list(zip(sources, targets, strict=True)))
    finally:
        for file in files:  # only now: what has no name can't be mounted
            _forget(folder, _name(file))


def _target(root: int, path: str) -> int:
    """Open the file that is to be covered; it is made where there is none, as runtimes do."""
    for attempt in range(2):
        try:
            fd = open_beneath(root, path, HANDLE)
        except OSError as error:
            if error.errno not in (ENOENT, ENOTDIR) or attempt:
                raise
            make_beneath(root, path)
            continue
        if not S_ISREG(posix.fstat(fd).st_mode):
            posix.close(fd)
            raise OSError(ENXIO, f"/{path} is no file")
        return fd
    raise OSError(ENOENT, f"/{path} can't be made")


def _made(folder: int, file: NameFile, pid: int) -> int:
    """Make a file in the container's /dev, and return it opened."""
    name = _name(file)
    _forget(folder, name)  # what a kill has left
    flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | _CLOEXEC
    owner = _first_of(pid, "uid_map"), _first_of(pid, "gid_map")
    if owner == (0, 0):
        fd = posix.open(name, flags, 0o644, dir_fd=folder)
    else:
        from ocinet.engine.kernel.other_ids import open_as  # of a user namespace

        fd = open_as(*owner, folder, name, flags)
    posix.write(fd, _bytes(file.text))
    posix.fchmod(fd, 0o644)  # whatever the umask is
    if owner != (0, 0):
        posix.fchown(fd, *owner)
    return fd


def _name(file: NameFile) -> str:
    return f"{_NAME}{file.path.rpartition('/')[2]}"


def _forget(folder: int, name: str) -> None:
    try:
        posix.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return


def _memory(root: int) -> int:
    """Open the container's /dev, if it is its own."""
    flags = posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | _CLOEXEC
    dev = open_beneath(root, "dev", flags)
    # A host's /dev may be mounted there, or be no mount at all but the image's.
    if posix.fstat(dev).st_dev in (posix.fstat(root).st_dev, posix.stat("/dev").st_dev):
        posix.close(dev)
        raise OSError(ENXIO, "it has no /dev of its own, where they could be")
    return dev


def _first_of(pid: int, name: str) -> int:
    """Return which id of ours a container's root is, by its user namespace's map."""
    words = _read(f"/proc/{pid}/{name}").split()
    return int(words[1]) if len(words) > 1 and words[0] == b"0" else 0


def _read(path: str, most: int = _MAX_BYTES) -> bytes:
    """Return what is in a file of the kernel's or the host's; b"" if there is none."""
    try:
        with open(path, "rb", buffering=0, opener=_unwaiting) as file:
            return _whole(file.read, most)
    except FileNotFoundError:
        return b""


def _unwaiting(path: str, flags: int) -> int:
    """Open whatever is there: a FIFO that nobody writes to would be waited for."""
    return posix.open(path, flags | posix.O_NONBLOCK)


def _whole(read: Callable[[int], bytes | None], most: int) -> bytes:
    data = b""
    while len(data) < most:
        more = read(most - len(data))
        if not more:
            break
        data += more
    return data


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
