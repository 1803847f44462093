"""What should pass the host's forwarding, and who drops it."""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.base.value import Value


class Passage(Value):
    """A bridge, and which of its packets are to get through the chains of others.

    Attributes:
        device: the bridge.
        ifindex: its index, or 0 where it is not made yet.
        addresses: one of a container's on it for each family that it has.
        published: whether the outside reaches its containers' published ports.
        out: whether its containers reach the outside.
        siblings: whether bridged packets pass the firewall as well, so that containers on
            it reach each other only if those get through (bridge-nf-call-iptables).
        uplink: the link that leads out, or "".
        managed: whether it is ours.
        hosts: addresses of the uplink, one for each family that it has.
        ports: of TCP, of the host, that are to be published now; 0 for one that will be chosen.
    """

    device: str
    ifindex: int
    addresses: tuple[Address, ...]
    published: bool = True
    out: bool = True
    siblings: bool = False
    uplink: str = ""
    managed: bool = True
    hosts: tuple[Address, ...] = ()
    ports: tuple[int, ...] = ()


class AcceptRule(Value):
    """One rule of ours in a chain of iptables'.

    Attributes:
        family: ip or ip6.
        chain: of its table `filter`.
        device: the bridge that it is for, by its tag.
        rule: as `iptables -S` prints it, without `-A CHAIN`.
        managed: whether it is as for a bridge of ours; else as for an adopted one.
    """

    family: str
    chain: str
    device: str
    rule: tuple[str, ...]
    managed: bool

    def __str__(self) -> str:
        """Render as its chain and what is in it."""
        return f"{self.family} filter {self.chain} {' '.join(self.rule)}"


class Zoned(Value):
    """What firewalld has a bridge's packets in, where its chain drops them.

    Attributes:
        zone: whose chain they came by last, "" if by none.
        bound: whether somebody has put the bridge into it, or its packets by their
            addresses; else it is where everybody's are.
        policy: that drops them whatever zone they are in, or "".
        published: whether it is connections to published ports that are dropped, which are
            nobody's zone's (`StrictForwardPorts`); else what containers begin.
        joinable: whether firewalld has our zone, and the policy that lets it out.
    """

    zone: str = ""
    bound: bool = False
    policy: str = ""
    published: bool = False
    joinable: bool = False

    @property
    def opens(self) -> bool:
        """Whether the bridge's joining our zone lets them pass."""
        return self.joinable and not (self.bound or self.policy or self.published)


class ForwardDrop(Value):
    """A base chain of others that drops what should pass, on the forward hook or another.

    Attributes:
        chain: as nft's commands name it: `ip filter FORWARD`.
        at: the chain that it led to, where the packets end: `ufw-reject-forward`; often
            the same.
        accept_in: the chain where an accept rule of ours lets them through, as
            `ip filter DOCKER-USER`; "" in a table that iptables has not made.
        isolation: Docker's chains that keep others out of its networks: an accept rule of
            ours before them has to leave what is for those to them.
        outdated: whether nothing is dropped, but our rules in `accept_in` don't name
            these chains: Docker has had others when they were added.
        legacy: the program that the chain is of, `iptables-legacy` or `ip6tables-legacy`,
            and that opens it; "" for those of nftables. Without it, `at` is "".
        ipset: a set of ipset's that its rules look the packets up in, and that ocinet can't:
            nobody knows whether they are dropped; else "".
        zoned: in firewalld's table, what it has the packets in; else None.
        lets: what picks its packets out, in nft's words, where that is not the bridge, either
            way: before routing nobody knows where a packet is to leave.
        idle: whether it would drop what is sent to other published ports, and none of those
            that are asked for is one.
    """

    chain: str
    at: str
    accept_in: str = ""
    isolation: tuple[str, ...] = ()
    outdated: bool = False
    legacy: str = ""
    ipset: str = ""
    zoned: Zoned | None = None
    lets: tuple[str, ...] = ()
    idle: bool = False
