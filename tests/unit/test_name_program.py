"""The name server's life, as far as no server is needed: whom it takes for one, how it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest

from hosts.waiting import wait_until
from ocinet.engine.kernel.name_program import PROGRAM, NameProgram

if TYPE_CHECKING:
    from collections.abc import Iterator

_CGROUPS = "/sys/fs/cgroup"
_SLEEP = "import time; time.sleep(100)"
_TOLD = """
import pathlib, signal, sys, time
told = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGHUP, lambda *_: told.write_text("told"))
told.touch()
while True:
    time.sleep(100)
"""


class Started:
    """What was spawned."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o700)
        self.words: list[tuple[str, ...]] = []
        self.served = folder / "served"
        self.served.mkdir(0o700)
        places = (str(folder / "libexec"),)
        systemd = str(folder), sys.executable  # both are there
        self.program = NameProgram(
            str(folder), str(self.served), places, self.words.append, systemd
        )


@pytest.fixture
def started(tmp_path: Path) -> Started:
    """Return one that starts nothing."""
    return Started(tmp_path)


@pytest.fixture
def other(started: Started) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that is no name server, and has the noted id."""
    with subprocess.Popen([sys.executable, "-c", _SLEEP]) as child:
        (started.served / "aardvark.pid").write_text(str(child.pid))
        yield child
        child.kill()


@pytest.fixture
def server(started: Started, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that is taken for the name server, and has the noted id."""
    name = tmp_path / PROGRAM
    name.symlink_to(sys.executable)
    lock = tmp_path / "serving"
    inherited = ("sh", "-c", 'exec "$@" 3>"$0"', str(lock))
    with subprocess.Popen([*inherited, str(name), "-c", _SLEEP, str(started.served)]) as child:
        (started.served / "aardvark.pid").write_text(str(child.pid))
        wait_until(lambda: started.program.pid == child.pid, "its command")
        yield child
        child.kill()


def test_another_process_with_the_noted_id_is_left_alone(
    started: Started, other: subprocess.Popen[bytes]
) -> None:
    """Whether it is told, or ended: an id comes again."""
    assert started.program.pid == 0
    assert started.program.tell() is False
    assert started.program.stop() is False
    assert other.poll() is None


def test_process_that_is_called_as_the_server_is_left_alone(
    started: Started, tmp_path: Path
) -> None:
    """Anybody's, with the id that was noted: it has not the lock that the server has."""
    name = tmp_path / PROGRAM
    name.symlink_to(sys.executable)
    (tmp_path / "serving").touch()
    with subprocess.Popen([str(name), "-c", _SLEEP, str(started.served)]) as child:
        (started.served / "aardvark.pid").write_text(str(child.pid))
        cmdline = Path(f"/proc/{child.pid}/cmdline")
        wait_until(lambda: str(started.served) in cmdline.read_text(), "its command")
        assert started.program.pid == 0
        assert not started.program.is_ours(child.pid)
        assert not started.program.tell()
        assert not started.program.stop()
        assert child.poll() is None
        child.kill()


@pytest.mark.parametrize("noted", ["", "x", "0", "-1", "99999999999", str(2**22)])
def test_note_that_names_no_process_is_none(started: Started, noted: str) -> None:
    """Half-written, or of one that is gone."""
    (started.served / "aardvark.pid").write_text(noted)
    assert started.program.pid == 0
    assert started.program.tell() is False


def test_start_happens_once_until_it_has_failed(started: Started) -> None:
    """Many attaches come before the first server notes its id."""
    started.program.start("/x")
    started.program.start("/x")
    assert len(started.words) == 1
    assert started.program.is_starting()
    words = started.words[0]
    assert words[-7:] == ("--config", str(started.served), "--port", "53",
                          "--filter-search-domain", ".dns.ocinet.internal", "run")  # fmt: skip


def test_start_goes_without_systemd_where_that_has_started_nothing(
    started: Started, tmp_path: Path
) -> None:
    """One that it started and that was killed is started by it again."""
    note = tmp_path / "starting"
    for number in range(3):
        if number:  # the former start was long ago
            note.unlink()
            note.symlink_to("1")
        if number == 1:
            (started.served / "aardvark.pid").write_text("4194303")
        started.program.start("/x")
    by_systemd = ["--collect" in words for words in started.words]
    assert by_systemd == [True, True, False]
    assert [(_CGROUPS in words) for words in started.words] == [False, False, True]


@pytest.mark.parametrize("is_v2", [True, False])
def test_launcher_leaves_its_cgroup_for_none_of_somebody_else(
    started: Started, tmp_path: Path, *, is_v2: bool
) -> None:
    """The one root of v2, for what is in it are others'; each root of v1."""
    cgroups = tmp_path / "cgroup"
    for folder in (*([""] if is_v2 else []), "memory", "unified"):
        (cgroups / folder).mkdir(parents=True, exist_ok=True)
        (cgroups / folder / "cgroup.procs").touch()
    started.program.start("/usr/bin/true")
    words = started.words[0]
    launch = words[words.index(sys.executable, 1) : words.index("/usr/bin/true") - 1]
    subprocess.run([*launch, str(cgroups), "/usr/bin/true"], check=True, timeout=20)
    moved = {path.parent.name for path in cgroups.rglob("cgroup.procs") if path.read_text() == "0"}
    assert moved == ({"cgroup"} if is_v2 else {"memory", "unified"})


def test_start_leaves_the_id_of_a_server_that_has_noted_it_by_now(
    started: Started, server: subprocess.Popen[bytes]
) -> None:
    """Its caller saw none; without a note of its id it could be told nothing ever again."""
    started.program.start("/x")
    assert (started.served / "aardvark.pid").read_text() == str(server.pid)
    assert started.words == []


def test_stop_that_is_killed_leaves_no_server_without_its_id(
    started: Started, server: subprocess.Popen[bytes]
) -> None:
    """Its id is there until it is about to end."""
    ending = mock.patch("ocinet.engine.kernel.name_program._signal", side_effect=SystemExit)
    with ending, pytest.raises(SystemExit):
        started.program.stop()
    assert started.program.pid == server.pid
    assert started.program.stop()
    assert server.wait(10)
    assert list(started.served.iterdir()) == []


def test_server_whose_id_was_lost_is_known_again(started: Started, tmp_path: Path) -> None:
    """By who is started in its place, and waits for the lock in vain; it reads all anew then."""
    started.program.start(sys.executable)
    words = started.words[0]
    python = words.index(sys.executable, 1)
    told = tmp_path / "told"
    launch = (*words[python : words.index("--config")], "-c", _TOLD, str(told))
    with subprocess.Popen(launch) as server:
        wait_until(told.exists, "its start")
        subprocess.run(launch, check=True, timeout=60)
        assert (started.served / "aardvark.pid").read_text() == str(server.pid)
        wait_until(lambda: told.read_text() == "told", "its being told")
        server.kill()


def test_program_that_others_may_write_is_not_found(started: Started, tmp_path: Path) -> None:
    """What root runs is root's alone."""
    assert started.program.find() == ""
    place = tmp_path / "libexec"
    place.mkdir(0o755)
    (place / PROGRAM).write_text("#!/bin/sh\n")
    assert started.program.find() == ""
    (place / PROGRAM).chmod(0o755)
    assert started.program.find() == str(place / PROGRAM)
    (place / PROGRAM).chmod(0o775)
    assert started.program.find() == ""
    (place / PROGRAM).chmod(0o755)
    if os.geteuid() == 0:
        os.chown(place, 1, 1)
        assert started.program.find() == ""
