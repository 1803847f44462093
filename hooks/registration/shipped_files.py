"""Files that a package of ocinet's has below /usr/lib, and a command puts below /etc.

Those of /etc begin with a line of ours. One that does not is its admin's, and stays.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ocinet.hooks.registration.all_or_nothing import all_or_nothing
from ocinet.hooks.registration.foreign_files import (
    Installed,
    make_directory,
    put,
    read_text,
    remove_directories,
    take,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ETC = "/etc"


def install(files: Mapping[str, str], head: str, root: str) -> Installed:
    """Write the files to /etc; those that are there already, or are somebody else's, stay.

    Args:
        files: each one's text, by its path below /etc.
        head: the line by which ours are known again.
        root: put before every path, for building packages and for tests.

    Raises:
        RequestError: a file that is there is not UTF-8.
        SystemFailure: one can't be written; then all are as they were.
    """
    changed, warnings = [], []
    with all_or_nothing(f"{root}{ETC}/{name}" for name in files):
        for name, text in files.items():
            path = f"{ETC}/{name}"
            present = read_text(root + path)
            if os.path.lexists(root + path) and not (present or "").startswith(head):
                warnings.append(f"{path} is not ocinet's, and stays as it is")
                continue
            make_directory(root + os.path.dirname(path), marked=not root)
            if put(root + path, head + text):
                changed.append(path)
    return Installed(tuple(changed), tuple(warnings))


def present(files: Mapping[str, str], head: str, root: str) -> tuple[str, ...]:
    """Return the paths in /etc that have what `install` wrote there.

    Raises:
        RequestError: a file that is there is not UTF-8.
        SystemFailure: one can't be read.
    """
    paths = [f"{ETC}/{name}" for name in files]
    return tuple(path for path in paths if (read_text(root + path) or "").startswith(head))


def uninstall(files: Mapping[str, str], head: str, root: str) -> Installed:
    """Remove the files from /etc that `install` wrote.

    Raises:
        SystemFailure: one can't be removed.
    """
    paths = [f"{ETC}/{name}" for name in files]
    changed = [path for path in paths if take(root + path, lambda text: text.startswith(head))]
    remove_directories(root + os.path.dirname(path) for path in paths)
    return Installed(tuple(changed))
