"""Every error that ocinet raises on purpose.

    OcinetError
    ├── RequestError       the request is wrong: fix it and ask again
    │   ├── NotFoundError  a name in it is not there
    │   └── ConflictError  it wants what another one holds
    ├── BusyError          a lock or a kernel object is busy: ask again later
    ├── ExhaustedError     no address or port is left: free some
    └── SystemFailure      the kernel, a file or a tool failed: report or repair
        ├── UntrustedError others could have written a file: look at it, and close it
        ├── KernelError    a netlink request failed; carries the errno
        └── TransientFailure  a file could not be read just now: ask again

Each class has the exit code of the `ocinet` command, and the cause that figures count a
failure by: one of a few words, where the error's own may be any. Library code raises; only
the edges print and exit.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class OcinetError(Exception):
    """What failed, why, and what to do about it.

    Args:
        what: the act and its object, as "cannot attach web to lan".
        why: the cause, one clause.
        hint: a command or setting that helps, or "".
    """

    exit_code = 1
    cause = "other"

    def __init__(self, what: str, why: str, hint: str = "") -> None:
        super().__init__(what, why, hint)
        self.what = what
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        """Render as `what: why (hint: …)`, on one line."""
        line = f"{self.what}: {self.why}" if self.what else self.why
        return f"{line} (hint: {self.hint})" if self.hint else line

    def within(self, what: str) -> OcinetError:
        """Return the same error, told as part of a larger act.

        The innermost cause and the hint are kept, so that one line still says
        everything:

        >>> taken = ConflictError("", "port 80 is taken by db", "ocinet detach db")
        >>> str(taken.within("cannot attach web"))
        'cannot attach web: port 80 is taken by db (hint: ocinet detach db)'
        """
        outer = type(self)(what, f"{self.what}: {self.why}" if self.what else self.why, self.hint)
        outer.__cause__ = self
        return outer


class RequestError(OcinetError):
    """The request is malformed or impossible."""

    exit_code = 2
    cause = "request"


class NotFoundError(RequestError):
    """A container, network or lease that the request names is not there."""

    exit_code = 3
    cause = "not_found"


class ConflictError(RequestError):
    """An address, port or name is held by another one, which the error names."""

    exit_code = 4
    cause = "conflict"


class ExhaustedError(OcinetError):
    """No address or port is left to give."""

    exit_code = 5
    cause = "exhausted"


class BusyError(OcinetError):
    """A lock was not had in time; the error names its holder."""

    exit_code = 6
    cause = "busy"


class SystemFailure(OcinetError):
    """A file, a tool or the kernel failed in a way that no request can mend."""

    exit_code = 1
    cause = "system"


class UntrustedError(SystemFailure):
    """A file or directory that is obeyed can be written by others than root."""

    cause = "untrusted"


class KernelError(SystemFailure):
    """A netlink request failed.

    Attributes:
        errno: the positive errno of the kernel's answer.
        is_lost: whether its answer could not be read, so that nobody knows what it has done.
    """

    cause = "kernel"

    def __init__(
        self, what: str, why: str, hint: str = "", *, errno: int = 0, is_lost: bool = False
    ) -> None:
        super().__init__(what, why, hint)
        self.errno = errno
        self.is_lost = is_lost

    def within(self, what: str) -> KernelError:
        """Return the same error, told as part of a larger act."""
        why = f"{self.what}: {self.why}" if self.what else self.why
        outer = KernelError(what, why, self.hint, errno=self.errno, is_lost=self.is_lost)
        outer.__cause__ = self
        return outer


class TransientFailure(SystemFailure):
    """A file could not be opened or read just now, as without descriptors or memory.

    What is in it is not known by that: nobody may judge it as if it were damaged.
    """

    cause = "transient"


def told(what: str, error: OSError) -> SystemFailure:
    """Return what to raise for an error of the system's that nobody expected where it came.

    >>> str(told("cannot attach web", FileNotFoundError(2, "No such file or directory", "/x")))
    'cannot attach web: /x: No such file or directory'
    """
    why = error.strerror or str(error)
    return SystemFailure(what, f"{error.filename}: {why}" if error.filename else why)


def collect(errors: list[OcinetError], act: Callable[..., object], *about: object) -> None:
    """Do something of which a failure keeps nothing else from being done; `failures` tells it."""
    try:
        act(*about)
    except OcinetError as error:
        errors.append(error)


def failures(what: str, errors: list[OcinetError]) -> None:
    """Raise what was collected while going on past errors; nothing if there was none.

    Raises:
        OcinetError: the one error as it is, or all of them in one line.
    """
    if len(errors) == 1:
        raise errors[0]
    if errors:
        hint = next((error.hint for error in errors if error.hint), "")
        why = "; ".join(
            f"{error.what}: {error.why}" if error.what else error.why for error in errors
        )
        together = SystemFailure(what, why, hint)
        if len({error.exit_code for error in errors}) == 1:
            together.exit_code = errors[0].exit_code
        raise together from errors[0]
