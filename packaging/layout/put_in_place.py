"""Puts what was laid below NEW where it belongs below PREFIX, while others run it.

    packaging/layout/put_in_place.py NEW PREFIX        both on one file system

A package of Python changes places with the one that is there, in one call: whoever starts
meanwhile finds the one or the other, whole. Any other file is renamed over the one before.
"""

import ctypes
import os
import shutil
import sys

_PACKAGES = "site-packages"
_AT_FDCWD = -100  # fcntl.h
_RENAME_EXCHANGE = 2  # linux/fs.h; Python has no call for it, nor has mv before coreutils 9.5


def put(new: str, place: str) -> None:
    """Put all that is in a folder into another one, and leave what is only there."""
    os.makedirs(place, exist_ok=True)
    for entry in os.scandir(new):
        target = f"{place}/{entry.name}"
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_folder and os.path.basename(new) != _PACKAGES:
            put(entry.path, target)
        elif is_folder and os.path.lexists(target):
            exchange(entry.path, target)
        else:
            os.rename(entry.path, target)


def exchange(one: str, other: str) -> None:
    """Have two paths change places; nobody finds one of them missing."""
    library = ctypes.CDLL(None, use_errno=True)
    paths = (_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other))
    if library.renameat2(*paths, _RENAME_EXCHANGE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), one, None, other)


if __name__ == "__main__":
    put(*sys.argv[1:])
    shutil.rmtree(sys.argv[1])
