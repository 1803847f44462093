"""The place where the watcher is scraped: for whom it is, and what others can't do to it."""

from __future__ import annotations

import errno
import grp
import os
import resource
import socket
import stat
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from hosts.waiting import wait_until
from ocinet.base.errors import SystemFailure
from ocinet.engine.model.metrics_place import MetricsPlace
from ocinet.watcher.exporter import Exporter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_TIMEOUT_S = 20
_TEXT = "# TYPE at_up gauge\nat_up 1\n"


class Log:
    """Keeps what it is told."""

    serving: Exporter

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, str]]] = []

    def info(self, event: str, **fields: str) -> None:
        self.told.append((event, fields))

    error = info

    def said(self, event: str) -> list[dict[str, str]]:
        return [fields for told, fields in self.told if told == event]


class Figures:
    """Says one text, or fails."""

    failure: Exception | None = None
    counting_failure: Exception | None = None
    counted = 0
    told = _TEXT

    def text(self) -> str:
        if self.failure:
            raise self.failure
        return self.told

    def keep_count(self) -> None:
        self.counted += 1
        if self.counting_failure:
            raise self.counting_failure


def _raise(error: BaseException) -> None:
    raise error


@contextmanager
def exporter(
    place: str,
    group: str = "",
    figures: Figures | None = None,
    failed: Callable[[BaseException], None] = _raise,
) -> Iterator[Log]:
    """Serve at a place, from when it listens until the block ends."""
    log, figures = Log(), figures or Figures()
    parsed = MetricsPlace.parse(place)
    serving = Exporter(parsed, group, figures.text, figures.keep_count, log, failed)
    log.serving = serving
    serving.start()
    try:
        wait_until(lambda: log.told, "it listens, or says why not", timeout_s=_TIMEOUT_S)
        yield log
    finally:
        serving.stop()
        serving.join(_TIMEOUT_S)
    assert not serving.alive


def connect(place: MetricsPlace) -> socket.socket:
    family = socket.AF_UNIX if place.path else socket.AF_INET
    made = socket.socket(family)
    made.settimeout(_TIMEOUT_S)
    loopback = place.loopback
    made.connect(place.path or (str(loopback.address), loopback.port) if loopback else place.path)
    return made


def ask(place: str, request: str) -> str:
    """Return what is answered to a request."""
    with connect(MetricsPlace.parse(place)) as made:
        made.sendall(request.encode())
        return read_all(made)


def read_all(made: socket.socket) -> str:
    data = b""
    try:
        while more := made.recv(65536):
            data += more
    except ConnectionResetError:
        pass
    return data.decode()


def get(place: str, path: str = "/metrics", host: str = "localhost") -> str:
    return ask(place, f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")


@pytest.fixture
def port() -> int:
    """Return a port of this machine that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as made:
        return int(made.getsockname()[1])


def test_socket_is_roots_and_answers_whoever_connects(tmp_path: Path) -> None:
    """Whatever the Host says: nobody comes there by a name. It is gone at the end."""
    place = f"unix:{tmp_path}/metrics.sock"
    former = os.umask(0)
    try:
        with exporter(place):
            mode = os.stat(f"{tmp_path}/metrics.sock").st_mode
            assert stat.S_ISSOCK(mode)
            assert stat.S_IMODE(mode) == 0o600
            answer = get(place, host="anything.example")
            head, _, body = answer.partition("\r\n\r\n")
            assert head.startswith("HTTP/1.1 200 OK\r\n")
            assert "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n" in head
            assert f"Content-Length: {len(_TEXT)}\r\n" in head
            assert body == _TEXT
            assert ask(place, "HEAD /metrics HTTP/1.1\r\n\r\n").endswith("\r\n\r\n")
    finally:
        os.umask(former)
    assert os.listdir(tmp_path) == []


def test_socket_of_one_that_was_killed_is_replaced(tmp_path: Path) -> None:
    """It is there, and nobody listens."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(f"{tmp_path}/metrics.sock")
    with exporter(f"unix:{tmp_path}/metrics.sock"):
        assert _TEXT in get(f"unix:{tmp_path}/metrics.sock")


def test_file_of_somebody_is_not_replaced(tmp_path: Path) -> None:
    """A path that was mistyped."""
    (tmp_path / "notes").write_text("mine")
    with exporter(f"unix:{tmp_path}/notes") as log:
        (said,) = log.said("metrics are not served")
        assert "it is there, and no socket" in said["error"]
    assert (tmp_path / "notes").read_text() == "mine"
    assert os.listdir(tmp_path) == ["notes"]


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_directory_that_others_may_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    """Who may write there could put a link in the place of what is given to a group."""
    place = tmp_path / "theirs"
    place.mkdir()
    os.chown(place, -1, 1)  # root's own group may
    place.chmod(mode)
    with exporter(f"unix:{place}/s") as log:
        (said,) = log.said("metrics are not served")
        assert f"cannot trust {place}: owner 0, mode {mode:o}: others may write" in said["error"]
        assert f"chmod go-w {place}" in said["error"]
    assert os.listdir(place) == []


def test_socket_of_another_is_left_at_the_end(tmp_path: Path) -> None:
    """Who has taken the path over has it still."""
    with exporter(f"unix:{tmp_path}/s"), socket.socket(socket.AF_UNIX) as other:
        other.bind(f"{tmp_path}/t")
        os.rename(f"{tmp_path}/t", f"{tmp_path}/s")
    assert os.listdir(tmp_path) == ["s"]


def test_socket_is_given_to_a_group(tmp_path: Path) -> None:
    """Its members may connect, and nobody else; of one that is not there it is told."""
    own = grp.getgrgid(os.getegid()).gr_name
    with exporter(f"unix:{tmp_path}/metrics.sock", own):
        status = os.stat(f"{tmp_path}/metrics.sock")
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, os.getegid())
    with exporter(f"unix:{tmp_path}/metrics.sock", "nobody-is-in-it") as log:
        (said,) = log.said("metrics are not served")
        assert "there is no group 'nobody-is-in-it'" in said["error"]
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9690", 200), ("localhost", 200), ("LOCALHOST:1", 200), ("[::1]:9690", 200),
        ("127.1.2.3", 200), ("", 421), ("rebound.example:9690", 421), ("127.0.0.1.example", 421),
        ("localhost.example", 421), ("192.0.2.1", 421), ("[::1].example", 421),
    ],
)  # fmt: skip
def test_port_answers_to_this_machines_own_names_alone(port: int, host: str, status: int) -> None:
    """A page in a browser can have a name of its own lead to 127.0.0.1."""
    with exporter(f"127.0.0.1:{port}"):
        assert get(f"127.0.0.1:{port}", host=host).startswith(f"HTTP/1.1 {status} ")


