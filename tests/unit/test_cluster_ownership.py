"""Who owns what, driven at random against what must hold, with an etcd in memory.

`tests/cluster/test_ownership.py` has the same machine run with a real one.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from fakes.etcd import FakeEtcd
from fakes.ownership import OwnershipMachine
from ocinet.base.address import Address, Subnet
from ocinet.base.clock import Deadline
from ocinet.base.errors import NotFoundError, RequestError
from ocinet.cluster import keys
from ocinet.cluster.access import Access
from ocinet.cluster.kept import Kept
from ocinet.cluster.model import Cluster, Host, Pool
from ocinet.cluster.ownership import census_of, forget, init, join
from ocinet.cluster.standing import Amiss, Lost, Sound, judge
from ocinet.cluster.store import Delete, Put

_ID = "6f1c0a52-0000-4000-8000-000000000000"
_HOST = Host(_ID, "a", (Address.parse("10.0.0.1"),), "02:00:00:00:00:01", nonce="0a")


def test_ownership_is_never_two_hosts() -> None:
    """Whatever is lost, cut off, killed, wiped or forgotten, and in whatever order."""
    run_state_machine_as_test(
        OwnershipMachine,
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def test_cluster_that_nobody_could_read_is_not_made() -> None:
    """Nor could anybody remove it."""
    etcd = FakeEtcd()
    cluster = Cluster("prod", (Pool(Subnet.parse("fd42::/48"), 64),), mtu=1000)
    with pytest.raises(RequestError, match="mtu: 1000 is not from 1280"):
        init(etcd, cluster)
    assert etcd.scan(keys.root("prod")).entries == ()


def _joined() -> tuple[FakeEtcd, Kept]:
    """Return an etcd with a cluster, and a host of it."""
    etcd = FakeEtcd()
    init(etcd, Cluster("prod", (Pool(Subnet.parse("10.42.0.0/16"), 24),)))
    joined = join(etcd, "prod", lambda _: _HOST, {}, (), Deadline(5))
    return etcd, Kept(joined.cluster, joined.host, joined.shares, Access(()))


def test_nonsense_where_a_host_stands_is_written_over_by_it() -> None:
    """As it, or one of its shares: whoever wrote it there is nobody else who could have it."""
    etcd, kept = _joined()
    for key in (keys.host("prod", _ID), keys.share("prod", kept.shares[0])):
        etcd.commit((), (Put(key, b"garbage"),))
        standing = judge(census_of(etcd, "prod"), kept, kept.host)
        assert isinstance(standing, Amiss)
        assert etcd.commit(standing.compares, standing.acts).done
        assert judge(census_of(etcd, "prod"), kept, kept.host) == Sound()
    etcd.commit((), (Put(keys.host("prod", _ID), b"garbage"),))
    again = join(etcd, "prod", lambda _: _HOST, {}, kept.shares, Deadline(0))
    assert again.shares == kept.shares


def test_id_of_which_only_shares_or_nonsense_stand_is_forgotten_by_force() -> None:
    """Or its share were nobody's to have for ever; it is told when it comes back all the same."""
    for act in (Delete(keys.host("prod", _ID)), Put(keys.host("prod", _ID), b"garbage")):
        etcd, kept = _joined()
        etcd.commit((), (act,))
        with pytest.raises(NotFoundError):
            forget(etcd, "prod", _ID, "")
        assert forget(etcd, "prod", _ID, "", force=True) == _ID
        census = census_of(etcd, "prod")
        assert (census.taken, census.flaw(keys.host("prod", _ID))) == ((), "")
        assert isinstance(judge(census, kept, kept.host), Lost)
    with pytest.raises(NotFoundError):
        forget(etcd, "prod", _ID, "", force=True)
