"""What the tests need on the machine.

On a developer's machine a test whose tool is missing skips and says what to
install. In CI (`CI=true`) it fails: nothing may go unnoticed there.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

PACKAGES = {
    "busybox": "busybox-static",
    "conntrack": "conntrack",
    "crun": "crun",
    "curl": "curl",
    "docker": "docker.io",
    "dockerd": "docker.io",
    "ip": "iproute2",
    "iptables": "iptables",
    "nft": "nftables",
    "nsenter": "util-linux",
    "podman": "podman",
    "runc": "runc",
    "unshare": "util-linux",
}
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing(reason: str) -> NoReturn:
    """Skip the test for a reason that CI does not accept.

    Raises:
        pytest.fail.Exception: in CI.
        pytest.skip.Exception: elsewhere.
    """
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require(*tools: str) -> None:
    """Go on only with these programs installed, as root.

    Args:
        tools: names of programs, as in `PACKAGES`.
    """
    if os.geteuid() != 0:
        missing("needs root: the runtimes make namespaces, cgroups and links")
    for tool in tools:
        if shutil.which(tool, path=SEARCH_PATH) is None:
            package = PACKAGES.get(tool, tool)
            missing(f"{tool} is not installed: apt-get install {package}")
