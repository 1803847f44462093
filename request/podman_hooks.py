"""Which hooks directories podman's configuration names, and whether our hook serves pods there.

    /etc/containers/containers.conf.d/*.conf    [engine] hooks_dir = […]

A file in a directory that podman does not read is no hook: it is there for CRI-O, which
reads `/etc/containers/oci/hooks.d` by itself, or was left behind.
"""

from __future__ import annotations

import posix
import tomllib

from ocinet.base.errors import RequestError, SystemFailure
from ocinet.base.files import exists
from ocinet.base.jsontext import MAX_BYTES
from ocinet.request.bounded_reads import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VENDOR_DIR = "/usr/share/containers/oci/hooks.d"  # all that podman reads by default
DROP_IN_DIR = "/etc/containers/containers.conf.d"
POD_HOOK = "50-ocinet-pod-poststop.json"

# As podman reads them, and drop-ins after these: the last that names a list has it.
_MAIN_CONFIGS = ("/usr/share/containers/containers.conf", "/etc/containers/containers.conf")


def pod_hook(root: str = "") -> str:
    """Return the file of the hook by which podman's pods are wired, as their members ask; or "".

    Args:
        root: put before the paths, for tests.

    Raises:
        RequestError: a file of podman's configuration is not TOML.
        SystemFailure: one can't be read.
    """
    for directory in hooks_directories(root)[0]:
        if exists(f"{root}{directory}/{POD_HOOK}"):
            return f"{directory}/{POD_HOOK}"
    return ""


def hooks_directories(root: str = "", *, without: str = "") -> tuple[list[str], str]:
    """Return the hooks directories that podman's configuration names.

    Args:
        root: put before every path.
        without: a file, as if it were not there.

    Returns:
        The list, podman's built-in one if no file names any; and the last file
        that does, or "".

    Raises:
        RequestError: a file is not TOML.
        SystemFailure: one can't be read.
    """
    directories, source = [VENDOR_DIR], ""
    for path in _config_files(root):
        if path == without:
            continue
        engine = _read_toml(root + path).get("engine")
        named = engine.get("hooks_dir") if isinstance(engine, dict) else None
        if isinstance(named, list):
            kept = directories if {"append": True} in named else []  # podman 5
            directories = [*kept, *(entry for entry in named if isinstance(entry, str))]
            source = path
    return directories, source


def _config_files(root: str) -> list[str]:
    try:
        names = sorted(posix.listdir(root + DROP_IN_DIR))
    except OSError:
        names = []
    drop_ins = [f"{DROP_IN_DIR}/{name}" for name in names if name.endswith(".conf")]
    return [*_MAIN_CONFIGS, *drop_ins]


def _read_toml(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(read_file(path, MAX_BYTES).decode())
    except FileNotFoundError:
        return {}
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError
        raise RequestError(f"cannot read {path}", f"it is not TOML: {error}") from error
    except OSError as error:
        raise SystemFailure(f"cannot read {path}", error.strerror or str(error)) from error
