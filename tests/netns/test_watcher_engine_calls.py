"""What the watcher has the engine do goes by the settings that it read last."""

from __future__ import annotations

from pathlib import Path

import pytest

from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import addresses_json
from hosts.namespace.wired_host import PATHS
from ocinet.base.address import Subnet
from ocinet.engine.model.settings import Settings
from ocinet.engine.plan.new_network import DEFAULT_DEVICE
from ocinet.watcher.engine_calls import EngineCalls


@in_namespaces
def prepare_beside_settings(text: str) -> None:
    """Prepare the default network while the settings' file says something else."""
    Path(PATHS.config).mkdir(mode=0o700, parents=True, exist_ok=True)
    Path(PATHS.config, "ocinet.toml").write_text(text)
    in_force = Settings(pools=(Subnet.parse("10.80.0.0/16"),))
    calls = EngineCalls(PATHS, lambda _network: {}, lambda: in_force)

    assert calls.prepare()

    assert [address["local"] for address in addresses_json(DEFAULT_DEVICE)] == ["10.80.0.1"]
    assert not calls.prepare()
    assert calls.collect() == ()


@pytest.mark.parametrize("text", ["pools = [", 'pools = ["10.90.0.0/16"]'], ids=["typo", "other"])
def test_prepare_goes_by_the_settings_in_force(text: str) -> None:
    """Before SIGHUP a typo is in nobody's way, and what is not read yet does not count."""
    prepare_beside_settings(text)
