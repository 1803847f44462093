"""The steps that take down what is one container's own: all that a usual detach does."""

from __future__ import annotations

from ocinet.engine.plan.steps import Step, as_nft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Address
    from ocinet.base.clock import Process
    from ocinet.engine.model.endpoint import PortRule
    from ocinet.engine.plan.machine import Machine


class UnnameSandbox(Step):
    """Remove a sandbox's name, whichever of `processes` it shows."""

    name: str
    processes: tuple[Process, ...]

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        return (f"rm -f /run/netns/{self.name}",)

    def apply(self, machine: Machine) -> bool:
        """Remove the link if it is ours."""
        return machine.names.remove(self.name, self.processes)

    def inverse(self) -> Step | None:
        """Return None: an attach makes it anew."""
        return None


class CloseFirewall(Step):
    """Take published ports out of the firewall, in one transaction."""

    ports: tuple[PortRule, ...]

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        from ocinet.engine.ruleset import nft

        return (as_nft(nft.close_text(self.ports)),)

    def apply(self, machine: Machine) -> bool:
        """Delete the elements; missing ones are fine."""
        machine.firewall.close(self.ports)
        return True

    def inverse(self) -> Step | None:
        """Return None: an attach enters them anew."""
        return None


class ForgetFlows(Step):
    """Drop connection tracking, so that no flow keeps its old end.

    Attributes:
        ports: published ones: whoever talks to their UDP ports meets who has them now.
        addresses: of a container that is gone: whose answers would come to the next one that
            bears them.
    """

    ports: tuple[PortRule, ...] = ()
    addresses: tuple[Address, ...] = ()

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same; conntrack fails where there is nothing to do."""
        of_ports = (
            f"conntrack -D -f ipv{port.address.family} -p udp --orig-port-dst {port.host_port}"
            " || true"
            for port in self.ports
        )
        of_addresses = (
            f"conntrack -D -f ipv{address.family} {side} {address} || true"
            for address in self.addresses
            for side in ("--orig-src", "--reply-src")
        )
        return (*of_ports, *of_addresses)

    def apply(self, machine: Machine) -> bool:
        """Delete the entries."""
        machine.firewall.forget_flows(self.ports, self.addresses)
        return True

    def inverse(self) -> Step | None:
        """Return None: a flow that is forgotten makes itself known again."""
        return None


class DeleteLinks(Step):
    """Delete links of ours by the names of their host ends."""

    host_ifnames: tuple[str, ...]

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        return tuple(f"ip link del {name}" for name in self.host_ifnames)

    def apply(self, machine: Machine) -> bool:
        """Delete them; missing ones are fine."""
        machine.links.delete_links(self.host_ifnames)
        return True

    def inverse(self) -> Step | None:
        """Return None: an attach makes them anew."""
        return None
