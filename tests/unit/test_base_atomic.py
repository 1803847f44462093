"""Things put in place at once: whole, as they were for others, or not at all."""

from __future__ import annotations

import os
import posix
import signal
import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest

from ocinet.base import atomic
from ocinet.base.atomic import replace_file
from ocinet.base.files import Directory
from ocinet.base.temporaries import is_left_behind, sweep_quietly

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def writing(text: str) -> Callable[[str], None]:
    """Return what writes a text under the name that it is given."""
    return lambda name: atomic.write_file(name, text.encode())


def failing(text: str) -> Callable[[str], None]:
    """Return what writes a text and then fails."""

    def make(name: str) -> None:
        atomic.write_file(name, text.encode())
        raise KeyboardInterrupt

    return make


def killed(text: str) -> Callable[[str], None]:
    """Return what writes a text and is killed."""

    def make(name: str) -> None:
        atomic.write_file(name, text.encode())
        os.kill(os.getpid(), signal.SIGKILL)

    return make


def refuse(_name: str) -> None:
    """Make nothing."""
    raise PermissionError("the disk is gone")


def test_create_of_a_taken_name_changes_nothing(tmp_path: Path) -> None:
    """Whatever has it: a file, a directory, a link that leads nowhere."""
    (tmp_path / "file").write_text("theirs")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/nowhere")

    for name in ("file", "folder", "link"):
        with pytest.raises(FileExistsError):
            atomic.create(f"{tmp_path}/{name}", writing("ours"))
    assert (tmp_path / "file").read_text() == "theirs"
    assert sorted(os.listdir(tmp_path)) == ["file", "folder", "link"]


@pytest.mark.parametrize("act", [atomic.create, atomic.replace])
def test_make_that_fails_leaves_nothing(tmp_path: Path, act: Callable[..., None]) -> None:
    """Neither the name nor a temporary one, whatever stopped it."""
    with pytest.raises(KeyboardInterrupt):
        act(f"{tmp_path}/file", failing("half"))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("act", [atomic.create, atomic.replace])
def test_make_that_made_nothing_is_told_by_its_own_error(
    tmp_path: Path, act: Callable[..., None]
) -> None:
    """That there is nothing to remove again is not what went wrong."""
    with pytest.raises(PermissionError, match="the disk is gone"):
        act(f"{tmp_path}/file", refuse)


def test_replace_of_a_link_does_not_follow_it(tmp_path: Path) -> None:
    """What it leads to stays as it is."""
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "name").symlink_to("theirs")

    atomic.replace(f"{tmp_path}/name", writing("ours"))

    assert not (tmp_path / "name").is_symlink()
    assert (tmp_path / "theirs").read_text() == "theirs"


def test_replace_puts_a_link_in_place_of_one(tmp_path: Path) -> None:
    """It is made of whatever `make` makes."""
    (tmp_path / "name").symlink_to("/proc/1/ns/net")

    atomic.replace(f"{tmp_path}/name", lambda link: os.symlink("/proc/2/ns/net", link))

    assert os.readlink(tmp_path / "name") == "/proc/2/ns/net"
    assert os.listdir(tmp_path) == ["name"]


def test_temporary_name_tells_its_writer_and_lies_beside(tmp_path: Path) -> None:
    """It is hidden, and has no suffix by which a program would read it with others."""
    seen: list[str] = []

    def make(name: str) -> None:
        seen.append(name)
        atomic.write_file(name, b"")

    for _again in range(2):
        atomic.replace(f"{tmp_path}/50-ours.json", make)

    first, second = seen
    folder, _, name = first.rpartition("/")
    assert first != second
    assert folder == str(tmp_path)
    assert name.startswith(".")
    assert "." not in name[1:]
    assert name.startswith(f".tmp-{os.getpid()}-")
    assert not is_left_behind(name)


@pytest.mark.parametrize(
    "name", ["", "812", "web.json", ".tmp-", ".tmp-x-1", ".tmp-²-1", ".tmp812"]
)
def test_any_other_name_is_not_left_behind(name: str) -> None:
    """What is not known for one of ours is not swept."""
    assert not is_left_behind(name)


def test_name_of_an_earlier_process_of_our_id_is_left_behind() -> None:
    """In a container the first process always has the same id; and a boot begins the time anew."""
    at_work = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert not is_left_behind(f".tmp-{os.getpid()}-7f-{at_work:x}")
    assert is_left_behind(f".tmp-{os.getpid()}-7f-{1:x}")
    assert is_left_behind(f".tmp-{os.getpid()}-7f-{at_work + 10**15:x}")


