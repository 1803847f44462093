"""The fake engines' faults: each does what it says, and nothing else.

What they answer and tell without faults is tested beside the real engines, in
`tests/engines/contract`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import docker
import pytest
import requests
from docker.errors import APIError, NotFound

from fakes.engine_api import ODD, Answer, FakeDocker, FakePodman, Refused
from hosts.engine.driven import Fake
from hosts.engine.told import Told, client_of
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fakes.engine_api import FakeEngine

_LAST_CHUNK = b"0\r\n\r\n"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeDocker]:
    """A fake Docker."""
    with FakeDocker(str(tmp_path / "docker.sock")) as made:
        yield made


@pytest.fixture
def api(engine: FakeDocker) -> Iterator[Any]:
    """A docker-py client of it."""
    with contextlib.closing(client_of(Fake(engine))) as client:
        yield client


@contextlib.contextmanager
def listening(engine: FakeEngine) -> Iterator[Told]:
    """Listen to all events from now on, as docker-py does."""
    with Told(Fake(engine)) as told:
        wait_until(lambda: engine.log.listeners, "the subscription")
        yield told


class Raw:
    """A stream of events, byte by byte; a context manager."""

    def __init__(self, engine: FakeEngine) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(5)
        self._socket.connect(engine.path)
        self._socket.sendall(b"GET /v1.41/events HTTP/1.1\r\nHost: d\r\n\r\n")
        self.seen = b""
        self.read_until(b"\r\n\r\n")
        wait_until(lambda: engine.log.listeners, "the subscription")

    def __enter__(self) -> Raw:
        """Return itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Hang up."""
        self._socket.close()

    def read_until(self, wanted: bytes) -> None:
        """Read until that has come."""
        while wanted not in self.seen:
            got = self._socket.recv(4096)
            assert got, f"the end, after {self.seen!r}"
            self.seen += got

    def read_to_end(self) -> bytes:
        """Read to the end, and return all that came.

        Raises:
            ConnectionResetError: the engine broke the connection.
        """
        while got := self._socket.recv(4096):
            self.seen += got
        return self.seen

    def is_silent(self) -> bool:
        """Tell whether nothing comes; that takes a moment."""
        self._socket.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            return not self._socket.recv(4096)
        return True


def names(told: Told) -> list[str]:
    """Return the names of the containers that events tell of."""
    return [event["Actor"]["Attributes"]["name"] for event in told.events]


def wait_for_names(told: Told, expected: list[str]) -> None:
    """Wait until events tell of these containers, in this order, and of no others."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: names(told) == expected, "the events", timeout_s=2)
    assert names(told) == expected


@pytest.mark.parametrize(("how", "is_last"), [("eof", False), ("end", True)])
def test_cut_ends_a_stream_after_whole_lines(engine: FakeDocker, how: str, is_last: bool) -> None:
    """With HTTP's last chunk or without one, as dockerd does it."""
    with Raw(engine) as raw:
        engine.create("web")
        engine.faults.cut(how)
        seen = raw.read_to_end()
    assert seen.endswith(b"}\n\r\n" + _LAST_CHUNK * is_last)
    assert b'"name": "web"' in seen


def test_cut_in_a_line_leaves_half_an_event(engine: FakeDocker) -> None:
    """The reader has the beginning of a chunk, and of a line, and no more."""
    with Raw(engine) as raw:
        engine.faults.cut(in_line=True)
        seen = raw.read_to_end()
    assert seen.endswith(b'1ff\r\n{"status":"start","id":"0123')


@pytest.mark.parametrize("in_line", [False, True])
def test_cut_by_reset_breaks_the_connection(engine: FakeDocker, in_line: bool) -> None:
    """The reader gets ECONNRESET, after what had been sent."""
    with Raw(engine) as raw:
        engine.create("web")
        engine.faults.cut("reset", in_line=in_line)
        with pytest.raises(ConnectionResetError):
            raw.read_to_end()
    assert b'"name": "web"' in raw.seen
    assert raw.seen.endswith(b"0123") is in_line


def test_cut_leaves_later_streams_alone(engine: FakeDocker) -> None:
    """Who asks anew is served; nobody is told of what was told before."""
    with listening(engine) as told:
        engine.create("first")
        engine.faults.cut()
        told.wait_for_end()
        assert names(told) == ["first"]
    with listening(engine) as told:
        engine.create("second")
        wait_for_names(told, ["second"])


