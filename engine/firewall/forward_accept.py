"""Accept rules in tables that are not ours.

A packet must pass the chains of all tables: an accept of ours can't undo
another's drop. Where iptables' FORWARD drops what it does not know, as Docker
sets it, rules that bear our tag go there; see `ruleset.nft` for the rules.
"""

from __future__ import annotations

from ocinet.base.errors import SystemFailure
from ocinet.engine.ruleset.nft import DOCKER_ISOLATION, DOCKER_USER, TABLE, forward_accept_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.firewall.netfilter import NetfilterSocket

_TOOLS = {"ip": "iptables", "ip6": "ip6tables"}
_FORWARDS = tuple((family, "filter", "FORWARD") for family in _TOOLS)
_FEWEST_ACCEPTS = 2  # one per direction


class ForwardAccepts:
    """Our accept rules for bridges in the iptables chains that drop.

    Whether they are there is read from those chains each time, so nothing has to be
    remembered and a flushed chain is seen at once.

    Args:
        firewall: reads chains and their rules.
    """

    def __init__(self, firewall: NetfilterSocket) -> None:
        self._firewall = firewall

    def is_accepted(self, device: str) -> bool:
        """Tell whether our rules for a bridge are in each iptables chain that drops.

        True where nothing drops.
        """
        return all(
            self._place_and_count(chain.family, device)[1] >= _FEWEST_ACCEPTS
            for chain in self._firewall.chains(_FORWARDS)
            if chain.forward_drop
        )

    def add(self, device: str, *, managed: bool) -> bool:
        """Put the rules for a bridge where FORWARD drops; False if all were there.

        Args:
            device: the bridge.
            managed: whether it is ours.

        Effects: runs `iptables-restore` for each family whose FORWARD drops.

        Raises:
            NotFoundError: iptables is not installed.
            SystemFailure: it failed, or writes to tables that the kernel does not use.
        """
        added = [self._add(family, device, managed=managed) for family in _TOOLS]
        return any(added)

    def _add(self, family: str, device: str, *, managed: bool) -> bool:
        wanted = tuple((family, "filter", name) for name in ("FORWARD", DOCKER_ISOLATION))
        found = {chain.name: chain for chain in self._firewall.chains(wanted)}
        if "FORWARD" not in found or not found["FORWARD"].forward_drop:
            return False
        rules = forward_accept_rules(
            device, managed=managed, isolation=DOCKER_ISOLATION if DOCKER_ISOLATION in found else ""
        )
        chain, count = self._place_and_count(family, device)
        if count == len(rules):
            return False
        changes = _removals(family, device, self._chains_there(family)) if count else []
        changes += [("-I", chain, str(place), *rule) for place, rule in enumerate(rules, 1)]
        _restore(family, changes)
        # Looked at in the kernel: iptables-legacy writes to tables of its own, and says it
        # went well.
        if self._place_and_count(family, device)[1] != len(rules):
            raise SystemFailure(
                f"cannot let {device} pass {family} filter FORWARD",
                f"{_TOOLS[family]}-restore has changed other tables (iptables-legacy?)",
                f"update-alternatives --set {_TOOLS[family]} /usr/sbin/{_TOOLS[family]}-nft",
            )
        return True

    def remove(self, device: str) -> None:
        """Remove the rules for a bridge wherever they are; not there is fine.

        Effects: runs `iptables` and `iptables-restore`.

        Raises:
            SystemFailure: iptables failed.
        """
        for family in _TOOLS:
            chains = self._chains_there(family)
            if chains:
                _restore(family, _removals(family, device, chains))

    def _chains_there(self, family: str) -> tuple[str, ...]:
        wanted = tuple((family, "filter", name) for name in ("FORWARD", DOCKER_USER))
        return tuple(chain.name for chain in self._firewall.chains(wanted))

    def _place_and_count(self, family: str, device: str) -> tuple[str, int]:
        """Return the iptables chain for our rules, and how many for this bridge work.

        The chain is Docker's for the rules of others if FORWARD leads to it. A rule
        works in either.
        """
        tag = f"{TABLE}:{device}\0".encode()
        forward = self._firewall.rules(family, "FORWARD")
        count = sum(tag in rule for rule in forward)
        if not any(f"{DOCKER_USER}\0".encode() in rule for rule in forward):
            return "FORWARD", count
        others = self._firewall.rules(family, DOCKER_USER)
        return DOCKER_USER, count + sum(tag in rule for rule in others)


def _removals(family: str, device: str, chains: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the deletions of the rules that bear the bridge's tag."""
    from shlex import split

    from ocinet.engine.firewall import programs

    tool = programs.find("iptables", f"{_TOOLS[family]}-nft", _TOOLS[family])
    tag = f"{TABLE}:{device}"
    found = []
    for chain in chains:
        for line in programs.run((tool, "-w", "-S", chain)).splitlines():
            verb, *rule = split(line)
            if verb == "-A" and tag in rule:
                found.append(("-D", *rule))
    return found


def _restore(family: str, changes: list[tuple[str, ...]]) -> None:
    """Apply changes to the table `filter` in one transaction."""
    if not changes:
        return
    from ocinet.engine.firewall import programs

    name = _TOOLS[family]
    tool = programs.find("iptables", f"{name}-nft-restore", f"{name}-restore")
    lines = [" ".join(map(_quoted, change)) for change in changes]
    text = "\n".join(["*filter", *lines, "COMMIT", ""])
    # Without --noflush, all that others have in the table would go first.
    programs.run((tool, "--noflush", "--wait"), text)


def _quoted(word: str) -> str:
    if word.replace("-", "").isalnum():
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
