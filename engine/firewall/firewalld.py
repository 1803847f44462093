"""firewalld's chains: which zone or policy drops a packet; and joining our zone there.

What is in force is read from the kernel, as with everybody else's rules: asking firewalld
over D-Bus takes a process, and it may be stopped while its rules stay. Zones have the
chains `filter_FWD_ZONE` there, policies `filter_FWD_policy_POLICY` (firewalld 1 and 2);
from 2.5 on some are `filter_FWD_ZONE_to_ZONE`, by where a packet comes from and goes to.
"""

from __future__ import annotations

from ocinet.base.errors import NotFoundError, SystemFailure
from ocinet.engine.firewall.rules import decode_datum
from ocinet.engine.firewall.sample import DNAT
from ocinet.engine.firewall.walk import Walk
from ocinet.engine.model.passage import ForwardDrop, Zoned
from ocinet.engine.ruleset.firewalld import POLICY, ZONE, is_in_file, join_command, leave_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Deadline
    from ocinet.engine.firewall.netfilter import NetfilterSocket
    from ocinet.engine.firewall.nfnetlink import Chain
    from ocinet.engine.firewall.walk import Ruleset

TABLE = ("inet", "firewalld")
_ZONES, _POLICIES = "filter_FWD_", "filter_FWD_policy_"
_TO = "_to_"
_PARTS = ("_pre", "_log", "_deny", "_allow", "_post")
_CMP_DATA = 3
_IFNAME_SIZE = 16


def drops(
    firewall: NetfilterSocket, ruleset: Ruleset, chain: Chain, dropped: list[Walk], device: str
) -> list[ForwardDrop]:
    """Return what is dropped of a bridge's packets: what containers begin, what they publish.

    Args:
        firewall: to look for our zone.
        ruleset: firewalld's table.
        chain: the base chain.
        dropped: the walks that ended in it, one at least.
        device: the bridge.
    """
    found = []
    begun = [walk for walk in dropped if walk.sample.status != DNAT]
    if begun:
        zoned = _zoned(firewall, ruleset, chain, begun[0], device)
        found.append(ForwardDrop(str(chain), begun[0].visited[-1], zoned=zoned))
    # firewalld accepts what is published, whatever the zone, unless it is told to be strict.
    published = [walk for walk in dropped if walk.sample.status == DNAT]
    if published:
        at = published[0].visited[-1]
        found.append(ForwardDrop(str(chain), at, zoned=Zoned(published=True)))
    return found


def _zoned(
    firewall: NetfilterSocket, ruleset: Ruleset, chain: Chain, walk: Walk, device: str
) -> Zoned:
    at = walk.visited[-1]
    stranger = walk.sample.replace(iifname="", iif=0, source=None)
    beside = Walk(ruleset, stranger)
    beside.is_dropped(chain.name, policy_drops=chain.policy_drops)
    zone = _zone(walk.visited)
    named = any(names(ruleset, visited, device) for visited in dict.fromkeys(walk.visited))
    wanted = tuple(
        (*TABLE, f"{kind}{name}") for kind, name in ((_ZONES, ZONE), (_POLICIES, POLICY))
    )
    return Zoned(
        zone=zone,
        bound=named or zone != _zone(beside.visited),
        policy=_without_part(at.removeprefix(_POLICIES)) if at.startswith(_POLICIES) else "",
        joinable=len(firewall.chains(wanted)) == len(wanted),
    )


def _zone(visited: list[str]) -> str:
    """Return the zone whose chain was come by last."""
    zones = [
        _without_part(chain.removeprefix(_ZONES)).partition(_TO)[0]
        for chain in visited
        if chain.startswith(_ZONES) and not chain.startswith(_POLICIES)
    ]
    return zones[-1] if zones else ""


def _without_part(name: str) -> str:
    return next((name.removesuffix(part) for part in _PARTS if name.endswith(part)), name)


def names(ruleset: Ruleset, chain: str, device: str) -> bool:
    """Tell whether a rule of a chain is for a link of that very name, and no pattern."""
    wanted = device.encode().ljust(_IFNAME_SIZE, b"\0")
    return any(
        expression.name == "cmp"
        and decode_datum(expression.data.get(_CMP_DATA, b"")).value == wanted
        for rule in ruleset.rules(chain)
        for expression in rule
    )


def join(device: str, deadline: Deadline | None) -> None:
    """Have a bridge join our zone, until firewalld is reloaded.

    Effects: runs `firewall-cmd`, firewalld's own client, which asks it over D-Bus.

    Raises:
        NotFoundError: there is no firewall-cmd.
        SystemFailure: firewalld does not run, has no such zone, or has it in another one.
    """
    _run(join_command(device), deadline)


def leave(
    firewall: NetfilterSocket, ruleset: Ruleset, device: str, deadline: Deadline | None
) -> bool:
    """Take a bridge out of our zone that joined it; False if it is not in, or by the file."""
    chain = f"{_ZONES}{ZONE}_allow"  # the zone forwards within itself, so it names its links
    if is_in_file(device) or not firewall.chains(((*TABLE, chain),)):
        return False
    if not names(ruleset, chain, device):
        return False
    try:
        _run(leave_command(device), deadline)
    except (NotFoundError, SystemFailure):
        return False  # it has died and left its rules: what joined at run time, it has forgotten
    return True


def _run(command: tuple[str, ...], deadline: Deadline | None) -> None:
    from ocinet.engine.firewall import programs

    program, *arguments = command
    programs.run((programs.find("firewalld", program), *arguments), "", deadline)
