"""What the watcher has the engine do goes by the settings that it read last."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import on
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import addresses_json
from hosts.namespace.wired_host import PATHS, WiredHost
from ocinet.base.address import Subnet
from ocinet.engine.engine import Engine
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


def _strand(host: WiredHost, owner: str, member: str) -> None:
    """Start an owner anew while its member stays in the sandbox of before."""
    host.up(owner)
    host.join(member, owner)
    host.sleepers.pop(owner).end()
    host.attach(host.start(owner), on("lan"))


@in_namespaces
def test_owner_is_looked_at_for_as_long_as_it_has_left_a_member(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In its later lives as well, of which the record knows nothing; and no longer."""
    looks = []
    opened = Engine.open

    def looked(*about: object, **how: object) -> object:
        looks.append(about)
        return opened(*about, **how)  # type: ignore[arg-type]

    calls = EngineCalls(PATHS, lambda _network: {}, Settings)
    with WiredHost() as host:
        _strand(host, "shop", "log")
        assert [each.container.name for each in calls.left_behind("shop-id")] == ["log"]
        host.stop("shop")
        host.up("shop")
        assert [each.container.name for each in calls.left_behind("shop-id")] == ["log"]
        host.stop("log")
        assert calls.left_behind("shop-id") == ()
        monkeypatch.setattr(Engine, "open", looked)
        assert calls.left_behind("shop-id") == ()
        assert not looks
