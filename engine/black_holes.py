"""Whether a container is told where packets as long as its interface lets them do not fit.

What is longer than the next link, and may not be fragmented, is dropped by the host, which
tells the sender of it (RFC 1191, RFC 8201). Where a rule drops that message, connections are
made and then hang with their first long packet.
"""

from __future__ import annotations

from shlex import quote

from ocinet.base.value import Value
from ocinet.engine.firewall.netfilter import legacy_tables
from ocinet.engine.model.flow import LEAVES, TOO_LONG, TracedRule
from ocinet.engine.probing.attempt import OUTSIDER, OUTSIDERS_PORT, Attempt
from ocinet.engine.probing.trace import Trace
from ocinet.engine.ruleset.nft import IPTABLES, listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.kernel.sandbox import OpenNamespace

_IP = {4: "ip", 6: "ip6"}
_WAIT_S = 0.3  # the host tells it at once
_ERRORS = {
    "nft": {4: "icmp type destination-unreachable", 6: "icmpv6 type packet-too-big"},
    "iptables": {
        4: "-p icmp --icmp-type fragmentation-needed -j ACCEPT",
        6: "-p icmpv6 --icmpv6-type packet-too-big -j ACCEPT",
    },
}


class BlackHole(Value):
    """A size of packets that are lost without a word.

    Attributes:
        size: bytes, with their headers.
        why: what keeps the word from the sender.
        remedy: the command that helps.
    """

    size: int
    why: str
    remedy: str


def find_black_hole(sandbox: OpenNamespace, uplink: str, family: int) -> BlackHole | None:
    """Send one packet of the sender's full length to the outside, not to be fragmented.

    Args:
        sandbox: that it is sent from.
        uplink: the link that it would leave by.
        family: 4 or 6.

    Returns:
        None where it would leave, or the sender is told that it is too long; and where a
        short one does not leave either, which is no matter of length.

    Raises:
        SystemFailure: no packet can be sent, or traced: that takes Linux 5.16.

    Effects: a short and a long packet, dropped at the uplink's very end at the latest.
    """
    if not uplink:
        return None
    attempt = Attempt("udp", OUTSIDER[family], OUTSIDERS_PORT, sandbox)
    try:
        if attempt.flow is None:
            return None
        with Trace(attempt.flow, "original", uplink) as trace:
            attempt.send(_WAIT_S)
            if not _leaves(trace.rules()):
                return None
            size, answer = attempt.send_whole(_WAIT_S)
            rules = trace.rules()
    finally:
        attempt.close()
    if _leaves(rules) or answer.kind == TOO_LONG:
        return None
    return _explained(size, rules, family)


def _leaves(rules: tuple[TracedRule, ...]) -> bool:
    return any(rule.verdict == LEAVES for rule in rules)


def _explained(size: int, rules: tuple[TracedRule, ...], family: int) -> BlackHole:
    drop = next((rule for rule in rules if rule.verdict == "drop"), None)
    if drop is None:
        tables = legacy_tables(_IP[family])
        if tables:
            tool = f"{IPTABLES[_IP[family]]}-legacy"
            why = f"{tool} has rules in {', '.join(tables)}, which nft does not trace"
            return BlackHole(size, why, f"{tool} -nvL")
        return BlackHole(size, "no rule of the host's stops it", "ocinet check --repair")
    why = f"{drop.chain}: {drop.rule or 'policy'} → drop"
    kind, table, chain = (quote(word) for word in drop.chain.split(" ", 2))
    if not drop.is_answer:  # the long packet itself, and not the word of it
        remedy = f"see who wants it: {listing(drop.chain)}"
    elif chain.isupper() and kind in IPTABLES:
        remedy = f"{IPTABLES[kind]} -I {chain} {_ERRORS['iptables'][family]}"
    else:
        remedy = f"nft insert rule {kind} {table} {chain} {_ERRORS['nft'][family]} accept"
    return BlackHole(size, why, remedy)
