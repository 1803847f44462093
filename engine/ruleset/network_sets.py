"""What our nftables table holds of a network, and of what is kept from being forwarded."""

from __future__ import annotations

from ocinet.base.address import Address
from ocinet.engine.ruleset.elements import ADDRESS, Element, Set

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ocinet.engine.model.forward_guard import ForwardGuard
    from ocinet.engine.model.network import NetworkRules

# Bridges of every network; of those that nobody gets into but through a
# published port; and of those that nobody gets out of either.
BRIDGES = Set("bridges", ("ifname",))
ISOLATED = Set("isolated", ("ifname",))
INTERNAL = Set("internal", ("ifname",))
# Those whose containers have no business with the host's own services.
HOSTLESS = Set("hostless", ("ifname",))
# Those of them that find each other by names, which the host serves.
NAMED = Set("named", ("ifname",))
# Each bridge paired with itself, whose containers reach each other: nft can't compare two
# interfaces.
SAME = Set("same", ("ifname", "ifname"))
# Which subnet is at home on which bridge; which are nowhere else; and which are hidden
# behind the host's address when their packets leave our bridges.
HOME = {f: Set(f"home{f}", (ADDRESS[f], "ifname"), interval=True) for f in (4, 6)}
INSIDE = {f: Set(f"inside{f}", (ADDRESS[f],), interval=True) for f in (4, 6)}
# In which the host serves names, to those on the bridge where it is at home.
SERVED = {f: Set(f"served{f}", (ADDRESS[f],), interval=True) for f in (4, 6)}
MASQUERADE = {f: Set(f"masquerade{f}", (ADDRESS[f],), interval=True) for f in (4, 6)}
# Where what a subnet sends goes with its own address; and by which link that gets in to those
# on a bridge.
UNMASKED = {f: Set(f"unmasked{f}", (ADDRESS[f], ADDRESS[f]), interval=True) for f in (4, 6)}
JOINED = {f: Set(f"joined{f}", ("ifname", ADDRESS[f], "ifname"), interval=True) for f in (4, 6)}
# What leaves bears this address of the host's, and not the one that masquerading chooses.
EGRESS = {f: Set(f"egress{f}", (ADDRESS[f],), (ADDRESS[f],), interval=True) for f in (4, 6)}
# Each bridge paired with itself, whose containers are kept from each other: what they send to
# each other comes by the host, and passes by what follows.
CLOSED = Set("closed", ("ifname", "ifname"))
# Families whose forwarding it was us who switched on; and the bridges of others that
# nothing was forwarded from or to before, each with itself for what it bridges.
GUARDED = Set("guarded", ("nf_proto",))
APART = Set("apart", ("nf_proto", "ifname"))
WITHIN = Set("within", ("nf_proto", "ifname", "ifname"))


def network_elements(rules: NetworkRules) -> tuple[Element, ...]:
    """Return the elements of a network."""
    device = rules.device
    found = [Element(BRIDGES, (device,))]
    if rules.siblings:
        found.append(Element(SAME, (device, device)))
    elif rules.isolated:
        found.append(Element(CLOSED, (device, device)))
    if rules.isolated:
        found.append(Element(ISOLATED, (device,)))
    if rules.internal:
        found.append(Element(INTERNAL, (device,)))
    if not rules.host:
        found.append(Element(HOSTLESS, (device,)))
        if rules.names:
            found.append(Element(NAMED, (device,)))
    for subnet in rules.subnets:
        found.append(Element(HOME[subnet.family], (subnet, device)))
        alone = ((INSIDE, rules.isolated), (SERVED, rules.names))
        found += [Element(kind[subnet.family], (subnet,)) for kind, is_in in alone if is_in]
        if rules.masquerade and not rules.internal:
            found.append(Element(MASQUERADE[subnet.family], (subnet,)))
            found += [
                Element(EGRESS[subnet.family], (subnet,), (address,))
                for address in rules.egress
                if address.family == subnet.family
            ]
    return (*found, *_unmasked_elements(rules))


def _unmasked_elements(rules: NetworkRules) -> Iterator[Element]:
    """Find what a network's packets go to, and are sent from, with the containers' addresses."""
    for far in rules.unmasked:
        for subnet in rules.subnets:
            if subnet.family == far.family:
                yield Element(UNMASKED[far.family], (subnet, far))
        for link in rules.joined:
            yield Element(JOINED[far.family], (rules.device, far, link))


def every_network_element(rules: NetworkRules) -> tuple[Element, ...]:
    """Return the elements that a network of this bridge and these subnets may have had.

    For removal: what it was when it was entered need not be what it is now.
    """
    any_egress = (Address(4, 0), Address(6, 0))  # taken out by the key alone
    usual = network_elements(
        rules.replace(
            isolated=True,
            internal=False,
            masquerade=True,
            egress=any_egress,
            host=False,
            siblings=True,
            names=True,
        )
    )
    device = rules.device
    return (*usual, Element(INTERNAL, (device,)), Element(CLOSED, (device, device)))


def guard_elements(guard: ForwardGuard) -> tuple[Element, ...]:
    """Return the elements of a family that is guarded."""
    family = f"ipv{guard.family}"
    return (
        Element(GUARDED, (family,)),
        *(Element(APART, (family, bridge)) for bridge in guard.bridges),
        *(Element(WITHIN, (family, bridge, bridge)) for bridge in guard.bridges),
    )
