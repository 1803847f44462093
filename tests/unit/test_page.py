"""The watcher's page: who is let in, what of a picture is sent, which events are read."""

from __future__ import annotations

import asyncio
import json
import os
import tomllib
from pathlib import Path
from time import monotonic, thread_time
from typing import Any

import pytest

from ocinet.base.errors import UntrustedError
from ocinet.base.events import NAME, EventLog
from ocinet.engine.model.loopback import LoopbackPlace
from ocinet.watcher.page import live
from ocinet.watcher.page.exchange import Answer, Asked, parse_head, refuse, render
from ocinet.watcher.page.gate import LIVE, Gate
from ocinet.watcher.page.live import Live
from ocinet.watcher.page.showing import read_files
from ocinet.watcher.page.tail import MOST, EventTail
from ocinet.watcher.page.token import make_token, read_token, whole_url
from ocinet.watcher.page.updates import Shown, show

ROOT = Path(__file__).parents[2]
_SERVED = (".html", ".css", ".js", ".svg")
TOKEN = "t" * 32
PLACE = LoopbackPlace.parse("127.0.0.1:4900")
HOST = "127.0.0.1:4900"


def gate(place: str = "127.0.0.1:4900") -> Gate:
    return Gate(LoopbackPlace.parse(place), TOKEN, {"/": refuse(200, "the page")})


def status(**asked: str) -> int:
    """Return what a request is answered with; 0: it is shown what is live."""
    fields = {"method": "GET", "path": LIVE, "host": HOST, "bearer": TOKEN, **asked}
    answer = gate().answer(Asked(**fields))
    return answer.status if answer else 0


def head(*lines: str) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@pytest.mark.parametrize("host", [HOST, "localhost:4900", "[::1]:4900"])
def test_reader_with_the_token_is_shown_what_is_live(host: str) -> None:
    """Under each name that this machine alone has."""
    assert status(host=host) == 0


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:4900", "127.0.0.1", "127.0.0.1:80", "localhost:4901",
     "localhost.:4900", "127.0.0.1:4900.evil.example", "127.0.0.2:4900", "[::]:4900", "0:4900",
     "localhost:4900 "],
)  # fmt: skip
def test_other_host_is_refused_before_all_else(host: str) -> None:
    """A name of somebody else's that leads here (DNS rebinding) is not ours, token or not."""
    assert status(host=host) == 421
    assert status(host=host, path="/", bearer="") == 421


def test_host_of_http_s_own_port_is_written_without() -> None:
    """Browsers leave :80 out."""
    for host in ("localhost", "127.0.0.1:80"):
        assert gate("127.0.0.1:80").answer(Asked("GET", "/", host)) == refuse(200, "the page")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "X"])
def test_page_takes_no_method_that_changes_anything(method: str) -> None:
    """Nor the question by which other sites would ask whether they may."""
    assert status(method=method) == 405


@pytest.mark.parametrize("bearer", ["", "t", TOKEN + "t", TOKEN[:-1], TOKEN.upper(), "é" * 32])
def test_reader_without_the_token_is_told_how_to_get_it(bearer: str) -> None:
    """In words, with the command."""
    answer = gate().answer(Asked("GET", LIVE, HOST, bearer))
    assert answer
    assert answer.status == 401
    assert b"ocinet status" in answer.body


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/../page.css", "/%2e%2e/token.py", "//", "/live/", "/page.token"]
)
def test_path_that_is_not_served_is_not_looked_for(path: str) -> None:
    """Paths are names of a table, not of files."""
    assert status(path=path) == 404


