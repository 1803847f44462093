"""Steps that make a container's ports of bridges, and guard them."""

from __future__ import annotations

from errno import EINVAL, ENOENT, EOPNOTSUPP

from ocinet.base.errors import KernelError
from ocinet.engine.model.bridge_filters import BridgeFilters
from ocinet.engine.model.link import LINK_GROUP, Veth
from ocinet.engine.plan.removal_steps import DeleteLinks
from ocinet.engine.plan.steps import Step

# How a kernel says that it has no such filters, or that another kind has their place.
NO_FILTERS = (ENOENT, EOPNOTSUPP, EINVAL)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.plan.machine import Machine


def bytecode(program: bytes) -> str:
    """Return a program of a filter in the words of tc."""
    from _struct import Struct

    instructions = [
        f"{code} {yes} {no} {operand}"
        for code, yes, no, operand in Struct("=HBBI").iter_unpack(program)
    ]
    return ",".join((str(len(instructions)), *instructions))


class AddVeth(Step):
    """Make a veth pair: one end a port of the bridge, the other born in the sandbox.

    Attributes:
        veth: what it is to be like.
        netns: how `ip -n` reaches the sandbox: a name or a path; for people alone.
    """

    veth: Veth
    netns: str

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        veth = self.veth
        return (
            f"ip link add {veth.host_ifname} address {veth.host_mac} mtu {veth.mtu}"
            f" group {LINK_GROUP} master {veth.bridge} up"
            f" type veth peer name {veth.ifname} address {veth.mac} mtu {veth.mtu}"
            f" netns {self.netns}",
            f"ip link set {veth.host_ifname} alias {veth.alias}",
            *((isolate(veth.host_ifname),) if veth.isolated else ()),
            *(GuardPort(veth.host_ifname, veth.guard).describe() if veth.guard else ()),
        )

    def apply(self, machine: Machine) -> bool:
        """Make the pair; where the kernel has no filter to guard it with, that is told."""
        made = machine.links.add_veth(self.veth, machine.sandbox)
        machine.pairs[self.veth.host_ifname] = made
        if made.unguarded:
            machine.warnings.append(explain_unguarded(self.veth.host_ifname, made.unguarded))
        return True

    def inverse(self) -> Step:
        """Return the removal of the host's end, which takes the other with it."""
        return DeleteLinks((self.veth.host_ifname,))


def isolate(host_ifname: str) -> str:
    """Return the command that has a port carry nothing to others that are isolated."""
    return f"bridge link set dev {host_ifname} isolated on"


def explain_unguarded(host_ifname: str, why: str) -> str:
    """Return what a port without a guard is open to, and what helps."""
    return (
        f"{host_ifname} is not guarded, so its container can send with others' addresses: {why}:"
        " modprobe -a sch_ingress cls_bpf"
    )


class GuardPort(Step):
    """Have a host end let pass what its container sends as itself, and nothing else.

    Attributes:
        host_ifname: the host's end.
        program: of its filter; b"" for none.
        strict: whether it is an error that this kernel has no such filters; else it is told.
    """

    host_ifname: str
    program: bytes
    strict: bool = False

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        place = f"dev {self.host_ifname} ingress pref 1 handle 0x6f63 bpf"
        if not self.program:
            return (f"tc filter del {place}",)
        code = bytecode(self.program)
        return (
            f"tc qdisc replace dev {self.host_ifname} clsact",
            f"tc filter replace {place} direct-action bytecode '{code}'",
        )

    def apply(self, machine: Machine) -> bool:
        """Put the filter in its place; False if it is there, or can't be."""
        filters = BridgeFilters(ingress=self.program)
        try:
            return machine.bridge_filters.put(self.host_ifname, filters)
        except KernelError as error:
            if self.strict or error.errno not in NO_FILTERS:
                raise
            machine.warnings.append(explain_unguarded(self.host_ifname, error.why))
            return False

    def inverse(self) -> Step | None:
        """Return None: it goes with the link."""
        return None


class JoinBridge(Step):
    """Set a host end up as the port of its bridge that it was.

    Attributes:
        host_ifname: the host's end.
        device: the bridge.
        hairpin: whether it is to send frames back; see `SetHairpin`.
        mtu: bytes.
        grows: whether it gets the bridge's where that is more: an adopted bridge that has none of
            its own is made as small as its least port (br_mtu_auto_adjust).
        isolated: whether it is to carry nothing to others that are.
        lacks: what somebody has taken from it; see `Link.lacks`.
    """

    host_ifname: str
    device: str
    hairpin: bool
    mtu: int
    grows: bool = False
    isolated: bool = False
    lacks: tuple[str, ...] = ()

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        join = f"ip link set {self.host_ifname} mtu {self.mtu} master {self.device} up"
        return (
            join,
            *((isolate(self.host_ifname),) if self.isolated else ()),
            *(SetHairpin(self.host_ifname).describe() if self.hairpin else ()),
            *(f"bridge link set dev {self.host_ifname} {word}" for word in self.lacks),
        )

    def apply(self, machine: Machine) -> bool:
        """Do it, also where the bridge is another one of that name by now."""
        bridge = machine.links.link(self.device) if self.grows else None
        mtu = max(self.mtu, bridge.mtu) if bridge else self.mtu
        machine.links.set_port(
            self.host_ifname,
            bridge=self.device,
            hairpin=self.hairpin,
            mtu=mtu,
            isolated=self.isolated,
            lacks=self.lacks,
        )
        return True

    def inverse(self) -> Step | None:
        """Return None: nobody wants a container off its bridge."""
        return None


class Unplug(Step):
    """Remove what is left in a sandbox of a pair whose host end is not there any more.

    A pair goes with either end, so the other one was renamed, or moved to another namespace.

    Attributes:
        ifname: the container's end.
        mac: its own: another one of that name is the container's.
        netns: as in `AddVeth`.
        ifindex: by which it is known whatever it is called by now; 0: by name and MAC.
    """

    ifname: str
    mac: str
    netns: str
    ifindex: int = 0

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        return (f"ip -n {self.netns} link delete {self.ifname}",)

    def apply(self, machine: Machine) -> bool:
        """Delete it, wherever its other end is; False if there is none."""
        return machine.insides.unplug(machine.sandbox, self.ifname, self.mac, self.ifindex)

    def inverse(self) -> Step | None:
        """Return None: half a pair is of no use."""
        return None


class SetHairpin(Step):
    """Let a bridge port send a frame back to where it came from.

    Without it, and with bridge-nf-call-iptables=1, a container can't reach
    itself through a port that it publishes.
    """

    host_ifname: str

    def describe(self) -> tuple[str, ...]:
        """Return the command that does the same."""
        return (f"bridge link set dev {self.host_ifname} hairpin on",)

    def apply(self, machine: Machine) -> bool:
        """Set the flag of the port."""
        machine.links.set_port(self.host_ifname, hairpin=True)
        return True

    def inverse(self) -> Step | None:
        """Return None: it goes with the link."""
        return None
