"""The real runtime: becoming it, or running it as a child that looks like us.

Whoever calls a runtime expects one process: it kills that one, hands it
descriptors, and reads its exit status. So a child has our descriptors, gets the
signals that we get, and does not outlive us.
"""

from __future__ import annotations

import posix
from _signal import (  # type: ignore[import-not-found]  # `signal` imports enum: 4 ms
    SIG_BLOCK,
    SIG_DFL,
    SIG_IGN,
    SIG_SETMASK,
    SIGCHLD,
    SIGHUP,
    SIGINT,
    SIGKILL,
    SIGPIPE,
    SIGQUIT,
    SIGTERM,
    SIGXFSZ,
    getsignal,
    pthread_sigmask,
    signal,
)

from ocinet.base.errors import SystemFailure
from ocinet.base.paths import own_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

_PASSED_ON = (SIGHUP, SIGINT, SIGQUIT, SIGTERM)
_CANNOT_RUN = 127  # as a shell tells it
_SIGNALLED = 128
_LISTEN_PID = "LISTEN_PID"  # whom descriptors from LISTEN_FDS are meant for (sd_listen_fds(3))
_PR_SET_PDEATHSIG = 1


def become(program: str, arguments: Sequence[str]) -> NoReturn:
    """Become a program, with our process id, descriptors and environment.

    Raises:
        SystemFailure: it can't be run.
    """
    _restore_signals()
    try:
        posix.execv(program, [program, *arguments])  # no shell is the point
    except OSError as error:
        raise SystemFailure(f"cannot run {program}", error.strerror or str(error)) from error


def run(
    program: str, arguments: Sequence[str], meanwhile: Callable[[], object] | None = None
) -> int:
    """Run a program as a child to its end.

    Args:
        program: its absolute path.
        arguments: without its name.
        meanwhile: done while it runs.

    Returns:
        What a shell calls its exit status: 128 + N if signal N killed it, 127
        if it can't be run.

    Effects:
        HUP, INT, QUIT and TERM go to the child from here on, unless they were
        ignored; if we are killed, so is the child.
    """
    signal(SIGCHLD, SIG_DFL)  # ignored, it would leave no status to wait for
    parent = posix.getpid()
    # Until there is somebody to pass them on to: a signal between fork and handler would end us,
    # and never reach the child.
    mask = pthread_sigmask(SIG_BLOCK, _PASSED_ON)
    child = posix.fork()
    if child == 0:
        _run_child(program, arguments, parent, mask)

    def pass_on(number: int, _frame: object) -> None:
        posix.kill(child, number)  # not waited for yet, so its id is still its own

    for number in _PASSED_ON:
        if getsignal(number) is not SIG_IGN:
            signal(number, pass_on)
    pthread_sigmask(SIG_SETMASK, mask)
    if meanwhile:
        meanwhile()
    _, status = posix.waitpid(child, 0)
    for number in _PASSED_ON:
        signal(number, SIG_IGN)  # nobody is there any more to get them
    code = posix.waitstatus_to_exitcode(status)
    return _SIGNALLED - code if code < 0 else code


def _run_child(program: str, arguments: Sequence[str], parent: int, mask: set[int]) -> NoReturn:
    """Be the program, or nothing: whatever happens, this does not return."""
    try:
        _die_with(parent)
        environment = own_environment()
        # systemd's protocol: who is not the process meant takes none of the descriptors.
        if environment.get(_LISTEN_PID) == str(parent):
            environment[_LISTEN_PID] = str(posix.getpid())
        _restore_signals()
        for number in _PASSED_ON:
            if getsignal(number) is not SIG_IGN:
                signal(number, SIG_DFL)
        pthread_sigmask(SIG_SETMASK, mask)
        posix.execve(program, [program, *arguments], environment)  # as above
    except OSError as error:
        posix.write(2, f"ocinet: cannot run {program}: {error.strerror}\n".encode())
    finally:
        posix._exit(_CANNOT_RUN)


def _restore_signals() -> None:
    """Undo what Python does at its start, which a program would inherit."""
    for number in (SIGPIPE, SIGXFSZ):
        signal(number, SIG_DFL)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies (prctl(2)).

    A caller that loses patience kills the process that it started, and expects
    the runtime to be gone then.
    """
    # What `ctypes` has around it takes 4 ms to import.
    import _ctypes

    class Function(_ctypes.CFuncPtr):
        _flags_ = _ctypes.FUNCFLAG_CDECL

    libc = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # None: what is loaded already
    prctl = Function(_ctypes.dlsym(libc, "prctl"))
    prctl(_PR_SET_PDEATHSIG, int(SIGKILL))
    # It may have died before the kernel was asked, which tells of no death that is past.
    if posix.getppid() != parent:
        posix._exit(_SIGNALLED + SIGKILL)
