"""Sandboxes: network namespaces, reached through an open file and never by pid.

A pid is another process within minutes on a busy machine; an open namespace
stays the one that it was, for as long as it is open.
"""

from __future__ import annotations

import posix
from _stat import S_ISREG
from errno import EPERM
from fcntl import ioctl

from ocinet.base.errors import NotFoundError, RequestError, SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from ocinet.base.clock import Process
    from ocinet.engine.model.attachment import Attachment

    class OpenNamespace(Protocol):
        """All that it takes to work in a namespace: its open file."""

        @property
        def fd(self) -> int:
            """The file's descriptor."""


_OPEN = posix.O_RDONLY | posix.O_CLOEXEC
_OWN = "/proc/thread-self/ns/net"  # of the thread: "self" is the main thread's
_STATUS = "/proc/thread-self/status"
_NS_GET_USERNS = 0xB701  # ioctl_ns(2)
_NS_GET_NSTYPE = 0xB703
_CLONE_NEWNET = 0x40000000
_CAP_NET_ADMIN = 12
_CAPABILITIES = (("CAP_NET_ADMIN", _CAP_NET_ADMIN), ("CAP_SYS_ADMIN", 21))
_ROOTLESS_HINT = "run the container engine as root: rootless ones bring pasta or slirp4netns"


class StrandedError(SystemExit):
    """The thread could not get back from a sandbox, and must do nothing more.

    What it would do next, it would do in the wrong namespace. It is no
    `OcinetError`, so that no handler goes on to undo: uncaught, it ends the hook
    or the command with its one line on stderr, and a thread without a word.
    """


