"""One packet's way from one end to another, as it was tried: values."""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.value import Value

ANSWERED, ARRIVED, REFUSED, SILENT, UNSENT = "answered", "arrived", "refused", "silent", "unsent"
TOO_LONG = "too long"
LEAVES = "leaves"  # the machine


class Flow(Value):
    """The first packet of a connection, and what its answer is told by.

    Attributes:
        protocol: tcp, udp or icmp.
        source: its address.
        source_port: of tcp and udp; the identifier of icmp.
        destination: its address.
        port: that it is for; 0 for icmp.
    """

    protocol: str
    source: Address
    source_port: int
    destination: Address
    port: int = 0

    @property
    def family(self) -> int:
        """4 or 6."""
        return self.destination.family


class TracedRule(Value):
    """What one rule, or the end of a base chain, did with the packet.

    Attributes:
        chain: as nft's commands name it: `ip filter FORWARD`.
        rule: as nft lists it; "" for the chain's policy.
        verdict: accept, drop, continue, return, or `jump CHAIN`; `LEAVES` where it has
            passed all.
        is_answer: whether it was a packet of the way back.
        is_reset: whether it was one that refuses a connection.
    """

    chain: str
    rule: str
    verdict: str
    is_answer: bool = False
    is_reset: bool = False


class Answer(Value):
    """What became of a packet that was really sent.

    Attributes:
        kind: `ANSWERED`; `ARRIVED`, where no answer is to be expected; `REFUSED`, `SILENT`,
            `TOO_LONG` where somebody on the way said so, or `UNSENT` where the kernel did not
            send it.
        why: what the kernel said, as "No route to host"; where it arrived; or "".
    """

    kind: str
    why: str = ""


class Hop(Value):
    """One station of the way.

    Attributes:
        place: where: `web`, `host`, `outside`.
        what: in one line.
        ok: whether the packet gets past it.
        remedy: the command that helps; "" where there is none, or none is needed.
    """

    place: str
    what: str
    ok: bool = True
    remedy: str = ""


class Explanation(Value):
    """A way, walked.

    Attributes:
        hops: in order; the last one that is not `ok` is where it ends.
        rules: that a real packet met, and its answer, in order.
        answer: what became of that packet.
        drop: the rule or policy that dropped it, or its answer.
    """

    hops: tuple[Hop, ...]
    rules: tuple[TracedRule, ...]
    answer: Answer
    drop: TracedRule | None = None

    @property
    def ok(self) -> bool:
        """Whether it got to where it was to go."""
        return self.answer.kind in (ANSWERED, ARRIVED)
