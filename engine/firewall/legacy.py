"""A sample's way through the rules of iptables-legacy's, as its own program prints them. Pure.

They are not nftables': nf_tables shows nothing of them.
"""

from __future__ import annotations

from ocinet.base.value import Value
from ocinet.engine.firewall.nfnetlink import FORWARD, POSTROUTING, PREROUTING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocinet.engine.firewall.sample import Sample

_MAX_DEPTH = 16
_DROPS = ("DROP", "REJECT")
_ACCEPTS = ("ACCEPT", "NFQUEUE", "QUEUE")
_FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "NONE": 0, "ALL": 63}


class SavedChain(Value):
    """A chain as `iptables-legacy-save` prints it.

    Attributes:
        policy: "-" where it is none of the kernel's own.
        rules: in order, each without `-A CHAIN`.
    """

    policy: str
    rules: tuple[tuple[str, ...], ...]


# Of the tables beside `filter`, what packets that are forwarded come by: the chain, its hook and
# priority (NF_IP_PRI_*).
OTHER_CHAINS = (
    ("raw", "PREROUTING", PREROUTING, -300),
    ("mangle", "PREROUTING", PREROUTING, -150),
    ("mangle", "FORWARD", FORWARD, -150),
    ("mangle", "POSTROUTING", POSTROUTING, -150),
    ("security", "FORWARD", FORWARD, 50),
)


def parse(text: str, table: str) -> dict[str, SavedChain]:
    r"""Read the chains of one table; {} if it is not there.

    >>> parse("*filter\n:FORWARD DROP [0:0]\n-A FORWARD -i lan -j ACCEPT\nCOMMIT\n", "filter")
    {'FORWARD': SavedChain(policy='DROP', rules=(('-i', 'lan', '-j', 'ACCEPT'),))}
    """
    from shlex import split

    policies: dict[str, str] = {}
    rules: dict[str, list[tuple[str, ...]]] = {}
    at = ""
    for line in text.splitlines():
        if line.startswith("*"):
            at = line[1:].strip()
        elif at != table:
            continue
        elif line.startswith(":"):
            name, policy, *_counts = line[1:].split()
            policies[name] = policy
        elif line.startswith("-A "):
            _append, name, *words = split(line)
            rules.setdefault(name, []).append(tuple(words))
    return {
        name: SavedChain(policy, tuple(rules.get(name, ()))) for name, policy in policies.items()
    }


class SavedWalk:
    """One sample's way through saved chains.

    Args:
        chains: of the table.
        sample: that goes through it.

    Attributes:
        sample: as it was given.
        visited: the chains that it came by, in order; where it was dropped last.
        unsure: sets of ipset's that a rule looks it up in: that is not done here, and the
            walk goes on as if the rule was for others.
    """

    def __init__(self, chains: dict[str, SavedChain], sample: Sample) -> None:
        self._chains = chains
        self.sample = sample
        self.visited: list[str] = []
        self.unsure: list[str] = []

    def is_dropped(self, chain: str) -> bool:
        """Tell whether a chain of the kernel's own drops it."""
        verdict = self._through(chain, 0)
        if not verdict:
            self.visited.append(chain)
            verdict = self._chains[chain].policy
        return verdict in _DROPS

    def _through(self, name: str, depth: int) -> str:
        """Return what decides on it: ACCEPT, DROP or REJECT; "" where a chain ends without."""
        self.visited.append(name)
        if depth >= _MAX_DEPTH or name not in self._chains:
            return ""
        for rule in self._chains[name].rules:
            verb, target = _target(rule)
            names, others = _without_sets(rule)
            if not target or not is_matched(others, self.sample):
                continue
            if names:
                self.unsure += names
                continue
            if target in (*_DROPS, *_ACCEPTS):
                if self.visited[-1] != name:
                    self.visited.append(name)
                return "ACCEPT" if target in _ACCEPTS else target
            if target == "RETURN":
                return ""
            if target in self._chains:
                final = self._through(target, depth + 1)
                if final or verb == "-g":
                    return final
        return ""


