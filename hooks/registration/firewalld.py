"""A zone of firewalld's for our bridges, and a policy that lets containers out of it.

    DIR/firewalld/zones/ocinet.xml         the bridges that we name, and each other's packets
    DIR/firewalld/policies/ocinet-out.xml  from there to everywhere

DIR is /etc for `ocinet firewalld install`, /usr/lib for a package. Without them firewalld
rejects whatever containers send, for a bridge that is in no zone is in the default one, as
the uplinks are. Docker and podman have their bridges in a zone that accepts all that is for
the host as well (`docker`, `trusted`). Ours does not: which services of the host containers
reach is the admin's to say, with `firewall-cmd --zone=ocinet --add-service=…`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ocinet.hooks.registration import host_processes, shipped_files

if TYPE_CHECKING:
    from ocinet.hooks.registration.foreign_files import Installed

RELOAD = "firewall-cmd --reload"
_COMM = "firewalld"
# No XML declaration: a comment may not stand before one.
_HEAD = "<!-- Written by `ocinet firewalld install`, removed by `ocinet firewalld uninstall`. -->\n"
_VENDOR_DIRS = ("/usr/lib",)

# firewalld's + is what a shell's * is (tried with 1.3 and 2.3).
_FILES = {
    "firewalld/zones/ocinet.xml": """\
<zone>
  <short>ocinet</short>
  <description>The bridges of ocinet's networks. Containers reach each other; what the host itself\
 offers to them is its admin's to open.</description>
  <interface name="ocinet0"/>
  <interface name="ocbr-+"/>
  <forward/>
</zone>
""",
    # Not -1, the usual priority: a positive one comes after what zones say.
    "firewalld/policies/ocinet-out.xml": """\
<policy target="ACCEPT" priority="32767">
  <short>ocinet-out</short>
  <description>Containers on ocinet's networks reach the outside. It comes last: whatever another\
 policy, or the zone, rejects stays rejected.</description>
  <ingress-zone name="ocinet"/>
  <egress-zone name="ANY"/>
</policy>
""",
}


def install(root: str = "") -> Installed:
    """Write the zone and the policy to /etc; see `shipped_files.install`.

    Args:
        root: put before every path, for building packages and for tests.

    Raises:
        RequestError: a file that is there is not UTF-8.
        SystemFailure: one can't be written.
    """
    return shipped_files.install(_FILES, _HEAD, root)


def uninstall(root: str = "") -> Installed:
    """Remove what `install` wrote from /etc.

    Raises:
        SystemFailure: one can't be removed.
    """
    return shipped_files.uninstall(_FILES, _HEAD, root)


def installed(root: str = "") -> tuple[str, ...]:
    """Return the files of /etc that `install` wrote."""
    return shipped_files.present(_FILES, _HEAD, root)


def runs(proc: str = "/proc") -> bool:
    """Tell whether firewalld runs on this network.

    Args:
        proc: of whose processes.
    """
    return _COMM in host_processes.names(proc)


def what_is_missing(root: str = "", proc: str = "/proc") -> str:
    """Return what firewalld lacks of ours where it runs, with the command that mends it, or "".

    Args:
        root: put before the files' paths.
        proc: of whose processes.
    """
    places = (shipped_files.ETC, *_VENDOR_DIRS)
    has_all = all(
        any(os.path.lexists(f"{root}{place}/{file}") for place in places) for file in _FILES
    )
    if has_all or not runs(proc):
        return ""
    return (
        "firewalld runs here and has no zone for ocinet's bridges: it rejects what containers"
        f" send (hint: ocinet firewalld install && {RELOAD})"
    )
