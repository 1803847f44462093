"""State files: whole or not there, and only ours."""

from __future__ import annotations

import os
import posix
import resource
from typing import TYPE_CHECKING

import pytest

from ocinet.base.atomic import age_clock_ns
from ocinet.base.errors import SystemFailure, UntrustedError
from ocinet.base.files import Directory, make_directories, remove_directory
from ocinet.base.jsontext import MAX_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Directory]:
    """Return a directory of state files."""
    with Directory(f"{tmp_path}/state") as opened:
        yield opened


def all_names(directory: Directory) -> list[str]:
    """List everything, temporary files too."""
    return sorted(os.listdir(directory.path))


@pytest.fixture
def full() -> Iterator[None]:
    """Let every write fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def failing_sync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk fail at each sync of a directory, as dying ones do."""
    real = os.fsync

    def fsync(fd: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{fd}"):
            raise OSError(5, "Input/output error")
        real(fd)

    monkeypatch.setattr(posix, "fsync", fsync)


def test_make_directories_closes_every_part_whatever_the_umask(tmp_path: Path) -> None:
    """A runtime may hand its hooks a umask of 0; parents are not open to others for it."""
    before = os.umask(0)
    try:
        make_directories(f"{tmp_path}/a/b/c")
        make_directories(f"{tmp_path}/a/b/c")
    finally:
        os.umask(before)

    for part in ("a", "a/b", "a/b/c"):
        assert os.stat(f"{tmp_path}/{part}").st_mode & 0o777 == 0o700


def test_make_directories_through_a_file_fails(tmp_path: Path) -> None:
    """Where something else is in the way, nothing is made."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "gone").symlink_to("/nowhere/at/all")

    for path in ("file", "file/sub", "gone", "gone/sub"):
        with pytest.raises(OSError, match=r"File exists|Not a directory"):
            make_directories(f"{tmp_path}/{path}")


def test_make_durable_directories_behind_a_link_works(tmp_path: Path) -> None:
    """As where /var/lib is one: the parent is only synced, whatever leads to it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")

    make_directories(f"{tmp_path}/link/a", durable=True)

    assert (tmp_path / "real/a").is_dir()


def test_remove_directory_takes_only_empty_ones(tmp_path: Path) -> None:
    """True if it went; False if it was not there, or holds something."""
    make_directories(f"{tmp_path}/a/b")

    assert remove_directory(f"{tmp_path}/a") is False
    assert remove_directory(f"{tmp_path}/a/b") is True
    assert remove_directory(f"{tmp_path}/a/b") is False
    (tmp_path / "file").write_text("x")
    with pytest.raises(SystemFailure, match="Not a directory"):
        remove_directory(f"{tmp_path}/file")


def test_create_makes_a_whole_private_file(directory: Directory) -> None:
    """It has the content, mode 0600, and no temporary file beside it."""
    assert directory.create("a", "one") is True

    assert directory.read("a") == b"one"
    assert os.stat(f"{directory.path}/a").st_mode & 0o777 == 0o600
    assert all_names(directory) == ["a"]


def test_create_of_a_taken_name_changes_nothing(directory: Directory) -> None:
    """False, whatever has the name: a file, a directory, a dangling link."""
    directory.create("a", "one")
    os.mkdir(f"{directory.path}/b")
    os.symlink("/nowhere", f"{directory.path}/c")

    assert [directory.create(name, "two") for name in "abc"] == [False] * 3
    assert directory.read("a") == b"one"
    assert all_names(directory) == ["a", "b", "c"]


def test_replace_puts_the_new_content_in_place(directory: Directory) -> None:
    """Whether it was there or not; a link is replaced, not followed."""
    os.symlink("/etc/passwd", f"{directory.path}/b")
    directory.replace("a", "one")
    directory.replace("a", "two")
    directory.replace("b", "three")

    assert (directory.read("a"), directory.read("b")) == (b"two", b"three")
    assert all_names(directory) == ["a", "b"]


def test_replace_of_a_directory_fails_and_leaves_no_trace(directory: Directory) -> None:
    """A directory can't be replaced by a file."""
    os.mkdir(f"{directory.path}/a")

    with pytest.raises(SystemFailure, match=r"cannot write .*/a: Is a directory"):
        directory.replace("a", "one")
    assert all_names(directory) == ["a"]


@pytest.mark.usefixtures("full")
def test_write_without_room_leaves_the_old_content(directory: Directory) -> None:
    """Neither act leaves half a file, nor a temporary one."""
    directory.replace("a", "")

    with pytest.raises(SystemFailure, match="cannot write in"):
        directory.create("b", "one")
    with pytest.raises(SystemFailure, match="cannot write in"):
        directory.replace("a", "one")
    assert directory.read("a") == b""
    assert all_names(directory) == ["a"]


@pytest.mark.usefixtures("failing_sync")
def test_create_that_can_not_be_synced_is_taken_back(tmp_path: Path) -> None:
    """What may not survive was not made, so that an error means nothing has changed."""
    make_directories(f"{tmp_path}/state")
    with Directory(f"{tmp_path}/state", durable=True) as directory:
        with pytest.raises(SystemFailure, match="cannot create"):
            directory.create("a", "one")
        assert all_names(directory) == []


@pytest.mark.usefixtures("failing_sync")
def test_replace_that_can_not_be_synced_fails(tmp_path: Path) -> None:
    """Whoever needs it after a power cut is told that it may not be there; nothing else is left."""
    make_directories(f"{tmp_path}/state")
    with Directory(f"{tmp_path}/state", durable=True) as directory:
        with pytest.raises(SystemFailure, match=r"cannot write .*/a: Input/output error"):
            directory.replace("a", "one")
        assert all_names(directory) == ["a"]


def test_text_that_has_no_bytes_leaves_nothing(directory: Directory) -> None:
    """A lone surrogate, as of a damaged name, is the writer's fault, and leaves no half file."""
    for act in (directory.create, directory.replace):
        with pytest.raises(UnicodeEncodeError):
            act("a", "\ud800")
    assert all_names(directory) == []


def test_durable_changes_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before it has its name, the directory after; new directories in their parents."""
    synced: list[str] = []
    monkeypatch.setattr(
        posix, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}"))
    )

    with Directory(f"{tmp_path}/a/b", durable=True) as directory:
        assert synced == [str(tmp_path), f"{tmp_path}/a"]
        synced.clear()
        directory.create("x", "one")
        assert [os.path.basename(path)[:5] for path in synced] == [".tmp-", "b"]
        synced.clear()
        directory.remove("x")
        assert synced == [f"{tmp_path}/a/b"]


def test_note_is_kept_whether_it_was_there_or_not(directory: Directory) -> None:
    """In a folder of the directory as well, which nobody has to make; nothing else is left."""
    directory.note("a", "one")
    directory.note("a", "two")
    directory.create("b", "a file")
    directory.note("b", "three")
    directory.note("folder/c", "four")

    assert [directory.noted(name) for name in ("a", "b", "folder/c")] == ["two", "three", "four"]
    assert os.stat(f"{directory.path}/folder").st_mode & 0o777 == 0o700
    assert all_names(directory) == ["a", "b", "folder"]


def test_noted_of_anything_else_is_empty(directory: Directory) -> None:
    """Nothing there, or a file."""
    directory.create("a", "one")

    assert (directory.noted("a"), directory.noted("b")) == ("", "")


def test_note_that_can_not_be_kept_changes_nothing(directory: Directory) -> None:
    """Too long for the kernel, or in the way of a directory."""
    directory.note("a", "one")
    os.mkdir(f"{directory.path}/b")

    with pytest.raises(SystemFailure, match=r"cannot write .*/a: File name too long"):
        directory.note("a", "x" * 4096)
    with pytest.raises(SystemFailure, match=r"cannot write .*/b: "):
        directory.note("b", "one")
    assert directory.noted("a") == "one"
    assert all_names(directory) == ["a", "b"]


def test_directory_that_is_not_to_be_made_is_not_there(tmp_path: Path) -> None:
    """Who only looks leaves nothing behind."""
    with pytest.raises(FileNotFoundError):
        Directory(f"{tmp_path}/state", make=False)
    assert not (tmp_path / "state").exists()


def test_remove_says_whether_it_was_there(directory: Directory) -> None:
    """Not there is no error."""
    directory.create("a", "one")

    assert [directory.remove("a"), directory.remove("a")] == [True, False]
    os.mkdir(f"{directory.path}/b")
    with pytest.raises(SystemFailure, match="cannot remove"):
        directory.remove("b")


def test_exists_tells_of_anything(directory: Directory) -> None:
    """A dangling link has its name as well."""
    os.symlink("/nowhere", f"{directory.path}/a")

    assert (directory.exists("a"), directory.exists("b")) == (True, False)
    with pytest.raises(SystemFailure, match="File name too long"):
        directory.exists("x" * 300)


def test_read_of_a_missing_file_is_none(directory: Directory) -> None:
    """Not there is told apart from unreadable."""
    assert directory.read("a") is None


@pytest.mark.parametrize("kind", ["directory", "fifo", "link", "too large"])
def test_read_of_anything_but_a_small_file_fails(directory: Directory, kind: str) -> None:
    """It neither blocks nor follows, nor reads a gigabyte."""
    path = f"{directory.path}/a"
    if kind == "directory":
        os.mkdir(path)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        os.symlink("/etc/passwd", path)
    else:
        directory.create("a", "x")
        os.truncate(path, MAX_BYTES + 1)

    with pytest.raises(SystemFailure, match="cannot read"):
        directory.read("a")


def test_read_of_the_largest_file_returns_all(directory: Directory) -> None:
    """The limit itself is within it."""
    directory.create("a", "x" * MAX_BYTES)

    assert directory.read("a") == b"x" * MAX_BYTES


@pytest.mark.needs("root")
def test_read_of_anothers_file_is_refused(directory: Directory) -> None:
    """What another user wrote is not our state."""
    directory.create("a", "one")
    os.chown(f"{directory.path}/a", 12345, 12345)

    with pytest.raises(SystemFailure, match="owner 12345, mode 600: others may write"):
        directory.read("a")


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
def test_read_of_a_file_that_others_may_write_is_refused(directory: Directory, mode: int) -> None:
    """What stands there may be theirs; the error says how to close it."""
    directory.create("a", "one")
    os.chmod(f"{directory.path}/a", mode)
    with pytest.raises(UntrustedError, match=f"mode {mode:o}: others may write") as raised:
        directory.read("a")
    assert raised.value.hint == f"chown root {directory.path}/a && chmod go-w {directory.path}/a"


def test_directory_that_others_may_replace_is_refused(tmp_path: Path) -> None:
    """Whoever may write to the one above could put another one there; but not in one like /tmp."""
    path = tmp_path / "run/ipam"
    path.mkdir(0o700, parents=True)
    (tmp_path / "run").chmod(0o1777)
    Directory(str(path)).close()
    (tmp_path / "run").chmod(0o777)
    with pytest.raises(UntrustedError, match=f"cannot trust {tmp_path}/run: owner 0, mode 777"):
        Directory(str(path))


@pytest.mark.parametrize("mode", [0o777, 0o720, 0o702])
def test_directory_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    """Whoever may put files in there could tell us anything."""
    os.mkdir(tmp_path / "open")
    os.chmod(tmp_path / "open", mode)

    with pytest.raises(SystemFailure, match="others may write") as raised:
        Directory(f"{tmp_path}/open")
    assert "chmod 0700" in raised.value.hint


@pytest.mark.needs("root")
def test_directory_of_another_is_refused(tmp_path: Path) -> None:
    """Its owner may write to it."""
    os.mkdir(tmp_path / "theirs", 0o700)
    os.chown(tmp_path / "theirs", 12345, 12345)

    with pytest.raises(SystemFailure, match="owner 12345"):
        Directory(f"{tmp_path}/theirs")


def test_directory_behind_a_link_is_refused(tmp_path: Path) -> None:
    """The last part of the path is not followed."""
    os.mkdir(tmp_path / "real", 0o700)
    os.symlink(tmp_path / "real", tmp_path / "link")

    with pytest.raises(SystemFailure, match="cannot open"):
        Directory(f"{tmp_path}/link")


def test_directory_that_can_not_be_made_is_an_error(tmp_path: Path) -> None:
    """The error names the path."""
    (tmp_path / "file").write_text("x")

    with pytest.raises(SystemFailure, match=f"{tmp_path}/file/state"):
        Directory(f"{tmp_path}/file/state")


def test_names_are_those_that_count(directory: Directory) -> None:
    """Temporary and hidden files are not shown."""
    directory.create("a", "one")
    directory.create(".hidden", "two")

    assert directory.names() == ["a"]


def test_link_gives_a_second_name_and_keeps_the_kind(directory: Directory, tmp_path: Path) -> None:
    """Even of what can't be read; twice is fine; a directory is refused."""
    os.mkfifo(f"{directory.path}/a")
    os.mkdir(f"{directory.path}/b")
    with Directory(f"{tmp_path}/other") as other:
        directory.link("a", other)
        directory.link("a", other)
        with pytest.raises(SystemFailure, match="cannot link"):
            directory.link("b", other)
        assert os.path.samestat(os.lstat(f"{other.path}/a"), os.lstat(f"{directory.path}/a"))
    assert (directory.is_directory("a"), directory.is_directory("b")) == (False, True)
    assert directory.is_directory("c") is False


def test_sweep_removes_only_what_the_dead_left(directory: Directory) -> None:
    """A living writer's file stays, and so does all that counts."""
    directory.create("a", "one")
    mine = f".tmp-{os.getpid()}-7f-{age_clock_ns():x}"
    for name in (".tmp-999999999-7f-1", mine, ".hidden"):
        directory.create(name, "x")

    assert directory.sweep() == 1
    assert all_names(directory) == [".hidden", mine, "a"]
