"""The watcher's unit, as far as an admin has put it into /etc: enabled, or copied there.

    /etc/systemd/system/multi-user.target.wants/ocinet-watcher.service
    /etc/systemd/system/ocinet-watcher.service

Taken away as `systemctl disable` does, which is not to be had where systemd is not.
"""

from __future__ import annotations

import os
import subprocess

from ocinet.base.errors import SystemFailure
from ocinet.hooks.registration.foreign_files import Installed, read_text

SERVICE = "ocinet-watcher.service"
_DIRECTORY = "/etc/systemd/system"
_ENABLED = f"{_DIRECTORY}/multi-user.target.wants/{SERVICE}"
_COPIED = f"{_DIRECTORY}/{SERVICE}"
_HEAD = "# The watcher: gives networks to Docker's and Podman's --net=none containers.\n"
_RUNS = "/run/systemd/system"  # sd_booted(3)
_STOP_S = 60


def installed(root: str = "") -> tuple[str, ...]:
    """Return what of it is in /etc.

    Raises:
        RequestError: the unit there is not UTF-8.
        SystemFailure: it can't be read.
    """
    found = [_ENABLED] if os.path.islink(root + _ENABLED) else []
    if not os.path.islink(root + _COPIED) and (read_text(root + _COPIED) or "").startswith(_HEAD):
        found.append(_COPIED)
    return tuple(found)


def uninstall(root: str = "") -> Installed:
    """Stop the service where systemd runs, and take its unit out of /etc.

    Raises:
        SystemFailure: a file can't be removed.
    """
    paths = installed(root)
    stop(root)
    for path in paths:
        try:
            os.unlink(root + path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SystemFailure(f"cannot remove {path}", error.strerror or str(error)) from error
    if paths and not root:
        _systemctl("daemon-reload")
    return Installed(paths)


def stop(root: str = "") -> None:
    """Stop the service, if systemd runs here; one that is not known is stopped."""
    if not root:
        _systemctl("stop", SERVICE)


def _systemctl(*words: str) -> None:
    if os.path.isdir(_RUNS):
        try:
            subprocess.run(["systemctl", *words], capture_output=True, check=False, timeout=_STOP_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SystemFailure(f"cannot stop {SERVICE}", str(error)) from error
