"""The machine of `tests/unit/test_cluster_ownership.py`, with a real etcd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from fakes.ownership import RealOwnershipMachine
from hosts.cluster.etcd import EtcdMember
from hosts.namespace.isolation import in_namespaces
from ocinet.cluster.access import Access, Endpoint
from ocinet.cluster.etcd import Etcd

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(300)
@in_namespaces
def test_ownership_by_a_real_etcd_is_never_two_hosts(tmp_path: Path) -> None:
    """Fewer steps, for each is a dozen requests; the fake has passed the same contract."""
    member = EtcdMember("one", "127.0.0.1", {"one": "127.0.0.1"}, tmp_path)
    member.start()
    client = Etcd(Access((Endpoint.parse(member.url),)))
    try:
        member.wait()
        RealOwnershipMachine.real = client
        run_state_machine_as_test(
            RealOwnershipMachine,
            settings=settings(
                max_examples=12,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=[HealthCheck.too_slow],
                database=None,
            ),
        )
    finally:
        client.close()
        member.stop()
