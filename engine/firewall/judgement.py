"""Whether what should pass the host does, judged by the rules of everybody's chains.

A packet has to get through the base chains of all tables, and one drop is final. So each
of them is judged by itself, with a packet of each kind that should pass. Cold, and not
for each attach: whoever asks remembers the answer, see `records.passages`.
"""

from __future__ import annotations

from ocinet.engine.firewall import firewalld, ipset, nfnetlink, programs
from ocinet.engine.firewall.nfnetlink import FORWARD, POSTROUTING, PREROUTING
from ocinet.engine.firewall.rules import decode_element, decode_key_length, decode_rule
from ocinet.engine.firewall.sample import DNAT, ORIGINAL, REPLY, Sample
from ocinet.engine.firewall.walk import Walk
from ocinet.engine.model.passage import ForwardDrop
from ocinet.engine.ruleset.nft import DOCKER_ISOLATION, DOCKER_USER, IPTABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address
    from ocinet.base.clock import Deadline
    from ocinet.engine.firewall.netfilter import NetfilterSocket
    from ocinet.engine.firewall.nfnetlink import Chain
    from ocinet.engine.firewall.rules import Datum, Expression
    from ocinet.engine.model.passage import Passage

_FAMILIES = {"ip": (4,), "ip6": (6,), "inet": (4, 6)}


def judge(
    firewall: NetfilterSocket, chains: tuple[Chain, ...], passage: Passage
) -> tuple[ForwardDrop, ...]:
    """Return those of some base chains that drop what should pass.

    Args:
        firewall: reads rules and sets.
        chains: of others.
        passage: what should.

    Raises:
        KernelError: the kernel refused to answer.
    """
    samples = samples_of(passage)
    tables: dict[tuple[str, str], Table] = {}
    found = []
    for chain in chains:
        key = (chain.family, chain.table)
        if key == firewalld.TABLE and chain.hook != FORWARD:
            continue  # those drop by senders alone
        table = tables.setdefault(key, Table(firewall, *key))
        walks = [
            Walk(table, _seen_by(chain, sample, passage))
            for sample in samples
            if sample.family in _FAMILIES[chain.family]
        ]
        dropped = [
            walk for walk in walks if walk.is_dropped(chain.name, policy_drops=chain.policy_drops)
        ]
        early = (
            _drop_before_routing(table, chain, walks, dropped, passage)
            if chain.hook == PREROUTING
            else None
        )
        if early:
            found.append(early)
        elif dropped and key == firewalld.TABLE:
            found += firewalld.drops(firewall, table, chain, dropped, passage.device)
        elif dropped:
            found.append(_drop(chain, dropped))
        else:
            unsure = [index for walk in walks for index in walk.unsure]
            if unsure:
                name = table.ipset_name(unsure[0]) or f"number {unsure[0]}"
                found.append(ForwardDrop(str(chain), chain.name, ipset=name))
    return tuple(found)


def drops_of_legacy(
    families: tuple[str, ...], passage: Passage, deadline: Deadline | None
) -> tuple[ForwardDrop, ...]:
    """Return what iptables-legacy's tables drop of what should pass.

    Args:
        families: ip, ip6: those that have some.
        passage: what should.
        deadline: of the operation.

    Effects: runs `iptables-legacy-save` for each of them.

    Raises:
        SystemFailure: it failed.
    """
    wanted = {"ip" if address.family == 4 else "ip6" for address in passage.addresses}
    found: list[ForwardDrop | None] = []
    for family in (family for family in families if family in wanted):
        legacy = f"{IPTABLES[family]}-legacy"
        try:
            tool = programs.find("iptables", f"{legacy}-save")
        except programs.MissingProgramError:
            found.append(ForwardDrop(f"{family} filter FORWARD", "", legacy=legacy))
            continue
        text = programs.run((tool,), "", deadline)
        found.append(judge_legacy(family, text, passage, DOCKER_ISOLATION))
        found += judge_other_legacy(family, text, passage)
    return tuple(drop for drop in found if drop)


