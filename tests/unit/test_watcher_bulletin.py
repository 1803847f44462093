"""What the watcher tells of itself, as another process reads it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from ocinet.base.errors import SystemFailure
from ocinet.watcher.bulletin import LISTENING, UNASKED, Bulletin, bulletin_path, read_news

if TYPE_CHECKING:
    from pathlib import Path

DOCKER, PODMAN = "/run/docker.sock", "/run/podman/podman.sock"


def test_no_watcher_has_told_nothing(tmp_path: Path) -> None:
    """Before the first, and after one that was told to stop."""
    assert read_news(str(tmp_path)) is None
    bulletin = Bulletin(str(tmp_path))
    bulletin.watched([DOCKER])
    bulletin.withdraw()
    assert read_news(str(tmp_path)) is None
    bulletin.withdraw()


def test_engines_are_told_as_they_come_to_be(tmp_path: Path) -> None:
    """A change has its time; what stays as it is keeps it."""
    bulletin = Bulletin(str(tmp_path))
    bulletin.watched([DOCKER, PODMAN])
    bulletin.changed(DOCKER, LISTENING, kind="docker")
    bulletin.changed(PODMAN, "does not answer", "Connection refused")
    news = read_news(str(tmp_path))
    assert news
    assert (news.pid, news.is_alive, news.ready) == (os.getpid(), True, False)
    docker, podman = news.engines.values()
    assert (docker.socket, docker.kind, docker.state) == (DOCKER, "docker", LISTENING)
    assert (podman.kind, podman.state, podman.error) == (
        "",
        "does not answer",
        "Connection refused",
    )

    bulletin.ready()
    bulletin.watched([DOCKER, "/other.sock"])
    bulletin.changed(PODMAN, LISTENING)  # its thread may be ending still
    bulletin.changed(DOCKER, LISTENING, kind="docker")
    news = read_news(str(tmp_path))
    assert news
    assert news.ready
    assert list(news.engines) == [DOCKER, "/other.sock"]
    assert news.engines[DOCKER] == docker
    assert news.engines["/other.sock"].state == UNASKED


def test_each_event_does_not_cost_a_file(tmp_path: Path) -> None:
    """When it was heard is true to five seconds."""
    bulletin = Bulletin(str(tmp_path))
    bulletin.watched([DOCKER])
    bulletin.heard(DOCKER)
    first = os.stat(bulletin_path(str(tmp_path)))
    for _ in range(1000):
        bulletin.heard(DOCKER)
    assert os.stat(bulletin_path(str(tmp_path))).st_ino == first.st_ino
    news = read_news(str(tmp_path))
    assert news
    assert news.engines[DOCKER].heard >= news.engines[DOCKER].since


def test_one_that_was_killed_is_not_alive(tmp_path: Path) -> None:
    """It leaves its file, and the process that is named there is gone."""
    told = "import sys; from ocinet.watcher.bulletin import Bulletin; Bulletin(sys.argv[1]).ready()"
    child = subprocess.run([sys.executable, "-c", told, tmp_path], check=True)
    news = read_news(str(tmp_path))
    assert child.returncode == 0
    assert news
    assert (news.ready, news.is_alive) == (True, False)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"pid": 1}', '{"engines": [{"x": 1}]}'])
def test_damaged_file_is_one_clear_error(tmp_path: Path, damage: str) -> None:
    """With the file's name, and what mends it."""
    with open(bulletin_path(str(tmp_path)), "w", encoding="utf-8") as file:
        file.write(damage)
    with pytest.raises(SystemFailure, match=r"watcher\.json.*restart it"):
        read_news(str(tmp_path))


def test_directory_that_is_gone_stops_no_watcher(tmp_path: Path) -> None:
    """It is told by what it does, too."""
    bulletin = Bulletin(str(tmp_path / "gone"))
    bulletin.watched([DOCKER])
    bulletin.heard(DOCKER)
    assert read_news(str(tmp_path / "gone")) is None
