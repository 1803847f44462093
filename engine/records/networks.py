"""The networks that are defined: one JSON file each in `CONFIG/networks`.

How the files are kept, `definitions` says. What a legal definition is, and how one is
made from a person's wishes, is in `plan.new_network`.
"""

from __future__ import annotations

from ocinet.base.errors import (
    ConflictError,
    NotFoundError,
    RequestError,
    SystemFailure,
)
from ocinet.base.jsontext import dumps
from ocinet.base.names import check_ifname, did_you_mean
from ocinet.base.records import (
    ADDRESS,
    FLAG,
    NUMBER,
    OBJECT,
    SUBNET,
    TEXT,
    Defaulted,
    Kind,
    Record,
    listed,
    load_record,
    optional,
)
from ocinet.engine.model.network import Network
from ocinet.engine.model.request import DEFAULT_NETWORK
from ocinet.engine.records.definitions import Definitions, sorted_out
from ocinet.engine.records.routes import ROUTE
from ocinet.ipam.pool import Pool, Range

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ocinet.base.paths import Paths


class NetworkStore:
    """Reads and writes definitions of networks.

    Args:
        paths: where the configuration directory is.
    """

    def __init__(self, paths: Paths) -> None:
        self._path = f"{paths.config}/networks"
        self._files = Definitions(self._path)
        self._read: dict[str, tuple[bytes, Network]] = {}  # an attach reads each one twice

    def find(self, name: str) -> Network | None:
        """Return a network that is defined, or None; defines nothing.

        Raises:
            RequestError: the name is not legal.
            SystemFailure: its file can't be read or makes no sense.
        """
        data = self._files.data(name)
        if data is None:
            return None
        if name not in self._read or self._read[name][0] != data:
            self._read[name] = data, decode(name, data, self._files.path(name))
        return self._read[name][1]

    def get(self, name: str) -> Network:
        """Return a network that is defined.

        Raises:
            NotFoundError: there is none of that name; tells the nearest ones.
            RequestError: the name is not legal.
            SystemFailure: its file can't be read or makes no sense.
        """
        network = self.find(name)
        if network is not None:
            return network
        if name == DEFAULT_NETWORK:
            raise NotFoundError(
                "",
                f"the network {name} is not defined yet",
                f"its first container does it, or: ocinet network create {name}",
            )
        raise NotFoundError(
            "",
            f"there is no network {name}",
            did_you_mean(name, (*self.names(), DEFAULT_NETWORK))
            or f"make it with: ocinet network create {name}",
        )

    def names(self) -> tuple[str, ...]:
        """List the networks that are defined, sorted."""
        return self._files.names()

    def all(self) -> tuple[Network, ...]:
        """Return every network that is defined, by name.

        Raises:
            SystemFailure: a file can't be read or makes no sense. None is left
                out: a network that is not seen could be given its addresses again.
        """
        networks = [self.find(name) for name in self.names()]
        return tuple(network for network in networks if network is not None)

    def readable(self) -> tuple[Network, ...]:
        """Return every network whose file can be read, by name.

        For who shows networks, or looks for what is left of one. Who makes
        something needs `all`.
        """
        return sorted_out(self.names(), self.find)[0]

    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """List the networks whose file can't be read, each with the reason."""
        return sorted_out(self.names(), self.find)[1]

    def add(self, network: Network, *, anew: bool = False) -> None:
        """Keep a new definition.

        Args:
            network: what is kept.
            anew: in the place of the one that has its name, if there is one.

        Raises:
            ConflictError: there is a network of that name.
            SystemFailure: it can't be written, as where /etc is read-only.
        """
        try:
            added = self._files.add(network.name, dumps(encode(network)), anew=anew)
        except SystemFailure as error:
            # Nothing in /run stands in for it: after a boot it would be another network,
            # while reservations and whoever knows its addresses still meant this one.
            raise SystemFailure(
                f"cannot define the network {network.name}",
                f"{error.what}: {error.why}",
                f"let {self._path} be writable once, and: ocinet network create {network.name}",
            ) from error
        if not added:
            raise ConflictError("", f"there is a network {network.name} already")

    def remove(self, name: str) -> bool:
        """Forget a definition; False if there was none."""
        return self._files.remove(name)