def judge_legacy(
    family: str, text: str, passage: Passage, isolation: tuple[str, ...]
) -> ForwardDrop | None:
    """Return what of iptables-legacy's drops what should pass; None if nothing does.

    Args:
        family: ip or ip6.
        text: of its tables, as `iptables-legacy-save` prints them; `filter` is judged.
        passage: what should.
        isolation: Docker's chains that keep others out, of which those that are there count.
    """
    from ocinet.engine.firewall.legacy import SavedWalk, parse

    chains = parse(text, "filter")
    number = 4 if family == "ip" else 6
    walks = [SavedWalk(chains, sample) for sample in samples_of(passage) if sample.family == number]
    dropped = [walk for walk in walks if "FORWARD" in chains and walk.is_dropped("FORWARD")]
    if not dropped:
        unsure = [name for walk in walks for name in walk.unsure]
        return (
            ForwardDrop(f"{family} filter FORWARD", "FORWARD", ipset=unsure[0]) if unsure else None
        )
    by_docker = all(DOCKER_USER in walk.visited for walk in dropped)
    return ForwardDrop(
        chain=f"{family} filter {DOCKER_USER if by_docker else 'FORWARD'}",
        at=dropped[0].visited[-1],
        isolation=tuple(name for name in isolation if name in chains),
        legacy=f"{IPTABLES[family]}-legacy",
    )


def judge_other_legacy(family: str, text: str, passage: Passage) -> tuple[ForwardDrop, ...]:
    """Return what chains of iptables-legacy's other tables drop of what should pass.

    Args:
        family: ip or ip6.
        text: as in `judge_legacy`.
        passage: what should.
    """
    from ocinet.engine.firewall.legacy import OTHER_CHAINS, SavedWalk, parse

    number = 4 if family == "ip" else 6
    samples = [sample for sample in samples_of(passage) if sample.family == number]
    found = []
    for table, name, hook, priority in OTHER_CHAINS:
        chains = parse(text, table)
        seen = [_seen_at(hook, priority, sample, passage) for sample in samples]
        walks = [SavedWalk(chains, sample) for sample in seen if name in chains]
        dropped = [walk for walk in walks if walk.is_dropped(name)]
        if dropped:
            ends = [(walk.sample.iifname, walk.sample.oifname) for walk in dropped]
            # -i is refused in POSTROUTING; -o in PREROUTING, where no sample has one either.
            lets = {
                "-i": hook != POSTROUTING and any(by == passage.device for by, _to in ends),
                "-o": any(to == passage.device for _by, to in ends),
            }
            legacy = f"{IPTABLES[family]}-legacy"
            found.append(
                ForwardDrop(
                    f"{family} {table} {name}", dropped[0].visited[-1], legacy=legacy,
                    lets=tuple(f"{way} {passage.device}" for way, helps in lets.items() if helps),
                )
            )  # fmt: skip
    return tuple(found)


def _drop(chain: Chain, walks: list[Walk]) -> ForwardDrop:
    accept_in = ""
    if chain.family != "inet" and (chain.table, chain.name) == ("filter", "FORWARD"):
        # Docker's chain for the rules of others does if they all come by it in time.
        by_docker = all(DOCKER_USER in walk.visited for walk in walks)
        accept_in = f"{chain.family} filter {DOCKER_USER if by_docker else 'FORWARD'}"
    return ForwardDrop(str(chain), walks[0].visited[-1], accept_in)


def _seen_by(chain: Chain, sample: Sample, passage: Passage) -> Sample:
    return _seen_at(chain.hook, chain.priority, sample, passage)


def _seen_at(hook: str, priority: int, sample: Sample, passage: Passage) -> Sample:
    """Return a sample as chains of a hook see it, which is judged as on the forward hook."""
    hosts = next((each for each in passage.hosts if each.family == sample.family), None)
    if hook == PREROUTING:
        return sample.before_routing(priority, hosts)
    return sample.after_routing(priority, hosts) if hook == POSTROUTING else sample


