"""How what this host keeps stands in etcd, and what follows from it: pure.

etcd may have been wiped, or be an older copy of itself: then what is kept here is written back,
unless it is another one's by now. Nothing that runs is ever renumbered.
"""

from __future__ import annotations

from ocinet.base.value import Value
from ocinet.cluster import keys
from ocinet.cluster.decode import written
from ocinet.cluster.model import Share
from ocinet.cluster.shares import pool_of
from ocinet.cluster.store import Compare, Put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ocinet.base.address import Subnet
    from ocinet.cluster.census import Census
    from ocinet.cluster.kept import Kept
    from ocinet.cluster.model import Cluster, Host


class Sound(Value):
    """All is as it is kept here."""


class Lost(Value):
    """It is not this host's any more, or never was: nobody new is let onto it.

    Attributes:
        why: one clause.
        hint: what helps.
    """

    why: str
    hint: str


class Amiss(Value):
    """Something is missing in etcd, or older than here, and nobody else has it.

    Attributes:
        what: a line each, for people.
        compares: under which it is written.
        acts: that write it.
        host: this one, as it is written then.
    """

    what: tuple[str, ...]
    compares: tuple[Compare, ...]
    acts: tuple[Put, ...]
    host: Host


class Unclear(Value):
    """What all have in common can't be read there, as a later version's: nothing is written.

    Attributes:
        why: one clause.
        hint: what helps.
    """

    why: str
    hint: str


Standing = Sound | Lost | Amiss | Unclear


def judge(census: Census, kept: Kept, wanted: Host) -> Standing:
    """Tell how this host stands.

    Args:
        census: all that etcd has.
        kept: what this host keeps.
        wanted: this host as it is now, which may have another address or name by now.
    """
    lost = _lost(census, kept)
    if lost is not None:
        return lost
    name, me = kept.cluster.name, kept.host.id
    flaw = census.flaw(keys.config(name))
    if flaw:
        return Unclear(f"the cluster {name} in etcd can't be read: {flaw}",
                       "update ocinet on this host, or put right what stands there:"
                       f" etcdctl get {keys.config(name)}")  # fmt: skip
    what: list[str] = []
    compares: list[Compare] = []
    acts: list[Put] = []
    if census.cluster is None:
        what.append(f"cluster {name}")
        compares.append(Compare(keys.config(name), created=0))
        acts.append(Put(keys.config(name), written(kept.cluster)))
    stood = census.host(me)
    host = next_of(stood.value if stood else None, kept.host, wanted)
    at = stood.entry.modified if stood else census.flawed(keys.host(name, me))
    if stood is None or stood.value != host:
        what.append(f"host {host.name} at {', '.join(map(str, host.underlay))}")
        acts.append(Put(keys.host(name, me), written(host)))
    for prefix in kept.shares:
        if census.share(prefix) is None:
            what.append(f"share {prefix}")
            key = keys.share(name, prefix)
            flawed = census.flawed(key)  # as long as that stands there, nobody takes a part of it
            compares += [Compare(key, modified=flawed)] if flawed else untaken(kept.cluster, prefix)
            acts.append(Put(key, written(Share(prefix, me, host.generation))))
    if not acts:
        return Sound()
    compares += [
        Compare(keys.host(name, me), modified=at),
        Compare(keys.forgotten(name, me), created=0),
    ]
    return Amiss(tuple(what), tuple(compares), tuple(acts), host)


def next_of(stood: Host | None, kept: Host, wanted: Host) -> Host:
    """Return a host as it is to stand: as it is now, with the next generation if it changed."""
    latest = max(kept.generation, stood.generation if stood else 0)
    if stood is not None and stood == wanted.replace(generation=stood.generation):
        return stood
    if stood is None and kept == wanted.replace(generation=kept.generation):
        return kept
    return wanted.replace(generation=latest + 1)


def untaken(cluster: Cluster, prefix: Subnet) -> list[Compare]:
    """Return what holds as long as nobody has any part of a prefix."""
    pool = pool_of(cluster, prefix)
    first, end = keys.within(cluster.name, prefix)
    larger = keys.around(cluster.name, prefix, pool.prefix) if pool else ()
    return [Compare(first, created=0, end=end), *(Compare(key, created=0) for key in larger)]


def _lost(census: Census, kept: Kept) -> Lost | None:
    name, me, cluster = kept.cluster.name, kept.host, census.cluster
    if cluster is not None and not _is_same(cluster, kept.cluster):
        return Lost(f"the cluster {name} in etcd is another one by now, with other pools",
                    f"look whether it is the right etcd; or ocinet cluster leave {name} --force,"
                    " and join anew")  # fmt: skip
    forgotten = census.forgotten(me.id)
    if forgotten is not None and forgotten.nonce in ("", me.nonce):
        return Lost(f"this host was forgotten, at {forgotten.when}",
                    f"ocinet cluster join {name} has it join anew")  # fmt: skip
    stood = census.host(me.id)
    if stood is not None and stood.value.nonce != me.nonce:
        return Lost(f"another machine has this one's machine id: {stood.value.name}, at"
                    f" {', '.join(map(str, stood.value.underlay))}",
                    "one of the two is a clone: there, rm /etc/machine-id, then"
                    " systemd-machine-id-setup, and a reboot")  # fmt: skip
    shares = census.shares
    for prefix in kept.shares:
        for share in shares:
            if share.host != me.id and share.prefix.overlaps(prefix):
                owner = census.hosts.get(share.host)
                called = owner.name if owner else share.host
                return Lost(f"{share.prefix} is host {called}'s by now, {prefix} was this one's",
                            f"move its containers to other hosts; then ocinet cluster leave {name}"
                            " --force, and join anew")  # fmt: skip
    return None


def _is_same(one: Cluster, other: Cluster) -> bool:
    """Tell whether hosts of the two can be one cluster's."""
    return one.replace(created_by="", version=1, mtu=None) == other.replace(
        created_by="", version=1, mtu=None
    )
