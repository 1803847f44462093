"""Which engines and runtimes there are, and since when they can do a thing."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess

import pytest

from hosts.requirements import SEARCHED, require

# What each is asked for its version: the name of the one is not always that of the program.
_PROGRAMS = {"docker": "dockerd"}
_VERSION = re.compile(r"\b(\d+)\.(\d+)")


@functools.cache
def version_of(engine: str) -> tuple[int, int]:
    """Return major and minor version of docker, podman, containerd, runc, crun or aardvark-dns.

    Returns:
        (0, 0) if it is not there.
    """
    program = shutil.which(_PROGRAMS.get(engine, engine), path=SEARCHED)
    if program is None:
        return 0, 0
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    found = _VERSION.search(shown.stdout)
    assert found, shown.stdout
    return int(found[1]), int(found[2])


def require_version(engine: str, least: tuple[int, int], why: str) -> None:
    """Go on only with an engine of that version or later; CI's may be earlier.

    Args:
        engine: as for `version_of`.
        least: major and minor.
        why: it has to be, as "a containerd image store".
    """
    require(_PROGRAMS.get(engine, engine))
    found = version_of(engine)
    if found < least:
        pytest.skip(f"{engine} {found[0]}.{found[1]} has not {why}: {least[0]}.{least[1]} has")


def require_earlier(engine: str, than: tuple[int, int], why: str) -> None:
    """Go on only with an earlier version of an engine; CI's may be later.

    Args:
        engine: as for `version_of`.
        than: major and minor.
        why: it can't be later, as "libnetwork's hook".
    """
    require(_PROGRAMS.get(engine, engine))
    found = version_of(engine)
    if found >= than:
        pytest.skip(f"{engine} {found[0]}.{found[1]} has not {why}: before {than[0]}.{than[1]}")
