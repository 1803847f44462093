"""The steps that make what is one container's own, but for its ports of bridges."""

from __future__ import annotations

from ocinet.base.errors import ConflictError
from ocinet.engine.model.link import Inside
from ocinet.engine.plan.removal_steps import CloseFirewall, UnnameSandbox
from ocinet.engine.plan.steps import Step, as_nft, ready_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.clock import Process
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.model.network import NetworkRules
    from ocinet.engine.plan.machine import Machine

_IPV6_SYSCTLS = ("accept_ra=0", "accept_dad=0")


class Explain(Step):
    """Tell the operator what to do where the settings say that we must not.

    Attributes:
        text: one line, with the command.
    """

    text: str

    def describe(self) -> tuple[str, ...]:
        """Return the text as a comment."""
        return (f"# {self.text}",)

    def apply(self, machine: Machine) -> bool:
        """Note it as a warning of this attach."""
        machine.warnings.append(self.text)
        return False

    def inverse(self) -> Step | None:
        """Return None: nothing was changed."""
        return None


class NameSandbox(Step):
    """Show the sandbox to `ip netns` under a name.

    Attributes:
        name: a file's, in /run/netns.
        process: that lives in the sandbox; the name is a link to its /proc/PID/ns/net.
    """

    name: str
    process: Process

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        return (
            "mkdir -p /run/netns",
            f"ln -s /proc/{self.process.pid}/ns/net /run/netns/{self.name}",
        )

    def apply(self, machine: Machine) -> bool:
        """Make the link."""
        return machine.names.add(self.name, self.process)

    def inverse(self) -> Step:
        """Return its removal."""
        return UnnameSandbox(self.name, (self.process,))


def make_table(
    machine: Machine,
    networks: tuple[NetworkRules, ...] = (),
    ports: tuple[PortRule, ...] = (),
) -> tuple[PortRule, ...]:
    """Make our table anew, of all that is recorded by now.

    Args:
        machine: whose table it is.
        networks: that are entered besides.
        ports: likewise: those of a record that is being attached are not among the
            recorded ones, or two first attaches would find each other's taken.

    Returns:
        The ports that were recorded.
    """
    of_networks, of_ports, guards, access = machine.recorded()
    machine.firewall.rebuild(
        tuple(dict.fromkeys((*of_networks, *networks))),
        tuple(dict.fromkeys((*of_ports, *ports))),
        guards,
        access,
    )
    # A container that was detached meanwhile had no table to close its ports in.
    ended = set(of_ports).difference(machine.recorded()[1])
    if ended:
        machine.owners.close_unowned(tuple(port for port in of_ports if port in ended))
    return of_ports


class OpenFirewall(Step):
    """Enter networks and published ports into the firewall, in one transaction.

    Attributes:
        networks: entered before are no error.
        ports: one that is in the firewall already is an error (NLM_F_EXCL).
    """

    networks: tuple[NetworkRules, ...]
    ports: tuple[PortRule, ...]

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        from ocinet.engine.ruleset import nft

        text = nft.open_text(self.networks, self.ports)
        return (as_nft(text),) if text else ()

    def apply(self, machine: Machine) -> bool:
        """Add the elements; all others' as well, if the table vanished just now."""
        try:
            made = machine.firewall.open(self.networks, self.ports)
        except ConflictError:
            # We have claimed them, so what is in is a dead one's, or of whom a table that was
            # just made anew still knows.
            if not self.ports or machine.owners.has_other(self.ports):
                raise
            machine.firewall.close(self.ports)
            made = machine.firewall.open(self.networks, self.ports)
        if made:
            make_table(machine, self.networks, self.ports)
        return True

    def inverse(self) -> Step | None:
        """Return the closing of the ports; networks stay until they are removed."""
        return CloseFirewall(self.ports) if self.ports else None


class ConfigureInside(Step):
    """Bring `lo` and one interface up in the sandbox, with addresses and routes.

    Attributes:
        inside: what the interface is to have.
        netns: as in `AddVeth`.
        host_ifname: the other end's, by which `Machine.pairs` knows what was made.
    """

    inside: Inside
    netns: str
    host_ifname: str

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        inside, ip = self.inside, f"ip -n {self.netns}"
        dev = f"dev {inside.ifname}"
        by_path = "/" in self.netns  # `ip -n` takes one, `ip netns exec` does not
        enter = f"nsenter --net={self.netns}" if by_path else f"ip netns exec {self.netns}"
        conf = f"{enter} sysctl -w net.ipv6.conf.{inside.ifname}."
        ipv4 = f"{enter} sysctl -w net.ipv4.conf.{inside.ifname}."
        addresses = [
            f"{ip} addr add {ready_address(address)} {dev}" for address in inside.addresses
        ]
        routes = []
        for route, onlink in inside.ordered_routes():
            family = f"{ip} -6" if route.destination.family == 6 else ip
            via = f"via {route.gateway} " if route.gateway else ""
            flag = " onlink" if onlink else ""
            flag += f" metric {route.metric}" if route.metric else ""
            routes.append(f"{family} route add {route.destination} {via}{dev}{flag}")
        return (
            *((f"{ipv4}arp_notify=1",) if inside.announce else ()),
            *((f"{ipv4}rp_filter=1",) if inside.strict else ()),
            f"{conf}disable_ipv6=0" if inside.ipv6 else f"{conf}disable_ipv6=1",
            *(f"{conf}{setting}" for setting in _IPV6_SYSCTLS if inside.ipv6),
            *((f"{conf}ndisc_notify=1",) if inside.ipv6 and inside.announce else ()),
            f"{ip} link set lo up",
            *addresses,
            *((f"{ip} link set {inside.ifname} address {inside.mac}",) if inside.mac else ()),
            *((f"{ip} link set {inside.ifname} mtu {inside.mtu}",) if inside.mtu else ()),
            f"{ip} link set {inside.ifname} up",
            *routes,
        )

    def apply(self, machine: Machine) -> bool:
        """Enter the sandbox once, and configure it in one batch."""
        pair = machine.pairs.get(self.host_ifname)
        machine.warnings += machine.insides.configure(machine.sandbox, self.inside, pair)
        return True

    def inverse(self) -> Step | None:
        """Return None: all of it goes with the interface."""
        return None


class RaiseLoopback(Step):
    """Bring `lo` up in the sandbox.

    Attributes:
        netns: as in `AddVeth`.
    """

    netns: str

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        return (f"ip -n {self.netns} link set lo up",)

    def apply(self, machine: Machine) -> bool:
        """Bring it up."""
        machine.insides.loopback_up(machine.sandbox)
        return True

    def inverse(self) -> Step | None:
        """Return None: it goes with the sandbox."""
        return None