def _target(rule: tuple[str, ...]) -> tuple[str, str]:
    """Return how a rule goes on, -j or -g, and where; "" if it only counts."""
    return next(
        ((word, rule[at + 1]) for at, word in enumerate(rule[:-1]) if word in ("-j", "-g")),
        ("", ""),
    )


def _without_sets(rule: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    """Return the sets that a rule looks packets up in, and the rule without that."""
    names: list[str] = []
    words = list(rule)
    while "--match-set" in words:
        at = words.index("--match-set")
        names.append(words[at + 1])
        first = at - 1 if at and words[at - 1] == "!" else at
        del words[first : at + 3]
    return names, tuple(words)


def is_matched(rule: tuple[str, ...], sample: Sample) -> bool:
    """Tell whether a rule is for a sample. One with a match that is not known is not.

    Args:
        rule: as in `SavedChain`.
        sample: a packet; what is not known of it differs from whatever it is compared with.
    """
    words = iter(rule)
    inverted = False
    for word in words:
        if word in ("-j", "-g"):
            return True
        if word == "!":
            inverted = True
            continue
        known = _MATCHES.get(word)
        if known is None or known(words, sample) is inverted:
            return False
        inverted = False
    return True


def _interface(words: Iterator[str], ifname: str) -> bool:
    wanted = next(words)
    if wanted.endswith("+"):
        return bool(ifname) and ifname.startswith(wanted[:-1])
    return ifname == wanted


def _address(words: Iterator[str], sample: Sample, *, source: bool) -> bool:
    from ocinet.base.address import Subnet
    from ocinet.base.errors import RequestError

    text = next(words)
    address = sample.source if source else sample.destination
    try:
        subnet = Subnet.parse(text)
    except RequestError:
        return False  # a mask with holes
    return address is not None and address in subnet


def _states(words: Iterator[str], sample: Sample) -> bool:
    has = {"ESTABLISHED" if sample.direction else "NEW", *(("DNAT",) if sample.status else ())}
    return bool(has & set(next(words).split(",")))


def _flags(words: Iterator[str], sample: Sample) -> bool:
    mask, wanted = (sum(_FLAGS.get(flag, 0) for flag in next(words).split(",")) for _ in "ab")
    return sample.tcp_flags & mask == wanted


def _passed_by(words: Iterator[str], _sample: Sample) -> bool:
    next(words)
    return True


def _picks_out(words: Iterator[str], _sample: Sample) -> bool:
    """A port or the like of somebody in particular."""
    next(words)
    return False


_KNOWN_MATCHES = (
    "comment", "limit", "conntrack", "state", "addrtype", "tcp", "multiport", "mark", "set",
)  # fmt: skip
_MATCHES = {
    "-i": lambda words, sample: _interface(words, sample.iifname),
    "-o": lambda words, sample: _interface(words, sample.oifname),
    "-s": lambda words, sample: _address(words, sample, source=True),
    "-d": lambda words, sample: _address(words, sample, source=False),
    "-p": lambda words, _sample: next(words) in ("tcp", "all"),
    "-m": lambda words, _sample: next(words) in _KNOWN_MATCHES,
    "--comment": _passed_by,
    "--limit": _passed_by,
    "--limit-burst": _passed_by,
    "--ctstate": _states,
    "--state": _states,
    "--ctstatus": lambda words, sample: "DNAT" in next(words).split(",") and bool(sample.status),
    "--ctdir": lambda words, sample: (next(words) == "REPLY") == bool(sample.direction),
    "--src-type": lambda words, _sample: "UNICAST" in next(words).split(","),
    "--dst-type": lambda words, _sample: "UNICAST" in next(words).split(","),
    "--tcp-flags": _flags,
    "--mark": lambda words, _sample: int(next(words).partition("/")[0], 0) == 0,
    **dict.fromkeys(("--dport", "--sport", "--dports", "--sports", "--ports"), _picks_out),
}
