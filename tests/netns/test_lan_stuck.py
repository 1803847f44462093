"""A container on the LAN whose interface there can't be taken away: all else of it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builders import on, span
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.lan import PARENT, ROUTER, define, lan
from hosts.namespace.looks import ip_json
from hosts.namespace.wired_host import WiredHost
from ocinet.base.address import Address
from ocinet.base.errors import KernelError, OcinetError
from ocinet.engine import disconnect, lan_ends

if TYPE_CHECKING:
    from ocinet.engine.model.attachment import Attachment

HOME = {"gateways": (Address.parse(ROUTER),), "ranges": (span("192.168.7.100", "192.168.7.107"),)}


def _is_stuck(*_about: object) -> None:
    raise KernelError("", "its sandbox lets nobody in")


def _wired(host: WiredHost) -> tuple[Attachment, str]:
    define(host, "home", **HOME)
    record = host.up("web", on("home", "lan"))
    (end,) = (endpoint.host_ifname for endpoint in record.endpoints if endpoint.host_ifname)
    assert end in _links()
    return record, end


def _links() -> set[str]:
    return {link["ifname"] for link in ip_json("link")}


@pytest.mark.parametrize("force", [False, True])
@in_namespaces
def test_interface_on_the_lan_that_stays_keeps_nothing_else(
    force: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forced, it is forgotten as well, and told; else the record is there for a second try."""
    with lan(), WiredHost() as host:
        record, end = _wired(host)
        monkeypatch.setattr(lan_ends, "take_ends_away", _is_stuck)
        with host.engine() as engine:
            with pytest.raises(OcinetError, match="lets nobody in"):
                engine.detach("web-id", force=force)
            assert end not in _links()
            assert (engine.containers.get("web-id") is None) == force
            if not force:
                monkeypatch.undo()
                assert engine.detach("web-id")
            held = [lease.address for lease in engine.records.leases.leases("home")]
        assert held == []
        assert record.endpoints


@in_namespaces
def test_host_side_that_stays_is_told_beside_what_else_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One failure does not hide another one."""
    with lan(), WiredHost() as host:
        _wired(host)
        monkeypatch.setattr(lan_ends, "take_ends_away", _is_stuck)
        monkeypatch.setattr(lan_ends, "forget_host_sides", _is_held)
        told = pytest.raises(OcinetError, match=r"lets nobody in.*the host's side is held")
        with host.engine() as engine, told:
            engine.detach("web-id", force=True)


def _is_held(*_about: object) -> None:
    raise KernelError("", "the host's side is held")


@in_namespaces
def test_disconnect_from_another_network_is_whole_though_a_host_side_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the container knows itself by what it has left."""
    with lan(), WiredHost() as host:
        _wired(host)
        monkeypatch.setattr(disconnect, "forget_host_sides", _is_held)
        told: list[str] = []
        monkeypatch.setattr(disconnect.Disconnect, "_tell_names", lambda *_: told.append("names"))
        with host.engine() as engine:
            with pytest.raises(OcinetError, match="is held"):
                engine.disconnect("web-id", "home")
            assert [end.network for end in engine.containers.find("web").endpoints] == ["lan"]
        assert told == ["names"]
        assert PARENT in _links()
