"""When the keeper looks, and what it leaves alone for a while; no clock but numbers."""

from __future__ import annotations

from ocinet.engine.check import Finding
from ocinet.engine.model.scope import EVERYTHING, NETWORKS, NOTHING, TABLE, Scope, of_container
from ocinet.watcher.pace import Pace

DOWN = Finding("", "the bridge br-lan is down", repaired=True)
GONE = Finding("", "the table inet ocinet is gone", repaired=True)


class Life:
    """A pace with a clock of its own."""

    def __init__(self) -> None:
        self.pace = Pace()
        self.now = 1000.0

    def look(self, *findings: Finding, takes_s: float = 0.01) -> tuple[Scope, list[str]]:
        """Wait until something is due, and look; return at what, and what is held from then."""
        wait_s = self.pace.wait_s(self.now)
        assert wait_s is not None
        self.now += wait_s
        scope = self.pace.begin(self.now)
        assert scope
        allowed = [each for each in findings if self.pace.may_repair(each.container, each.what)]
        self.now += takes_s
        return scope, [hold.what for hold in self.pace.end(allowed, self.now, takes_s)]

    def quarrel(self) -> float:
        """Have somebody undo each repair until it is held; return for how long."""
        for _time in range(20):
            self.pace.touch(NETWORKS, self.now)
            if self.look(DOWN)[1]:
                wait_s = self.pace.wait_s(self.now)
                assert wait_s is not None
                return wait_s
        raise AssertionError("it goes on for ever")


def test_nothing_touched_is_never_due() -> None:
    """The thread sleeps."""
    pace = Pace()
    pace.touch(NOTHING, 0)
    assert pace.wait_s(0) is None
    assert not pace.begin(100)


def test_burst_is_one_look_at_all_of_it() -> None:
    """A moment after the first of it, however long it goes on."""
    life = Life()
    for number in range(5):
        life.pace.touch(TABLE, life.now)
        life.pace.touch(of_container(f"c{number}", inside=True), life.now)
        assert not life.pace.begin(life.now)
        life.now += 0.01
    scope, _ = life.look()
    assert abs(life.now - 1000.11) < 0.001
    assert scope == TABLE.replace(containers=("c0", "c1", "c2", "c3", "c4"), inside=True)
    assert life.pace.wait_s(life.now) is None


def test_endless_changes_that_damage_nothing_take_a_share_of_the_time() -> None:
    """Looks of 10 ms come each second in the end; those of 500 ms take a quarter."""
    for takes_s, most in ((0.01, 1.1), (0.5, 2.1)):
        life = Life()
        for _time in range(40):
            life.pace.touch(NETWORKS, life.now)
            life.look(takes_s=takes_s)
        began = life.now
        for _time in range(10):
            life.pace.touch(NETWORKS, life.now)
            life.look(takes_s=takes_s)
        each_s = (life.now - began) / 10
        assert each_s > most - 0.2
        assert takes_s / each_s < 0.26
        assert each_s < 2 + takes_s  # still in time


def test_long_look_makes_no_repair_wait() -> None:
    """As the first one of a thousand containers; those that follow it without end have to rest."""
    life = Life()

    def wait_s() -> float:
        return round(life.pace.wait_s(life.now) or 0, 3)

    life.pace.touch(EVERYTHING, life.now)
    life.look(takes_s=4)
    life.pace.touch(TABLE, life.now)
    assert wait_s() == 0.2
    for _time in range(4):
        life.pace.touch(EVERYTHING, life.now)
        life.look(takes_s=4)
    life.pace.touch(TABLE, life.now)
    assert wait_s() == 5.0
    life.now += 60
    life.look(takes_s=4)
    life.pace.touch(TABLE, life.now)
    assert wait_s() <= 0.4


def test_what_somebody_undoes_each_time_is_held_longer_and_longer() -> None:
    """Ten seconds, twenty, and no longer than ten minutes."""
    life = Life()
    for_s = []
    for _time in range(9):
        for_s.append(round(life.quarrel()))
        assert not life.pace.may_repair("", DOWN.what)
        assert life.pace.may_repair("", GONE.what)
        life.now += for_s[-1]
    assert for_s == [10, 20, 40, 80, 160, 320, 600, 600, 600]