def test_head_is_read() -> None:
    """What matters of it; what is behind a ? is nobody's."""
    lines = ("GET /live?x=1 HTTP/1.1", "Host: LocalHost:4900", "authorization: bEARER  abc ")
    assert parse_head(head(*lines)) == Asked("GET", "/live", "localhost:4900", "abc")
    assert parse_head(head("GET / HTTP/1.0")) == Asked("GET", "/")


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("GET / HTTP/2.0",), 400),
        (("GET http://evil/ HTTP/1.1",), 400),
        (("GET  / HTTP/1.1",), 400),
        (("get / HTTP/1.1",), 400),
        (("GET /\x01 HTTP/1.1",), 400),
        (("\x16\x03\x01 TLS",), 400),
        (("",), 400),
        (("GET / HTTP/1.1", "Host: a", "host: b"), 400),
        (("GET / HTTP/1.1", "Authorization: Bearer a", "Authorization: Bearer b"), 400),
        (("GET / HTTP/1.1", "Host : a"), 400),
        (("GET / HTTP/1.1", " folded"), 400),
        (("GET / HTTP/1.1", "Host: a\nb"), 400),
        (("GET / HTTP/1.1", "Content-Length: 5"), 400),
        (("GET / HTTP/1.1", "Transfer-Encoding: chunked"), 400),
        (("GET / HTTP/1.1", *[f"A{number}: x" for number in range(65)]), 431),
    ],
)
def test_head_that_makes_no_sense_is_answered_with_why(lines: tuple[str, ...], code: int) -> None:
    """And nothing of it is guessed at."""
    answer = parse_head(head(*lines))
    assert isinstance(answer, Answer)
    assert answer.status == code
    assert answer.body


def test_answer_says_what_a_browser_may_do_with_it() -> None:
    """Nothing inline, no frame, no other origin, no cookie, and its end is the connection's."""
    text = render(refuse(404, "no")).decode()
    assert text.startswith("HTTP/1.1 404 Not Found\r\n")
    policy = next(line for line in text.splitlines() if line.startswith("Content-Security-Policy"))
    assert "default-src 'none'; script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    for wanted in ("nosniff", "no-referrer", "no-store", "Connection: close"):
        assert wanted in text
    for unwanted in ("Access-Control", "Set-Cookie"):
        assert unwanted not in text
    assert render(refuse(404, "no"), only_head=True).endswith(b"\r\n\r\n")


def test_files_of_the_page_ask_nothing_of_anybody_else() -> None:
    """No script or style within the markup, which the policy forbids; no other host."""
    files = read_files()
    assert set(files) == {"/", "/page.css", "/page.js", "/icon.svg"}
    page = files["/"].body.decode()
    for forbidden in ("<style", "style=", " onclick", " onload", "javascript:", "<form", "<iframe"):
        assert forbidden not in page
    assert page.count("<script") == page.count('<script src="/page.js"') == 1
    script = files["/page.js"].body.decode()
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                 "new Function", "document.cookie"):  # fmt: skip
        assert sink not in script
    whole = b"".join(answer.body for answer in files.values()).decode()
    hosts = [part.split("/")[0] for part in whole.split("://")[1:]]
    assert set(hosts) <= {"127.0.0.1:PORT", "www.w3.org"}


def test_files_of_the_page_are_all_packaged() -> None:
    """What is served from a checkout is there in a wheel as well."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    packaged = set(told["package-data"]["ocinet.watcher.page"])
    folder = ROOT / "watcher/page"
    assert packaged == {path.name for path in folder.iterdir() if path.suffix in _SERVED}
    assert len(packaged) == len(read_files())


def test_token_is_roots_and_another_one_each_time(tmp_path: Path) -> None:
    """What an open page goes on saying to whoever has the port meanwhile lets nobody in."""
    former = make_token(f"{tmp_path}/run")
    token = make_token(f"{tmp_path}/run")
    assert len(token) >= 32
    assert token != former
    assert read_token(f"{tmp_path}/run") == token
    assert whole_url(PLACE, token) == f"http://127.0.0.1:4900/#{token}"
    file = tmp_path / "run/page.token"
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("short")
    assert read_token(f"{tmp_path}/run") == ""


def test_token_that_others_may_write_is_not_believed(tmp_path: Path) -> None:
    """Whoever wrote it could come in."""
    make_token(f"{tmp_path}/run")
    (tmp_path / "run/page.token").chmod(0o666)
    with pytest.raises(UntrustedError):
        read_token(f"{tmp_path}/run")


def picture(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"taken_at": "now", "networks": [], "containers": list(containers), **more}


def data(message: bytes | None) -> Any:
    assert message
    kind, _, rest = message.decode().partition("\n")
    assert rest.startswith("data: ")
    assert rest.endswith("\n\n")
    assert rest.count("\n") == 2
    return kind.removeprefix("event: "), json.loads(rest[6:])


def test_change_has_what_changed_and_who_has_gone() -> None:
    """Of a thousand containers, the one; of the rest, what is not as it was."""
    web, db, api = ({"id": name, "state": "running"} for name in ("web", "db", "api"))
    first = show(picture(web, db), None, 1)
    assert first.change is None
    assert data(first.whole()) == ("picture", picture(web, db))

    broken = {**web, "state": "broken"}
    second = show(picture(broken, api, taken_at="later"), first, 2)
    assert data(second.change) == (
        "change", {"taken_at": "later", "containers": [broken, api], "gone": ["db"]},
    )  # fmt: skip
    assert data(second.whole()) == ("picture", picture(broken, api, taken_at="later"))
    assert isinstance(second, Shown)


def test_name_of_several_lines_stays_in_its_message() -> None:
    """A stream's messages end with an empty line: none is made by what a container is called."""
    name = 'a\n\nevent: picture\ndata: {}\n\n\r\u2028</script>"\ud800'
    shown = show(picture({"id": "1", "name": name}), None, 1)
    assert data(shown.whole())[1]["containers"][0]["name"] == name


