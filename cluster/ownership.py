"""Who is in a cluster, and what is whose: joining, leaving and forgetting, one transaction each.

None has a time limit: what is a host's stays its own however long nobody hears of it, until it
leaves or a person has it forgotten. So no share is ever two hosts', whoever is cut off from whom.
"""

from __future__ import annotations

import zlib
from time import sleep
from typing import TYPE_CHECKING

from ocinet.base.clock import Deadline, now
from ocinet.base.errors import BusyError, ConflictError, NotFoundError, RequestError
from ocinet.base.value import Value
from ocinet.cluster import keys
from ocinet.cluster.census import Census
from ocinet.cluster.decode import Forgotten, is_id, read_cluster, written
from ocinet.cluster.model import CONTAINERS, Share
from ocinet.cluster.shares import choose, smallest
from ocinet.cluster.standing import next_of, untaken
from ocinet.cluster.store import Compare, Delete, Put, UnreachableError, end_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ocinet.base.address import Subnet
    from ocinet.cluster.model import Cluster, Host
    from ocinet.cluster.store import Store

_PAUSE_S = 0.2


class Joined(Value):
    """What a host got.

    Attributes:
        cluster: what all have in common.
        host: as it stands in etcd.
        shares: its own, in order.
    """

    cluster: Cluster
    host: Host
    shares: tuple[Subnet, ...]


def init(store: Store, cluster: Cluster) -> None:
    """Make a cluster of which nobody is a member yet.

    Raises:
        ConflictError: there is one of that name.
        RequestError: its pools or MTU can't be; nothing is written.
        UnreachableError: etcd does not answer.
    """
    read_cluster(written(cluster))  # or nobody could join it, nor remove it
    key = keys.config(cluster.name)
    if store.commit((Compare(key, created=0),), (Put(key, written(cluster)),)).done:
        return
    there = census_of(store, cluster.name).cluster
    if there == cluster:  # by this host, whose answer was lost
        return
    raise ConflictError("", f"there is a cluster {cluster.name} in etcd already",
                        f"ocinet cluster join {cluster.name} --etcd …")  # fmt: skip


def census_of(store: Store, name: str) -> Census:
    """Return all that etcd has of a cluster."""
    return Census.of(name, store.scan(keys.root(name)).entries)


def joined_census(store: Store, name: str) -> Census:
    """Return all that etcd has of a cluster that is there.

    Raises:
        NotFoundError: it is not.
        RequestError: it is a later version's, or damaged.
        UnreachableError: etcd does not answer.
    """
    census = census_of(store, name)
    if census.cluster is None:
        flaw = census.flaw(keys.config(name))
        if flaw:
            raise RequestError("", f"the cluster {name} in etcd can't be read: {flaw}",
                               "update ocinet on this host")  # fmt: skip
        hint = f"ocinet cluster init {name} --pool 10.42.0.0/16 --etcd …"
        raise NotFoundError("", f"there is no cluster {name} in etcd", hint)
    return census


def join(
    store: Store,
    name: str,
    make: Callable[[Cluster], Host],
    lengths: Mapping[int, int],
    wanted: tuple[Subnet, ...],
    deadline: Deadline,
) -> Joined:
    """Have a host be a member, with a share of each family; once more, it is what it was.

    Args:
        store: etcd.
        name: of the cluster.
        make: returns this host, as the cluster needs it to be.
        lengths: prefix lengths of the shares, by family, where it does not want the usual.
        wanted: shares that it had before, and has again; () has it take any.
        deadline: how long it goes on while others are faster, or etcd has no leader.

    Raises:
        NotFoundError: there is no such cluster.
        ConflictError: another machine has this one's id.
        ExhaustedError: no share is left.
        RequestError: a length can't be.
        BusyError: others were faster until the deadline.
        UnreachableError: etcd did not answer; a join may have been begun, and the next finds it.
    """
    turn = 0
    begun = False
    while True:
        try:
            census = joined_census(store, name)
            begun = True
            found = _try_to_join(store, census, make, lengths, wanted, turn)
        except UnreachableError:
            if not begun or not deadline.left_s:  # it may be a typo, or etcd has no majority
                raise
            sleep(min(_PAUSE_S, deadline.left_s))
            continue
        if found is not None:
            return found
        turn += 1
        if not deadline.left_s:
            raise BusyError("", f"others were faster for {deadline.seconds:g} s", "ask again")


