"""State files: whole or not there, reached through one directory descriptor.

How a file appears is in `atomic`: a kill leaves at most a temporary one, which
`sweep` removes. Directories are ours alone: owned by root, closed to
others, and no symbolic link is followed in their last part. Nothing here syncs
to disk unless asked: /run does not survive a reboot, reservations must.
"""

from __future__ import annotations

import posix
from _stat import S_ISDIR, S_ISREG, S_ISVTX
from errno import ELOOP, ENOTEMPTY, ENXIO

from ocinet.base import atomic
from ocinet.base.errors import SystemFailure, TransientFailure, UntrustedError
from ocinet.base.jsontext import MAX_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OTHERS_WRITE = 0o022
_OPEN_DIRECTORY = posix.O_RDONLY | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC
# Not blocking: what has a file's name may be a FIFO.
_OPEN_FILE = posix.O_RDONLY | posix.O_NOFOLLOW | posix.O_NONBLOCK | posix.O_CLOEXEC


def _failure(act: str, path: str, error: OSError) -> SystemFailure:
    return SystemFailure(f"cannot {act} {path}", error.strerror or str(error))


def _untrusted(path: str, status: posix.stat_result, hint: str) -> UntrustedError:
    why = f"owner {status.st_uid}, mode {status.st_mode & 0o777:o}: others may write to it"
    return UntrustedError(f"cannot trust {path}", why, hint)


def check_file(path: str, status: posix.stat_result) -> None:
    """Refuse a file that others than root, and than us, may write to.

    Args:
        path: of it.
        status: of the open file.

    Raises:
        UntrustedError: it is one.
    """
    if status.st_uid not in (0, posix.geteuid()) or status.st_mode & OTHERS_WRITE:
        raise _untrusted(path, status, f"chown root {path} && chmod go-w {path}")


def check_directory(path: str, status: posix.stat_result) -> None:
    """Refuse a directory that others may write to; but for those like /tmp, and root's group.

    Raises:
        UntrustedError: it is one.
    """
    mode = status.st_mode & OTHERS_WRITE & (0o002 if status.st_gid == 0 else OTHERS_WRITE)
    if status.st_uid not in (0, posix.geteuid()) or (mode and not status.st_mode & S_ISVTX):
        raise _untrusted(path, status, f"chown root {path} && chmod go-w {path}")


def exists(path: str) -> bool:
    """Tell whether there is something under a path; as `os.path.exists`."""
    return _kind(path) is not None


def is_directory(path: str) -> bool:
    """Tell whether a path leads to a directory; as `os.path.isdir`."""
    kind = _kind(path)
    return kind is not None and S_ISDIR(kind)


def _kind(path: str) -> int | None:
    try:
        return posix.stat(path).st_mode
    except (OSError, ValueError):
        return None


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def make_directories(path: str, *, durable: bool = False) -> None:
    """Make a directory and its missing parents, each with mode 0700.

    `os.makedirs` gives its mode to the last part alone and leaves the parents
    to the umask, which a runtime may hand to its hooks as 0.

    Args:
        path: absolute; that it is there already is success.
        durable: whether what is made is synced to disk.

    Raises:
        OSError: a part can't be made, or is no directory.
    """
    try:
        posix.mkdir(path, 0o700)
    except FileExistsError:
        if not is_directory(path):
            raise
    except FileNotFoundError:
        make_directories(_parent(path), durable=durable)
        make_directories(path, durable=durable)
    else:
        if durable:
            atomic.sync_directory(_parent(path))