def test_stall_holds_bytes_back_and_flow_sends_them(engine: FakeDocker) -> None:
    """The connection stays open; a stream opened meanwhile gets its header alone."""
    with Raw(engine) as raw:
        engine.create("first")
        raw.read_until(b'"name": "first"')
        engine.faults.stall()
        engine.create("second")
        assert raw.is_silent()
        engine.faults.flow()
        raw.read_until(b'"name": "second"')


def test_a_stalled_stream_ends_with_its_engine(engine: FakeDocker) -> None:
    """A fault can't keep a test from ending."""
    with Raw(engine) as raw:
        engine.faults.stall()
        engine.create("web")
        engine.crash()
        assert b"web" not in raw.read_to_end()


def test_drop_loses_events_of_an_action(engine: FakeDocker) -> None:
    """Only those, and only so many; who asks for the past is told of them."""
    engine.faults.drop("create", times=1)
    engine.faults.drop("rename")
    with listening(engine) as told:
        for name in ("first", "second"):
            engine.create(name).rename(f"{name}-renamed")
        engine.create("third")
        wait_for_names(told, ["second", "third"])
    with Told(Fake(engine), since="1") as past:
        wait_until(lambda: len(past.events) == 5, "the past")


def test_duplicate_tells_events_twice(engine: FakeDocker) -> None:
    """With the same times, as when a stream is read twice."""
    engine.faults.duplicate("create")
    with listening(engine) as told:
        engine.create("first").rename("second")
        wait_for_names(told, ["first", "first", "second"])
        assert told.events[0] == told.events[1]


def test_release_tells_what_was_held_in_another_order(engine: FakeDocker) -> None:
    """Until then nothing is told, after that everything at once."""
    with listening(engine) as told:
        engine.create("first")
        engine.faults.hold()
        for name in ("second", "third", "fourth"):
            engine.create(name)
        wait_for_names(told, ["first"])
        engine.faults.release(reversed)
        engine.create("fifth")
        wait_for_names(told, ["first", "fourth", "third", "second", "fifth"])


def test_reorder_turns_groups_of_events_round(engine: FakeDocker) -> None:
    """What does not fill a group waits for `clear`."""
    engine.faults.reorder(2, reversed)
    with listening(engine) as told:
        for number in range(5):
            engine.create(f"web{number}")
        wait_for_names(told, ["web1", "web0", "web3", "web2"])
        engine.faults.clear()
        wait_for_names(told, ["web1", "web0", "web3", "web2", "web4"])


def test_replay_tells_old_events_again(engine: FakeDocker) -> None:
    """The latest ones, with the times that they had."""
    engine.create("first")
    with listening(engine) as told:
        engine.create("second")
        engine.create("third")
        engine.faults.replay(2)
        wait_for_names(told, ["second", "third", "second", "third"])
        assert told.events[:2] == told.events[2:]


def test_inject_tells_what_has_not_happened(engine: FakeDocker) -> None:
    """An event, or bytes that are none."""
    with Raw(engine) as raw:
        engine.faults.inject(b"this is no JSON\n")
        engine.faults.inject({"Type": "spaceship"})
        raw.read_until(b'10\r\nthis is no JSON\n\r\n16\r\n{"Type": "spaceship"}\n\r\n')


@pytest.mark.parametrize("shape", ODD)
def test_twist_tells_events_in_an_odd_shape(engine: FakeDocker, shape: str) -> None:
    """They are JSON still, but not what the engine would tell."""
    engine.faults.twist(ODD[shape], "create")
    with Raw(engine) as raw:
        container = engine.create("web")
        true = engine.log.history[-1]
        raw.read_until(b"}\n\r\n")
    _head, _, body = raw.seen.partition(b"\r\n\r\n")
    told = json.loads(body.splitlines()[1])
    assert isinstance(told, dict)
    assert told != true
    assert true["Actor"]["ID"] == container.id


def test_pieces_of_any_size_make_the_same_events(engine: FakeDocker) -> None:
    """Chunks need not be lines."""
    engine.faults.piece = 7
    with listening(engine) as told:
        engine.create("first")
        engine.create("second")
        wait_for_names(told, ["first", "second"])


