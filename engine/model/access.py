"""Who may talk to whom, where a container's user says so: to where it may connect, and who to it.

Loaded by who has such a wish, or is on a network whose containers are kept from each other.
"""

from __future__ import annotations

from ocinet.base.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Subnet

LAST_PORT = 0xFFFF
LONGEST_MEANT = 200  # characters of a name that somebody may be meant by: as a container's


class Allowance(Value):
    """One thing that is allowed: with whom, and by which ports of whoever is connected to.

    Attributes:
        name: of a container on a network of both, in lower case, or where packets may leave
            to, of a network; "" if it is by address, or with everybody.
        subnet: the addresses; None if it is by name, or with everybody.
        protocol: tcp, udp or sctp; "" means all there are, ICMP too.
        first: of the ports; 0 with `last` 65535 for all.
        last: of them.
    """

    name: str = ""
    subnet: Subnet | None = None
    protocol: str = ""
    first: int = 0
    last: int = LAST_PORT

    def __str__(self) -> str:
        """Render as `ocinet.allow` has it: `web:8080/tcp`."""
        to, ports = self.whom, self.ports
        if self.subnet and self.subnet.family == 6 and ports:
            to = f"[{to}]"
        return f"{to}:{ports}" if ports else to

    @property
    def whom(self) -> str:
        """Render who it is with; "" for everybody."""
        if self.subnet is None:
            return self.name
        return str(self.subnet).removesuffix("/32" if self.subnet.family == 4 else "/128")

    @property
    def ports(self) -> str:
        """Render by which ports; "" for all there is."""
        if not self.protocol:
            return ""
        last = f"-{self.last}" if self.last > self.first else ""
        return f"{self.first}{last}/{self.protocol}"


class Access(Value):
    """What a container's user says of its connections; None is not said.

    Attributes:
        allow: to where it may connect, where its network keeps its containers from each
            other, and past `egress`.
        expose: by which of its ports others may connect to it there.
        egress: to where its packets may leave its networks; () means nowhere.
        listens: which of its ports its engine says that it exposes, its image's word among
            them: open to nobody but who has a link to it, and unless `expose` says otherwise.
    """

    allow: tuple[Allowance, ...] | None = None
    expose: tuple[Allowance, ...] | None = None
    egress: tuple[Allowance, ...] | None = None
    listens: tuple[Allowance, ...] | None = None

    def over(self, before: Access | None) -> Access:
        """Return these wishes, and of an earlier one's those that these say nothing of."""
        if before is None:
            return self
        said = {name: wish for name, wish in vars(self).items() if wish is not None}
        return before.replace(**said)


def access_with(
    wished: Access | None,
    before: Access | None,
    listens: tuple[Allowance, ...] = (),
    *,
    apart: bool,
) -> Access | None:
    """Return what a container's access is from now on; None where nobody minds it.

    Args:
        wished: by its request.
        before: what it had.
        listens: by its engine's word; none: as before.
        apart: whether a network that it comes to keeps its containers from each other: its
            names are to be known there, though it wishes nothing.
    """
    access = wished.over(before) if wished is not None else before
    if not apart:
        return access
    access = access or Access()
    return access.replace(listens=listens) if listens else access
