"""Registering the hook with podman or CRI-O, for all containers or those that ask.

    DIR/50-ocinet-createRuntime.json       one file per stage, oci-hooks(5) 1.0.0
    DIR/50-ocinet-poststop.json

What makes podman read the directory is `podman_config`'s.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from ocinet.base.errors import RequestError
from ocinet.hooks.entry.call import ALWAYS, FROM_HOOKS_DIR
from ocinet.hooks.registration import podman_config
from ocinet.hooks.registration.foreign_files import (
    Installed,
    make_directory,
    put,
    read_json,
    remove_directories,
    take,
)
from ocinet.hooks.registration.installation import check_up_stage, refuse_writers
from ocinet.hooks.registration.podman_config import DROP_IN
from ocinet.request.config_json import DOWN_STAGE, UP_STAGES, is_our_hook

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocinet.hooks.config.hook_entry import Registration

HOOKS_DIR = "/etc/containers/oci/hooks.d"
# Any key with our prefix, known or not: the hook tells a typo. Anchored, for
# the pattern is searched: `ocinet` alone would match `my-ocinet-thing`.
CONDITION = {"annotations": {r"^ocinet\.": ".*"}}


def install(
    registration: Registration,
    *,
    directory: str = HOOKS_DIR,
    always: bool = False,
    stage: str = UP_STAGES[0],
    root: str = "",
    environment: Mapping[str, str] | None = os.environ,
) -> Installed:
    """Register the hook in a hooks directory, and the directory with podman.

    Can be repeated: a later call replaces an earlier one.

    Args:
        registration: what the runtime shall run.
        directory: absolute; made if it is missing.
        always: for containers without any of our keys, too.
        stage: createRuntime, or prestart for runtimes older than spec 1.0.2.
        root: put before every path, for building packages and for tests.
        environment: podman's, which may name another configuration; None means
            that the directory is another engine's, and podman is told nothing.

    Raises:
        RequestError: the directory is one that others can write to, or a
            configuration file is not TOML.
        SystemFailure: a file can't be written.
    """
    what = f"cannot register the hook in {directory}"
    check_up_stage(stage, what)
    if not directory.startswith("/"):
        raise RequestError(what, "it is not an absolute path")
    files = {hook_file(directory, name): _render(registration, name, always=always)
             for name in (stage, DOWN_STAGE)}  # fmt: skip
    drop_in = "" if environment is None else podman_config.render_drop_in(directory, root)
    if drop_in:
        files[DROP_IN] = drop_in
    for folder in dict.fromkeys(os.path.dirname(path) for path in files):
        make_directory(root + folder, marked=not root)
        if not root:
            refuse_writers(folder, what, "register it where only root can write")
    changed = [path for path, text in files.items() if put(root + path, text)]
    others = [hook_file(directory, name) for name in UP_STAGES if name != stage]
    changed += [path for path in others if take(root + path, _is_our_hook)]
    warnings = tuple(hindrances(directory, root, environment or {}))
    if warnings and environment is None:
        warnings = (f"podman does not read {directory}; if it shall, say --podman, too",)
    return Installed(tuple(changed), warnings)


def uninstall(*, directory: str = HOOKS_DIR, root: str = "") -> Installed:
    """Take the registration back; files that are not ours stay.

    The drop-in goes with the directory that it was written for.

    Raises:
        SystemFailure: a file or directory can't be removed.
    """
    paths = [hook_file(directory, stage) for stage in (*UP_STAGES, DOWN_STAGE)]
    changed = [path for path in paths if take(root + path, _is_our_hook)]
    if take(root + DROP_IN, lambda text: podman_config.is_drop_in(text, directory)):
        changed.append(DROP_IN)
    if not root:
        remove_directories((directory, os.path.dirname(DROP_IN)))
    return Installed(tuple(changed))


def hook_file(directory: str, stage: str) -> str:
    """Return the path of the file for one stage."""
    return f"{directory}/50-ocinet-{stage}.json"


def read_hook(path: str) -> dict[str, Any]:
    """Read a file of a hooks directory.

    Raises:
        RequestError: it is not a registration of ours.
        SystemFailure: it can't be read.
    """
    document = read_json(path)
    if not isinstance(document, dict) or not is_our_hook(document.get("hook")):
        raise RequestError(f"cannot read {path}", "it is not ocinet's")
    return document


def hindrances(directory: str, root: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Tell why podman would not run what is registered in a hooks directory.

    Of files of one name, podman takes the one in the directory that is named last.

    Raises:
        RequestError: a file of podman's configuration is not TOML.
        SystemFailure: one can't be read.
    """
    unread = podman_config.why_unread(directory, root, environment)
    if unread:
        yield unread
        return
    directories, _ = podman_config.hooks_directories(root)
    last = len(directories) - 1 - directories[::-1].index(directory)
    for stage in (*UP_STAGES, DOWN_STAGE):
        if os.path.lexists(root + hook_file(directory, stage)):
            for later in directories[last + 1 :]:
                path = hook_file(later, stage)
                if os.path.lexists(root + path):
                    yield f"{path} takes the place of the one in {directory}: remove it"


def _render(registration: Registration, stage: str, *, always: bool) -> str:
    flags = (FROM_HOOKS_DIR, ALWAYS) if always else (FROM_HOOKS_DIR,)
    document = {
        "version": "1.0.0",
        "hook": registration.entry(stage, *flags),
        "when": {"always": True} if always else CONDITION,
        "stages": [stage],
    }
    return json.dumps(document, indent=2) + "\n"


def _is_our_hook(text: str) -> bool:
    document = json.loads(text)
    return isinstance(document, dict) and is_our_hook(document.get("hook"))
