"""Addresses on a bridge where somebody else has some, too.

Who hands out addresses on an adopted one, and is known to have given some, has them passed
over. Then the segment is asked; an address that somebody answers for is given back and the
next one tried. For networks that are not managed, and for those on whose bridge people have
plugged in something of their own; imported only for them.
"""

from __future__ import annotations

from ocinet.base.errors import ConflictError, ExhaustedError
from ocinet.engine.kernel.probe import Segment, patience
from ocinet.engine.model.link import is_host_ifname

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Protocol

    from ocinet.base.address import Address
    from ocinet.engine.model.link import Link
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.observed import DeviceState
    from ocinet.engine.operation import Operation
    from ocinet.engine.plan.machine import Machine
    from ocinet.engine.storage import Records
    from ocinet.ipam.lease import Lease

    class Listening(Protocol):
        """A segment that can be asked who uses addresses; see `kernel.probe.Segment`."""

        def users(
            self,
            addresses: tuple[Address, ...],
            waits_s: tuple[float, ...],
            *,
            deaf_to: frozenset[str] = frozenset(),
        ) -> dict[Address, str]:
            """Return the MACs that answered, but for some, by the addresses they answered for."""

        def close(self) -> None:
            """Stop listening."""

    Allocate = Callable[[Mapping[Address, str]], tuple[Lease, ...]]

_TRIES = 64
# Ports that a question floods without loss: each veth has its copy wait for the one CPU, and
# what is more than net.core.netdev_max_backlog (1000, 300 on small machines) is dropped: of
# 1010 ports the nine oldest never heard of it, however often it was asked.
_FLOODED = 256
_LOOKED_AT = 16  # links, one by one; more of them by one list of all
_HINT = "keep the ranges apart: ocinet network create --ip-range, and dockerd's --fixed-cidr"


def segment_of(
    machine: Machine, network: Network, state: DeviceState, ports: tuple[str, ...]
) -> tuple[Segment | None, tuple[float, ...]]:
    """Return the segment of a bridge to ask, and how long to listen after each time.

    Args:
        machine: that the bridge is on.
        network: that it is of; of one on the LAN, that is asked.
        state: of the bridge. One that is missing or down is not asked: nobody could answer.
        ports: where somebody may be, the only ones that are asked; none: all that it has.
    """
    if network.is_lan:
        return _segment_beside(network, state)
    bridge = state.link
    if bridge is None or not bridge.up:
        return None, ()
    # The bridge alone knows which VLAN a port's frames are tagged with.
    if ports and not bridge.filters_vlans:
        return Segment(bridge, ports), patience(_kinds(machine, bridge, ports))
    found = [port for port in machine.links.ports(bridge) if port.up]
    asked = [bridge.ifname]  # which is whoever is on it, by one frame
    if len(found) > _FLOODED:
        asked += [port.ifname for port in found if port.kind == "veth"]
    return Segment(bridge, tuple(asked)), patience({port.kind for port in found})


def _segment_beside(
    network: Network, state: DeviceState
) -> tuple[Segment | None, tuple[float, ...]]:
    """Return the LAN that a network is on, to ask, and how long to listen after each time.

    By the parent, which no container of ours hears, and everybody else does. The host's own
    address there is asked for, too, before it is first had.

    Args:
        network: on the LAN.
        state: of its parent.

    Raises:
        ConflictError: somebody else has the host's own address.
    """
    parent = state.link
    if parent is None or not parent.up:
        return None, ()
    segment, waits_s = Segment(parent), patience({parent.kind})
    if network.host_access and state.shim is None:
        try:
            users = segment.users(network.host_access, waits_s)
        except BaseException:
            segment.close()
            raise
        for address, mac in users.items():
            segment.close()
            why = f"{mac} on {network.parent} has {address}, by which the host would reach"
            raise ConflictError("", f"{why} network {network.name}",
                                "define it anew, with another -o host_access=ADDRESS")  # fmt: skip
    return segment, waits_s


def _kinds(machine: Machine, bridge: Link, ports: tuple[str, ...]) -> set[str]:
    """Return the kinds of those ports that are up."""
    others = [name for name in ports if not is_host_ifname(name)]
    kinds = {"veth"} if len(others) < len(ports) else set()
    if len(others) > _LOOKED_AT:
        found: Iterable[Link | None] = machine.links.ports(bridge)
    else:
        found = map(machine.links.link, others)
    return kinds | {port.kind for port in found if port and port.up}


