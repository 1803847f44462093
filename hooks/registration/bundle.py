"""Editing a bundle's `config.json`: our hooks, annotations and network namespace.

Here a request still can be met that a hook can't meet any more: `host` takes
the network namespace out of the spec, `container:X` points it at X's sandbox.
What stood there is kept in the annotation `ocinet.bundle`, and `remove` puts it
back. Everything that is not ours stays as it is: other hooks, unknown keys,
their order, the indentation.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from contextlib import contextmanager
from errno import ELOOP
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

from ocinet.base.atomic import replace, write_file
from ocinet.base.errors import OcinetError, RequestError, SystemFailure
from ocinet.base.temporaries import sweep_quietly
from ocinet.hooks.config.config_edit import apply, asked_in, locate, restore
from ocinet.hooks.registration.installation import check_up_stage
from ocinet.request.annotations import (
    DEFAULT_REQUEST,
    SANDBOX,
    parse_annotations,
)
from ocinet.request.config_json import CONFIG, DOWN_STAGE, UP_STAGES
from ocinet.request.spelling import to_annotations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Request
    from ocinet.hooks.config.hook_entry import Registration

    Json = dict[str, Any]

LONGEST_CONFIG = 16 << 20  # as the wrapper has it


def add(
    bundle: str,
    request: Request | None,
    registration: Registration,
    find: Callable[[str], Attachment],
    *,
    netns_dir: str = "/run/netns",
    stage: str = UP_STAGES[0],
) -> bool:
    """Make a bundle's containers ask for a network, and get it.

    Can be repeated: a later call replaces an earlier one.

    Args:
        bundle: its directory.
        request: None means what its annotations ask for already, else the
            default network.
        registration: what the runtime shall run.
        find: resolves the target of `container:`, by id or name.
        netns_dir: where sandboxes have names.
        stage: createRuntime, or prestart for runtimes older than spec 1.0.2.

    Returns:
        False if it was like that already.

    Raises:
        RequestError: there is no legal `config.json`, or its own annotations
            are not legal, or the target can't be shared.
        SystemFailure: it can't be written; it is as it was then.
    """
    what = f"cannot add the hook to {bundle}"
    check_up_stage(stage, what)

    def change(config: Json) -> Json:
        plain = restore(config)
        kept = asked_in(plain)
        wanted = request or parse_annotations(kept) or DEFAULT_REQUEST
        annotations = kept if kept and request is None else to_annotations(wanted)
        path = ""
        if wanted.mode == "container":
            path, annotations[SANDBOX] = locate(wanted.target, find, netns_dir)
        entries = {name: registration.entry(name) for name in (stage, DOWN_STAGE)}
        return apply(plain, wanted.mode, annotations, entries, netns_path=path)

    return _edit(bundle, change, what)


def remove(bundle: str) -> bool:
    """Put back what `add` found.

    Returns:
        False if there was nothing of ours in it.

    Raises:
        RequestError: there is no legal `config.json`.
        SystemFailure: it can't be written; it is as it was then.
    """
    return _edit(bundle, restore, f"cannot remove the hook from {bundle}")


def _edit(bundle: str, change: Callable[[Json], Json], what: str) -> bool:
    """Read, change and replace a bundle's config; False if nothing changes."""
    path = f"{bundle}/{CONFIG}"
    try:
        with _locked(bundle) as directory:
            sweep_quietly(directory)
            data, status = _read(directory)
            config = _parse(data)
            changed = change(config)
            if changed == config:
                return False
            text = _render(changed, data.decode()).encode()

            def make(temporary: str) -> None:
                owner = (status.st_uid, status.st_gid)
                write_file(temporary, text, mode=status.st_mode & 0o7777, owner=owner,
                           durable=True, dir_fd=directory)  # fmt: skip

            replace(CONFIG, make, dir_fd=directory)
            os.fsync(directory)
    except OcinetError as error:
        raise error.within(what) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RequestError(what, f"there is no {path}", "runc spec makes one") from error
    except OSError as error:
        if error.errno == ELOOP:
            why = f"{path} is a link, through which another file would be written"
            hint = f"name the bundle that has the file: {os.path.dirname(os.path.realpath(path))}"
            raise RequestError(what, why, hint) from error
        raise SystemFailure(what, f"{path}: {error.strerror}") from error
    return True


def _read(directory: int) -> tuple[bytes, os.stat_result]:
    """Read a bundle's config, which may be in the directory of somebody that is not root."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(CONFIG, flags, dir_fd=directory), "rb") as file:
        status = os.fstat(file.fileno())
        if not S_ISREG(status.st_mode) or status.st_size > LONGEST_CONFIG:
            why = f"{CONFIG} is no regular file of at most {LONGEST_CONFIG >> 20} MiB"
            raise RequestError("", why)
        return file.read(LONGEST_CONFIG), status


def _parse(data: bytes) -> Json:
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RequestError("", f"{CONFIG} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise RequestError("", f"{CONFIG} is no JSON object")
    return config


def _render(config: Json, like: str) -> str:
    """Render a config with the indentation and line end of its former text."""
    indented = re.match(r"\s*\{\n([ \t]+)", like)
    spaced = re.search(r'^[^"]*"[^"]*":(\s)', like)
    colon = ": " if indented or spaced else ":"
    comma = "," if indented else f",{' ' if spaced else ''}"
    text = json.dumps(config, ensure_ascii=False, separators=(comma, colon),
                      indent=indented[1] if indented else None)  # fmt: skip
    return text + ("\n" if like.endswith("\n") else "")


@contextmanager
def _locked(directory: str) -> Iterator[int]:
    """Keep other edits of the same bundle out; yields its open directory."""
    # The directory itself is locked: a lock's file, which is never deleted, would stay in there.
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield fd
    finally:
        os.close(fd)
