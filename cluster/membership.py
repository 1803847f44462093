"""Joining and leaving, as this host does them: what is kept, what is written, in which order.

    join     nonce kept → transaction → shares kept → the agent makes the ways
    leave    networks closed → "leaving" kept → ways taken away → transaction → forgotten here

Whoever is killed in between is finished by the same command, asked again: what was written for a
nonce that is kept here is this host's, and what is "leaving" is never written back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocinet.base.clock import Deadline
from ocinet.base.errors import ConflictError, OcinetError, RequestError
from ocinet.base.value import Value
from ocinet.cluster import memory, ownership, share_networks
from ocinet.cluster.identity import host_id, mac_of, nonce, own_name
from ocinet.cluster.kept import JOINED, LEAVING, Keeping, Kept
from ocinet.cluster.model import CONTAINERS, Host
from ocinet.cluster.plane.planes import plane_of
from ocinet.cluster.underlay import underlay_of
from ocinet.engine.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocinet.base.address import Address
    from ocinet.base.paths import Paths
    from ocinet.cluster.access import Access
    from ocinet.cluster.model import Cluster
    from ocinet.cluster.store import Store

    OpenStore = Callable[[Access], Store]

JOIN_S = 20.0
_LOCK_S = 20.0


class Wishes(Value):
    """What is asked for at a join.

    Attributes:
        access: how etcd is reached; None: as before.
        name: of this host; "": its hostname, whatever that is.
        underlay: see `underlay.underlay_of`.
        lengths: prefix lengths of shares, by family; else the pool's.
        containers: whether its share has room for some.
    """

    access: Access | None
    name: str = ""
    underlay: str = ""
    lengths: Mapping[int, int] = {}
    containers: bool = True


class Left(Value):
    """What a leave has left behind.

    Attributes:
        networks: that containers are on still, closed.
        unwritten: why etcd does not know of it; "".
    """

    networks: tuple[str, ...] = ()
    unwritten: str = ""


class Membership:
    """This host's membership of a cluster.

    Args:
        paths: of the installation.
        open_store: makes the store by what it is reached by.
    """

    def __init__(self, paths: Paths, open_store: OpenStore) -> None:
        self._paths = paths
        self._open_store = open_store
        self._keeping = Keeping(paths)

    def join(self, name: str, wishes: Wishes) -> Kept:
        """Be a member; once more, with other wishes for what can be changed.

        Raises:
            ConflictError: this host is in another cluster, or in this one with containers, or
                a network of it has the pool's addresses, or another machine has its id.
            NotFoundError: there is no such cluster.
            ExhaustedError: no share is left.
            UnreachableError: etcd does not answer; what was begun, the next one finishes.
        """
        with self._keeping.lock(Deadline(_LOCK_S)):
            former = self._former(name)
            wishes = _with_former(wishes, former)
            access = wishes.access
            if access is None:
                raise RequestError("", "it has to be said where etcd is",
                                   "say --etcd https://10.0.0.1:2379")  # fmt: skip
            identity, token = host_id(), nonce(self._paths)
            underlay = underlay_of(wishes.underlay, access.endpoints)

            def make(cluster: Cluster) -> Host:
                if former is None:
                    self._check(cluster, underlay)
                key = plane_of(cluster, self._paths).public_key()
                roles = frozenset([CONTAINERS] if wishes.containers else [])
                host = Host(identity, wishes.name or own_name(), underlay, mac_of(identity), key,
                            roles, token)  # fmt: skip
                return host.replace(generation=former.host.generation) if former else host

            store = self._open_store(access)
            try:
                joined = ownership.join(
                    store, name, make, wishes.lengths, former.shares if former else (),
                    Deadline(JOIN_S),
                )  # fmt: skip
            finally:
                store.close()
            kept = Kept(joined.cluster, joined.host, joined.shares, access, JOINED,
                        wishes.underlay, wishes.name)  # fmt: skip
            self._keeping.put(kept)
            return kept

    def leave(self, name: str | None, *, force: bool = False) -> Left:
        """Be a member no more, and give back the share.

        Args:
            name: of the cluster; None: the one that this host is in.
            force: also if containers run on the share, which goes to another host then, or if
                etcd does not answer, or refuses, where the share stays this host's until it is
                forgotten.

        Raises:
            NotFoundError: this host is in no such cluster.
            ConflictError: containers run on the share.
            UnreachableError: etcd does not answer; nothing is changed yet.
            OcinetError: etcd refuses; likewise.
        """
        with self._keeping.lock(Deadline(_LOCK_S)), Engine.open(self._paths) as engine:
            kept = self._keeping.get(name)
            store = self._open_store(kept.access)

            def look() -> None:
                ownership.census_of(store, kept.cluster.name)

            def give_back() -> None:
                ownership.leave(store, kept.cluster.name, kept.host)

            try:
                unwritten = _told(look, force=force)
                networks = self._withdraw(engine, kept, force=force)
                plane_of(kept.cluster, self._paths).remove()
                unwritten = unwritten or _told(give_back, force=force)
            finally:
                store.close()
            memory.forget(self._paths, kept.cluster.name)
            self._keeping.remove(kept.cluster.name)
            return Left(networks, unwritten)

    def _withdraw(self, engine: Engine, kept: Kept, *, force: bool) -> tuple[str, ...]:
        """Have nobody be on the share any more; return the networks that by force stay.

        Raises:
            ConflictError: containers are on it, and `force` was not said.
            OcinetError: likewise, a network can't be closed, or nothing kept.

        Effects: if it raises, a host that was joined is so still, and its networks are open.
        """
        left = kept.replace(state=LEAVING)
        try:
            if not force:
                _close_unused(engine, kept)
            self._keeping.put(left)
            share_networks.close(engine, kept.shares, "this host has left it")
            networks = share_networks.remove_empty(engine, kept.shares)
            if networks and not force:  # who was under way when they were closed
                raise _in_use(engine, kept, networks)
        except BaseException:
            if kept.state == JOINED and not force:
                self._keeping.put(kept)
                share_networks.close(engine, kept.shares, "")
            raise
        return networks

    def _former(self, name: str) -> Kept | None:
        former = self._keeping.find()
        if former is None:
            return None
        if former.cluster.name != name:
            raise ConflictError("", f"this host is in cluster {former.cluster.name} already",
                                f"ocinet cluster leave {former.cluster.name}")  # fmt: skip
        if former.state == LEAVING:
            raise ConflictError("", "this host is leaving it, and was interrupted",
                                f"ocinet cluster leave {name} finishes that")  # fmt: skip
        return former

    def _check(self, cluster: Cluster, underlay: tuple[Address, ...]) -> None:
        """Refuse a cluster whose pools this host has something else of."""
        for address in underlay:
            for pool in cluster.pools:
                if address in pool.prefix:
                    why = f"this host's address {address} is of the pool {pool.prefix}"
                    raise ConflictError("", why, "say another one by --underlay")
        with Engine.open(self._paths) as engine:
            share_networks.check_apart(engine, cluster)


def _with_former(wishes: Wishes, former: Kept | None) -> Wishes:
    """Return what is asked for at a join, and what was before, where nothing is said."""
    if former is None:
        return wishes
    if not wishes.containers and CONTAINERS in former.host.roles:
        name = former.cluster.name
        raise ConflictError("", f"this host is in cluster {name} already, with containers",
                            f"ocinet cluster leave {name}, and join without")  # fmt: skip
    return wishes.replace(
        access=wishes.access or former.access,
        name=wishes.name or former.name,
        underlay=wishes.underlay or former.underlay,
        containers=wishes.containers and CONTAINERS in former.host.roles,
    )


def _told(tell: Callable[[], None], *, force: bool) -> str:
    """Tell etcd something; return why it can't be, where that is put up with, or ""."""
    try:
        tell()
    except OcinetError as error:
        if not force:
            raise
        return error.why
    return ""


def _close_unused(engine: Engine, kept: Kept) -> None:
    """Close the networks on a share, unless containers are on them.

    Raises:
        ConflictError: it names them; who closed the networks opens them.
    """
    _check_unused(engine, kept)
    share_networks.close(engine, kept.shares, "this host is leaving it")
    _check_unused(engine, kept)  # who came in between was not told


def _check_unused(engine: Engine, kept: Kept) -> None:
    users = share_networks.users(engine, kept.shares)
    if users:
        raise _in_use(engine, kept, tuple(users))


def _in_use(engine: Engine, kept: Kept, networks: tuple[str, ...]) -> ConflictError:
    """Return what to raise for networks that somebody is on."""
    users = share_networks.users(engine, kept.shares)
    names = sorted({name for on_network in users.values() for name in on_network})
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    why = f"containers run on its share: {shown or 'on ' + ', '.join(networks)}"
    return ConflictError("", why,
                         "stop them, or move them to another host; --force leaves all the same, and"
                         " they can't be reached from other hosts then")  # fmt: skip
