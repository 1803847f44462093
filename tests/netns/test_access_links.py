"""Ports that links open between containers that are kept apart, and who keeps them open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hosts.namespace.apart_host import Apart, asking, both
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.wired_host import PATHS
from ocinet.engine.access import Access
from ocinet.engine.model.resolution import LinkedName, Resolution
from ocinet.engine.renaming import rename

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.request import Request

_EXPOSING = asking().replace(exposed=("80/tcp",))


def _linked(*targets: str) -> Request:
    links = tuple(LinkedName(target, "store") for target in targets)
    return asking().replace(resolution=Resolution(links=links))


def _pairs() -> str:
    return "".join(run(f"nft list set inet ocinet {name}") for name in ("pair4", "pair6"))


@in_namespaces
def test_link_to_a_member_is_open_for_as_long_as_the_member_is_there() -> None:
    """Whether the member comes before who has the link or behind; nothing is left of either."""
    with Apart() as host:
        host.up("other", asking())
        clean = _pairs()
        four, six = both(host.up("db", _EXPOSING))
        host.listen("db", 80)
        host.up("web", _linked("side"))
        assert host.is_kept_from("web", four, 80)
        host.join("side", "db")
        assert host.reaches("web", four, 80)
        assert host.reaches("web", six, 80)
        assert host.stop("side")
        assert host.is_kept_from("web", four, 80)
        assert _pairs() == clean
        host.join("side", "db")
        assert host.stop("web")
        assert _pairs() == clean


@in_namespaces
def test_link_to_a_member_ends_with_its_name() -> None:
    """And another one's begins, renamed in the sandbox where it is."""
    with Apart() as host:
        four, _ = both(host.up("db", _EXPOSING))
        host.listen("db", 80)
        host.join("side", "db")
        host.up("web", _linked("side"))
        host.up("shop", _linked("front"))
        assert host.reaches("web", four, 80)
        with host.engine() as engine:
            assert rename(engine.operation, engine.machine, engine.records, "side-id", "front")
        assert host.is_kept_from("web", four, 80)
        assert host.reaches("shop", four, 80)


@in_namespaces
def test_link_to_an_owner_ends_with_its_name() -> None:
    """By the name that it had, which leads nowhere by the time that it is looked at."""
    with Apart() as host:
        four, _ = both(host.up("db", _EXPOSING))
        host.listen("db", 80)
        host.up("web", _linked("db"))
        host.up("shop", _linked("cache"))
        assert host.reaches("web", four, 80)
        assert host.is_kept_from("shop", four, 80)
        with host.engine() as engine:
            assert rename(engine.operation, engine.machine, engine.records, "db-id", "cache")
        assert host.is_kept_from("web", four, 80)
        assert host.reaches("shop", four, 80)


@in_namespaces
def test_link_to_a_member_that_opens_nothing_is_told_when_the_member_comes() -> None:
    """To its owner, whose ports nobody knows."""
    with Apart() as host:
        host.up("cache", asking(allow="nobody"))
        host.up("web", _linked("side"))
        host.join("side", "cache")
        told = Path(f"{PATHS.run}/events.jsonl").read_text()
        assert "the link of web to cache opens nothing on apart" in told


@in_namespaces
def test_link_to_a_name_that_two_have_leads_to_one() -> None:
    """The first, as its `/etc/hosts` says; and of neither anything is left open."""
    with Apart() as host:
        host.up("other", asking())
        clean = _pairs()
        first, _ = both(host.up("db", _EXPOSING))
        host.up("web", _linked("db"))
        second, _ = both(host.attach(host.start("db2").replace(name="db"), _EXPOSING))
        host.listen("db", 80)
        host.listen("db2", 80)
        assert host.reaches("web", first, 80)
        assert host.is_kept_from("web", second, 80)
        run("nft flush ruleset")
        with host.engine() as engine:
            engine.check(repair=True)
        assert host.reaches("web", first, 80)
        assert host.is_kept_from("web", second, 80)
        assert host.stop("web")
        assert _pairs() == clean


@pytest.mark.parametrize("first", ["web", "db"])
@in_namespaces
def test_link_by_more_of_an_id_than_is_shown_opens_as_well(first: str) -> None:
    """Whichever comes first; and it is closed with either."""
    whole = f"{'0123456789abcdef' * 4}"
    with Apart() as host:
        host.up("other", asking())
        clean = _pairs()
        db = host.start("db").replace(id=whole)
        if first == "web":
            host.up("web", _linked(whole[:20]))
        four, _ = both(host.attach(db, _EXPOSING))
        if first == "db":
            host.up("web", _linked(whole[:20]))
        host.listen("db", 80)
        assert host.reaches("web", four, 80)
        assert host.stop("web")
        assert _pairs() == clean


@in_namespaces
def test_check_tells_of_what_is_open_to_nobodys_wish_and_repair_closes_it() -> None:
    """Whoever has entered it, and however; with who is in it by then."""
    with Apart() as host:
        four, _ = host.with_pair(asking(allow="nobody"), asking())
        web = host.addresses("web")[0].partition("/")[0]
        host.listen("db", 80)
        clean = _pairs()
        run(f"nft add element inet ocinet pair4 {{ {web} . {four} . tcp . 80 }}")
        assert host.reaches("web", four, 80)
        with host.engine() as engine:
            (found,) = engine.check()
            assert found.what.endswith("tcp . 80 } is left: no container has it")
            (found,) = engine.check(repair=True)
            assert found.repaired
            assert engine.check() == ()
        assert _pairs() == clean
        assert host.is_kept_from("web", four, 80)


def _come(host: Apart, name: str) -> None:
    host.up(name, _EXPOSING if name == "db" else _linked("db"))


@pytest.mark.parametrize(("goes", "comes"), [("web", "db"), ("db", "web")])
@in_namespaces
def test_who_comes_while_the_other_one_goes_opens_nothing(
    goes: str, comes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it has looked for the last time: its record is there until its wiring is gone."""
    with Apart() as host:
        host.up("other", asking())
        clean = _pairs()
        _come(host, goes)
        _after(monkeypatch, "close", lambda: _come(host, comes))
        assert host.stop(goes)
        assert comes in host.sleepers
        assert _pairs() == clean


@in_namespaces
def test_member_that_comes_while_who_has_a_link_to_it_goes_opens_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It goes between the member's look and what is entered by it."""
    with Apart() as host:
        host.up("other", asking())
        clean = _pairs()
        host.up("db", _EXPOSING)
        host.up("web", _linked("side"))
        _after(monkeypatch, "_by_links", lambda: host.stop("web"), calls=2)
        host.join("side", "db")
        assert "web" not in host.sleepers
        assert _pairs() == clean


def _after(
    monkeypatch: pytest.MonkeyPatch, name: str, then: Callable[[], object], calls: int = 1
) -> None:
    """Have something happen once a method of `Access` has come to its end, for the nth time."""
    method, left = getattr(Access, name), [calls]

    def called(access: Access, *records: Attachment | None, **how: object) -> object:
        found = method(access, *records, **how)
        left[0] -= 1
        if not left[0]:
            monkeypatch.undo()
            then()
        return found

    monkeypatch.setattr(Access, name, called)
