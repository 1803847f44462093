"""The place where Prometheus scrapes the watcher: a thread of its own.

Whoever connects has two seconds to say what is asked for, and as long to take the answer, while
others are served. At a port of this machine, names that others made lead to it as well
(DNS rebinding, from a page in a browser): it answers to its own address alone.
"""

from __future__ import annotations

import grp
import os
import socket
import stat
from time import monotonic
from typing import TYPE_CHECKING

from ocinet.base.atomic import replace
from ocinet.base.errors import OcinetError, SystemFailure, told
from ocinet.base.files import check_directory
from ocinet.picture.exposition import CONTENT_TYPE
from ocinet.watcher.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ocinet.engine.model.metrics_place import MetricsPlace

_AGAIN_S = 5.0  # until a place that can't be had is tried again; and between counts of events
_PATIENCE_S = 2.0
_REST_S = 1.0  # where nobody can be let in: who waits there stays told of
_MOST_WAITING = 64  # who came first goes, for who has said nothing is no scraper
_LONGEST_HEAD = 8192
_HEAD_END = b"\r\n\r\n"
_PATH = "/metrics"
_NOT_SERVED = "metrics are not served"
_PLAIN = "text/plain; charset=utf-8"
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
            421: "Misdirected Request", 503: "Service Unavailable"}  # fmt: skip


