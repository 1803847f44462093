"""A thread that takes turns, each when something calls for it, until it is stopped."""

from __future__ import annotations

import os
import select
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Turns:
    """The thread; to be started once and stopped once. Who is one says what a turn is.

    Args:
        name: of the thread.
        failed: told of what is no failure of the machine's.
        rest_s: seconds until the turn after such a one.
    """

    def __init__(self, name: str, failed: Callable[[BaseException], None], rest_s: float) -> None:
        self._failed = failed
        self._failure_rest_s = rest_s
        self._wakes = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._asked = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread, which looks at everything first."""
        self._asked.set()
        self._thread.start()

    def look(self) -> None:
        """Have everything looked at, whatever was told."""
        self._asked.set()
        os.eventfd_write(self._wakes, 1)

    def stop(self) -> None:
        """Ask the thread to end; a turn that is under way goes on. `join` waits for it."""
        self._stopping.set()
        os.eventfd_write(self._wakes, 1)

    def join(self, timeout_s: float) -> None:
        """Wait for the thread's end, but no longer than that; nothing is asked of it then."""
        self._thread.join(timeout_s)
        if not self._thread.is_alive():
            os.close(self._wakes)

    def _begin(self) -> None:
        """Do what comes before the first turn."""

    def _turn(self) -> None:
        """Do what there is to do, and wait for the next turn, or the other way round."""
        raise NotImplementedError

    def _end(self) -> None:
        """Do what comes after the last turn."""

    def _run(self) -> None:
        self._begin()
        try:
            while not self._stopping.is_set():
                try:
                    self._turn()
                except Exception as error:  # noqa: BLE001  # the thread's edge: it must go on
                    self._failed(error)
                    self._stopping.wait(self._failure_rest_s)
        finally:
            self._end()

    def _poll(
        self, filenos: Iterable[int], wait_s: float | None, *, writable: Iterable[int] = ()
    ) -> bool:
        """Wait until one can be read or written, something is asked for, or the time is over.

        Args:
            filenos: descriptors to be read.
            wait_s: seconds; None: as long as it takes.
            writable: descriptors to be written.

        Returns:
            Whether one of them can be.
        """
        poll = select.poll()
        for fileno in writable:
            poll.register(fileno, select.POLLOUT)
        for fileno in (self._wakes, *filenos):
            poll.register(fileno, select.POLLIN)
        ready = [fd for fd, _event in poll.poll(None if wait_s is None else 1000 * wait_s)]
        if self._wakes in ready:
            os.eventfd_read(self._wakes)
        return any(fd != self._wakes for fd in ready)