def _try_to_join(
    store: Store,
    census: Census,
    make: Callable[[Cluster], Host],
    lengths: Mapping[int, int],
    wanted: tuple[Subnet, ...],
    turn: int,
) -> Joined | None:
    """Join by what was just listed; None if somebody has changed it since."""
    cluster = census.cluster
    config = census.config
    if cluster is None or config is None:
        return None
    host = make(cluster)
    stood = census.host(host.id)
    if stood is not None and stood.value.nonce != host.nonce:
        raise cloned(stood.value, cluster.name)
    own = census.shares_of(host.id)
    host = next_of(stood.value if stood else None, host, host)
    fresh: tuple[Subnet, ...] = ()
    if not own:
        # Without containers it is one address, with which the host is known to the others' ones.
        lengths = lengths if CONTAINERS in host.roles else smallest(cluster)
        start = zlib.crc32(host.id.encode()) + turn
        fresh = choose(cluster, census.taken, lengths, wanted, start)
    else:
        _check_lengths(own, lengths)
    if wanted and (own or fresh) != wanted:
        # What runs on it is never renumbered: networks and containers have these addresses.
        was = ", ".join(map(str, wanted))
        hint = f"ocinet cluster leave {cluster.name} --force, and join anew"
        raise ConflictError("", f"{was} was this host's, and is another one's by now", hint)
    if not fresh and stood is not None and stood.value == host:
        return Joined(cluster, host, own)
    name = cluster.name
    compares = [
        Compare(keys.config(name), modified=config.entry.modified),
        Compare(keys.host(name, host.id), modified=_modified(census, name, host.id)),
    ]
    acts: list[Put | Delete] = [
        Put(keys.host(name, host.id), written(host)),
        Delete(keys.forgotten(name, host.id)),
    ]
    for prefix in fresh:
        compares += untaken(cluster, prefix)
        share = Share(prefix, host.id, host.generation)
        acts.append(Put(keys.share(name, prefix), written(share)))
    if not store.commit(tuple(compares), tuple(acts)).done:
        return None
    return Joined(cluster, host, own or fresh)


def _modified(census: Census, name: str, host_id: str) -> int:
    """Return the revision of what stands as a host, be it nonsense; 0 if nothing does."""
    stood = census.host(host_id)
    return stood.entry.modified if stood else census.flawed(keys.host(name, host_id))


def _check_lengths(own: tuple[Subnet, ...], lengths: Mapping[int, int]) -> None:
    """Refuse another size of what a host has already."""
    for share in own:
        if lengths.get(share.family, share.prefixlen) != share.prefixlen:
            raise ConflictError("", f"this host has {share} already",
                                "leave the cluster first to have another size")  # fmt: skip


def cloned(stood: Host, name: str) -> ConflictError:
    """Return what to raise for a host that stands in etcd, and is not this installation."""
    where = f"{stood.name}, at {', '.join(map(str, stood.underlay))}"
    return ConflictError(
        "", f"a host with this one's machine id is in cluster {name} already: {where}",
        "if one is a clone of the other: rm /etc/machine-id, systemd-machine-id-setup, and a"
        f" reboot; if this one was made anew: ocinet cluster forget {stood.id} on another",
    )  # fmt: skip


