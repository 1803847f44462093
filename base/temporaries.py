"""Temporary names that killed writers have left: told from those of writers at work, and removed.

A name says who made it and when (`atomic`). Its writer is dead if no process has that id,
or one that was started later: ids come again, and where the first process of a container
writes, it always has the same one.
"""

from __future__ import annotations

import posix

from ocinet.base.atomic import PREFIX, age_clock_ns, remove
from ocinet.base.clock import NS_PER_TICK, Process


def is_left_behind(name: str) -> bool:
    """Tell whether a name is that of a thing whose writer is dead.

    >>> is_left_behind("web.json")
    False
    """
    if not name.startswith(PREFIX):
        return False
    pid, _, rest = name[len(PREFIX) :].partition("-")
    made = rest.rpartition("-")[2]
    try:
        writer, made_ns = int(pid), int(made, 16)
    except ValueError:
        return False
    process = Process.of(writer)
    # After a reboot the clock begins anew.
    if process is None or made_ns > age_clock_ns():
        return True
    return process.start_time * NS_PER_TICK > made_ns


def sweep(directory: int | str) -> int:
    """Remove what dead writers left in a directory; return how many.

    Args:
        directory: open, or its path; one that is not there has nothing.

    Raises:
        OSError: it can't be read, or something not be removed.
    """
    try:
        names = posix.listdir(directory)
    except FileNotFoundError:
        return 0
    swept = 0
    for name in filter(is_left_behind, names):
        try:
            if isinstance(directory, int):
                remove(name, dir_fd=directory)
            else:
                remove(f"{directory}/{name}")
        except FileNotFoundError:
            continue  # somebody else sweeps
        swept += 1
    return swept


def sweep_quietly(directory: int | str) -> None:
    """Remove what dead writers left in a directory of others, where nobody else would look.

    What can't be removed stays: it is in nobody's way.

    Args:
        directory: open, or its path.
    """
    try:
        sweep(directory)
    except OSError:
        return
