"""Our accept rules in the iptables chains of others: listed, put there, taken out.

Cold: who judges a passage loads it only where somebody else has chains that forward.
"""

from __future__ import annotations

from ocinet.base.errors import SystemFailure
from ocinet.engine.firewall import programs
from ocinet.engine.model.passage import AcceptRule, ForwardDrop
from ocinet.engine.ruleset.nft import (
    DOCKER_ISOLATION,
    DOCKER_USER,
    IPTABLES,
    forward_accept_rules,
    is_forward_accept,
)
from ocinet.engine.ruleset.tables import TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Deadline
    from ocinet.engine.firewall.netfilter import NetfilterSocket
    from ocinet.engine.model.passage import Passage

_TAG = f"{TABLE}:".encode()


class AcceptRules:
    """The rules that bear our tag, in the chains of iptables that are nftables'.

    Args:
        firewall: reads chains and their rules.
        deadline: of the operation; None: iptables may take as long as it takes.
    """

    def __init__(self, firewall: NetfilterSocket, deadline: Deadline | None = None) -> None:
        self._firewall = firewall
        self._deadline = deadline

    def isolation(self, family: str) -> tuple[str, ...]:
        """Return those of Docker's isolating chains that are there, of ip or ip6."""
        wanted = tuple((family, "filter", name) for name in DOCKER_ISOLATION)
        return tuple(chain.name for chain in self._firewall.chains(wanted))

    def outdated(self, passage: Passage, opened: set[str]) -> tuple[ForwardDrop, ...]:
        """Return where our rules let packets by chains of Docker's that came after them."""
        found = []
        for family in ("ip" if address.family == 4 else "ip6" for address in passage.addresses):
            isolation = self.isolation(family)
            rules = forward_accept_rules(
                passage.device, managed=passage.managed, isolation=isolation
            )
            for chain in self._chains_there(family):
                place = f"{family} filter {chain}"
                count = self._count(family, chain, passage.device)
                if place not in opened and count not in (0, len(rules)):
                    found.append(ForwardDrop(place, chain, place, isolation, outdated=True))
        return tuple(found)

    def add(self, device: str, chains: tuple[str, ...], *, managed: bool) -> bool:
        """Put the rules for a bridge at the top of chains of iptables'.

        Args:
            device: the bridge.
            chains: as in `ForwardDrop.accept_in`.
            managed: whether it is ours.

        Returns:
            False if all were there.

        Effects: runs `iptables-restore` for each family that they are of.

        Raises:
            NotFoundError: iptables is not installed.
            SystemFailure: it failed, or writes to tables that the kernel does not use.
        """
        added = []
        for place in chains:
            family, _table, chain = place.split(" ", 2)
            added.append(self._add(family, chain, device, managed=managed))
        return any(added)

    def _add(self, family: str, chain: str, device: str, *, managed: bool) -> bool:
        isolation = self.isolation(family)
        rules = forward_accept_rules(device, managed=managed, isolation=isolation)
        if self._count(family, chain, device) == len(rules):
            return False
        changes = self._removals(family, device, self._chains_there(family))
        changes += [("-I", chain, str(place), *rule) for place, rule in enumerate(rules, 1)]
        self._restore(family, changes)
        # Looked at in the kernel: iptables-legacy writes to tables of its own, and says it
        # went well.
        if self._count(family, chain, device) != len(rules):
            raise SystemFailure(
                f"cannot let {device} pass {family} filter {chain}",
                f"{IPTABLES[family]}-restore has changed other tables (iptables-legacy?)",
                f"update-alternatives --set {IPTABLES[family]} /usr/sbin/{IPTABLES[family]}-nft",
            )
        return True

    def remove(self, device: str) -> None:
        """Remove the rules for a bridge wherever they are; not there is fine.

        Effects: runs `iptables` and `iptables-restore`.

        Raises:
            SystemFailure: iptables failed.
        """
        for family in IPTABLES:
            chains = self._chains_there(family)
            if any(self._count(family, chain, device) for chain in chains):
                self._restore(family, self._removals(family, device, chains))

    def tagged(self) -> tuple[AcceptRule, ...]:
        """Return all rules of ours that are in tables of others, in order.

        What bears our tag and is otherwise not as we make rules is somebody else's.

        Effects: runs `iptables` for each family that has some.

        Raises:
            NotFoundError: iptables is not installed.
            SystemFailure: it failed.
        """
        found = []
        for family in IPTABLES:
            for chain in self._chains_there(family):
                # Seen by the kernel first: gc runs often, and there are seldom any.
                if not any(_TAG in rule for rule in self._firewall.rules(family, chain)):
                    continue
                for rule in self._listed(family, chain):
                    device = _tagged_device(rule)
                    for managed in (True, False):
                        if device and is_forward_accept(rule, device, managed=managed):
                            found.append(AcceptRule(family, chain, device, rule, managed))
        return tuple(found)

    def delete(self, rule: AcceptRule) -> bool:
        """Delete the first that is like this one; False if there is none.

        Effects: runs `iptables` and `iptables-restore`.

        Raises:
            SystemFailure: iptables failed.
        """
        if rule.rule not in self._listed(rule.family, rule.chain):
            return False
        self._restore(rule.family, [("-D", rule.chain, *rule.rule)])
        return True

    def _listed(self, family: str, chain: str) -> list[tuple[str, ...]]:
        """Return the rules of a chain as iptables prints them, without `-A CHAIN`."""
        from shlex import split

        tool = programs.find("iptables", f"{IPTABLES[family]}-nft", IPTABLES[family])
        lines = programs.run((tool, "-w", "-S", chain), "", self._deadline).splitlines()
        return [tuple(words[2:]) for words in map(split, lines) if words[0] == "-A"]

    def _chains_there(self, family: str) -> tuple[str, ...]:
        wanted = tuple((family, "filter", name) for name in ("FORWARD", DOCKER_USER))
        return tuple(chain.name for chain in self._firewall.chains(wanted))

    def _count(self, family: str, chain: str, device: str) -> int:
        """Return how many rules of a chain bear a bridge's tag."""
        tag = f"{TABLE}:{device}\0".encode()
        return sum(tag in rule for rule in self._firewall.rules(family, chain))

    def _removals(self, family: str, device: str, chains: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Return the deletions of the rules that bear the bridge's tag."""
        tag = f"{TABLE}:{device}"
        return [
            ("-D", chain, *rule)
            for chain in chains
            for rule in self._listed(family, chain)
            if tag in rule
        ]

    def _restore(self, family: str, changes: list[tuple[str, ...]]) -> None:
        """Apply changes to the table `filter` in one transaction."""
        if not changes:
            return
        name = IPTABLES[family]
        tool = programs.find("iptables", f"{name}-nft-restore", f"{name}-restore")
        lines = [" ".join(map(_quoted, change)) for change in changes]
        text = "\n".join(["*filter", *lines, "COMMIT", ""])
        # Without --noflush, all that others have in the table would go first.
        programs.run((tool, "--noflush", "--wait"), text, self._deadline)


def _tagged_device(rule: tuple[str, ...]) -> str:
    """Return the bridge that a rule's comment names, or "" if it is none of ours."""
    tag = next((word for word in rule if word.startswith(f"{TABLE}:")), "")
    return tag.partition(":")[2]


def _quoted(word: str) -> str:
    if word.replace("-", "").isalnum():
        return word
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
