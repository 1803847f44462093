"""Accept rules in tables that are not ours, and who drops what should pass.

A packet must pass the chains of all tables: an accept of ours can't undo
another's drop. Where iptables' FORWARD drops what should pass, by its policy as Docker
sets it or by a rule of its own, rules that bear our tag go there; see `ruleset.nft` for
the rules.
"""

from __future__ import annotations

from ocinet.base.errors import SystemFailure
from ocinet.engine.firewall import nfnetlink
from ocinet.engine.firewall.netfilter import legacy_families
from ocinet.engine.ruleset.tables import FAMILY, PASSED_CHAIN, TABLE, UPLINKS_TABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Deadline
    from ocinet.engine.firewall.accept_rules import AcceptRules
    from ocinet.engine.firewall.netfilter import NetfilterSocket
    from ocinet.engine.model.passage import AcceptRule, ForwardDrop, Passage


class ForwardAccepts:
    """Our accept rules for bridges in the iptables chains that drop.

    Whether they are needed is read from the chains of all, so a flushed chain is seen by
    who asks.

    Args:
        firewall: reads chains and their rules.
        deadline: of the operation; None: iptables may take as long as it takes.
    """

    def __init__(self, firewall: NetfilterSocket, deadline: Deadline | None = None) -> None:
        self._firewall = firewall
        self._deadline = deadline

    def judge(self, passage: Passage) -> tuple[ForwardDrop, ...]:
        """Return the base chains of others, of all tables, that drop what should pass.

        Raises:
            KernelError: the kernel refused to answer.
        """
        chains = nfnetlink.passing_filters(self._firewall.dump(nfnetlink.dump_chains()))
        others = tuple(chain for chain in chains if chain.table not in (TABLE, UPLINKS_TABLE))
        legacy = self._legacy(passage)
        if not others:
            return legacy
        from ocinet.engine.firewall.judgement import judge  # much to load, and often for nothing

        ours = self._rules()
        drops = tuple(
            drop.replace(isolation=ours.isolation(drop.accept_in.split(" ", 1)[0]))
            if drop.accept_in
            else drop
            for drop in judge(self._firewall, others, passage)
        )
        return drops + legacy + ours.outdated(passage, {drop.accept_in for drop in drops})

    def unnumbered(self) -> bool:
        """Tell whether iptables-legacy has tables: the kernel does not number their changes."""
        return bool(legacy_families())

    def _legacy(self, passage: Passage) -> tuple[ForwardDrop, ...]:
        families = legacy_families()
        if not families:
            return ()
        from ocinet.engine.firewall.judgement import drops_of_legacy

        return drops_of_legacy(families, passage, self._deadline)

    def unmarked(self) -> tuple[str, ...]:
        """Return what has packets reach a bridge without the mark of our table; see `seams`.

        Raises:
            KernelError: the kernel refused to answer.
        """
        found = nfnetlink.flowtables(self._firewall.dump(nfnetlink.dump_flowtables()))
        wanted = tuple((FAMILY, TABLE, chain) for chain in ("postrouting", PASSED_CHAIN))
        there = {chain.name for chain in self._firewall.chains(wanted)}
        ours = (f"table {FAMILY} {TABLE}",) if there == {"postrouting"} else ()
        return (*(f"flowtable {name}" for name in found), *ours)

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
        return self._rules().add(device, chains, managed=managed)

    def remove(self, device: str) -> None:
        """Remove the rules for a bridge wherever they are; not there is fine.

        Effects: runs `iptables` and `iptables-restore`.

        Raises:
            SystemFailure: iptables failed.
        """
        self._rules().remove(device)

    def tagged(self) -> tuple[AcceptRule, ...]:
        """Return all rules of ours that are in tables of others, in order.

        What bears our tag and is otherwise not as we make rules is somebody else's.

        Effects: runs `iptables` for each family that has some.

        Raises:
            NotFoundError: iptables is not installed.
            SystemFailure: it failed.
        """
        return self._rules().tagged()

    def delete(self, rule: AcceptRule) -> bool:
        """Delete the first that is like this one; False if there is none.

        Effects: runs `iptables` and `iptables-restore`.

        Raises:
            SystemFailure: iptables failed.
        """
        return self._rules().delete(rule)

    def join_zone(self, passage: Passage) -> tuple[ForwardDrop, ...]:
        """Have firewalld take a bridge into our zone, until it is reloaded.

        Returns:
            What firewalld drops all the same: some policies are in force only for links that
            are in a zone (firewalld 2).

        Effects: runs `firewall-cmd`.

        Raises:
            NotFoundError: there is no firewall-cmd.
            SystemFailure: firewalld does not run, has no such zone, or has it in another one.
        """
        from ocinet.engine.firewall import firewalld

        try:
            firewalld.join(passage.device, self._deadline)
        except SystemFailure as error:
            raise error.within(f"cannot have {passage.device} in firewalld's zone") from error
        return tuple(drop for drop in self.judge(passage) if drop.zoned)

    def leave_zone(self, device: str) -> None:
        """Take a bridge out of our zone of firewalld's; not in is fine.

        Effects: runs `firewall-cmd` if it is in.
        """
        from ocinet.engine.firewall import firewalld
        from ocinet.engine.firewall.judgement import Table

        ruleset = Table(self._firewall, *firewalld.TABLE)
        firewalld.leave(self._firewall, ruleset, device, self._deadline)

    def _rules(self) -> AcceptRules:
        from ocinet.engine.firewall.accept_rules import AcceptRules  # not for an attach alone

        return AcceptRules(self._firewall, self._deadline)