def test_tail_reads_what_comes_over_the_end_of_a_file(tmp_path: Path) -> None:
    """None twice, none left out, whatever is renamed in between."""
    run = str(tmp_path)
    tail, log = EventTail(run), EventLog(run)
    assert tail.read() == ([], 0)
    log.append("attached", container="web")
    assert [event["container"] for event in tail.read()[0]] == ["web"]
    assert tail.read() == ([], 0)
    log.append("attached", container="db")
    os.rename(f"{run}/{NAME}", f"{run}/{NAME}.1")
    assert [event["container"] for event in tail.read()[0]] == ["db"]
    log.append("attached", container="api")
    assert [event["container"] for event in tail.read()[0]] == ["api"]
    tail.close()


def test_tail_counts_what_is_too_much_to_show(tmp_path: Path) -> None:
    """The last ones are told; lines that are no events are passed over."""
    with open(f"{tmp_path}/{NAME}", "w", encoding="utf-8") as file:
        file.writelines(f'{{"event": "e{number}"}}\n' for number in range(MOST + 50))
        file.write('not JSON\n[1]\n{"event": NaN}\n{"event": "half')
    tail = EventTail(str(tmp_path))
    events, missed = tail.read()
    assert missed == 53
    assert events[-1] == {"event": f"e{MOST + 49}"}
    with open(f"{tmp_path}/{NAME}", "a", encoding="utf-8") as file:
        file.write(' one"}\n')
    assert tail.read() == ([{"event": "half one"}], 0)
    tail.close()


def test_picture_follows_what_happens_and_rests_while_nothing_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand containers take 0.1 s of a processor each time: 1 % of one, but for events."""
    monkeypatch.setattr(live, "_PICTURE_S", 0.01)
    monkeypatch.setattr(live, "_LEAST_REST", 1.0)
    monkeypatch.setattr(live, "_QUIET_REST", 10_000.0)
    run = str(tmp_path)
    taken: list[int] = []

    def take() -> dict[str, Any]:
        end = thread_time() + 0.01
        while thread_time() < end:
            pass
        taken.append(len(taken))
        return {"containers": []}

    async def until(count: int, within_s: float) -> bool:
        end = monotonic() + within_s
        while len(taken) < count and monotonic() < end:  # noqa: ASYNC110  # of a thread
            await asyncio.sleep(0.01)
        return len(taken) >= count

    async def look() -> None:
        log = EventLog(run)
        log.append("attached", container="before")
        shown = Live(take, EventTail(run), lambda _error: None)
        running = asyncio.create_task(shown.run())
        with shown.looking():
            assert await until(1, 10)
            assert not await until(2, 1)
            log.append("attached", container="web")
            assert await until(2, 20)
            assert not await until(3, 1)
        running.cancel()

    asyncio.run(look())
