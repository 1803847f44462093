"""What podman's configuration says of hooks directories, and the drop-in that adds ours to it.

    /etc/containers/containers.conf.d/50-ocinet.conf

podman 4 reads `/etc/containers/oci/hooks.d` only where containers.conf names it, and
only from there does it know the directory again when it restarts a container by
policy: `--hooks-dir` holds for one command. A list in one file replaces those of the
files before it, so what they name has to stand in ours, too.
"""

from __future__ import annotations

import json
import os
import tomllib
from typing import TYPE_CHECKING, Any

from ocinet.base.errors import RequestError, SystemFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

VENDOR_DIR = "/usr/share/containers/oci/hooks.d"  # all that podman 4 reads by default
DROP_IN = "/etc/containers/containers.conf.d/50-ocinet.conf"

_MAIN_CONFIGS = ("/usr/share/containers/containers.conf", "/etc/containers/containers.conf")
_DROP_IN_DIR = os.path.dirname(DROP_IN)
_HEAD = "# Written by `ocinet hooks install`, removed by `ocinet hooks uninstall`."


def hooks_directories(root: str = "", *, without_drop_in: bool = False) -> tuple[list[str], str]:
    """Return the hooks directories that podman's configuration names.

    Args:
        root: put before every path.
        without_drop_in: as if our own were not there.

    Returns:
        The list, podman's built-in one if no file names any; and the last file
        that does, or "".

    Raises:
        RequestError: a file is not TOML.
        SystemFailure: one can't be read.
    """
    directories, source = [VENDOR_DIR], ""
    for path in _config_files(root):
        if without_drop_in and path == DROP_IN:
            continue
        engine = _read_toml(root + path).get("engine")
        named = engine.get("hooks_dir") if isinstance(engine, dict) else None
        if isinstance(named, list):
            kept = directories if {"append": True} in named else []  # podman 5
            directories = [*kept, *(entry for entry in named if isinstance(entry, str))]
            source = path
    return directories, source


def why_unread(directory: str, root: str, environment: Mapping[str, str]) -> str:
    """Tell why podman would not read a hooks directory, and what to do; "" if it does.

    Args:
        directory: of hooks.
        root: put before every path.
        environment: podman's, which may name another configuration.

    Raises:
        RequestError: a file is not TOML.
        SystemFailure: one can't be read.
    """
    replaced_by = environment.get("CONTAINERS_CONF", "")
    if replaced_by:
        return (f"CONTAINERS_CONF={replaced_by} replaces podman's configuration: "
                f"add hooks_dir = [{json.dumps(directory)}] to [engine] there")  # fmt: skip
    directories, source = hooks_directories(root)
    if directory in directories:
        return ""
    where = f"{source} names other hooks directories" if source else "podman does not read it"
    return f"{where}: add {json.dumps(directory)} to hooks_dir of its [engine] table"


def render_drop_in(directory: str, root: str) -> str:
    """Return our drop-in, or "" where podman reads the directory without it."""
    directories, source = hooks_directories(root, without_drop_in=True)
    if directory in directories:
        return ""
    lines = "".join(_line_of(named) for named in [*directories, directory])
    reason = f"# {source} names the others." if source else "# The first is podman's default."
    return f"{_HEAD}\n{reason}\n[engine]\nhooks_dir = [\n{lines}]\n"


def is_drop_in(text: str, directory: str) -> bool:
    """Tell whether a text is the drop-in that was written for a directory."""
    return text.startswith(_HEAD) and _line_of(directory) in text


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


def _line_of(directory: str) -> str:
    """Return a directory's line in our drop-in's list."""
    return f"  {json.dumps(directory)},\n"
