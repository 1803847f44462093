"""What is done, for who waits at a terminal for more than a second; gone when it is done."""

from __future__ import annotations

from threading import Lock, Timer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self, TextIO

_AFTER_S = 1.0
_CLEAR = "\r\033[K"  # ECMA-48, EL: to the end of the line


class Progress:
    """One line of a terminal, written in a thread, for what is waited for takes this one's time.

    Args:
        stream: a terminal.
        what: is done first.
        after_s: what takes no longer is not told.
    """

    def __init__(self, stream: TextIO, what: str, *, after_s: float = _AFTER_S) -> None:
        self._stream, self._what = stream, what
        self._lock = Lock()
        self._is_shown = False
        self._timer = Timer(after_s, self._show)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        """Begin to count the time."""
        self._timer.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Leave nothing of it."""
        self._timer.cancel()
        self._timer.join()
        self.clear()

    def tell(self, what: str) -> None:
        """Say what is done now."""
        with self._lock:
            changed, self._what = what != self._what, what
            if self._is_shown and changed:
                self._write(_CLEAR + what)

    def clear(self) -> None:
        """Make room for another line; what is told next is shown below it."""
        with self._lock:
            if self._is_shown:
                self._write(_CLEAR)

    def _show(self) -> None:
        with self._lock:
            self._is_shown = True
            self._write(self._what)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            pass  # who was to be told has gone