def test_sweep_removes_what_the_dead_left(tmp_path: Path) -> None:
    """Of writers at work, and of others, it stays; no directory is fine."""
    mine = f".tmp-{os.getpid()}-7f-{time.clock_gettime_ns(time.CLOCK_BOOTTIME):x}"
    for name in (".tmp-999999999-7f-1", mine, ".tmp-else"):
        (tmp_path / name).write_text("x")
    sweep_quietly(str(tmp_path))
    sweep_quietly(f"{tmp_path}/none")
    sweep_quietly(f"{tmp_path}/.tmp-else")
    assert sorted(os.listdir(tmp_path)) == sorted([mine, ".tmp-else"])


def test_directory_that_the_dead_left_goes_with_all_in_it(tmp_path: Path) -> None:
    """A directory is made whole beside its place, too."""
    (tmp_path / ".tmp-999999999-7f-1/holders").mkdir(parents=True)
    (tmp_path / ".tmp-999999999-7f-1/10.9.0.2").write_text("{}")
    with Directory(str(tmp_path)) as directory:
        assert directory.sweep() == 1
    assert os.listdir(tmp_path) == []


def test_what_a_killed_writer_leaves_is_in_nobodys_way_and_swept(tmp_path: Path) -> None:
    """It has the name of a writer that is gone, and what was there is there still."""
    with Directory(f"{tmp_path}/state") as directory:
        directory.replace("a", "old")
        pid = os.fork()
        if not pid:
            atomic.replace(f"{directory.path}/a", killed("half"))
        os.waitpid(pid, 0)

        [left] = [name for name in os.listdir(directory.path) if name != "a"]
        assert left.startswith(f".tmp-{pid}-")
        assert directory.read("a") == b"old"
        assert directory.sweep() == 1
        assert os.listdir(directory.path) == ["a"]


def test_replace_by_many_threads_at_once_is_always_one_of_them(tmp_path: Path) -> None:
    """No thread takes another one's temporary file for its own."""
    path, errors = f"{tmp_path}/file", []

    def write(letter: str) -> None:
        try:
            for _again in range(100):
                replace_file(path, letter * 1000, durable=False)
                with open(path) as file:
                    assert len(set(file.read())) == 1
        except BaseException as error:  # noqa: BLE001  # the test's own thread raises it
            errors.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert os.listdir(tmp_path) == ["file"]


def test_durable_replace_syncs_the_file_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the directory after: a power cut leaves the old content or the new one."""
    path = tmp_path / "file"
    path.write_text("old")
    seen: list[tuple[bool, str]] = []
    monkeypatch.setattr(
        posix, "fsync",
        lambda fd: seen.append((stat.S_ISDIR(os.fstat(fd).st_mode), path.read_text())),
    )  # fmt: skip

    replace_file(str(path), "new")

    assert seen == [(False, "old"), (True, "new")]


@pytest.mark.parametrize("durable", [True, False])
def test_replace_puts_text_and_mode_in_place(tmp_path: Path, durable: bool) -> None:
    """Whatever the umask says, and whether it was there or not."""
    path = tmp_path / "file"
    before = os.umask(0o077)
    try:
        for text in ("first", "zweite größe\r\n"):
            replace_file(str(path), text, mode=0o754, durable=durable)
            assert path.read_bytes() == text.encode()
            assert stat.S_IMODE(path.stat().st_mode) == 0o754
    finally:
        os.umask(before)
    assert os.listdir(tmp_path) == ["file"]


def test_replace_gives_it_to_its_owner(tmp_path: Path) -> None:
    """And the mode is the last word: a change of owner takes set-id bits away."""
    owner = 1234 if os.geteuid() == 0 else os.geteuid()
    replace_file(str(tmp_path / "file"), "x", mode=0o4755, owner=(owner, os.getegid()))
    status = (tmp_path / "file").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (owner, 0o4755)


def test_replace_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """What is in the way is there still, and no temporary file beside it."""
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(str(tmp_path / "file"), "x")
    with pytest.raises(UnicodeEncodeError):
        replace_file(str(tmp_path / "other"), "\ud800")
    assert os.listdir(tmp_path) == ["file"]
    with pytest.raises(FileNotFoundError):
        replace_file(str(tmp_path / "no" / "file"), "x")
