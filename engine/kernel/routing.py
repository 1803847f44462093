"""How the host routes by source: its rules, the addresses they are about, the ways out."""

from __future__ import annotations

from _socket import if_indextoname
from errno import EAFNOSUPPORT, EEXIST, ENOENT, EOPNOTSUPP

from ocinet.base.address import Address
from ocinet.engine.kernel import ip_messages
from ocinet.engine.kernel.links import AT_ONCE, list_addresses
from ocinet.engine.netlink.framing import NLM_F_DUMP, attributes, message

# Nobody is asked anything: which route would be taken there, the kernel tells. They are
# root servers' of DNS (a, j), for no host has a route of its own to these.
_RTM_GETRULE = 34
_RULE_SIZE = 12  # struct fib_rule_hdr
_FWMASK = 16
_OUTSIDE = {4: "198.41.0.4", 6: "2001:503:c27::2:30"}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Interface
    from ocinet.engine.kernel.links import Links
    from ocinet.engine.model.routing import RoutingRule, WayOut


class RoutingRules:
    """The routing rules of the host that the links are of. Not for several threads at once.

    Args:
        links: the host's; it is asked through their socket.
    """

    def __init__(self, links: Links) -> None:
        self._links = links

    def rules(self) -> tuple[RoutingRule, ...]:
        """Return the rules that mind a source or a mark, in the kernel's order.

        Raises:
            KernelError: the kernel would not say.
        """
        bodies = self._links.socket.dump(dump_rules(1))
        told = [body for body in bodies if not is_plain(body)]
        if not told:  # as on most hosts, and then all of the rest need not be loaded
            return ()
        from ocinet.engine.kernel.routing_rules import decode_rule

        return tuple(rule for rule in map(decode_rule, told) if rule)

    def add(self, rule: RoutingRule) -> bool:
        """Add a rule behind those of its priority; False if it is there.

        Raises:
            KernelError: it was refused.
        """
        from ocinet.engine.kernel.routing_rules import new_rule

        refusals = self._links.socket.ask(new_rule(1, rule), 1)[1]
        if refusals and refusals[0].errno != EEXIST:
            raise refusals[0].error("cannot add a routing rule", rule.command("add"))
        return not refusals

    def remove(self, rule: RoutingRule) -> None:
        """Delete a rule; not there is fine.

        Raises:
            KernelError: it was refused.
        """
        from ocinet.engine.kernel.routing_rules import delete_rule

        refusals = self._links.socket.ask(delete_rule(1, rule), 1)[1]
        # Without the protocol, as where IPv6 is off from the boot on, there are none of it.
        gone = (ENOENT, EAFNOSUPPORT, EOPNOTSUPP)
        if refusals and refusals[0].errno not in gone:
            raise refusals[0].error("cannot delete a routing rule", rule.command("del"))

    def has(self, rule: RoutingRule) -> bool:
        """Tell whether a rule is there, also one that minds neither source nor mark.

        Raises:
            KernelError: the kernel would not say.
        """
        from ocinet.engine.kernel.routing_rules import decode_rule

        bodies = self._links.socket.dump(dump_rules(1))
        return any(decode_rule(body) == rule for body in bodies)

    def blackholes(self) -> tuple[RoutingRule, ...]:
        """Return the rules by which what came in by a link goes nowhere, whoever made them.

        Raises:
            KernelError: the kernel would not say.
        """
        from ocinet.engine.kernel.routing_rules import decode_rule

        rules = map(decode_rule, self._links.socket.dump(dump_rules(1)))
        return tuple(rule for rule in rules if rule and rule.iif and rule.action == "blackhole")

    def addresses(self) -> tuple[tuple[str, Interface], ...]:
        """Return all addresses of the host, each with its link's name.

        Raises:
            KernelError: the kernel would not say.
        """
        found = list_addresses(self._links.socket, 0)
        named = ((_name(ifindex), interface) for ifindex, interface in found)
        return tuple((name, interface) for name, interface in named if name)

    def ways_out(self, families: tuple[int, ...]) -> tuple[WayOut, ...]:
        """Return the ways to the outside whose routes say which address packets bear.

        Args:
            families: that are asked for, 4 or 6 or both.

        Raises:
            KernelError: the kernel would not say.
        """
        socket = self._links.socket
        questions = [ip_messages.get_route(f, Address.parse(_OUTSIDE[f])) for f in families]
        # A refusal is that there is no such way, or no such family.
        answers, _refusals = socket.look_up(b"".join(questions), len(questions))
        found = []
        for answer in answers:
            source, hops = ip_messages.decode_source(answer.body)
            for ifindex, gateway in hops if source else ():
                addresses = tuple(held for _at, held in list_addresses(socket, ifindex))
                name = _name(ifindex)
                if source and name:
                    from ocinet.engine.model.routing import WayOut

                    found.append(WayOut(name, gateway, source, addresses))
        return tuple(found)

    def leads(self, addresses: tuple[Address, ...]) -> tuple[str, ...]:
        """Return by which link the host sends to each address: "lo" to itself, "" nowhere.

        Raises:
            KernelError: the kernel would not say.
        """
        questions = [ip_messages.get_way(at, address) for at, address in enumerate(addresses)]
        ways = [""] * len(questions)
        names: dict[int, str] = {0: ""}
        for start in range(0, len(questions), AT_ONCE):
            some = questions[start : start + AT_ONCE]
            # A refusal is that there is no way, or that a rule forbids it.
            answers, _refusals = self._links.socket.look_up(b"".join(some), len(some))
            for answer in answers:
                ifindex = ip_messages.decode_way(answer.body)
                if ifindex not in names:
                    names[ifindex] = _name(ifindex)
                ways[answer.sequence] = names[ifindex]
        return tuple(ways)


def dump_rules(sequence: int) -> bytes:
    """Encode the question for all rules, of every family."""
    return message(_RTM_GETRULE, NLM_F_DUMP, sequence, bytes(_RULE_SIZE))


def is_plain(body: bytes) -> bool:
    """Tell from an RTM_NEWRULE, before it is decoded, whether it minds no source and no mark.

    Such are the kernel's own three, and all that many hosts have.
    """
    return not body[2] and _FWMASK not in attributes(body, _RULE_SIZE)


def _name(ifindex: int) -> str:
    try:
        return if_indextoname(ifindex)
    except OSError:  # it has gone since
        return ""
