"""A registration that fails at any change of a file leaves everything as it was."""

from __future__ import annotations

import errno
import itertools
import os
import posix
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from ocinet.base.errors import OcinetError
from ocinet.hooks.config.hook_entry import Registration
from ocinet.hooks.registration import cdi_specs, firewalld, hooks_dir, launcher, link_managers
from ocinet.hooks.registration.all_or_nothing import all_or_nothing
from ocinet.hooks.registration.foreign_files import make_directory, put, rewrite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CHANGING = ("open", "mkdir", "fsync", "rename", "unlink", "chmod", "fchmod")
REGISTRATION = Registration("/usr/bin/python3.11", "/usr/lib/ocinet/hooks/hook.py")
OTHER = Registration("/usr/bin/python3.13", "/usr/lib/ocinet/hooks/hook.py")


def _launcher(top: Path) -> launcher.Launcher:
    return launcher.Launcher(
        runtime=shutil.which("true") or "", chosen_path=f"{top}/sbin/ocinet-runtime",
        docker=f"{top}/docker/daemon.json",
    )  # fmt: skip


INSTALLS: dict[str, Callable[[Path, Registration], Any]] = {
    "links": lambda top, _ours: link_managers.install(str(top)),
    "firewalld": lambda top, _ours: firewalld.install(str(top)),
    "hooks": lambda top, ours: hooks_dir.install(ours, root=str(top), environment={}),
    "cdi": lambda top, ours: cdi_specs.install(ours, ("lan",), directory=f"{top}/cdi"),
    "runtime": lambda top, ours: launcher.install(_launcher(top), ours),
}


class Failing:
    """Has one call of those that change files fail, and lets the others through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        self.failed = ""
        for module in (os, posix):
            for name in _CHANGING:
                monkeypatch.setattr(module, name, self._wrapped(name, getattr(posix, name)))

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                self.failed = name
                raise OSError(errno.ENOSPC, "No space left on device", str(args[0]))
            return real(*args, **kwargs)

        return call


def tree(top: Path) -> dict[str, tuple[int, bytes | None]]:
    """Return all that is below a directory, with modes."""
    return {
        str(path.relative_to(top)): (
            path.lstat().st_mode, path.read_bytes() if path.is_file() else None,
        )
        for path in top.rglob("*")
    }  # fmt: skip


@pytest.mark.parametrize("before", ["nothing", "a former one"])
@pytest.mark.parametrize("kind", INSTALLS)
def test_install_that_fails_at_any_call_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, before: str
) -> None:
    """Files that were there have their former text; directories that were not are gone."""
    install = INSTALLS[kind]
    failing = Failing(monkeypatch)
    failed = set()
    for number in itertools.count(1):
        top = tmp_path / str(number)
        top.mkdir()
        if before != "nothing":
            install(top, OTHER)
        was = tree(top)
        failing.left, failing.failed = number, ""
        try:
            install(top, REGISTRATION)
        except (OcinetError, OSError):
            assert tree(top) == was, f"call {number}, of {failing.failed}"
        failing.left = -1
        if not failing.failed:
            break
        failed.add(failing.failed)
    # What is all alike already is not written again.
    if before == "nothing" or kind not in ("links", "firewalld"):
        assert {"open", "fsync", "rename"} <= failed


def test_links_are_links_again(tmp_path: Path) -> None:
    """One that led to a file, and one that led nowhere; and what they led to is as it was."""
    (tmp_path / "file").write_text("theirs")
    links = {"to-file": "file", "followed": "file", "nowhere": "missing", "taken": "file"}
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    before = tree(tmp_path)

    def fails() -> None:
        with all_or_nothing(f"{tmp_path}/{name}" for name in links):
            put(f"{tmp_path}/to-file", "ours")
            put(f"{tmp_path}/nowhere", "ours")
            rewrite(f"{tmp_path}/followed", "ours")
            (tmp_path / "taken").unlink()
            raise OSError("it failed")

    with pytest.raises(OSError, match="it failed"):
        fails()
    assert {name: os.readlink(tmp_path / name) for name in links} == links
    assert tree(tmp_path) == before


def test_error_that_led_here_is_the_one_that_is_told(tmp_path: Path) -> None:
    """Whatever can't be put back; and what others have put beside it stays."""

    def fails() -> None:
        with all_or_nothing((f"{tmp_path}/a/b/file", f"{tmp_path}/a/folder")):
            make_directory(f"{tmp_path}/a/b")
            put(f"{tmp_path}/a/b/file", "ours")
            make_directory(f"{tmp_path}/a/folder")
            put(f"{tmp_path}/a/folder/theirs", "theirs")
            raise OSError("the first")

    with pytest.raises(OSError, match="the first"):
        fails()
    assert not (tmp_path / "a" / "b").exists()
    assert (tmp_path / "a" / "folder" / "theirs").read_text() == "theirs"