class _Caller:
    """Who has connected: what it has said so far, and what it is still to be told.

    Args:
        connection: that does not block.

    Attributes:
        end: until when it may speak, or take its answer, of the clock that nobody sets.
        is_answered: whether what it has said is a whole request, which has its answer.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.end = monotonic() + _PATIENCE_S
        self.is_answered = False
        self._data = b""
        self._untold = memoryview(b"")

    @property
    def head(self) -> str:
        """The request, without its body."""
        return self._data.partition(_HEAD_END)[0].decode("latin-1")

    def hears_end(self) -> bool:
        """Read what there is; return whether that is a whole request.

        Raises:
            OSError: it has gone, says too much, or its time is over.
        """
        try:
            more = self.connection.recv(_LONGEST_HEAD)
        except BlockingIOError:
            self._go_on_waiting()
            return False
        if not more or len(self._data) + len(more) > _LONGEST_HEAD:
            raise ConnectionError
        self._data += more
        return _HEAD_END in self._data

    def answer(self, data: bytes) -> None:
        """Have an answer for it, which `takes_end` sends."""
        self.is_answered, self._untold = True, memoryview(data)
        self.end = monotonic() + _PATIENCE_S

    def takes_end(self) -> bool:
        """Send as much as it takes; return whether that was the rest of its answer.

        Raises:
            OSError: it has gone, or its time is over.
        """
        try:
            self._untold = self._untold[self.connection.send(self._untold) :]
        except BlockingIOError:
            pass
        if self._untold:
            self._go_on_waiting()  # who takes a byte now and then is waited for no longer
        return not self._untold

    def _go_on_waiting(self) -> None:
        if monotonic() >= self.end:
            raise TimeoutError


class Exporter(Turns):
    """The thread; to be started once and stopped once.

    Args:
        place: where it listens.
        group: whose members may connect to a socket; "": root alone.
        text: gathers what is scraped.
        keep_count: called every few seconds, whether anybody scrapes or not.
        log: told where it listens, or why it does not.
        failed: told of what is no failure of the machine's.
    """

    def __init__(
        self,
        place: MetricsPlace,
        group: str,
        text: Callable[[], str],
        keep_count: Callable[[], None],
        log: Any,
        failed: Callable[[BaseException], None],
    ) -> None:
        super().__init__("exporter", failed, _AGAIN_S)
        self._place = place
        self._group = group
        self._text = text
        self._keep_count = keep_count
        self._log = log
        self._listening: socket.socket | None = None
        self._complaints: dict[str, str] = {}  # by what it is about, until that is well
        self._next_try = self._next_count = self._next_accept = 0.0
        self._callers: list[_Caller] = []
        self._bound = 0, 0  # the socket file that it has made

    def _turn(self) -> None:
        """Listen, answer who has come, and count."""
        now = monotonic()
        if self._listening is None and now >= self._next_try:
            self._next_try = now + _AGAIN_S
            self._attempt(self._listen, "listening", _NOT_SERVED)
        if now >= self._next_count:
            self._next_count = now + _AGAIN_S
            self._attempt(self._keep_count, "counting", "events are not counted")
        speaking, taking = list[int](), list[int]()
        for caller in self._callers:
            (taking if caller.is_answered else speaking).append(caller.connection.fileno())
        ends = [self._next_count, *(caller.end for caller in self._callers)]
        if self._listening is None:
            ends.append(self._next_try)
        elif monotonic() >= self._next_accept:
            speaking.append(self._listening.fileno())
        else:
            ends.append(self._next_accept)
        if self._poll(speaking, max(0.0, min(ends) - monotonic()), writable=taking):
            self._accept()
        self._serve()

    def _end(self) -> None:
        for caller in self._callers:
            caller.connection.close()
        if self._listening is None:
            return
        if self._place.path:
            try:
                if _identity(self._place.path) == self._bound:
                    os.unlink(self._place.path)
            except OSError:
                pass  # somebody has taken it away
        self._listening.close()

    def _attempt(self, act: Callable[[], None], about: str, event: str) -> None:
        """Do something that others must not wait for, nor fail of."""
        try:
            act()
        except OcinetError as error:
            self._complain(about, str(error), event)
        except Exception as error:  # noqa: BLE001  # there is more that a turn does
            self._failed(error)
        else:
            self._complaints.pop(about, None)

    def _complain(self, about: str, why: str, event: str = _NOT_SERVED) -> None:
        if why != self._complaints.get(about):
            self._complaints[about] = why
            self._log.error(event, place=str(self._place), error=why)

    def _listen(self) -> None:
        """Listen at the place.

        Raises:
            SystemFailure: it can't be had.
        """
        try:
            made = self._at_path() if self._place.path else self._at_port()
        except OSError as error:
            what = f"cannot listen at {self._place}"
            raise SystemFailure(what, error.strerror or str(error)) from error
        made.settimeout(0)
        self._listening = made
        self._log.info("metrics are served", place=str(self._place))

    def _at_port(self) -> socket.socket:
        loopback = self._place.loopback
        assert loopback is not None  # noqa: S101  # it is one of the two
        family = socket.AF_INET6 if loopback.address.family == 6 else socket.AF_INET
        return socket.create_server((str(loopback.address), loopback.port), family=family)

    def _at_path(self) -> socket.socket:
        path = self._place.path
        try:
            if not stat.S_ISSOCK(os.lstat(path).st_mode):
                raise SystemFailure(f"cannot listen at {path}", "it is there, and no socket",
                                    "name another path")  # fmt: skip
        except FileNotFoundError:
            pass
        folder, name = os.path.split(path)
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

        def make(temporary: str) -> None:
            # By the open directory: its own path and a temporary name may be too long (unix(7)).
            reached = f"/proc/self/fd/{directory}/{temporary}"
            # Until it listens nobody can connect, whatever the umask is.
            made.bind(reached)
            os.chmod(reached, 0o660 if self._group else 0o600)
            if self._group:
                _give(reached, self._group)
            self._bound = _identity(reached)
            made.listen()

        try:
            # Else somebody may put another file in the place of what is given away.
            check_directory(folder, os.fstat(directory))
            replace(name, make, dir_fd=directory)  # over what an earlier one may have left
        except BaseException:
            made.close()
            raise
        finally:
            os.close(directory)
        return made

    def _accept(self) -> None:
        """Let in who has come."""
        while self._listening and monotonic() >= self._next_accept:
            try:
                connection, _who = self._listening.accept()
            except (BlockingIOError, ConnectionAbortedError):  # nobody is left, or has gone again
                return
            except OSError as error:  # as no descriptor is left: it would be told at once again
                self._next_accept = monotonic() + _REST_S
                self._complain("accepting", str(told("cannot let in who scrapes", error)))
                return
            self._complaints.pop("accepting", None)
            connection.settimeout(0)
            self._callers.append(_Caller(connection))
            if len(self._callers) > _MOST_WAITING:
                silent = (caller for caller in self._callers if not caller.is_answered)
                self._part(next(silent))  # at least who has just come

    def _serve(self) -> None:
        """Answer who has said what is asked for, and part with who does not, or has it all."""
        for caller in tuple(self._callers):
            is_done = True
            try:
                if not caller.is_answered and caller.hears_end():
                    caller.answer(self._answer(caller.head))
                is_done = caller.is_answered and caller.takes_end()
            except OSError:  # it has gone, or its time is over
                pass
            finally:  # whatever it is: one that is closed must not be polled
                if is_done:
                    self._part(caller)

    def _part(self, caller: _Caller) -> None:
        self._callers.remove(caller)
        caller.connection.close()

    def _answer(self, head: str) -> bytes:
        status, kind, body, has_body = self._reply(head)
        content = body.encode(errors="replace")
        lines = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(content)}\r\nX-Content-Type-Options: nosniff\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        return lines.encode() + (content if has_body else b"")

    def _reply(self, head: str) -> tuple[int, str, str, bool]:
        """Return status, type and body of what is answered, and whether the body is asked for."""
        first, *fields = head.split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            return 400, _PLAIN, "This is no request.\n", True
        method, target, _version = words
        if method not in ("GET", "HEAD"):
            return 405, _PLAIN, "Here is something to be read, and nothing else.\n", True
        has_body = method == "GET"
        if not self._place.path and not _is_own(_host_of(fields)):
            why = f"This is {self._place}, and it was asked for under another name.\n"
            return 421, _PLAIN, why, has_body
        if target.partition("?")[0] != _PATH:
            return 404, _PLAIN, f"ocinet's figures are at {_PATH}.\n", has_body
        return *self._gathered(), has_body

    def _gathered(self) -> tuple[int, str, str]:
        """Return status, type and body: the figures, or why there are none."""
        try:
            text = self._text()
        except OcinetError as error:
            why = str(error)
        except OSError as error:  # of ours, as no descriptor is left: not the caller's going
            why = str(told("cannot gather the figures", error))
        except Exception as error:  # noqa: BLE001  # whoever scrapes next may have better luck
            self._failed(error)
            return 503, _PLAIN, "The figures can't be gathered: see the watcher's log.\n"
        else:
            self._complaints.pop("figures", None)
            return 200, CONTENT_TYPE, text
        self._complain("figures", why)
        return 503, _PLAIN, f"{why}\n"


def _give(path: str, group: str) -> None:
    """Give a socket to a group, unless it has it by its directory.

    Raises:
        SystemFailure: there is no such group, or it can't be given.
    """
    try:
        wanted = grp.getgrnam(group).gr_gid
    except KeyError:
        raise SystemFailure(
            "", f"there is no group {group!r}", "see the setting metrics_group"
        ) from None
    if os.lstat(path).st_gid == wanted:
        return
    try:
        os.chown(path, -1, wanted, follow_symlinks=False)
    except OSError as error:
        failure = told(f"cannot give it to the group {group}", error)
        failure.hint = "a directory of that group with mode 2750 gives it: see docs/metrics.md"
        raise failure from error


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def _host_of(fields: list[str]) -> str:
    for field in fields:
        name, _, value = field.partition(":")
        if name.strip().lower() == "host":
            return value.strip()
    return ""


def _is_own(host: str) -> bool:
    """Tell whether a Host field names this machine itself, at whatever port it came by."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    if name.lower() in ("localhost", "[::1]"):
        return True
    parts = name.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(part.isdecimal() for part in parts)
