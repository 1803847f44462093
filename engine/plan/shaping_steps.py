"""The step that limits how fast a container sends and is sent to."""

from __future__ import annotations

from ocinet.engine.model.bandwidth import Bandwidth, Limit, shaper_of
from ocinet.engine.model.link import LINK_GROUP
from ocinet.engine.plan.steps import Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.engine.plan.machine import Machine

_EVERY = "1,6 0 0 4294967295"  # a program that has every packet meant


class Shape(Step):
    """Have a host end limit what passes it.

    Attributes:
        host_ifname: the host's end.
        bandwidth: its limits; None: none.
        before: that it had.
        alias: of the link that is made for what the container sends.
    """

    host_ifname: str
    bandwidth: Bandwidth | None
    before: Bandwidth | None
    alias: str

    def describe(self) -> tuple[str, ...]:
        """Return the commands that do the same."""
        wanted, before = self.bandwidth or Bandwidth(), self.before or Bandwidth()
        end, shaper = self.host_ifname, shaper_of(self.host_ifname)
        place = f"dev {end} ingress pref 2 handle 1"
        commands: list[str] = []
        if wanted.inward:
            commands.append(_bucket(end, wanted.inward))
        elif before.inward:
            commands.append(f"tc qdisc del dev {end} root")
        if wanted.outward and not before.outward:
            commands += [
                f"ip link add {shaper} group {LINK_GROUP} up type ifb",
                f"ip link set {shaper} alias {self.alias}",
            ]
        if wanted.outward:
            commands.append(_bucket(shaper, wanted.outward))
            commands += [
                f"tc qdisc replace dev {end} clsact",
                f"tc filter replace {place} bpf bytecode '{_EVERY}'"
                f" action mirred egress redirect dev {shaper}",
            ]
        elif before.outward:
            commands += [f"tc filter del {place} bpf", f"ip link del {shaper}"]
        return tuple(commands)

    def apply(self, machine: Machine) -> bool:
        """Set them, or take them away."""
        return machine.shaping.put(self.host_ifname, self.bandwidth, self.alias)

    def inverse(self) -> Step:
        """Return what it was before."""
        return self.replace(bandwidth=self.before, before=self.bandwidth)


def _bucket(ifname: str, limit: Limit) -> str:
    return (
        f"tc qdisc replace dev {ifname} root handle 6f63: tbf rate {limit.rate}bit"
        f" burst {limit.burst} limit {limit.queue}"
    )