class Adopted:
    """One attach's allocation on a bridge that is not ours alone. To be closed, when it is wired.

    Args:
        operation: by whose time and log it goes, and who knows other allocators.
        records: of all containers, and where what others use is given back to.
        network: that the bridge is of.
        segment: that is asked, as `segment_of` returns it.
        waits_s: how long it is listened to after each time of asking.
    """

    def __init__(
        self,
        operation: Operation,
        records: Records,
        network: Network,
        segment: Listening | None,
        waits_s: tuple[float, ...],
    ) -> None:
        self._operation = operation
        self._records = records
        self._network = network
        self._segment = segment
        self._waits_s = waits_s

    def allocate(self, taken: Mapping[Address, str], allocate: Allocate) -> tuple[Lease, ...]:
        """Allocate addresses that nobody else is known or heard to use.

        Args:
            taken: what must not be given in any case; as for `AddressStore.allocate`.
            allocate: given what is taken, returns leases, and remembers to undo them.

        Returns:
            The leases of the last try.

        Raises:
            ConflictError: a static or reserved address is another's.
            ExhaustedError: none is left, or too many in a row were others'.
            KernelError: the bridge could not be asked.
        """
        # Docker gives docker0's lowest free address away, and neither asks nor tells. What it is
        # known to have given is passed over, whether or not somebody answers for it.
        known = {} if self._network.managed else self._operation.neighbours(self._network)
        theirs = {address: f"held by {who}" for address, who in known.items()}
        answered: dict[Address, str] = {}
        # Someone with CAP_NET_RAW may answer for every address: it has to end somewhere.
        for _try in range(_TRIES):
            self._operation.deadline.check("")
            try:
                leases = allocate({**theirs, **answered, **taken})
            except ExhaustedError as error:
                if not answered:
                    raise
                why = f"{error.why}; others answered for {len(answered)} of these"
                raise ExhaustedError("", why, _HINT) from error
            users = self._users(leases)
            if not users:
                return leases
            for address, mac in users.items():
                device = self._network.parent or self._network.device
                answered[address] = f"in use already: {mac} answers for it on {device}"
        raise ExhaustedError(
            "",
            f"the first {_TRIES} addresses that {self._network.name} had to give"
            " are in use by others",
            _HINT,
        )

    def _users(self, leases: tuple[Lease, ...]) -> dict[Address, str]:
        """Ask who uses what was allocated, and give that back."""
        if not (self._segment and self._waits_s):
            return {}
        addresses = tuple(lease.address for lease in leases)
        users = self._segment.users(addresses, self._waits_s)
        liars = self._liars(users)
        if liars:
            users = self._segment.users(addresses, self._waits_s, deaf_to=liars)
        for lease in leases:
            if lease.address in users:
                container = lease.holder.container
                # Not given back as unused: the next try has to come to the next address.
                self._records.leases.release(self._network.name, lease.address, container)
                self._operation.log.append(
                    "address in use by another",
                    network=self._network.name,
                    address=str(lease.address),
                    mac=users[lease.address],
                )
        return users

    def _liars(self, users: Mapping[Address, str]) -> frozenset[str]:
        """Return the MACs of containers of ours, if one of them answers for what is not its own.

        It could not where its port is guarded, but not every kernel has the filter for that.
        On a network without guards a container has whatever addresses it likes.
        """
        ours: dict[str, str] = {}
        if users and self._network.guard:
            for record in self._records.attachments.all():
                for end in record.endpoints:
                    own = {interface.address for interface in end.addresses}
                    if end.device == self._network.device and own.isdisjoint(users):
                        ours[end.mac] = record.container.name
        lies = {address: mac for address, mac in users.items() if mac in ours}
        for address, mac in lies.items():
            self._operation.log.append(
                "answers for others' addresses",
                container=ours[mac],
                network=self._network.name,
                address=str(address),
                mac=mac,
            )
        return frozenset(ours) if lies else frozenset()

    def close(self) -> None:
        """Stop listening on the bridge."""
        if self._segment:
            self._segment.close()
