"""Files that other programs read from directories of theirs: put there, and taken away.

Whole or not at all, for podman refuses every start while one of them is half
there. A directory that had to be made has a file in it that says so, by which
it is known and removed again when the last of our files goes. That file lies
beside it while it is made, and while it is removed: whoever is killed then
leaves a directory that is known.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ocinet.base.atomic import replace_file
from ocinet.base.errors import RequestError, SystemFailure
from ocinet.base.files import remove_directory
from ocinet.base.temporaries import sweep_quietly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MADE = ".made-by-ocinet"
_MADE_TEXT = "`ocinet hooks install` made this directory; uninstall removes it when it is empty.\n"


@dataclass(frozen=True)
class Installed:
    """What an installation did.

    Attributes:
        changed: files that were written or removed.
        warnings: what still stands in the way, each with what to do.
    """

    changed: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def put(path: str, text: str) -> bool:
    """Put a file in place at once, for all to read; False if it is like that already.

    Raises:
        SystemFailure: it can't be written; what was there is there still.
    """
    sweep_quietly(os.path.dirname(path))
    try:
        if _read_lossy(path) == text:
            return False
        replace_file(path, text)
    except OSError as error:
        raise SystemFailure(f"cannot write {path}", error.strerror or str(error)) from error
    return True


def rewrite(path: str, text: str, mode: int | None = None) -> bool:
    """Put a text in place of a file, with owner and mode as they were; False if it is so already.

    Args:
        path: of the file; a link is followed.
        text: all of it.
        mode: in place of the one that it has.

    Raises:
        SystemFailure: it can't be written; what was there is there still.
    """
    path = os.path.realpath(path)
    make_directory(os.path.dirname(path))
    sweep_quietly(os.path.dirname(path))
    try:
        status = os.stat(path) if os.path.exists(path) else None
        same_mode = status is None or mode in (None, status.st_mode & 0o7777)
        if status and same_mode and read_text(path) == text:
            return False
        replace_file(
            path,
            text,
            mode=mode or (status.st_mode & 0o7777 if status else 0o644),
            owner=(status.st_uid, status.st_gid) if status else None,
        )
    except OSError as error:
        raise SystemFailure(f"cannot write {path}", error.strerror or str(error)) from error
    return True


def take(path: str, recognise: Callable[[str], bool]) -> bool:
    """Remove a file of ours; False if it is not there, or somebody else's.

    Args:
        path: of the file.
        recognise: tells ours by its text; a ValueError means no.

    Raises:
        SystemFailure: it can't be removed.
    """
    sweep_quietly(os.path.dirname(path))
    try:
        text = _read_lossy(path)
        if text is None or not recognise(text):
            return False
        os.unlink(path)
    except ValueError:
        return False
    except OSError as error:
        raise SystemFailure(f"cannot remove {path}", error.strerror or str(error)) from error
    return True


def read_text(path: str) -> str | None:
    """Return a file's text, or None if it is not there.

    Raises:
        RequestError: it is not UTF-8.
        SystemFailure: it can't be read.
    """
    what = f"cannot read {path}"
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SystemFailure(what, error.strerror or str(error)) from error
    except ValueError as error:
        raise RequestError(what, "it is not UTF-8") from error


def read_json(path: str) -> Any:
    """Read a JSON file.

    Raises:
        RequestError: it is not JSON.
        SystemFailure: it can't be read.
    """
    what = f"cannot read {path}"
    try:
        with open(path, "rb") as file:
            return json.load(file)
    except (ValueError, RecursionError) as error:
        raise RequestError(what, f"it is not JSON: {error}") from error
    except OSError as error:
        raise SystemFailure(what, error.strerror or str(error)) from error


def make_directory(path: str, *, marked: bool = True) -> None:
    """Make a directory and its missing parents, for all to read.

    Args:
        path: absolute.
        marked: whether `remove_directories` shall know them again.

    Raises:
        SystemFailure: it can't be made.
    """
    if os.path.isdir(path):
        return
    make_directory(os.path.dirname(path), marked=marked)
    beside = mark_beside(path)
    try:
        if marked and not os.path.lexists(path):
            # That it is there counts, and half of it is as good: no temporary file in /etc.
            with open(beside, "w", encoding="utf-8", opener=_never_through_a_link) as file:
                file.write(_MADE_TEXT)
        os.mkdir(path, 0o755)
        os.chmod(path, 0o755)  # noqa: S103  # whatever the umask says: podman's users read it, too
        if marked:
            os.rename(beside, f"{path}/{MADE}")
    except FileExistsError as error:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        if not os.path.isdir(path):
            raise SystemFailure(f"cannot make {path}", "a file is in the way") from error
    except OSError as error:
        raise SystemFailure(f"cannot make {path}", error.strerror or str(error)) from error


def _never_through_a_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o644)


def mark_beside(path: str) -> str:
    """Return where the mark of a directory lies while it is made or removed."""
    return f"{path}{MADE}"


def remove_directories(paths: Iterable[str]) -> None:
    """Remove the directories, and their parents, that were made for files that have gone.

    What somebody else has put something into stays, and is theirs from then on.

    Raises:
        SystemFailure: one can't be removed.
    """
    parts: set[str] = set()
    for path in paths:
        part = path
        while part not in parts and part != os.path.dirname(part):
            parts.add(part)
            part = os.path.dirname(part)
    for part in sorted(parts, key=len, reverse=True):  # what lies in another one goes before it
        sweep_quietly(part)  # of the mark, too, a killed one may have left half
        beside = mark_beside(part)
        try:
            listed = _listed(part)
            # With one of ours still in it, it stays marked: whoever empties that one takes both.
            holds_made = any(
                _is_beside(name) or os.path.lexists(f"{part}/{name}/{MADE}") for name in listed
            )
            if MADE in listed and not holds_made:
                os.rename(f"{part}/{MADE}", beside)
            if os.path.lexists(beside) and not holds_made:
                remove_directory(part)
                os.unlink(beside)
        except OSError as error:
            raise SystemFailure(f"cannot remove {part}", error.strerror or str(error)) from error


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_beside(name: str) -> bool:
    return name.endswith(MADE) and name != MADE


def emptied_directories(top: str) -> tuple[str, ...]:
    """Return the directories that were made below one, or it, and hold nothing but others of them.

    A removal that was killed behind the last file leaves such, and perhaps the mark alone.
    """
    found: list[str] = []
    for folder, folders, names in os.walk(top, topdown=False):
        beside = [name.removesuffix(MADE) for name in names if _is_beside(name)]
        found += [f"{folder}/{name}" for name in beside if name not in folders]
        is_ours = MADE in names or os.path.lexists(mark_beside(folder))
        holds_no_file = all(name.endswith(MADE) for name in names)
        if is_ours and holds_no_file and all(f"{folder}/{name}" in found for name in folders):
            found.append(folder)
    if not os.path.lexists(top) and os.path.lexists(mark_beside(top)):
        found.append(top)
    return tuple(found)


def _read_lossy(path: str) -> str | None:
    """Return a text to compare with; one that is not UTF-8 is at any rate another one."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return None
