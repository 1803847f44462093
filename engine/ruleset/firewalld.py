"""What firewalld has to know of our bridges: a zone, and a policy that lets it out. Pure.

The zone's file, which `ocinet firewalld install` or a package puts in place, names the
bridges that we name ourselves, so firewalld has them in it from its start on, and after
each reload. Any other bridge of ours joins it at run time, and has to do so again.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.passage import ForwardDrop, Zoned

ZONE = "ocinet"
POLICY = "ocinet-out"
# The default network's bridge, and those of all others that were given no name.
BRIDGES = ("ocinet0", "ocbr-*")


def is_in_file(device: str) -> bool:
    """Tell whether the zone's file names a bridge, by name or by pattern."""
    return any(
        device.startswith(name[:-1]) if name.endswith("*") else device == name for name in BRIDGES
    )


def join_command(device: str) -> tuple[str, ...]:
    """Return the command that has a bridge join our zone, until firewalld is reloaded.

    It fails where the bridge is in another one: somebody else's word.
    """
    return ("firewall-cmd", f"--zone={ZONE}", f"--add-interface={device}")


def leave_command(device: str) -> tuple[str, ...]:
    """Return the command that takes it back."""
    return ("firewall-cmd", f"--zone={ZONE}", f"--remove-interface={device}")


def explain(drop: ForwardDrop, zoned: Zoned, device: str) -> str:
    """Return what of firewalld's drops a bridge's packets, and the commands that let them pass.

    Args:
        drop: by firewalld's chain.
        zoned: what it has the packets in.
        device: the bridge.
    """
    if zoned.published:
        return (
            f"{drop.chain} (firewalld's, by StrictForwardPorts) drops connections to published"
            f" ports of {device}: sed -i 's/^StrictForwardPorts=.*/StrictForwardPorts=no/'"
            " /etc/firewalld/firewalld.conf && firewall-cmd --reload"
        )
    by = f"policy {zoned.policy}" if zoned.policy else f"zone {zoned.zone}"
    what = f"{drop.chain} (firewalld's, {by}) drops packets of {device} that no rule accepts: "
    if zoned.policy:
        return f"{what}firewall-cmd --info-policy={zoned.policy} shows why"
    return what + " && ".join(_cure(zoned, device))


def _cure(zoned: Zoned, device: str) -> list[str]:
    reload = "firewall-cmd --reload"
    found = [] if zoned.joinable else ["ocinet firewalld install", reload]
    if zoned.joinable or zoned.bound or not is_in_file(device):
        found += [f"firewall-cmd --permanent --zone={ZONE} --change-interface={device}", reload]
    return found