class Sandbox:
    """A network namespace, kept open; to be closed, or used in a `with` block.

    Args:
        fd: an open namespace file; the sandbox owns it from now on.
        path: how it was found.

    Attributes:
        fd: the open file; -1 when closed.
        path: how it was found, for people to repeat; what is done goes through `fd`.
        identity: `DEV:INODE`, in decimal; as long as anyone has it open or
            lives in it, no other namespace has the same.
    """

    def __init__(self, fd: int, path: str = "") -> None:
        status = posix.fstat(fd)
        self.fd = fd
        self.path = path
        self.identity = _identity(status)

    @classmethod
    def open_process(cls, process: Process) -> Sandbox:
        """Open the namespace that a process lives in.

        Raises:
            NotFoundError: the process is gone, or its id is another one's by now.
            SystemFailure: it may not be opened.
        """
        what = f"cannot open the sandbox of process {process.pid}"
        try:
            fd = posix.open(f"/proc/{process.pid}/ns/net", _OPEN)
        except (FileNotFoundError, ProcessLookupError):
            raise NotFoundError(what, "the process is gone") from None
        except OSError as error:
            raise _not_opened(what, error) from error
        # Only now: had the id been reused before the open, the start time says so.
        if not process.alive:
            posix.close(fd)
            raise NotFoundError(what, "the process is gone")
        return cls(fd, f"/proc/{process.pid}/ns/net")

    @classmethod
    def open_path(cls, path: str) -> Sandbox:
        """Open a namespace by the name of its file: /run/netns/NAME, /proc/PID/ns/net.

        Symbolic links are followed.

        Raises:
            NotFoundError: there is no such file, or its link leads nowhere.
            RequestError: it is no network namespace.
            SystemFailure: it may not be opened.
        """
        what = f"cannot open the sandbox {path}"
        try:
            if not S_ISREG(posix.stat(path).st_mode):  # a pipe would block, a device may act
                raise RequestError(what, "it is no network namespace")
            fd = posix.open(path, _OPEN)
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
            from os.path import islink

            gone = islink(path)
            why = "the process that it belonged to is gone" if gone else "there is no such file"
            raise NotFoundError(what, why) from None
        except (OSError, ValueError) as error:
            raise _not_opened(what, error) from error
        try:
            kind = ioctl(fd, _NS_GET_NSTYPE)
        except OSError:
            kind = 0  # no namespace at all, as what `ip netns` leaves after an unmount
        if kind != _CLONE_NEWNET:
            posix.close(fd)
            raise RequestError(what, "it is no network namespace")
        return cls(fd, path)

    @property
    def is_host(self) -> bool:
        """Whether it is the namespace that the calling thread itself is in."""
        return self.identity == _identity(posix.stat(_OWN))

    def check(self, process: Process) -> None:
        """Make sure that the process still lives in this namespace.

        Raises:
            NotFoundError: the process is gone.
            SystemFailure: it is in another one.
        """
        what = f"cannot use the sandbox of process {process.pid}"
        try:
            identity = _identity(posix.stat(f"/proc/{process.pid}/ns/net"))
        except (FileNotFoundError, ProcessLookupError):
            raise NotFoundError(what, "the process is gone") from None
        except OSError as error:
            raise _not_opened(what, error) from error
        if not process.alive:
            raise NotFoundError(what, "the process is gone")
        if identity != self.identity:
            raise SystemFailure(what, "the process has moved to another network namespace")

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if self.fd >= 0:
            posix.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Sandbox:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the file."""
        self.close()


class OtherSandboxError(SystemFailure):
    """What a record tells of is not where it leads to any more."""


def open_recorded(record: Attachment) -> Sandbox:
    """Open the sandbox of a container that is known.

    Raises:
        NotFoundError: it is gone.
        OtherSandboxError: its processes, or its path, are of another one by now.
        SystemFailure: it may not be opened.
    """
    processes = [record.container.process, *(member.process for member in record.members)]
    for process in processes:
        if process and process.alive:
            sandbox = Sandbox.open_process(process)
            break
    else:
        # Its name shows a process, and leads to whoever has that one's id by now.
        path = record.path
        if not path:
            raise NotFoundError("", f"no process of {record.container.name} is alive", "ocinet gc")
        sandbox = Sandbox.open_path(path)
    if record.sandbox and sandbox.identity != record.sandbox:
        sandbox.close()
        raise OtherSandboxError(
            "",
            f"{record.container.name} is in another sandbox than recorded",
            f"ocinet detach {record.container.name}",
        )
    return sandbox


def may_change_network(process: Process) -> bool:
    """Tell whether what runs in a container may change its network by itself.

    Its first process's bounding set says so (CapBnd, proc(5)): no process that it starts
    has more. False if it is gone.
    """
    try:
        with open(f"/proc/{process.pid}/status", "rb", buffering=0) as status:
            bounding = int(status.readall().partition(b"CapBnd:")[2].split(None, 1)[0], 16)
    except OSError:
        return False
    return bool(bounding >> _CAP_NET_ADMIN & 1)


def has_own_mounts(process: Process) -> bool:
    """Tell whether a process sees other mounts than this one; False if it is gone."""
    try:
        theirs = posix.stat(f"/proc/{process.pid}/ns/mnt")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return _identity(theirs) != _identity(posix.stat("/proc/thread-self/ns/mnt"))


def check_privilege() -> None:
    """Make sure that this process may change the network namespace that it is in.

    Raises:
        SystemFailure: it is rootless, or lacks a capability.
    """
    what = "cannot change the host's network"
    fd = posix.open(_OWN, _OPEN)
    try:
        # The kernel shows the owner of a namespace only to those in or above it.
        posix.close(ioctl(fd, _NS_GET_USERNS))
    except OSError as error:
        if error.errno != EPERM:
            raise SystemFailure(what, posix.strerror(error.errno or 0)) from error
        raise SystemFailure(what, "it belongs to an outer user namespace: this is rootless",
                            _ROOTLESS_HINT) from None  # fmt: skip
    finally:
        posix.close(fd)
    with open(_STATUS, "rb", buffering=0) as status:
        effective = int(status.readall().partition(b"CapEff:")[2].split(None, 1)[0], 16)
    missing = [name for name, bit in _CAPABILITIES if not effective >> bit & 1]
    if missing:
        raise SystemFailure(what, f"it lacks {' and '.join(missing)}", "run it as root")


def entered(sandbox: OpenNamespace) -> _Stay:
    """Be in a sandbox for the length of a `with` block: the calling thread, that is.

    Meant for opening a socket and writing sysctls, and nothing that can wait.

    Raises:
        SystemFailure: on entry, if the namespace may not be entered.
        StrandedError: on exit, if there is no way back.
    """
    return _Stay(sandbox)


class _Stay:
    def __init__(self, sandbox: OpenNamespace) -> None:
        self._sandbox = sandbox
        self._back = -1

    def __enter__(self) -> None:
        self._setns = _setns()  # once: by `_ctypes` it takes a class that is made for it
        self._back = posix.open(_OWN, _OPEN)
        try:
            self._setns(self._sandbox.fd, _CLONE_NEWNET)
        except (OSError, ValueError) as error:  # posix.setns does not ask the kernel of -1
            posix.close(self._back)
            raise _not_opened("cannot enter the sandbox", error) from error

    def __exit__(self, *_exception: object) -> None:
        try:
            self._setns(self._back, _CLONE_NEWNET)
        except OSError as error:
            raise StrandedError(f"cannot leave the sandbox: {error.strerror}") from error
        finally:
            posix.close(self._back)


def _setns() -> Callable[[int, int], object]:
    """Return setns(2): Python has had it since 3.12, `_ctypes` costs 0.5 ms."""
    try:
        return posix.setns  # type: ignore[attr-defined,no-any-return,unused-ignore]  # by version
    except AttributeError:
        return libc_functions("setns")[0]


def libc_functions(*names: str) -> tuple[Callable[..., int], ...]:
    """Return functions of the C library that raise OSError where they return less than 0.

    By `_ctypes`, which alone costs a tenth of `ctypes`.

    Args:
        names: of functions whose result is an int.
    """
    import _ctypes

    class Function(_ctypes.CFuncPtr):
        _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO

    def checked(name: str) -> Callable[..., int]:
        function = Function(_ctypes.dlsym(library, name))

        def call(*arguments: int | bytes) -> int:
            result: int = function(*arguments)
            if result < 0:
                code = _ctypes.get_errno()
                raise OSError(code, posix.strerror(code))
            return result

        return call

    library = _ctypes.dlopen("libc.so.6", 0)
    return tuple(map(checked, names))


def _identity(status: posix.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}"


def _not_opened(what: str, error: OSError | ValueError) -> SystemFailure:
    if isinstance(error, PermissionError):
        try:
            check_privilege()
        except SystemFailure as lack:
            return SystemFailure(what, lack.why, lack.hint)
    return SystemFailure(what, getattr(error, "strerror", None) or str(error))