def leave(store: Store, name: str, host: Host) -> None:
    """Give back all that is a host's; what is not there any more is fine.

    Raises:
        UnreachableError: etcd does not answer; it may have been done.
    """
    while True:
        census = census_of(store, name)
        stood = census.host(host.id)
        if stood is not None and stood.value.nonce != host.nonce:
            return  # another machine's with the same id: nothing there is ours
        compares, acts = _removal(census, name, host.id)
        if not acts or store.commit(compares, acts).done:
            return


def find_host(census: Census, wanted: str) -> Host:
    """Return the host that is meant by a name, an id or the beginning of one.

    Raises:
        NotFoundError: there is none.
        ConflictError: there are several.
    """
    hosts = census.hosts
    if wanted in hosts:
        return hosts[wanted]
    found = [host for host in hosts.values() if host.name == wanted]
    if not found and len(wanted) >= 4:
        found = [host for host in hosts.values() if host.id.startswith(wanted)]
    if len(found) > 1:
        ids = ", ".join(host.id for host in found)
        raise ConflictError("", f"several hosts are called so: {ids}", "say which one by its id")
    if not found:
        known = ", ".join(sorted(host.name for host in hosts.values())[:20])
        raise NotFoundError("", f"there is no host {wanted}", f"there are: {known or 'none'}")
    return found[0]


def forget(store: Store, name: str, wanted: str, by: str, *, force: bool = False) -> str:
    """Take a host out that does not do it itself, and give back what it had.

    It is told when it comes back, and takes no new containers then. By force, also an id of which
    only shares stand, or nonsense where the host should.

    Returns:
        What it was called; its id if nothing tells.

    Raises:
        NotFoundError: there is no such host or cluster.
        ConflictError: it is heard, and `force` was not said.
        UnreachableError: etcd does not answer; it may have been done.
    """
    tried: tuple[str, str, str] | None = None
    while True:
        census = joined_census(store, name)
        if tried is not None and not _removal(census, name, tried[0])[1]:
            return tried[1]  # it was done, and the answer lost
        host_id, called, nonce = tried = _meant(census, name, wanted, force=force)
        heard = census.alive(host_id)
        if heard is not None and not force:
            raise ConflictError("", f"{called} is heard, so it lives",
                                "ocinet cluster leave on that host; or --force")  # fmt: skip
        compares, acts = _removal(census, name, host_id)
        if not force:  # nor came back meanwhile
            compares += (Compare(keys.alive(name, host_id), created=0),)
        gone = Put(keys.forgotten(name, host_id), written(Forgotten(nonce, now(), by)))
        if store.commit(compares, (*acts, gone)).done:
            return called


def _meant(census: Census, name: str, wanted: str, *, force: bool) -> tuple[str, str, str]:
    """Return the id, the name and the nonce of who is to be forgotten; see `find_host`."""
    if (
        force
        and is_id(wanted)
        and census.host(wanted) is None
        and _removal(census, name, wanted)[1]
    ):
        return wanted, wanted, ""  # of whatever nonce
    host = find_host(census, wanted)
    return host.id, host.name, host.nonce


def _removal(
    census: Census, name: str, host_id: str
) -> tuple[tuple[Compare, ...], tuple[Put | Delete, ...]]:
    """Return what removes all that is a host's, as long as it is as it was listed."""
    compares: list[Compare] = []
    acts: list[Put | Delete] = []
    at = _modified(census, name, host_id)
    if at:
        key = keys.host(name, host_id)
        compares.append(Compare(key, modified=at))
        acts.append(Delete(key))
    for prefix in census.shares_of(host_id):
        share = census.share(prefix)
        if share is not None:
            key = keys.share(name, prefix)
            compares.append(Compare(key, modified=share.entry.modified))
            acts.append(Delete(key))
    if acts:
        acts.append(Delete(keys.alive(name, host_id)))
        names = f"{keys.root(name)}names/{host_id}/"
        acts.append(Delete(names, end_of(names)))
    return tuple(compares), tuple(acts)
