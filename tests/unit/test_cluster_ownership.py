"""Who owns what, driven at random against what must hold, with an etcd in memory.

`tests/cluster/test_ownership.py` has the same machine run with a real one.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from fakes.etcd import FakeEtcd
from fakes.ownership import OwnershipMachine
from ocinet.base.address import Subnet
from ocinet.base.errors import RequestError
from ocinet.cluster import keys
from ocinet.cluster.model import Cluster, Pool
from ocinet.cluster.ownership import init


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
