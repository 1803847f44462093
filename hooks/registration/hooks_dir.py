"""Registering the hook with podman or CRI-O, for all containers or those that ask.

    DIR/50-ocinet-createRuntime.json       one file per stage, oci-hooks(5) 1.0.0
    DIR/50-ocinet-poststop.json
    DIR/50-ocinet-pod-poststop.json        for what keeps a pod's sandbox

What makes podman read the directory is `podman_config`'s.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from ocinet.base.errors import RequestError
from ocinet.hooks.entry.call import ALWAYS, FROM_HOOKS_DIR
from ocinet.hooks.registration import podman_config
from ocinet.hooks.registration.all_or_nothing import all_or_nothing
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
from ocinet.request.podman_hooks import POD_HOOK, hooks_directories

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ocinet.hooks.config.hook_entry import Registration

HOOKS_DIR = "/etc/containers/oci/hooks.d"
# Any key with our prefix, known or not, quoted or not: the hook tells a typo. Anchored, for
# the pattern is searched: `ocinet` alone would match `my-ocinet-thing`.
CONDITION = {"annotations": {r"^\W*(?i:ocinet)\.": ".*"}}
# A pod's infra container has no annotation of its members', and is told by what it runs alone.
# It ends after all of them: without a word from it, who was last would stay on record.
POD_CONDITION = {"commands": ["^/(catatonit|pause)$"]}
POD = f"pod-{DOWN_STAGE}"
NAMES = (*UP_STAGES, DOWN_STAGE, POD)


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
        SystemFailure: a file can't be written; then all are as they were.
    """
    what = f"cannot register the hook in {directory}"
    check_up_stage(stage, what)
    if not directory.startswith("/"):
        raise RequestError(what, "it is not an absolute path")
    when: Mapping[str, object] = {"always": True} if always else CONDITION
    conditions = {stage: when, DOWN_STAGE: when} | ({} if always else {POD: POD_CONDITION})
    files = {
        hook_file(directory, name): _render(registration, stage_of(name), condition)
        for name, condition in conditions.items()
    }
    # podman reads no directory under /etc unless it is told to, though its manual page says so.
    drop_in = "" if environment is None else podman_config.render_drop_in(directory, root)
    if drop_in:
        files[DROP_IN] = drop_in
    # Of a former registration: both stages would be run, one after the other.
    others = [path for path in hook_files(directory) if path not in files]
    with all_or_nothing(root + path for path in (*files, *others)):
        for folder in dict.fromkeys(os.path.dirname(path) for path in files):
            make_directory(root + folder, marked=not root)
            if not root:
                refuse_writers(folder, what, "register it where only root can write")
        changed = [path for path, text in files.items() if put(root + path, text)]
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
    changed = [path for path in hook_files(directory) if take(root + path, _is_our_hook)]
    if not root:  # while the drop-in tells which directory it is, for whoever is killed here
        remove_directories((directory,))
    if take(root + DROP_IN, lambda text: podman_config.is_drop_in(text, directory)):
        changed.append(DROP_IN)
    if not root:
        remove_directories((os.path.dirname(DROP_IN),))
    return Installed(tuple(changed))


def hook_file(directory: str, name: str) -> str:
    """Return the path of the file for one stage, or for pods."""
    return f"{directory}/{POD_HOOK if name == POD else f'50-ocinet-{name}.json'}"


def hook_files(directory: str) -> tuple[str, ...]:
    """Return the paths of all files that may be there."""
    return tuple(hook_file(directory, name) for name in NAMES)


def stage_of(name: str) -> str:
    """Return the stage that a file is for."""
    return DOWN_STAGE if name == POD else name


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
    directories, _ = hooks_directories(root)
    last = len(directories) - 1 - directories[::-1].index(directory)
    for path in hook_files(directory):
        if os.path.lexists(root + path):
            for later in directories[last + 1 :]:
                other = f"{later}/{os.path.basename(path)}"
                if os.path.lexists(root + other):
                    yield f"{other} takes the place of the one in {directory}: remove it"


def _render(registration: Registration, stage: str, when: Mapping[str, object]) -> str:
    flags = (FROM_HOOKS_DIR, ALWAYS) if "always" in when else (FROM_HOOKS_DIR,)
    document = {
        "version": "1.0.0",
        "hook": registration.entry(stage, *flags),
        "when": when,
        # One file for each: a file has one list of arguments for all of its stages.
        "stages": [stage],
    }
    return json.dumps(document, indent=2) + "\n"


def _is_our_hook(text: str) -> bool:
    document = json.loads(text)
    return isinstance(document, dict) and is_our_hook(document.get("hook"))
