"""What the tests need on the machine.

On a developer's machine a test whose program is missing skips and says what to
install. In CI (`CI=true`) it fails: nothing may go unnoticed there.

A test says `@pytest.mark.needs("conntrack")`; what a host is made of, it asks
for itself by `require`. Of whole folders, `conftest.py` knows what they need.
"""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

ROOT = "root"
PACKAGES = {
    "busybox": "busybox-static",
    "ctr": "containerd",
    "etcd": "etcd-server",
    "etcdctl": "etcd-client",
    "firewall-cmd": "firewalld",
    "docker": "docker.io, from Debian 13 on docker-cli",
    "dockerd": "docker.io",
    "ip": "iproute2",
    "iptables-legacy": "iptables",
    "iptables-nft": "iptables",
    "kill": "procps",
    "man": "man-db",
    "nft": "nftables",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "sysctl": "procps",
    "systemd-analyze": "systemd",
    "systemd-tmpfiles": "systemd",
    "unshare": "util-linux",
}
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SEARCHED = f"{SEARCH_PATH}:/usr/libexec/podman:/usr/lib/podman"  # and podman's helpers


def missing(reason: str) -> NoReturn:
    """Skip the test for a reason that CI does not accept.

    Raises:
        pytest.fail.Exception: in CI.
        pytest.skip.Exception: elsewhere.
    """
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def require(*needs: str) -> None:
    """Go on only with all of these there.

    Args:
        needs: names of programs, or `ROOT`.
    """
    for need in needs:
        if need == ROOT:
            if os.geteuid() != 0:
                missing("needs root")
        elif shutil.which(need, path=SEARCHED) is None:
            missing(f"{need} is not installed: apt-get install {PACKAGES.get(need, need)}")


def require_marked(test: pytest.Item) -> None:
    """Go on only with what a test's `needs` marks name."""
    for mark in test.iter_markers("needs"):
        require(*mark.args)
