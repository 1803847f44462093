"""Names of sandboxes under /run/netns, where `ip netns` looks.

A name is a symbolic link to /proc/PID/ns/net: it pins nothing, so a sandbox
dies with its processes, and it works from any mount namespace. Whatever else
has the name stays; ours is `oc-<12 hex digits>` then.
"""

from __future__ import annotations

import posix
from _blake2 import blake2s

from ocinet.base.atomic import replace
from ocinet.base.errors import SystemFailure

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
                from os import makedirs  # once after a boot, if ever

                makedirs(self._path, 0o755, exist_ok=True)
                posix.symlink(_target(process), path)
        except FileExistsError:
            if self._shows(path, (process,)):
                return False
            raise SystemFailure(f"cannot name {path}", "something else has that name") from None
        except OSError as error:
            raise SystemFailure(f"cannot name {path}", error.strerror or str(error)) from error
        return True

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

    def remove(self, name: str, processes: tuple[Process, ...]) -> bool:
        """Remove a link if it shows one of `processes`; else leave it and return False.

        Raises:
            SystemFailure: it can't be removed.
        """
        path = f"{self._path}/{name}"
        if not self._shows(path, processes):
            return False
        try:
            posix.unlink(path)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise SystemFailure(f"cannot remove {path}", error.strerror or str(error)) from error
        return True

    @staticmethod
    def _shows(path: str, processes: tuple[Process, ...]) -> bool:
        try:
            return posix.readlink(path) in [_target(process) for process in processes]
        except OSError:
            return False
