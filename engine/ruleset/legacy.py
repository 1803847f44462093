"""What lets a bridge's packets pass iptables-legacy's tables, for people to do. Pure.

Nothing is added there by ocinet: who uses these tables has others that are not seen by who
uses nftables, and mixing the two is what iptables itself warns of.
"""

from __future__ import annotations

from ocinet.engine.ruleset.nft import forward_accept_commands

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.model.passage import ForwardDrop


def explain(drop: ForwardDrop, device: str, *, managed: bool) -> str:
    """Return who drops a bridge's packets, and the commands that let them pass.

    Args:
        drop: by a chain of iptables-legacy's; with `at` of "" it could not be read.
        device: the bridge.
        managed: whether it is ours.
    """
    if not drop.at:
        return (
            f"{drop.legacy} has a table filter here, which can't be read without it, and may"
            f" drop packets of {device}: apt-get install iptables"
        )
    _family, table, chain = drop.chain.split(" ")
    if table != "filter":
        adds = (f"{drop.legacy} -t {table} -I {chain} {way} -j ACCEPT" for way in drop.lets)
        opening = " && ".join(adds) or f"{drop.legacy} -t {table} -nvL {chain}, shows the rule"
        within = f", in {drop.at}" if drop.at != chain else ""
        return f"{table} {chain} of {drop.legacy} drops packets of {device}{within}: {opening}"
    commands = forward_accept_commands(
        device, managed=managed, chain=drop.chain, isolation=drop.isolation
    )
    opening = " && ".join(f"{drop.legacy} {command.partition(' ')[2]}" for command in commands)
    at = f", in {drop.at}" if drop.at != "FORWARD" else ""
    return (
        f"filter FORWARD of {drop.legacy} drops packets of {device} that no rule accepts{at}:"
        f" {opening}"
    )
