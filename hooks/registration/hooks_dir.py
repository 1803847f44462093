"""Registering the hook with podman or CRI-O, for all containers or those that ask.

    DIR/50-ocinet-createRuntime.json       one file per stage, oci-hooks(5) 1.0.0
    DIR/50-ocinet-poststop.json
    /etc/containers/containers.conf.d/50-ocinet.conf       for podman alone

podman 4 reads `/etc/containers/oci/hooks.d` only where containers.conf names
it, and only from there does it know the directory again when it restarts a
container by policy: `--hooks-dir` holds for one command.
"""

from __future__ import annotations

import json
import os
import tomllib
from typing import TYPE_CHECKING, Any

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.hooks.entry.call import ALWAYS, FROM_HOOKS_DIR
from ocinet.hooks.registration.foreign_files import (
    Installed,
    make_directory,
    put,
    read_json,
    remove_directories,
    take,
)
from ocinet.hooks.registration.installation import refuse_writers
from ocinet.request.config_json import DOWN_STAGE, UP_STAGES, is_our_hook

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocinet.hooks.config.hook_entry import Registration

HOOKS_DIR = "/etc/containers/oci/hooks.d"
VENDOR_DIR = "/usr/share/containers/oci/hooks.d"  # all that podman 4 reads by default
DROP_IN = "/etc/containers/containers.conf.d/50-ocinet.conf"
# Any key with our prefix, known or not: the hook tells a typo. Anchored, for
# the pattern is searched: `ocinet` alone would match `my-ocinet-thing`.
CONDITION = {"annotations": {r"^ocinet\.": ".*"}}

_MAIN_CONFIGS = ("/usr/share/containers/containers.conf", "/etc/containers/containers.conf")
_DROP_IN_DIR = os.path.dirname(DROP_IN)
_OURS = "# Written by `ocinet hooks install`, removed by `ocinet hooks uninstall`."


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
    if stage not in UP_STAGES:
        raise RequestError(what, f"{stage!r} is no stage", f"use {' or '.join(UP_STAGES)}")
    if not directory.startswith("/"):
        raise RequestError(what, "it is not an absolute path")
    other = next(name for name in UP_STAGES if name != stage)
    files = {hook_file(directory, name): _render(registration, name, always=always)
             for name in (stage, DOWN_STAGE)}  # fmt: skip
    drop_in = "" if environment is None else _render_drop_in(directory, root)
    if drop_in:
        files[DROP_IN] = drop_in
    for folder in dict.fromkeys(os.path.dirname(path) for path in files):
        make_directory(root + folder, marked=not root)
        if not root:
            refuse_writers(folder, what, "register it where only root can write")
    changed = [path for path, text in files.items() if put(root + path, text)]
    if take(root + hook_file(directory, other), _is_our_hook):
        changed.append(hook_file(directory, other))
    missing = missing_directories(directory, root, environment or {})
    if missing and environment is None:
        missing = [f"podman does not read {directory}; if it shall, say --podman, too"]
    return Installed(tuple(changed), tuple(missing))


def uninstall(*, directory: str = HOOKS_DIR, root: str = "") -> Installed:
    """Take the registration back; files that are not ours stay.

    The drop-in goes with the directory that it was written for.

    Raises:
        SystemFailure: a file or directory can't be removed.
    """
    paths = [hook_file(directory, stage) for stage in (*UP_STAGES, DOWN_STAGE)]
    changed = [path for path in paths if take(root + path, _is_our_hook)]
    if take(root + DROP_IN, lambda text: _is_our_drop_in(text, directory)):
        changed.append(DROP_IN)
    if not root:
        remove_directories((directory, _DROP_IN_DIR))
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


def effective_directories(root: str = "", *, without_ours: bool = False) -> tuple[list[str], str]:
    """Return the hooks directories that podman's configuration names.

    Args:
        root: put before every path.
        without_ours: as if our own drop-in were not there.

    Returns:
        The list, podman's built-in one if no file names any; and the last file
        that does, or "".

    Raises:
        RequestError: a file is not TOML.
    """
    directories, source = [VENDOR_DIR], ""
    for path in _config_files(root):
        if without_ours and path == DROP_IN:
            continue
        engine = _read_toml(root + path).get("engine")
        named = engine.get("hooks_dir") if isinstance(engine, dict) else None
        if isinstance(named, list):
            kept = directories if {"append": True} in named else []  # podman 5
            directories = [*kept, *(one for one in named if isinstance(one, str))]
            source = path
    return directories, source


def missing_directories(directory: str, root: str, environment: Mapping[str, str]) -> list[str]:
    """Tell why podman would not read our files in a hooks directory; empty if it does.

    Of files of one name, podman takes the one in the directory that is named last.
    """
    told = environment.get("CONTAINERS_CONF", "")
    if told:
        return [f"CONTAINERS_CONF={told} replaces podman's configuration: "
                f"add hooks_dir = [{json.dumps(directory)}] to [engine] there"]  # fmt: skip
    directories, source = effective_directories(root)
    if directory in directories:
        later = directories[len(directories) - directories[::-1].index(directory) :]
        return [
            f"{hook_file(one, stage)} takes the place of the one in {directory}: remove it"
            for stage in (*UP_STAGES, DOWN_STAGE)
            if os.path.lexists(root + hook_file(directory, stage))
            for one in later
            if os.path.lexists(root + hook_file(one, stage))
        ]
    where = f"{source} names other hooks directories" if source else "podman does not read it"
    return [f"{where}: add {json.dumps(directory)} to hooks_dir of its [engine] table"]


def _render(registration: Registration, stage: str, *, always: bool) -> str:
    flags = (FROM_HOOKS_DIR, ALWAYS) if always else (FROM_HOOKS_DIR,)
    document = {
        "version": "1.0.0",
        "hook": registration.entry(stage, *flags),
        "when": {"always": True} if always else CONDITION,
        "stages": [stage],
    }
    return json.dumps(document, indent=2) + "\n"


def _render_drop_in(directory: str, root: str) -> str:
    """Return our drop-in, or "" where podman reads the directory without it."""
    directories, source = effective_directories(root, without_ours=True)
    if directory in directories:
        return ""
    named = "".join(_listed(one) for one in [*directories, directory])
    reason = f"# {source} names the others." if source else "# The first is podman's default."
    return f"{_OURS}\n{reason}\n[engine]\nhooks_dir = [\n{named}]\n"


def _config_files(root: str) -> list[str]:
    try:
        names = sorted(os.listdir(root + _DROP_IN_DIR))
    except OSError:
        names = []
    drop_ins = [f"{_DROP_IN_DIR}/{name}" for name in names if name.endswith(".conf")]
    return [*_MAIN_CONFIGS, *drop_ins]


def _read_toml(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError
        raise RequestError(f"cannot read {path}", f"it is not TOML: {error}") from error
    except OSError as error:
        raise SystemFailure(f"cannot read {path}", error.strerror or str(error)) from error


def _is_our_hook(text: str) -> bool:
    document = json.loads(text)
    return isinstance(document, dict) and is_our_hook(document.get("hook"))


def _is_our_drop_in(text: str, directory: str) -> bool:
    """Tell whether a drop-in is the one that `install` wrote for a directory."""
    return text.startswith(_OURS) and _listed(directory) in text


def _listed(directory: str) -> str:
    """Return a directory's line in our drop-in's list."""
    return f"  {json.dumps(directory)},\n"
