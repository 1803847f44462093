"""How the host routes by source, and what has to be done for answers to be routed so, too."""

from __future__ import annotations

from ocinet.base.address import Address, Interface, Subnet
from ocinet.base.value import Value

# Of a packet's and a connection's mark, the bits that are ours; all others are left as they
# are. The low three bytes are taken: kube-proxy, Cilium, Docker's and CNI's have the lower
# two, Tailscale the third (github.com/fwmark/registry).
MARK_MASK = 0xFF00_0000
MARK_STEP = 0x0100_0000
MOST_MARKS = 0xFF

# What only the kernel's own rules bear otherwise: systemd-networkd deletes, whenever it
# starts, all rules but its own and the kernel's (ManageForeignRoutingPolicyRules=).
OUR_PROTOCOL = 2  # RTPROT_KERNEL

LOOKUP = "lookup"
_LINK_LOCAL = Subnet(6, 0xFE80 << 112, 10)  # fe80::/10


class RoutingRule(Value):
    """One rule by which the host chooses a routing table, as `ip rule` shows it.

    Attributes:
        family: 4 or 6.
        priority: those with a lower number come first.
        table: number of the one that is looked up.
        action: `LOOKUP`, "blackhole", "unreachable" or "prohibit".
        source: whose packets it is for; None: everybody's.
        destination: likewise.
        iif: the link that they came in by; "lo" means the host's own.
        mark: of packets, in the bits of `mask`.
        mask: 0 where it does not mind marks.
        suppress_prefixlen: routes of this length, and shorter, don't count; -1: all do.
        protocol: who made it, as the kernel numbers them.
        narrow: it has conditions, or an action, besides these.
    """

    family: int
    priority: int
    table: int = 0
    action: str = LOOKUP
    source: Subnet | None = None
    destination: Subnet | None = None
    iif: str = ""
    mark: int = 0
    mask: int = 0
    suppress_prefixlen: int = -1
    protocol: int = 0
    narrow: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether it was made for marks of ours."""
        return self.mask == MARK_MASK and self.protocol == OUR_PROTOCOL

    def command(self, verb: str) -> str:
        """Return the command that adds or deletes it, by its verb."""
        words = ["ip -6 rule" if self.family == 6 else "ip rule", verb]
        words += ["priority", str(self.priority), "from", str(self.source or "all")]
        words += ["to", str(self.destination)] if self.destination else []
        words += ["iif", self.iif] if self.iif else []
        words += [f"fwmark {self.mark:#x}/{self.mask:#x}"] if self.mask else []
        words += [f"lookup {self.table}"] if self.action == LOOKUP else [self.action]
        if self.suppress_prefixlen >= 0:
            words += ["suppress_prefixlength", str(self.suppress_prefixlen)]
        words += ["protocol", "kernel"] if self.protocol == OUR_PROTOCOL else []
        return " ".join(words)


class ReplyMark(Value):
    """The mark of connections to some addresses of the host's, whose answers are routed alike.

    Attributes:
        mark: within `MARK_MASK`.
        addresses: of one family, sorted.
    """

    mark: int
    addresses: tuple[Address, ...]


class WayOut(Value):
    """A default route that says which address packets bear.

    Attributes:
        ifname: the link.
        gateway: None where everybody is on the link.
        source: the address (`ip route add default … src`).
        addresses: the link's, in the kernel's order.
    """

    ifname: str
    gateway: Address | None
    source: Address
    addresses: tuple[Interface, ...]

    @property
    def says_more(self) -> bool:
        """Whether masquerading, which never looks at it, may take another address."""
        family = self.source.family
        usable = [held for held in self.addresses if held.address.family == family]
        if family == 6:  # by RFC 6724, and whatever it goes by may change
            usable = [held for held in usable if held.address not in _LINK_LOCAL]
            return [held.address for held in usable] != [self.source]
        # inet_select_addr: the first in the gateway's subnet, else the first of all.
        near = [held for held in usable if self.gateway and self.gateway in held.subnet]
        return [held.address for held in (*near, *usable)][:1] != [self.source]


class SourceNat(Value):
    """What packets bear that leave by a link.

    Attributes:
        ifname: the link.
        address: what they bear.
        subnets: of its family, whose packets.
        near: the link's own, that this is not said of: no default route leads there.
    """

    ifname: str
    address: Address
    subnets: tuple[Subnet, ...]
    near: tuple[Subnet, ...] = ()


class Leaving(Value):
    """With which of the host's addresses packets of containers leave, where that is said.

    Attributes:
        source: a container's address, or a network's subnet.
        address: what they bear.
    """

    source: Subnet
    address: Address


class LeavingMark(Value):
    """The mark of connections of some containers, which go as the host's own from an address do.

    Attributes:
        mark: as in `ReplyMark`; 0 for none, within a subnet that has one.
        sources: of one family: the containers' addresses, or a network's subnet.
    """

    mark: int
    sources: tuple[Subnet, ...]


class UplinkRules(Value):
    """What the second table holds; without anything there is none.

    Attributes:
        marks: of connections whose answers are routed by source.
        sources: in the place of masquerading.
        leaving: of connections that containers begin, the narrowest first.
        inside: where those go as ever: networks of this host.
        unmasked: networks' subnets, each with a destination for which packets from there keep
            the container's own address, and so go as ever.
    """

    marks: tuple[ReplyMark, ...] = ()
    sources: tuple[SourceNat, ...] = ()
    leaving: tuple[LeavingMark, ...] = ()
    inside: tuple[Subnet, ...] = ()
    unmasked: tuple[tuple[Subnet, Subnet], ...] = ()
