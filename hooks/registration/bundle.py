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
from typing import TYPE_CHECKING, Any

from ocinet.base.atomic import replace_file
from ocinet.base.errors import OcinetError, RequestError, SystemFailure
from ocinet.hooks.config.config_edit import apply, locate, our_annotations, restore
from ocinet.hooks.registration.installation import check_up_stage
from ocinet.request.annotations import (
    BUNDLE,
    DEFAULT_REQUEST,
    SANDBOX,
    parse_annotations,
    to_annotations,
)
from ocinet.request.config_json import CONFIG, DOWN_STAGE, UP_STAGES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Request
    from ocinet.hooks.config.hook_entry import Registration

    Json = dict[str, Any]


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
        kept = {
            key: text
            for key, text in our_annotations(plain).items()
            if key not in (SANDBOX, BUNDLE)
        }
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
    path = os.path.realpath(f"{bundle}/{CONFIG}")
    try:
        with _locked(os.path.dirname(path)):
            with open(path, "rb") as file:
                data, status = file.read(), os.fstat(file.fileno())
            config = _parse(data)
            changed = change(config)
            if changed == config:
                return False
            replace_file(path, _render(changed, data.decode()), mode=status.st_mode & 0o7777,
                         owner=(status.st_uid, status.st_gid))  # fmt: skip
    except OcinetError as error:
        raise error.within(what) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RequestError(what, f"there is no {path}", "runc spec makes one") from error
    except OSError as error:
        raise SystemFailure(what, f"{path}: {error.strerror}") from error
    return True


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
def _locked(directory: str) -> Iterator[None]:
    """Keep other edits of the same bundle out."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