def test_port_that_somebody_has_is_waited_for(port: int) -> None:
    """The watcher goes on meanwhile, and says once why it is not scraped."""
    with (
        socket.create_server(("127.0.0.1", port)) as taken,
        exporter(f"127.0.0.1:{port}") as log,
    ):
        (said,) = log.said("metrics are not served")
        assert "Address already in use" in said["error"]
        taken.close()
        wait_until(lambda: log.said("metrics are served"), "it listens", timeout_s=_TIMEOUT_S)
        assert _TEXT in get(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        ("GET /metrics HTTP/1.1\r\n\r\n", "200 OK"),
        ("GET /metrics?a=b HTTP/1.0\r\n\r\n", "200 OK"),
        ("GET /metrics\r\n\r\n", "400 Bad Request"),
        ("\x16\x03\x01\r\n\r\n", "400 Bad Request"),
    ],
)
def test_request_gets_the_answer_that_it_asks_for(
    tmp_path: Path, request_: str, status: str
) -> None:
    """It shows one thing, and changes nothing."""
    with exporter(f"unix:{tmp_path}/s"):
        assert ask(f"unix:{tmp_path}/s", request_).startswith(f"HTTP/1.1 {status}\r\n")


def test_failure_to_look_is_told_to_who_scrapes_and_once_to_the_log(tmp_path: Path) -> None:
    """Prometheus has the target down, then."""
    figures = Figures()
    figures.failure = SystemFailure("cannot look", "the kernel would not say")
    with exporter(f"unix:{tmp_path}/s", figures=figures) as log:
        for _ in range(2):
            answer = get(f"unix:{tmp_path}/s")
            assert answer.startswith("HTTP/1.1 503 Service Unavailable\r\n")
            assert answer.endswith("cannot look: the kernel would not say\n")
        assert len(log.said("metrics are not served")) == 1


def test_figures_that_fail_unexpectedly_leave_it_serving(tmp_path: Path) -> None:
    """Who asked is told; who asks next is answered, once they are there again."""
    figures, failures = Figures(), list[BaseException]()
    figures.failure = ZeroDivisionError("ours")
    with exporter(f"unix:{tmp_path}/s", figures=figures, failed=failures.append):
        for _ in range(2):
            assert get(f"unix:{tmp_path}/s").startswith("HTTP/1.1 503 Service Unavailable\r\n")
        assert failures == [figures.failure] * 2
        figures.failure = None
        assert _TEXT in get(f"unix:{tmp_path}/s")


def test_figures_for_which_no_descriptor_is_left_are_told(tmp_path: Path) -> None:
    """It is not the caller who has gone."""
    figures = Figures()
    figures.failure = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    with exporter(f"unix:{tmp_path}/s", figures=figures) as log:
        assert "503 Service Unavailable" in (answer := get(f"unix:{tmp_path}/s"))
        assert "cannot gather the figures: Too many open files" in answer
        assert len(log.said("metrics are not served")) == 1


