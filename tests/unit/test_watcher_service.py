"""What surrounds the watching: the service manager, the log, which engines."""

from __future__ import annotations

import io
import json
import os
import socket
from typing import TYPE_CHECKING, Literal

import pytest

from ocinet.base.errors import RequestError
from ocinet.engine.model.settings import Settings
from ocinet.engine.records.settings import engine_sockets
from ocinet.watcher.logs import FORMATS, LEVELS, make_log
from ocinet.watcher.notify import READY, Notifier

if TYPE_CHECKING:
    from pathlib import Path


def manager(address: str) -> socket.socket:
    """Listen as a service manager does."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.settimeout(5)
    made.bind(address)
    return made


@pytest.mark.parametrize("abstract", [False, True])
def test_states_reach_the_manager(tmp_path: Path, abstract: bool) -> None:
    """By a socket's path, or by an abstract name, which is written with an @."""
    name = f"{tmp_path}/notify"
    with manager(f"\0{name}" if abstract else name) as listening:
        shown = f"@{name}" if abstract else name
        Notifier({"NOTIFY_SOCKET": shown}).tell(READY, "STATUS=watching")
        assert listening.recv(1000) == b"READY=1\nSTATUS=watching"


def test_reload_is_told_with_its_time(tmp_path: Path) -> None:
    """sd_notify(3): RELOADING goes with the monotonic time of its begin."""
    with manager(f"{tmp_path}/notify") as listening:
        Notifier({"NOTIFY_SOCKET": f"{tmp_path}/notify"}).tell_reloading()
        state, _, stamp = listening.recv(1000).decode().partition("\nMONOTONIC_USEC=")
    assert state == "RELOADING=1"
    assert int(stamp) > 0


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all"])
def test_manager_that_is_not_there_is_no_error(address: str) -> None:
    """From a shell there is none."""
    Notifier({"NOTIFY_SOCKET": address}).tell(READY)


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_watchdog_is_heeded_if_it_is_meant_for_us(
    environment: dict[str, str], seconds: float
) -> None:
    """The variables are inherited by children, too."""
    assert Notifier(environment).watchdog_s == seconds


def test_journal_gets_one_json_object_a_line() -> None:
    """With level and time beside the event's own keys."""
    stream = io.StringIO()
    log = make_log("info", "auto", stream)
    log.debug("not shown")
    log.bind(engine="/run/docker.sock").info("container attached", container="c0ffee")
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert told.pop("timestamp").endswith("Z")
    assert told == {
        "event": "container attached",
        "level": "info",
        "engine": "/run/docker.sock",
        "container": "c0ffee",
    }


def test_terminal_gets_words() -> None:
    """Without colours where nobody can see them."""
    stream = io.StringIO()
    make_log("debug", "console", stream).debug("listening", kind="docker")
    assert "listening" in stream.getvalue()
    assert "kind=docker" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("form", FORMATS)
def test_log_is_made_of_all_that_the_command_offers(
    level: str, form: Literal["auto", "console", "json"]
) -> None:
    """What is below the level is not shown, in whatever form."""
    stream = io.StringIO()
    log = make_log(level, form, stream)
    for event in LEVELS:
        getattr(log, event)(event)
    assert len(stream.getvalue().splitlines()) == len(LEVELS) - LEVELS.index(level)


@pytest.mark.parametrize(
    ("engines", "host", "sockets"),
    [
        (("/run/docker.sock", "/p.sock"), "", ("/run/docker.sock", "/p.sock")),
        (("/run/docker.sock", "/p.sock"), "unix:///d2/docker.sock", ("/d2/docker.sock", "/p.sock")),
        (("/p.sock",), "/d2/own.sock", ("/d2/own.sock", "/p.sock")),
        (("/p.sock",), "unix:///p.sock", ("/p.sock",)),
        ((), "", ()),
    ],
)
def test_docker_host_takes_the_place_of_dockers_socket(
    engines: tuple[str, ...], host: str, sockets: tuple[str, ...]
) -> None:
    """Podman's stays."""
    assert engine_sockets(Settings(engines=engines), {"DOCKER_HOST": host}) == sockets


@pytest.mark.parametrize("host", ["tcp://10.0.0.1:2375", "ssh://box", "docker.sock"])
def test_engine_elsewhere_is_refused(host: str) -> None:
    """What runs on another machine can't be wired here."""
    with pytest.raises(RequestError, match=r"DOCKER_HOST: .* is no absolute path of a UNIX socket"):
        engine_sockets(Settings(), {"DOCKER_HOST": host})
