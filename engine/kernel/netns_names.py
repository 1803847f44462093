"""Names of sandboxes under /run/netns, where `ip netns` looks.

A name is a symbolic link to /proc/PID/ns/net: it pins nothing, so a sandbox
dies with its processes, and it works from any mount namespace. Whatever else
has the name stays; ours is `oc-<12 hex digits>` then.

Where nobody tells of a container's end, its name stays until somebody collects, and by then
its process's id may be another container's: `ip netns exec` would lead there. So which name
shows an id is noted, as RUN/pids/PID, and whoever is named takes that one away.
"""

from __future__ import annotations

import posix
from _blake2 import blake2s

from ocinet.base.atomic import replace
from ocinet.base.errors import SystemFailure
from ocinet.base.files import make_directories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Process
    from ocinet.base.paths import Paths


def _target(process: Process) -> str:
    return f"/proc/{process.pid}/ns/net"


class NetnsNames:
    """Makes, moves and removes our links in one directory.

    Args:
        paths: `paths.netns` is made with mode 0755 when it is missing.
    """

    def __init__(self, paths: Paths) -> None:
        self._path = paths.netns
        self._pids = f"{paths.run}/pids"

    def choose(self, name: str, container_id: str, process: Process) -> str:
        """Return the name to use: the wanted one, or ours where something else has it."""
        for candidate in (name, f"oc-{blake2s(container_id.encode(), digest_size=6).hexdigest()}"):
            try:
                if posix.readlink(f"{self._path}/{candidate}") == _target(process):
                    return candidate
            except FileNotFoundError:
                return candidate
            except OSError:  # it is there and no link: somebody's bind mount
                continue
        return ""

    def add(self, name: str, process: Process) -> bool:
        """Make a link; False if this very one is there already.

        Raises:
            SystemFailure: something else has the name, or it can't be made.
        """
        path = f"{self._path}/{name}"
        try:
            try:
                posix.symlink(_target(process), path)
            except FileNotFoundError:
                from os import chmod, makedirs  # once after a boot, if ever

                makedirs(self._path, 0o755, exist_ok=True)
                # As `ip netns` makes it, whatever the umask: the service's is 0077.
                chmod(self._path, 0o755)  # noqa: S103  # it is not ours alone
                posix.symlink(_target(process), path)
        except FileExistsError:
            if self._shows(path, (process,)):
                return False
            raise SystemFailure(f"cannot name {path}", "something else has that name") from None
        except OSError as error:
            raise SystemFailure(f"cannot name {path}", error.strerror or str(error)) from error
        self._note(name, process)
        return True

    def shows(self, name: str, processes: tuple[Process, ...]) -> bool:
        """Tell whether a name is our link to one of `processes`."""
        return self._shows(f"{self._path}/{name}", processes)

    def move(self, name: str, before: Process, after: Process) -> None:
        """Let our link show another process's view of the same sandbox.

        A link that is no longer ours is left alone.

        Raises:
            SystemFailure: it can't be made.
        """
        path = f"{self._path}/{name}"
        if not self._shows(path, (before,)):
            return
        try:
            replace(path, lambda link: posix.symlink(_target(after), link))
        except OSError as error:
            raise SystemFailure(f"cannot name {path}", error.strerror or str(error)) from error
        self._forget(name, (before,))
        self._note(name, after)

    def remove(self, name: str, processes: tuple[Process, ...]) -> bool:
        """Remove a link if it shows one of `processes`; else leave it and return False.

        Raises:
            SystemFailure: it can't be removed.
        """
        path = f"{self._path}/{name}"
        self._forget(name, processes)
        if not self._shows(path, processes):
            return False
        try:
            posix.unlink(path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise SystemFailure(f"cannot remove {path}", error.strerror or str(error)) from error
        return True

    def _note(self, name: str, process: Process) -> None:
        """Note which name shows a process's id, and remove the one that did before.

        That it can't be noted is no failure: the name is there.
        """
        note = f"{self._pids}/{process.pid}"
        try:
            former = self._noted(note)
            if former == name:
                return
            if former:
                path = f"{self._path}/{former}"
                if self._shows(path, (process,)):
                    posix.unlink(path)
                posix.unlink(note)
            try:
                posix.symlink(name, note)
            except FileNotFoundError:
                make_directories(self._pids)
                posix.symlink(name, note)
        except OSError:
            return

    def _forget(self, name: str, processes: tuple[Process, ...]) -> None:
        for process in processes:
            note = f"{self._pids}/{process.pid}"
            try:
                if self._noted(note) == name:
                    posix.unlink(note)
            except OSError:
                continue

    @staticmethod
    def _noted(note: str) -> str:
        try:
            return posix.readlink(note)
        except FileNotFoundError:
            return ""

    @staticmethod
    def _shows(path: str, processes: tuple[Process, ...]) -> bool:
        try:
            return posix.readlink(path) in [_target(process) for process in processes]
        except OSError:
            return False