def test_who_says_nothing_keeps_nobody_waiting(tmp_path: Path) -> None:
    """More than may wait at once; each is parted with after its time, or for who comes later."""
    place = MetricsPlace.parse(f"unix:{tmp_path}/s")
    with exporter(str(place)) as log:
        silent = [connect(place) for _ in range(80)]
        try:
            silent[-1].sendall(b"GET /metrics HTT")
            assert _TEXT in get(str(place))
            assert len(log.serving._callers) <= 64
            for made in silent:
                assert read_all(made) == ""
        finally:
            for made in silent:
                made.close()


def _long() -> Figures:
    """Return figures that fill what the kernel keeps for a connection."""
    figures = Figures()
    figures.told = "# " + "x" * 4_000_000 + "\n"
    return figures


def test_who_takes_nothing_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long each has to take its answer."""
    monkeypatch.setattr("ocinet.watcher.exporter._PATIENCE_S", 60.0)
    figures, place = _long(), MetricsPlace.parse(f"unix:{tmp_path}/s")
    with exporter(str(place), figures=figures) as log:
        slow = [connect(place) for _ in range(5)]
        try:
            for made in slow:
                made.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert get(str(place)).endswith(figures.told)
            for made in slow[:2]:
                assert read_all(made).endswith(figures.told)
            wait_until(lambda: len(log.serving._callers) == 3, "two are gone", timeout_s=10)
        finally:
            for made in slow:
                made.close()


def test_who_takes_nothing_is_parted_with(tmp_path: Path) -> None:
    """After two seconds, with what it has."""
    figures, place = _long(), MetricsPlace.parse(f"unix:{tmp_path}/s")
    with exporter(str(place), figures=figures) as log, connect(place) as slow:
        slow.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert slow.recv(4) == b"HTTP"
        wait_until(lambda: not log.serving._callers, "it is gone", timeout_s=_TIMEOUT_S)
        assert 0 < len(read_all(slow)) < len(figures.told)


def test_who_says_too_much_is_parted_with(tmp_path: Path) -> None:
    """A request has no end."""
    place = MetricsPlace.parse(f"unix:{tmp_path}/s")
    with exporter(str(place)), connect(place) as made:
        with pytest.raises(OSError, match=r"Broken pipe|reset"):  # noqa: PT012  one of them fails
            for _ in range(1000):
                made.sendall(b"x" * 4096)
        assert _TEXT in get(str(place))


def test_events_are_counted_while_nobody_scrapes(tmp_path: Path) -> None:
    """The log is begun anew however seldom it is asked for."""
    figures = Figures()
    with exporter(f"unix:{tmp_path}/s", figures=figures):
        wait_until(lambda: figures.counted, "it counts", timeout_s=_TIMEOUT_S)


def test_socket_may_have_the_longest_path_there_is(tmp_path: Path) -> None:
    """The name that it has until it listens is longer."""
    folder = tmp_path / ("d" * (107 - len(f"{tmp_path}//s")))
    folder.mkdir()
    place = f"unix:{folder}/s"
    assert len(place) == 107 + len("unix:")
    with exporter(place):
        assert _TEXT in get(place)


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Let this process open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(lowest := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_out_of_descriptors_it_rests_and_tells_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel goes on telling of who waits: nobody may spin for that."""
    place, tries = f"unix:{tmp_path}/s", list[float]()
    complain = Exporter._complain

    def count(self: Exporter, about: str, why: str, *rest: str) -> None:
        tries.append(monotonic())
        complain(self, about, why, *rest)

    monkeypatch.setattr(Exporter, "_complain", count)
    with exporter(place) as log, socket.socket(socket.AF_UNIX) as made:
        made.settimeout(_TIMEOUT_S)
        with no_descriptor_left():
            made.connect(f"{tmp_path}/s")
            made.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            wait_until(lambda: len(tries) >= 3, "it tries again", timeout_s=_TIMEOUT_S)
        assert tries[2] - tries[0] > 1.5
        assert _TEXT in read_all(made)
        (said,) = log.said("metrics are not served")
        assert said["error"] == "cannot let in who scrapes: Too many open files"


def test_events_are_counted_where_it_can_not_listen(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is wrong with the one is told beside the other, each once."""
    monkeypatch.setattr("ocinet.watcher.exporter._AGAIN_S", 0.1)
    figures, failures = Figures(), list[BaseException]()
    with (
        socket.create_server(("127.0.0.1", port)),
        exporter(f"127.0.0.1:{port}", figures=figures, failed=failures.append) as log,
    ):
        wait_until(lambda: figures.counted, "it counts", timeout_s=_TIMEOUT_S)
        figures.counting_failure = SystemFailure("cannot count", "the disk is full")
        so_far = figures.counted
        wait_until(lambda: figures.counted > so_far + 3, "it counts again", timeout_s=_TIMEOUT_S)
        assert len(log.said("metrics are not served")) == 1
        (said,) = log.said("events are not counted")
        assert said["error"] == "cannot count: the disk is full"
    assert not failures
