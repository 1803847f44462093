"""What loses packets and is no rule that a trace would show: asked of `nft`, `tc` and `ip`.

Chains at a device's own hooks come before prerouting and behind postrouting, queues drop what
does not fit, and a fixed neighbour has packets sent to whoever it names.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ocinet.base.address import Address
from ocinet.base.value import Value
from ocinet.engine.probing.routes import run_there

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ocinet.base.clock import Deadline
    from ocinet.engine.kernel.sandbox import OpenNamespace

_TABLE = re.compile(r"table (\S+ \S+) \{")
_CHAIN = re.compile(r"\tchain (\S+) \{")
_HOOK = re.compile(
    r"\t\ttype (?P<type>\S+) hook (?P<hook>\S+)"
    r"(?: devices? (?:= \{ (?P<several>[^}]*) \}|(?P<one>\S+)))?"
    r" priority .*?(?:policy (?P<policy>\w+))?;?$"
)
_LOSSLESS = ("noqueue", "clsact", "ingress")


class HookedChain(Value):
    """A base chain of somebody's.

    Attributes:
        chain: family, table and name, as nft takes them.
        kind: filter, nat or route.
        hook: where it is entered.
        devices: whose hook that is; () for one of the whole network namespace.
        policy: accept or drop.
    """

    chain: str
    kind: str
    hook: str
    devices: tuple[str, ...]
    policy: str


class Queue(Value):
    """A queue of a link that has dropped packets, or holds some back.

    Attributes:
        ifname: the link's.
        kind: as `tbf`.
        dropped: how many packets.
        held: how many wait now.
    """

    ifname: str
    kind: str
    dropped: int
    held: int


class FixedNeighbour(Value):
    """A neighbour that somebody has set for good: nobody is asked for its MAC any more.

    Attributes:
        address: of the neighbour.
        ifname: the link that it is met by.
        mac: that it is taken to have.
    """

    address: Address
    ifname: str
    mac: str


def hooked_chains(
    deadline: Deadline | None, sandbox: OpenNamespace | None = None
) -> tuple[HookedChain, ...]:
    """Return all base chains of a network namespace, whoever's they are.

    Args:
        deadline: of the operation.
        sandbox: that is asked; None: the host.

    Raises:
        NotFoundError: nft is not installed.
        SystemFailure: it refuses.
    """
    # In words: of JSON, nft before 1.0.9 leaves the devices out.
    told = run_there(("nftables", "nft", "list", "chains"), deadline, sandbox)
    return tuple(parse_chains(told.splitlines()))


def parse_chains(lines: Iterable[str]) -> Iterable[HookedChain]:
    """Read what `nft list chains` prints."""
    table = name = ""
    for line in lines:
        if found := _TABLE.match(line):
            table = found[1]
        elif found := _CHAIN.match(line):
            name = found[1]
        elif found := _HOOK.match(line):
            words = (found["several"] or found["one"] or "").replace(",", " ").split()
            devices = tuple(word.strip('"') for word in words)
            policy = found["policy"] or "accept"
            yield HookedChain(f"{table} {name}", found["type"], found["hook"], devices, policy)


def lossy_queues(ifnames: Iterable[str], deadline: Deadline | None) -> tuple[Queue, ...]:
    """Return the queues of links of the host that drop packets, or hold them back.

    Raises:
        NotFoundError: iproute2 is not installed.
        SystemFailure: it refuses.
    """
    told = run_there(("iproute2", "tc", "-s", "-j", "qdisc", "show"), deadline, None)
    wanted = set(ifnames)
    queues = (
        Queue(each.get("dev", ""), each["kind"], each.get("drops", 0), each.get("qlen", 0))
        for each in _list(told)
        if each.get("root") and each["kind"] not in _LOSSLESS
    )
    return tuple(queue for queue in queues if queue.ifname in wanted and queue.dropped + queue.held)


def fixed_neighbours(
    deadline: Deadline | None, sandbox: OpenNamespace | None = None
) -> tuple[FixedNeighbour, ...]:
    """Return the neighbours that somebody has set for good.

    Raises:
        NotFoundError: iproute2 is not installed.
        SystemFailure: it refuses.
    """
    words = ("iproute2", "ip", "-j", "neigh", "show", "nud", "permanent")
    return tuple(
        FixedNeighbour(Address.parse(each["dst"]), each["dev"], each.get("lladdr", ""))
        for each in _list(run_there(words, deadline, sandbox))
    )


def _list(told: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(told or "[]")
    return found
