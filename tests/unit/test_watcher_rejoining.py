"""Which members are restarted where their owner has come back elsewhere, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import structlog

from ocinet.base.errors import SystemFailure
from ocinet.engine.model.attachment import ATTACHED, Attachment, Container
from ocinet.engine.model.settings import Settings
from ocinet.watcher.observed import ObservedContainer
from ocinet.watcher.policy import wants_rejoin
from ocinet.watcher.rejoining import Rejoining
from ocinet.watcher.remembered import Remembered

if TYPE_CHECKING:
    from collections.abc import Callable

SAYS = (("ocinet.rejoin", "true"),)
MEMBER = Attachment(
    Container("log-id", "log"), "container", ATTACHED, "4:1", "boot", "now", member_of="shop-id",
    stranded="told",
)  # fmt: skip


class Engine:
    """An engine with one member, which it restarts or not."""

    def __init__(self, **changes: Any) -> None:
        shown = {
            "mode": "container",
            "target": "shop-id",
            "labels": SAYS,
            "running": True,
            "image": "sha256:1",
        }
        self.shown: ObservedContainer | None = ObservedContainer(
            "log-id", "log", **{**shown, **changes}
        )
        self.restarted = 0
        self.fails = False
        self.goes = False  # in the midst of a restart
        self.is_gone = False

    def inspect(self, _container_id: str) -> ObservedContainer | None:
        if self.is_gone:
            raise SystemFailure("cannot inspect log", "Connection reset by peer")
        return self.shown

    def restart(self, _container_id: str) -> None:
        if self.goes:
            self.is_gone = True
            raise SystemFailure("cannot restart log", "Remote end closed connection")
        if self.fails:
            raise SystemFailure("cannot restart log", "no such container")
        self.restarted += 1

    def carried(self, _image: str, _manifest: str) -> frozenset[tuple[str, str]] | None:
        return frozenset()


class Known:
    """Who was left behind; each life of the owner's allows one try."""

    def __init__(self) -> None:
        self.tried = False
        self.told: list[str] = []

    def left_behind(self, _container_id: str) -> tuple[Attachment, ...]:
        return () if self.tried else (MEMBER,)

    def note_rejoin(self, _member: Attachment) -> bool:
        self.tried, before = True, self.tried
        return not before

    def take_back_rejoin(self, _member: Attachment) -> None:
        self.tried = False

    def tell(self, event: str, _container_id: str, _name: str, _error: str) -> None:
        self.told.append(event)


def rejoining(engine: Engine, known: Known, settings: Settings | None = None) -> Rejoining:
    """Return what is tried."""
    log = structlog.get_logger()
    in_force = settings or Settings()
    return Rejoining(engine, known, Remembered(engine.carried, log), lambda: in_force, log)


def test_member_that_says_so_is_restarted_once_in_its_owners_life() -> None:
    """However often its owner is looked at."""
    engine, known = Engine(), Known()
    rejoin = rejoining(engine, known)
    assert rejoin.concerns("shop-id")
    for _time in range(3):
        rejoin.look("shop-id")
    assert (engine.restarted, known.told) == (1, ["rejoined"])
    assert not rejoin.concerns("shop-id")


def test_member_of_an_owner_that_falls_over_again_and_again_is_left_after_a_while() -> None:
    """Five times in ten minutes; then it is told, once."""
    engine, known = Engine(), Known()
    rejoin = rejoining(engine, known)
    for _life in range(9):
        known.tried = False
        rejoin.look("shop-id")
    assert (engine.restarted, known.told) == (5, ["rejoined"] * 5 + ["rejoin failed"])


def test_restart_that_fails_is_told_and_not_tried_again_in_this_life() -> None:
    """As where the owner was removed, and another made in its place."""
    engine, known = Engine(), Known()
    engine.fails = True
    rejoin = rejoining(engine, known)
    for _time in range(2):
        rejoin.look("shop-id")
    assert (engine.restarted, known.told) == (0, ["rejoin failed"])


def test_restart_that_an_engine_did_not_live_to_do_is_tried_when_it_is_back() -> None:
    """As where dockerd is restarted just then, with live-restore: the member runs on."""
    engine, known = Engine(), Known()
    engine.goes = True
    rejoin = rejoining(engine, known)
    for _time in range(2):
        rejoin.look("shop-id")
    engine.goes = engine.is_gone = False
    rejoin.look("shop-id")
    rejoin.look("shop-id")
    assert (engine.restarted, known.told) == (1, [*["rejoin failed"] * 2, "rejoined"])


@pytest.mark.parametrize(
    "change",
    [
        lambda engine: setattr(engine, "shown", None),
        lambda engine: engine.__init__(mode="none"),
        lambda engine: engine.__init__(running=False),
        lambda engine: engine.__init__(labels=()),
    ],
    ids=["another engine's", "not shared", "ended", "not wished"],
)
def test_who_is_not_meant_is_left_alone(change: Callable[[Engine], None]) -> None:
    """And nothing is told, for all was told when it was left behind."""
    engine, known = Engine(), Known()
    change(engine)
    rejoining(engine, known).look("shop-id")
    assert (engine.restarted, known.told, known.tried) == (0, [], False)


@pytest.mark.parametrize(
    ("labels", "carried", "settings", "expected"),
    [
        (SAYS, frozenset(), Settings(), True),
        ((), frozenset(), Settings(), False),
        ((), frozenset(), Settings(rejoin=True), True),
        ((("ocinet.rejoin", "false"),), frozenset(), Settings(rejoin=True), False),
        (SAYS, frozenset(SAYS), Settings(), False),
        (SAYS, None, Settings(), False),
        (SAYS, None, Settings(trust_annotations=True), True),
    ],
)
def test_wish_is_the_users_and_not_the_images(
    labels: tuple[tuple[str, str], ...],
    carried: frozenset[tuple[str, str]] | None,
    settings: Settings,
    expected: bool,
) -> None:
    """What the image carries, or may carry, restarts nobody."""
    shown = ObservedContainer("log-id", "log", "container", labels=labels)
    assert wants_rejoin(shown, carried, settings) is expected