def _drop_before_routing(
    table: Table, chain: Chain, walks: list[Walk], dropped: list[Walk], passage: Passage
) -> ForwardDrop | None:
    """Return what a chain drops that does not know yet where packets are to leave; or None.

    Connections to published ports are let in or kept out there by the port's number: those that
    are to be published are tried, each by itself.

    Args:
        table: that the chain is in.
        chain: on the prerouting hook.
        walks: all samples' through it.
        dropped: those of them that end there.
        passage: what should pass.
    """
    lets: list[str] = []
    ends = list(dropped)
    for walk in walks:
        sample = walk.sample
        if sample.local and sample.direction == ORIGINAL:
            for port in passage.ports:
                knocking = Walk(table, sample.replace(port=port))
                if knocking.is_dropped(chain.name, policy_drops=chain.policy_drops):
                    lets.append(f"tcp dport {port}" if port else "fib daddr type local")
                    ends.append(knocking)
        elif walk not in dropped:
            continue
        elif sample.iifname != passage.uplink or sample.source is not None:
            lets.append(f"iifname '\"{passage.device}\"'")
        elif sample.direction == REPLY:
            by = "ct state established,related" if sample.tracked else f"iifname {passage.uplink}"
            lets.append(by)
        elif passage.ports:
            lets.append("ct status dnat")
    if not ends:
        return None
    return _drop(chain, ends).replace(lets=tuple(dict.fromkeys(lets)), idle=not lets)


def samples_of(passage: Passage) -> tuple[Sample, ...]:
    """Return a packet of each kind that should pass: the first of a flow, and its answer."""
    found = []
    device, uplink = (passage.device, passage.ifindex), passage.uplink
    for address in passage.addresses:
        inward = Sample(
            address.family, uplink, device[0], oif=device[1], destination=address, status=DNAT
        )
        firsts = [inward] if passage.published else []
        outward = Sample(address.family, device[0], uplink, iif=device[1], source=address)
        if passage.out:
            firsts.append(outward)
        if passage.siblings:
            beside = outward.replace(oifname=device[0], oif=device[1], destination=address)
            firsts.append(beside)
        found += [sample for first in firsts for sample in (first, first.reply())]
    return tuple(found)


class Table:
    """A table of others, each part of it read when it is come by.

    Args:
        firewall: to ask.
        family: as nft's commands name it.
        table: its name.
    """

    def __init__(self, firewall: NetfilterSocket, family: str, table: str) -> None:
        self._firewall = firewall
        self._where = family, table
        self._rules: dict[str, tuple[tuple[Expression, ...], ...]] = {}
        self._lengths: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._elements: dict[tuple[str, bytes], Datum | None] = {}

    def rules(self, chain: str) -> tuple[tuple[Expression, ...], ...]:
        """Return the rules of a chain."""
        if chain not in self._rules:
            bodies = self._firewall.dump(nfnetlink.dump_rules(*self._where, chain))
            self._rules[chain] = tuple(map(decode_rule, bodies))
        return self._rules[chain]

    def key_length(self, name: str) -> int:
        """Return how long the keys of a set are; 0 if it is gone."""
        if name not in self._lengths:
            body = self._ask(nfnetlink.get_set(1, *self._where, name))
            self._lengths[name] = decode_key_length(body) if body else 0
        return self._lengths[name]

    def element(self, name: str, key: bytes) -> Datum | None:
        """Return what a key leads to, or None if it is not in."""
        if (name, key) not in self._elements:
            body = self._ask(nfnetlink.get_set_element(1, *self._where, name, key))
            self._elements[name, key] = decode_element(body) if body else None
        return self._elements[name, key]

    def in_ipset(self, index: int, address: Address) -> bool | None:
        """Tell whether an address is in a set of ipset's; None if the kernel does not say."""
        name = self.ipset_name(index)
        if not name:
            return None
        _answers, refusals = self._firewall.look_up(ipset.test(name, address), 1)
        if not refusals:
            return True
        return False if refusals[0].errno == ipset.NOT_IN else None

    def ipset_name(self, index: int) -> str:
        """Return the name of a set of ipset's by its number; "" if the kernel does not say."""
        if index not in self._names:
            body = self._ask(ipset.get_by_index(index))
            self._names[index] = ipset.decode_name(body) if body else ""
        return self._names[index]

    def _ask(self, question: bytes) -> bytes:
        answers, _refusals = self._firewall.look_up(question, 1)
        return answers[0].body if answers else b""
