"""The picture of a host, taken: records, the kernel's lists, and what failed.

A thousand containers cost what a few lists of a thousand cost: no question for one of them.
"""

from __future__ import annotations

import os
import shlex

from ocinet.base.clock import now
from ocinet.engine.model.attachment import ATTACHED
from ocinet.engine.model.endpoint import rows_of
from ocinet.picture import values
from ocinet.picture.failures import read_failures
from ocinet.picture.judgement import why_broken, why_unusable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ocinet.base.address import Interface
    from ocinet.engine.engine import Engine
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.endpoint import Endpoint, PortRule
    from ocinet.engine.model.network import Network
    from ocinet.engine.model.sight import CountedLink, Sight
    from ocinet.ipam.pool import Usage
    from ocinet.picture.failures import Failure

_REPAIR = "ocinet check --repair"
_HINT = " (hint: "  # how an error ends in the event log; see `base.errors`


def take(engine: Engine, run_dir: str) -> values.Picture:
    """Return what is there now.

    Args:
        engine: open.
        run_dir: where the event log is.

    Raises:
        OcinetError: the kernel would not say, or a state directory or the event log can't
            be read.
    """
    return _Observation(engine.sight(), read_failures(run_dir)).picture()


class _Observation:
    """One look, put together.

    Args:
        sight: of the kernel and the records.
        failures: that stand, by container id.
    """

    def __init__(self, sight: Sight, failures: Mapping[str, Failure]) -> None:
        self._sight = sight
        self._failures = failures
        self._counted = {counted.link.ifname: counted for counted in sight.overview.links}
        self._links = {name: counted.link for name, counted in self._counted.items()}
        self._networks = {network.name: network for network in sight.networks}
        self._used = {
            endpoint.network
            for record in sight.records
            if record.container.id not in sight.dead and record.state == ATTACHED
            for endpoint in record.endpoints
        }

    def picture(self) -> values.Picture:
        """Return the whole."""
        sight = self._sight
        containers = [self._container(record) for record in sight.records]
        known = {container.id for container in containers}
        refused = [_refused(failure) for failure in self._failures.values()]
        containers += [container for container in refused if container.id not in known]
        networks = [*map(self._network, sight.networks, sight.usage), *self._unreadable()]
        return values.Picture(
            taken_at=now(),
            hostname=os.uname().nodename,
            uplinks=tuple(self._uplinks()),
            networks=tuple(sorted(networks, key=lambda network: network.name)),
            containers=tuple(sorted(containers, key=lambda each: (each.name, each.id))),
            flaws=tuple(self._flaws()),
        )

    def _flaws(self) -> list[values.Flaw]:
        found = [values.Flaw(what, _REPAIR) for what in self._sight.lost]
        for container_id, why in self._sight.unread:
            what = f"the record of {container_id} can't be read: {why}"
            found.append(values.Flaw(what, "ocinet gc"))
        return found

    def _container(self, record: Attachment) -> values.Container:
        container = record.container
        state, why, hint = self._state(record)
        return values.Container(
            id=container.id,
            name=container.name,
            door=container.door,
            mode=record.mode,
            state=state,
            why=why,
            hint=hint,
            since=record.time,
            interfaces=tuple(map(self._interface, record.endpoints)),
            published=tuple(_published(record)),
            shares=record.member_of,
            wires=tuple(
                values.Wire(plug.cable, plug.ifname, plug.addresses, plug.peer)
                for plug in record.plugs
            ),
        )

    def _state(self, record: Attachment) -> tuple[str, str, str]:
        """Return a container's state, why it is so, and what helps."""
        container_id, name = record.container.id, record.container.name
        if container_id in self._sight.dead:
            return values.DEAD, "it has ended, and what it had is still there", "ocinet gc"
        failure = self._failures.get(container_id)
        if record.state != ATTACHED:
            if failure:
                return values.REFUSED, *_told(failure, f"ocinet attach {shlex.quote(name)}")
            return values.ATTACHING, "", ""
        if record.stranded:
            return values.BROKEN, "it is in a sandbox that its owner has left", f"restart {name}"
        why = why_broken(record, self._links, self._networks)
        if why:
            return values.BROKEN, why, f"{_REPAIR} {shlex.quote(name)}"
        return (values.LEFT if record.left else values.RUNNING), "", ""

    def _interface(self, endpoint: Endpoint) -> values.Interface:
        counted = self._counted.get(endpoint.host_ifname)
        limits = endpoint.bandwidth
        network = self._networks.get(endpoint.network)
        on_lan = None if endpoint.host_ifname or not network else network.parent
        return values.Interface(
            name=endpoint.ifname,
            host_end=endpoint.host_ifname,
            network=endpoint.network,
            mac=endpoint.mac,
            addresses=endpoint.addresses,
            state=_state_of(self._counted.get(on_lan) if on_lan else counted),
            figures=_figures(counted, swapped=True),
            most_in=limits.inward.rate if limits and limits.inward else 0,
            most_out=limits.outward.rate if limits and limits.outward else 0,
        )

    def _network(self, network: Network, usage: tuple[Usage, ...]) -> values.Network:
        bridge = self._counted.get(network.parent or network.device)
        used = network.name in self._used
        why = why_unusable(bridge.link if bridge else None, used=used)
        return values.Network(
            name=network.name,
            bridge=network.parent or network.device,
            adopted=not network.managed,
            driver=network.driver,
            internal=network.internal,
            state=_state_of(bridge),
            why=why,
            hint=_REPAIR if why else "",
            mtu=bridge.link.mtu if bridge else 0,
            pools=tuple(
                values.Pool(
                    each.pool.subnet, each.pool.gateway, each.allocatable, each.held, each.reserved
                )
                for each in usage
            ),
            figures=_figures(bridge, swapped=False),
        )

    def _unreadable(self) -> list[values.Network]:
        return [
            values.Network(
                name=name,
                bridge="",
                adopted=False,
                internal=False,
                state=values.MISSING,
                why=f"its file can't be read: {why}",
            )
            for name, why in self._sight.unreadable
        ]

    def _uplinks(self) -> list[values.Uplink]:
        found = []
        for name in self._sight.overview.uplinks:
            counted = self._counted.get(name)
            if counted is None:  # gone since it was listed
                continue
            own = [
                interface
                for ifindex, interface in self._sight.overview.addresses
                if ifindex == counted.link.ifindex and not _is_link_local(interface)
            ]
            figures = _figures(counted, swapped=False)
            found.append(values.Uplink(name, _state_of(counted), tuple(own), figures))
        return found


