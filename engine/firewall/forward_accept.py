"""Accept rules in tables that are not ours.

A packet must pass the chains of all tables: an accept of ours can't undo
another's drop. Where iptables' FORWARD drops what it does not know, as Docker
sets it, rules that bear our tag go there. Cold; see `ruleset` for the rules.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ocinet.base.errors import SystemFailure
from ocinet.engine.firewall import programs
from ocinet.engine.ruleset.nft import DOCKER_ISOLATION, DOCKER_USER, TABLE, forward_accept_rules

if TYPE_CHECKING:
    from ocinet.engine.firewall.table import Firewall

_TOOLS = {"ip": "iptables", "ip6": "ip6tables"}


def add(firewall: Firewall, device: str, *, managed: bool) -> bool:
    """Put the rules for a bridge where FORWARD drops; False if all were there.

    Raises:
        NotFoundError: iptables is not installed.
        SystemFailure: it failed, or writes to tables that the kernel does not use.
    """
    added = False
    for family in _TOOLS:
        forward, isolation = ((family, "filter", name) for name in ("FORWARD", DOCKER_ISOLATION))
        found = {chain.name: chain for chain in firewall.chains((forward, isolation))}
        if "FORWARD" not in found or not found["FORWARD"].forward_drop:
            continue
        rules = forward_accept_rules(
            device, managed=managed, isolation=DOCKER_ISOLATION if DOCKER_ISOLATION in found else ""
        )
        chain, count = firewall.count_accepts(family, device)
        if count == len(rules):
            continue
        changes = _removals(family, device, _chains_there(firewall, family)) if count else []
        changes += [("-I", chain, str(place), *rule) for place, rule in enumerate(rules, 1)]
        _restore(family, changes)
        if firewall.count_accepts(family, device)[1] != len(rules):
            raise SystemFailure(
                f"cannot let {device} pass {family} filter FORWARD",
                f"{_TOOLS[family]}-restore has changed other tables (iptables-legacy?)",
                f"update-alternatives --set {_TOOLS[family]} /usr/sbin/{_TOOLS[family]}-nft",
            )
        added = True
    return added


def remove(firewall: Firewall, device: str) -> None:
    """Remove the rules for a bridge wherever they are.

    Raises:
        SystemFailure: iptables failed.
    """
    for family in _TOOLS:
        chains = _chains_there(firewall, family)
        if chains:
            _restore(family, _removals(family, device, chains))


def _chains_there(firewall: Firewall, family: str) -> tuple[str, ...]:
    wanted = tuple((family, "filter", name) for name in ("FORWARD", DOCKER_USER))
    return tuple(chain.name for chain in firewall.chains(wanted))


def _removals(family: str, device: str, chains: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the deletions of the rules that bear the bridge's tag."""
    tool = programs.find("iptables", f"{_TOOLS[family]}-nft", _TOOLS[family])
    tag = f"{TABLE}:{device}"
    found = []
    for chain in chains:
        for line in programs.run((tool, "-w", "-S", chain)).splitlines():
            verb, *rule = shlex.split(line)
            if verb == "-A" and tag in rule:
                found.append(("-D", *rule))
    return found


def _restore(family: str, changes: list[tuple[str, ...]]) -> None:
    """Apply changes to the table `filter` in one transaction."""
    if not changes:
        return
    name = _TOOLS[family]
    tool = programs.find("iptables", f"{name}-nft-restore", f"{name}-restore")
    lines = [" ".join(map(_quoted, change)) for change in changes]
    text = "\n".join(["*filter", *lines, "COMMIT", ""])
    programs.run((tool, "--noflush", "--wait"), text)


def _quoted(word: str) -> str:
    if word.replace("-", "").isalnum():
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
