"""Who only decides loads nothing that could do anything: no socket, no file, no lock."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from ocinet.base import value

_SITE = os.path.dirname(os.path.dirname(os.path.dirname(value.__spec__.origin or "")))
_FORBIDDEN = {"_socket", "fcntl", "os", "socket", "subprocess"}

# Prints what importing every module of a package, or one module, has loaded; and which
# modules of ours have posix at hand, which is in every interpreter from the start.
_LOAD = """\
import posix, sys
bare = set(sys.modules)
sys.path.append(sys.argv[1])
for name in sys.argv[2:]:
    module = __import__(name, fromlist=["x"])
    for folder in getattr(module, "__path__", ()):
        for file in posix.listdir(folder):
            if file.endswith(".py"):
                __import__(f"{name}.{file[:-3]}")
loaded = sorted(set(sys.modules) - bare)
armed = [name for name in loaded if posix in vars(sys.modules[name]).values()
         and name.startswith("ocinet")]
import json
sys.stdout.write(json.dumps([loaded, armed]))
"""


def _loaded(*names: str) -> tuple[set[str], list[str]]:
    """Return what is loaded with these modules, and who of ours has posix by then."""
    done = subprocess.run(
        [os.path.realpath(sys.executable), "-I", "-S", "-c", _LOAD, _SITE, *names],
        check=True, capture_output=True, text=True, env={},
    )  # fmt: skip
    loaded, armed = json.loads(done.stdout)
    return set(loaded), armed


@pytest.mark.parametrize(
    "names",
    [
        ("ocinet.engine.model",),
        ("ocinet.engine.ruleset",),
        ("ocinet.engine.plan",),
        ("ocinet.request.grammar", "ocinet.request.publish", "ocinet.request.annotations"),
    ],
    ids=lambda names: names[-1],
)
def test_import_of_what_decides_loads_nothing_that_does(names: tuple[str, ...]) -> None:
    """Neither sockets nor locks nor `posix`, whatever else stands in the way."""
    loaded, armed = _loaded(*names)
    assert set(names) <= loaded
    assert not loaded & _FORBIDDEN
    assert not armed


def test_import_of_what_does_is_seen() -> None:
    """The same look finds the socket, the lock and `posix` where they are meant to be."""
    loaded, armed = _loaded("ocinet.engine.kernel.links", "ocinet.base.lock")
    assert {"_socket", "fcntl"} <= loaded
    assert "ocinet.engine.kernel.links" in armed