def _refused(failure: Failure) -> values.Container:
    name = failure.name or failure.container[:12]
    why, hint = _told(failure, f"ocinet inspect {shlex.quote(name)}")
    return values.Container(
        id=failure.container,
        name=name,
        door=failure.door,
        mode="",
        state=values.REFUSED,
        why=why,
        hint=hint,
        since=failure.time,
    )


def _told(failure: Failure, otherwise: str) -> tuple[str, str]:
    """Return why a container was refused, and what helps: as it was told, if that was."""
    why, _, hint = failure.error.partition(_HINT)
    return why, hint.removesuffix(")") or otherwise


def _published(record: Attachment) -> list[values.Published]:
    return [
        values.Published(
            host_address=rule.host_address,
            host_port=rule.host_port,
            address=rule.address,
            port=rule.port,
            protocol=rule.protocol,
            network=_network_of(record, rule),
            count=count,
        )
        for rule, count in rows_of(record.ports)
    ]


def _network_of(record: Attachment, rule: PortRule) -> str:
    for endpoint in record.endpoints:
        if any(interface.address == rule.address for interface in endpoint.addresses):
            return endpoint.network
    return ""


def _state_of(counted: CountedLink | None) -> str:
    if counted is None:
        return values.MISSING
    return values.UP if counted.link.up else values.DOWN


def _figures(counted: CountedLink | None, *, swapped: bool) -> values.Figures | None:
    """Return what has passed a link; swapped: as its other end sees it."""
    if counted is None or counted.counters is None:
        return None
    told = counted.counters
    received = told.rx_bytes, told.rx_packets, told.rx_dropped
    sent = told.tx_bytes, told.tx_packets, told.tx_dropped
    first, second = (sent, received) if swapped else (received, sent)
    return values.Figures(*first, *second, counted.refused)


def _is_link_local(interface: Interface) -> bool:
    address = interface.address
    return address.family == 6 and address.value >> 118 == 0xFE80 >> 6
