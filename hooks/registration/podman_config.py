"""Whether podman reads a hooks directory, and the drop-in that adds ours to those that it reads.

    /etc/containers/containers.conf.d/50-ocinet.conf

podman 4 and 5 read `/etc/containers/oci/hooks.d` only where containers.conf names it, and
only from there do they know the directory again when another command starts a container:
`--hooks-dir` holds for one, and since 5.6 for podman's restarts by policy. A list in one
file replaces those of the files before it, so what they name has to stand in ours, too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ocinet.request.podman_hooks import DROP_IN_DIR, hooks_directories

if TYPE_CHECKING:
    from collections.abc import Mapping

DROP_IN = f"{DROP_IN_DIR}/50-ocinet.conf"

_HEAD = "# Written by `ocinet hooks install`, removed by `ocinet hooks uninstall`."


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
    directories, source = hooks_directories(root, without=DROP_IN)
    if directory in directories:
        return ""
    lines = "".join(_line_of(named) for named in [*directories, directory])
    reason = f"# {source} names the others." if source else "# The first is podman's default."
    return f"{_HEAD}\n{reason}\n[engine]\nhooks_dir = [\n{lines}]\n"


def is_drop_in(text: str, directory: str) -> bool:
    """Tell whether a text is the drop-in that was written for a directory."""
    return text.startswith(_HEAD) and text.endswith(f"{_line_of(directory)}]\n")


def _line_of(directory: str) -> str:
    """Return a directory's line in our drop-in's list."""
    return f"  {json.dumps(directory)},\n"