def test_a_listener_that_does_not_read_loses_events(engine: FakeDocker) -> None:
    """The engine waits 0.1 s for each and goes on, as dockerd does."""
    engine.log.limit = 2
    engine.faults.stall()
    with listening(engine) as told:
        engine.create("first")
        for number in range(5):
            engine.create(f"web{number}")
        lost = engine.log.dropped
        assert lost >= 2
        engine.faults.flow()
        wait_until(lambda: len(told.events) == 6 - lost, "the rest")
        assert names(told)[0] == "first"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer.error(500), APIError),
        (Answer.error(404), NotFound),
        (Answer.garbage(), ValueError),
        (Answer.torn(), requests.exceptions.ChunkedEncodingError),
        (Answer.none(), requests.exceptions.ConnectionError),
    ],
)
def test_answer_replaces_the_truth_for_a_while(
    engine: FakeDocker, api: Any, answer: Answer, error: type[Exception]
) -> None:
    """The endpoint, and no other, answers so, as often as it shall."""
    engine.create("web")
    engine.faults.answer("inspect", answer, times=1)
    assert len(api.containers(all=True)) == 1
    with pytest.raises(error):
        api.inspect_container("web")
    assert api.inspect_container("web")["Name"] == "/web"


def test_answer_truly_and_clear_lift_an_answer(engine: FakeDocker, api: Any) -> None:
    """Until then, each request is answered so."""
    lifts: list[Callable[[], None]] = [
        lambda: engine.faults.answer_truly("list"),
        engine.faults.clear,
    ]
    for lift in lifts:
        engine.faults.answer("list", Answer.document([{"Id": 7}]))
        assert [api.containers(), api.containers()] == [[{"Id": 7}], [{"Id": 7}]]
        lift()
        assert api.containers() == []


def test_slow_answers_are_true(engine: FakeDocker) -> None:
    """A client with less patience gives up; one with more is told."""
    engine.create("web")
    engine.faults.answer("list", Answer.slow(0.2))
    for timeout_s, is_told in ((0.05, False), (5, True)):
        client = docker.APIClient(f"unix://{engine.path}", version="1.41", timeout=timeout_s)
        with contextlib.closing(client):
            if is_told:
                assert client.containers(all=True)[0]["Names"] == ["/web"]
            else:
                with pytest.raises(requests.exceptions.ReadTimeout):
                    client.containers(all=True)