def encode(network: Network) -> dict[str, Any]:
    """Return a network as the JSON object that is stored and printed.

    What is as it is by default is left out from `egress` on: versions that don't know it
    refuse it. As in::

        {"name": "lan", "device": "ocbr-5e1c0a9b", "managed": true, "internal": false,
         "masquerade": true, "mtu": 0, "labels": {"team": "web"},
         "created": "2025-01-31T12:00:00.000Z",
         "pools": [{"subnet": "10.9.0.0/24", "gateway": "10.9.0.1",
                    "ranges": [{"first": "10.9.0.128", "last": "10.9.0.255"}]}],
         "egress": ["198.51.100.9"], "guard": false, "host": false, "siblings": false,
         "dns": false, "dns_servers": ["192.0.2.53"],
         "unmasked": ["10.42.0.0/16"], "joined": ["ocx-4242"], "closed": "it moves",
         "driver": "macvlan", "parent": "eth0", "mode": "bridge", "host_access": ["192.0.2.250"]}
    """
    return _NETWORK.write(network)


def decode(name: str, data: bytes, path: str) -> Network:
    """Read a network's file; the other way of `encode`.

    Raises:
        SystemFailure: it makes no sense; names the file.
    """
    try:
        fields = load_record(OBJECT, data)
        unknown = sorted(set(fields) - set(Network._fields))
        if unknown:
            raise RequestError("", f"unknown key {unknown[0]!r}")
        network: Network = _NETWORK.read(fields)
        if network.name != name:
            raise RequestError("", f"it says that it is {network.name!r}")
        # People edit these files, and the device becomes part of sysctls' paths.
        for device in (network.device, *network.joined, *filter(None, (network.parent,))):
            check_ifname(device)
    except RequestError as error:
        what = f"cannot read the network {name}"
        raise SystemFailure(what, f"{path}: {error.why}", f"mend or remove {path}") from error
    return network


def _make_pool(**fields: Any) -> Pool:
    pool = Pool(**fields)
    bounds = [end for span in pool.ranges for end in (span.first, span.last)]
    for address in (*bounds, *([pool.gateway] if pool.gateway else [])):
        if address not in pool.subnet:
            raise RequestError("", f"{address} is not in {pool.subnet}")
    return pool


def _read_labels(fields: Any) -> tuple[tuple[str, str], ...]:
    return tuple((key, str(value)) for key, value in OBJECT.read(fields).items())


_POOL = Record(
    _make_pool,
    subnet=SUBNET,
    gateway=optional(ADDRESS),
    ranges=listed(Record(Range, first=ADDRESS, last=ADDRESS)),
)
_NETWORK = Record(
    Network,
    name=TEXT,
    device=TEXT,
    managed=FLAG,
    internal=FLAG,
    masquerade=FLAG,
    mtu=NUMBER,
    labels=Kind(_read_labels, dict),
    created=TEXT,
    pools=listed(_POOL),
    egress=Defaulted(listed(ADDRESS), ()),
    guard=Defaulted(FLAG, default=True),
    host=Defaulted(FLAG, default=True),
    siblings=Defaulted(FLAG, default=True),
    default_route=Defaulted(FLAG, default=True),
    metric=Defaulted(NUMBER, 0),
    routes=Defaulted(listed(ROUTE), ()),
    dns=Defaulted(FLAG, default=True),
    dns_servers=Defaulted(listed(ADDRESS), ()),
    unmasked=Defaulted(listed(SUBNET), ()),
    joined=Defaulted(listed(TEXT), ()),
    closed=Defaulted(TEXT, ""),
    driver=Defaulted(TEXT, "bridge"),
    parent=Defaulted(TEXT, ""),
    mode=Defaulted(TEXT, ""),
    host_access=Defaulted(listed(ADDRESS), ()),
)