def remove_directory(path: str) -> bool:
    """Remove an empty directory; False if it was not there, or is not empty.

    Raises:
        SystemFailure: it can't be removed for another reason.
    """
    try:
        posix.rmdir(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno == ENOTEMPTY:
            return False
        raise _failure("remove", path, error) from error
    return True


class Directory:
    """One directory of state files, open by descriptor.

    Args:
        path: absolute; missing parts are made with mode 0700.
        durable: whether each change is synced to disk before it counts.
        make: whether it is made if it is missing.

    Raises:
        FileNotFoundError: it is missing and not to be made.
        SystemFailure: it can't be made or opened.
        UntrustedError: others than its owner may write to it, or replace it.
    """

    def __init__(self, path: str, *, durable: bool = False, make: bool = True) -> None:
        self.path = path
        self._durable = durable
        try:
            self._fd = posix.open(path, _OPEN_DIRECTORY)
        except FileNotFoundError:
            if not make:
                raise
            self._fd = self._make()
        except OSError as error:
            raise _failure("open", path, error) from error
        self._owner = posix.geteuid()
        try:
            status = posix.fstat(self._fd)
            if status.st_uid != self._owner or status.st_mode & OTHERS_WRITE:
                raise _untrusted(path, status, f"chown root {path} && chmod 0700 {path}")
            # Who can write there can put another one in its place.
            above = posix.stat("..", dir_fd=self._fd)
            if above.st_uid or above.st_mode & OTHERS_WRITE:  # seldom, and a hook opens eight
                check_directory(_parent(path), above)
        except BaseException:
            self.close()
            raise

    def _make(self) -> int:
        try:
            make_directories(self.path, durable=self._durable)
            return posix.open(self.path, _OPEN_DIRECTORY)
        except OSError as error:
            raise _failure("make", self.path, error) from error

    def close(self) -> None:
        """Close the descriptor."""
        posix.close(self._fd)

    def __enter__(self) -> Directory:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close the descriptor."""
        self.close()

    def names(self) -> list[str]:
        """List the files, without temporary and hidden ones, unordered."""
        return [name for name in posix.listdir(self._fd) if name[0] != "."]

    def exists(self, name: str) -> bool:
        """Tell whether `name` is there, whatever it is."""
        try:
            posix.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _failure("look at", f"{self.path}/{name}", error) from error
        return True

    def is_directory(self, name: str) -> bool:
        """Tell whether `name` is there and is a directory."""
        try:
            return S_ISDIR(posix.stat(name, dir_fd=self._fd, follow_symlinks=False).st_mode)
        except OSError:
            return False

    def link(self, name: str, other: Directory) -> None:
        """Give a file, of whatever kind, the same name in another directory too.

        That it has it already is success.

        Raises:
            SystemFailure: it is a directory, which can't have two names, or
                there is no room.
        """
        try:
            posix.link(name, name, src_dir_fd=self._fd, dst_dir_fd=other._fd, follow_symlinks=False)
        except FileExistsError:
            return
        except OSError as error:
            raise _failure("link", f"{self.path}/{name}", error) from error

    def read(self, name: str) -> bytes | None:
        """Return the whole content, or None if there is no such file.

        Raises:
            SystemFailure: it is no regular file, or too large.
            TransientFailure: it could not be read just now.
            UntrustedError: it is another user's, or others may write to it.
        """
        try:
            fd = posix.open(name, _OPEN_FILE, dir_fd=self._fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unread(name, error) from error
        try:
            status = posix.fstat(fd)
            if not S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
                raise SystemFailure(
                    f"cannot read {self.path}/{name}",
                    f"it is no regular file of at most {MAX_BYTES} bytes",
                )
            if status.st_uid != self._owner or status.st_mode & OTHERS_WRITE:
                path = f"{self.path}/{name}"
                raise _untrusted(path, status, f"chown root {path} && chmod go-w {path}")
            # A buffer of the size that is needed: one of MAX_BYTES costs 16 us more.
            return posix.read(fd, status.st_size + 1)
        except OSError as error:
            raise self._unread(name, error) from error
        finally:
            posix.close(fd)

    def _unread(self, name: str, error: OSError) -> SystemFailure:
        failure = _failure("read", f"{self.path}/{name}", error)
        # A link or a socket is there for good; all else may be otherwise the next time.
        if error.errno in (ELOOP, ENXIO):
            return failure
        return TransientFailure(failure.what, failure.why)

    def create(self, name: str, content: str) -> bool:
        """Make a file that must not be there yet.

        Returns:
            False if the name is taken; nothing has changed then.

        Raises:
            SystemFailure: it can't be written; nothing has changed then.
        """
        try:
            atomic.create(name, self._writing(content), dir_fd=self._fd)
        except FileExistsError:
            return False
        except OSError as error:
            raise _failure("create", f"{self.path}/{name}", error) from error
        try:
            self._sync()
        except OSError as error:
            # It may be on the disk or not: who is told that it failed must not find it there.
            self._forget(name)
            raise _failure("create", f"{self.path}/{name}", error) from error
        return True

    def _forget(self, name: str) -> None:
        try:
            posix.unlink(name, dir_fd=self._fd)
        except OSError:
            return  # the first error is the one to tell

    def replace(self, name: str, content: str) -> None:
        """Put `content` under `name`, whether it is there or not.

        Raises:
            SystemFailure: it can't be written; the old content is still there.
        """
        self._replace(name, self._writing(content))

    def note(self, name: str, text: str) -> None:
        """Keep a short text under `name`, whether it is there or not.

        It is the target of a symbolic link, which nobody follows: that is one
        system call where a file takes five. Not for what must outlast a reboot.

        Args:
            name: in the directory, or in a folder of it, which is made if it is missing.
            text: 1 to 4095 bytes.

        Raises:
            SystemFailure: it can't be written; the old text is still there.
        """

        def make(link: str) -> None:
            posix.symlink(text, link, dir_fd=self._fd)

        try:
            try:
                make(name)
            except FileNotFoundError:
                posix.mkdir(_parent(name), 0o700, dir_fd=self._fd)
                make(name)
        except FileExistsError:
            self._replace(name, make)
        except OSError as error:
            raise _failure("write", f"{self.path}/{name}", error) from error

    def noted(self, name: str) -> str:
        """Return the text of a `note`; "" if there is none, or something else."""
        try:
            return posix.readlink(name, dir_fd=self._fd)
        except OSError:
            return ""

    def remove(self, name: str) -> bool:
        """Remove a file; False if it was not there.

        Raises:
            SystemFailure: it can't be removed.
        """
        try:
            posix.unlink(name, dir_fd=self._fd)
            self._sync()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise _failure("remove", f"{self.path}/{name}", error) from error
        return True

    def rename(self, name: str, new_name: str) -> None:
        """Give a file another name, replacing what has that one.

        Raises:
            SystemFailure: it can't be renamed, or is not there.
        """
        try:
            posix.rename(name, new_name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
            self._sync()
        except OSError as error:
            raise _failure("rename", f"{self.path}/{name}", error) from error

    def sweep(self) -> int:
        """Remove temporary files of writers that are gone; returns how many.

        Needs the lock that the directory's writers hold.
        """
        from ocinet.base import temporaries

        try:
            return temporaries.sweep(self._fd)
        except OSError as error:
            raise _failure("sweep", self.path, error) from error

    def _writing(self, content: str) -> Callable[[str], None]:
        """Return what writes a content under a temporary name."""

        def make(temporary: str) -> None:
            try:
                atomic.write_file(
                    temporary, content.encode(), durable=self._durable, dir_fd=self._fd
                )
            except OSError as error:
                raise _failure("write in", self.path, error) from error

        return make

    def _replace(self, name: str, make: Callable[[str], None]) -> None:
        try:
            atomic.replace(name, make, dir_fd=self._fd)
            self._sync()
        except OSError as error:
            raise _failure("write", f"{self.path}/{name}", error) from error

    def _sync(self) -> None:
        if self._durable:
            posix.fsync(self._fd)