def test_hold_ends_with_a_look_at_everything_that_repairs() -> None:
    """Without anybody having touched anything."""
    life = Life()
    life.quarrel()
    scope, holds = life.look(DOWN)
    assert scope == EVERYTHING
    assert holds == []
    assert life.pace.may_repair("", DOWN.what)


def test_quiet_after_a_hold_is_forgotten() -> None:
    """The next quarrel begins as the first one did."""
    life = Life()
    assert round(life.quarrel()) == 10
    life.look()  # nothing is found: the other one is quiet
    for _time in range(3):
        life.now += 200
        life.pace.touch(TABLE, life.now)
        life.look()
    assert round(life.quarrel()) == 10


def test_rare_repairs_of_one_thing_are_no_quarrel() -> None:
    """Each twenty seconds somebody reloads their rules; four times at once, that is one reload."""
    life = Life()
    for _time in range(50):
        life.pace.touch(TABLE, life.now)
        assert life.look(GONE)[1] == []
        life.now += 20
    life = Life()
    for _time in range(4):
        life.pace.touch(TABLE, life.now)
        assert life.look(GONE)[1] == []


def test_who_looks_now_and_then_is_found_out_in_the_end() -> None:
    """Each five seconds somebody takes the bridge down."""
    life = Life()
    held: list[str] = []
    for _time in range(20):
        assert not held
        life.pace.touch(NETWORKS, life.now)
        held = life.look(DOWN)[1]
        life.now += 5
    assert held == [DOWN.what]


def test_one_thing_is_known_by_its_words_and_not_its_numbers() -> None:
    """It lacks one element, then two."""
    life = Life()
    held = []
    for number in range(5):
        life.pace.touch(TABLE, life.now)
        what = f"set publish4 lacks {number} elements"
        held += life.look(Finding("", what, repaired=True))[1]
    assert held == ["set publish4 lacks 4 elements"]
    assert life.pace.may_repair("web", what)


def test_what_is_not_repaired_is_no_quarrel() -> None:
    """As an adopted bridge that is gone."""
    life = Life()
    for _time in range(20):
        life.pace.touch(NETWORKS, life.now)
        assert life.look(DOWN.replace(repaired=False, why_not="no"))[1] == []


def test_long_look_gives_way_to_what_many_share_and_to_a_few() -> None:
    """Once it has settled; a thousand others wait for the end."""
    life = Life()
    life.pace.touch(EVERYTHING, life.now)
    life.now += 1
    assert life.pace.begin(life.now)
    many = NOTHING.replace(containers=tuple(map(str, range(100))), inside=True)
    life.pace.touch(TABLE, life.now)
    assert not life.pace.interrupt(life.now)
    life.pace.touch(many, life.now)
    life.now += 0.1
    assert life.pace.interrupt(life.now) == TABLE
    life.pace.end((GONE,), life.now, 0.1)
    life.pace.touch(NETWORKS, life.now)
    assert not life.pace.interrupt(life.now + 0.1), "it rests first"
    life.now += 0.2
    assert life.pace.interrupt(life.now) == NETWORKS
    assert not life.pace.interrupt(life.now)
    life.pace.end((), life.now, 0.1)
    life.pace.end((), life.now, 1)
    assert life.look()[0] == many
    few = of_container("7", inside=True)
    life.pace.touch(few, life.now)
    assert life.pace.interrupt(life.now + 1) == few
    assert life.pace.wait_s(life.now + 1) is None


def test_long_look_that_gives_way_again_and_again_is_followed_by_a_rest() -> None:
    """What waits for it is due then, not at once."""
    life = Life()
    life.pace.touch(EVERYTHING, life.now)
    life.now += 1
    assert life.pace.begin(life.now)
    life.pace.touch(EVERYTHING, life.now)
    for _time in range(10):
        life.now += 1
        assert life.pace.interrupt(life.now) == TABLE | NETWORKS
        life.pace.end((), life.now, 0.5)
        life.pace.touch(EVERYTHING, life.now)
    life.pace.end((), life.now, 10)
    assert life.pace.wait_s(life.now) == 5.0