def ask_beside(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Ask in a thread of its own; returns it, and where the answer will be."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    return thread, answers


def test_block_holds_an_endpoint_until_the_blocks_end(engine: FakeDocker, api: Any) -> None:
    """Others are answered meanwhile."""
    engine.create("web")
    with contextlib.closing(client_of(Fake(engine))) as other:
        with engine.faults.block("inspect"):
            thread, answers = ask_beside(lambda: other.inspect_container("web")["Name"])
            assert len(api.containers(all=True)) == 1
            assert answers == []
        thread.join(5)
    assert answers == ["/web"]


def test_a_streams_header_may_come_before_the_subscription(engine: FakeDocker) -> None:
    """As with dockerd: what happens in between is told to those alone who asked since."""
    engine.create("first")
    asked = (None, "1")
    with (
        engine.faults.block("subscribe"),
        contextlib.closing(client_of(Fake(engine))) as api,
    ):
        streams = [api.events(since=since, decode=True) for since in asked]
        engine.create("second")
        assert engine.log.listeners == 0
    wait_until(lambda: engine.log.listeners == 2, "the subscriptions")
    engine.create("third")
    engine.faults.cut()
    told = [[event["Actor"]["Attributes"]["name"] for event in stream] for stream in streams]
    for stream in streams:
        stream.close()
    assert told == [["third"], ["first", "second", "third"]]


def test_freeze_answers_nothing_until_thaw(engine: FakeDocker, api: Any) -> None:
    """Neither streams nor requests, as with SIGSTOP; connecting works."""
    with Raw(engine) as raw:
        engine.faults.freeze()
        engine.create("web")
        thread, answers = ask_beside(lambda: api.containers(all=True)[0]["Names"])
        assert raw.is_silent()
        assert answers == []
        engine.faults.thaw()
        thread.join(5)
        assert answers == [["/web"]]
        raw.read_until(b'"name": "web"')


def test_dying_shows_what_the_list_does_not_know_yet(engine: FakeDocker, api: Any) -> None:
    """Docker tells of a death some time before it writes it down."""
    container = engine.create("web")
    container.start()
    with listening(engine) as told:
        with container.dying(1):
            told.wait_for(container.id, "die")
            listed = api.containers(all=True)[0]
            assert listed["State"] == "running"
            assert listed["NetworkSettings"]["Networks"]["none"]["EndpointID"]
            assert told.acts(container.id) == ["die"]
        told.wait_for(container.id, "disconnect(none)")
        assert api.containers(all=True)[0]["State"] == "exited"


def test_a_start_that_a_test_breaks_off_leaves_no_process(engine: FakeDocker) -> None:
    """What runs in the block may fail; the container does not run then."""
    container = engine.create("web")
    with contextlib.suppress(ZeroDivisionError), container.starting():
        assert container.pid
        raise ZeroDivisionError
    assert container.pid == 0
    container.start()
    assert container.status == "running"


def test_every_start_has_a_process_of_its_own(engine: FakeDocker) -> None:
    """The numbers are nobody's, and never come twice."""
    container = engine.create("web")
    pids = []
    for _ in range(3):
        container.start()
        pids.append(container.pid)
        container.kill()
    assert len(set(pids)) == 3
    assert min(pids) > 4 * 1024 * 1024  # PID_MAX_LIMIT


def test_what_it_can_not_be_asked_is_refused(engine: FakeDocker, api: Any) -> None:
    """Unknown paths, and requests that would change something."""
    for method, path, status in (("GET", "/nonsense", 404), ("POST", "/containers/create", 501)):
        response = api.request(method, f"{api.base_url}/v1.41{path}")
        assert response.status_code == status
        assert response.json()["message"]
    with pytest.raises(APIError) as raised:
        api.containers(filters={"nonsense": ["x"]})
    assert raised.value.status_code == 400


def test_a_request_may_come_in_pieces(engine: FakeDocker) -> None:
    """The server waits for the end of the head, and serves the next one after it."""
    with socket.socket(socket.AF_UNIX) as own:
        own.settimeout(5)
        own.connect(engine.path)
        for _ in range(2):
            for piece in (b"GET /_pi", b"ng HTTP/1.1\r\nHost: d\r\n", b"\r\n"):
                own.sendall(piece)
            answer = b""
            while not answer.endswith(b"\r\n\r\nOK"):
                answer += own.recv(1)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_quit_tells_everything_before_it_ends(engine: FakeDocker) -> None:
    """Nothing of it is lost on a listener that reads."""
    containers = [engine.create() for _ in range(200)]
    for container in containers:
        container.start()
    with listening(engine) as told:
        engine.quit()
        told.wait_for_end()
    assert len(told.events) == 200 * len(("kill", "kill", "die", "disconnect", "stop"))


def test_an_engine_can_be_away_before_it_ever_was_there(tmp_path: Path) -> None:
    """Its containers can be made and started, and are there when it boots."""
    engine = FakeDocker(str(tmp_path / "docker.sock"))
    container = engine.create("web")
    container.start()
    assert not (tmp_path / "docker.sock").exists()
    with engine, contextlib.closing(client_of(Fake(engine))) as api:
        assert api.containers()[0]["Id"] == container.id


def test_lost_containers_are_gone_without_a_word(engine: FakeDocker, api: Any) -> None:
    """Neither the list nor an event has anything of them."""
    engine.create("web").start()
    with listening(engine) as told:
        engine.lose_containers()
        assert api.containers(all=True) == []
        engine.create("shop")
        wait_for_names(told, ["shop"])


def test_podman_merges_annotations_of_the_image(tmp_path: Path) -> None:
    """Its own API shows them as the container's, and the image's beside them."""
    with FakePodman(str(tmp_path / "podman.sock")) as podman:
        image = podman.images["busybox"]
        podman.images["busybox"] = type(image)("busybox", annotations={"a": "image", "b": "image"})
        podman.create("web", annotations={"b": "own", "c": "own"})
        with contextlib.closing(client_of(Fake(podman))) as api:
            base = f"{api.base_url}/v4.0.0/libpod"
            shown = api.get(f"{base}/containers/web/json").json()
            carried = api.get(f"{base}/images/{shown['Image']}/json").json()["Annotations"]
    annotations = shown["Config"]["Annotations"]
    assert {key: annotations[key] for key in "abc"} == {"a": "image", "b": "own", "c": "own"}
    assert carried == {"a": "image", "b": "image"}


def test_a_name_can_be_had_once(engine: FakeDocker) -> None:
    """Neither by creation nor by renaming."""
    engine.create("web")
    other = engine.create("shop")
    acts: list[Callable[[], object]] = [lambda: engine.create("web"), lambda: other.rename("web")]
    for act in acts:
        with pytest.raises(Refused) as raised:
            act()
        assert raised.value.status == 409
    assert other.name == "shop"
