"""What configures links of its own accord, and the files that keep it off ours.

    DIR/systemd/network/00-ocinet.network     systemd-networkd: ours are unmanaged
    DIR/systemd/network/00-ocinet.link        systemd-udevd: ours stay as they were made
    DIR/NetworkManager/conf.d/99-ocinet.conf  NetworkManager: as the first

DIR is /etc for `ocinet links install`, /usr/lib for a package. A `.network` file that
matches every link, as netplan and many an installer write it, has networkd take
ocinet0's address and the containers' ends off their bridge (tried with 252).
Of networkd's and udev's files the first that matches counts, in the order of their
names. NetworkManager asks `unmanaged-devices` before anything that a `[device]` section says,
in whichever file: over an admin's that manages every device, a section of ours wins only
where theirs has a name of its own (tried with 1.52). netplan writes files for networkd or
NetworkManager.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ocinet.hooks.registration import host_processes, shipped_files

if TYPE_CHECKING:
    from ocinet.hooks.registration.foreign_files import Installed

_HEAD = "# Written by `ocinet links install`, removed by `ocinet links uninstall`.\n"
_VENDOR_DIRS = ("/run", "/usr/local/lib", "/usr/lib", "/lib")

# The default network's bridge, the other bridges, and the host's ends: `oc` and 13
# hexadecimal digits. NetworkManager knows no character classes.
_HOST_END = "oc" + 13 * "?"
_NAMES = ("ocinet0", "ocbr-*", _HOST_END)
_MATCH = f"Name={' '.join(_NAMES)}\nKind=bridge veth\n"
_LINK_MATCH = f"OriginalName={' '.join(_NAMES)}\nKind=bridge veth\n"

_FILES = {
    "systemd/network/00-ocinet.network": f"""\
# systemd-networkd leaves ocinet's bridges and its ends of containers' links alone.
[Match]
{_MATCH}
[Link]
Unmanaged=yes
""",
    "systemd/network/00-ocinet.link": f"""\
# udev leaves them as they were made: their MACs, their names, their MTU.
[Match]
{_LINK_MATCH}
[Link]
MACAddressPolicy=none
NamePolicy=keep
""",
    "NetworkManager/conf.d/99-ocinet.conf": f"""\
# NetworkManager leaves ocinet's bridges and its ends of containers' links alone.
[keyfile]
unmanaged-devices+={";".join(f"interface-name:{name}" for name in _NAMES)}
""",
}


@dataclass(frozen=True)
class LinkManager:
    """A program that configures links.

    Attributes:
        name: as its users know it.
        comm: of its process: the kernel keeps 15 characters.
        file: of ours that keeps it off, below /etc or a package's directory.
        reload: the command that makes it read that file.
    """

    name: str
    comm: str
    file: str
    reload: str


# Not udevd: it leaves a MAC alone that was set with the link, and ours are. Its file is
# for a host whose own .link file sets something for every link, as an MTU.
MANAGERS = (
    LinkManager(
        "systemd-networkd", "systemd-network", "systemd/network/00-ocinet.network",
        "networkctl reload",
    ),
    LinkManager(
        "NetworkManager", "NetworkManager", "NetworkManager/conf.d/99-ocinet.conf",
        "systemctl reload NetworkManager",
    ),
)  # fmt: skip


def install(root: str = "") -> Installed:
    """Write the files to /etc; see `shipped_files.install`.

    Args:
        root: put before every path, for building packages and for tests.

    Raises:
        RequestError: a file that is there is not UTF-8.
        SystemFailure: one can't be written.
    """
    return shipped_files.install(_FILES, _HEAD, root)


def uninstall(root: str = "") -> Installed:
    """Remove the files from /etc that `install` wrote.

    Raises:
        SystemFailure: one can't be removed.
    """
    return shipped_files.uninstall(_FILES, _HEAD, root)


def installed(root: str = "") -> tuple[str, ...]:
    """Return the files of /etc that `install` wrote."""
    return shipped_files.present(_FILES, _HEAD, root)


def running(proc: str = "/proc") -> tuple[LinkManager, ...]:
    """Return the managers that run on this network.

    Args:
        proc: of whose processes.
    """
    comms = host_processes.names(proc)
    return tuple(manager for manager in MANAGERS if manager.comm in comms)


def unguarded(root: str = "", proc: str = "/proc") -> tuple[LinkManager, ...]:
    """Return the managers that run on this network and that no file keeps off our links.

    A file of ours that the admin has put another one in the place of, or has masked, is
    the admin's word, and counts.

    Args:
        root: put before the files' paths.
        proc: of whose processes.
    """
    places = (shipped_files.ETC, *_VENDOR_DIRS)
    return tuple(
        manager
        for manager in running(proc)
        if not any(os.path.lexists(f"{root}{place}/{manager.file}") for place in places)
    )


def describe(manager: LinkManager) -> str:
    """Return what is wrong with an unguarded one, and the command that mends it."""
    return (
        f"{manager.name} runs here and is not kept off ocinet's links: what it has for every"
        f" link would take their addresses (hint: ocinet links install && {manager.reload})"
    )
