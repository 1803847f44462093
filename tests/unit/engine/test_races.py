"""Two transactions at once: the one comes between any two calls of the other.

Each test runs a first transaction as often as it makes calls, and has a second one done
before another call of it each time. Where the second has to wait for a lock that
the first one has, it comes after it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from builders import make_holder, network, on, tcp
from fakes.world import BOOT, World, check, check_nothing_left
from ocinet.base.errors import BusyError, OcinetError
from ocinet.engine.model.link import LINK_GROUP

if TYPE_CHECKING:
    from collections.abc import Callable

    from ocinet.engine.model.attachment import Container

    Act = Callable[[], object]

AT_ONCE_S = 0.002  # who has to wait longer comes after the one that is at work


class Scene:
    """A host with `there`, who lives, `gone`, who died, and `new`, who is new; `dmz` is unused."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.there = world.up("there", on("lan", publish=(tcp(9090),)))
        self.gone = world.up("gone", on("lan", publish=(tcp(7070),)))
        self.new = world.start("new")
        world.end(self.gone)


def attach_new(scene: Scene) -> Act:
    """Attach the new one."""
    return lambda: scene.world.attach(scene.new, on("lan", publish=(tcp(8080),)))


def detach_there(scene: Scene) -> Act:
    """Detach the one that lives, as a person may."""

    def act() -> None:
        with scene.world.engine() as engine:
            engine.detach("there-id")

    return act


def poststop_gone(scene: Scene) -> Act:
    """Take the dead one down."""
    return lambda: scene.world.poststop(scene.gone)


def collect(scene: Scene) -> Act:
    """Collect leftovers."""
    return scene.world.gc


def return_gone(scene: Scene) -> Act:
    """Start the dead one again, with its port."""
    again = scene.world.start("gone")
    return lambda: scene.world.attach(again, on("lan", publish=(tcp(7070),)))


def unpublish_there(scene: Scene) -> Act:
    """Take the port of the one that lives back."""

    def act() -> None:
        with scene.world.engine() as engine:
            engine.unpublish("there", (tcp(9090),))

    return act


def remove_dmz(scene: Scene) -> Act:
    """Remove a network, which nobody is on yet."""

    def act() -> None:
        with scene.world.engine() as engine:
            engine.networks.remove("dmz")

    return act


def attach_to_dmz(scene: Scene) -> Act:
    """Attach the new one to that network."""
    return lambda: scene.world.attach(scene.new, on("dmz", publish=(tcp(6060),)))


ACTS = [attach_new, attach_to_dmz, detach_there, poststop_gone, collect, return_gone, remove_dmz]


def interleaved(
    first: Callable[[Scene], Act],
    second: Callable[[Scene], Act],
    number: int,
    *,
    flushed: bool = False,
) -> tuple[World, bool]:
    """Do one act, with another one before its NUMBERth call.

    Args:
        first: the one that is come between.
        second: the one that comes between.
        number: of calls of the first that come before the second.
        flushed: whether somebody has flushed our table away before both.

    Returns:
        The world after both, and whether the first act made that many calls.
    """
    world = World()
    scene = Scene(world)
    act, other = first(scene), second(scene)
    if flushed:
        world.host.drop_table()
    calls = itertools.count()
    state = {"reached": False, "late": False}

    def before(_name: str) -> None:
        if next(calls) == number:
            state["reached"] = True
            world.trace.before = lambda _name: None
            state["late"] = not tried(world, other)

    world.trace.before = before
    with_answer(act)
    world.trace.before = lambda _name: None
    if state["late"]:
        with_answer(other)
    return world, state["reached"]


def tried(world: World, act: Act) -> bool:
    """Do an act if it need not wait; False if it has to."""
    usual = world.timeout_s
    world.timeout_s = AT_ONCE_S
    try:
        act()
    except BusyError:
        return False
    except OcinetError:
        return True  # that it can't be done is an answer, and it left nothing: that is looked at
    finally:
        world.timeout_s = usual
    return True


def with_answer(act: Act) -> None:
    """Do an act; that it can't be done is an answer."""
    try:
        act()
    except OcinetError:
        return


@pytest.mark.parametrize("flushed", [False, True], ids=["", "flushed"])
@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(ACTS, 2)))
def test_two_at_once_leave_what_each_alone_would(
    first: Callable[[Scene], Act],
    second: Callable[[Scene], Act],
    flushed: bool,
) -> None:
    """Nobody loses what he has, nobody gets what is another's, and nothing stays for ever."""
    for number in itertools.count():
        world, reached = interleaved(first, second, number, flushed=flushed)
        with world:
            assert not world.told("undo failed"), world.told("undo failed")
            check(world)
            check_nothing_left(world)
        if not reached:
            break
    assert number > 5


@pytest.mark.parametrize(
    ("first", "second"), [(attach_new, unpublish_there), (unpublish_there, attach_new)]
)
def test_unpublish_beside_a_flush_and_an_attach_closes_the_port(
    first: Callable[[Scene], Act], second: Callable[[Scene], Act]
) -> None:
    """Whoever makes the table anew has read a record that has the port still."""
    for number in itertools.count():
        world, reached = interleaved(first, second, number, flushed=True)
        with world:
            check(world)
            check_nothing_left(world)
            if not reached:
                break
            assert (4, "tcp", 9090) not in world.published()
    assert number > 5


def test_link_that_is_being_made_is_no_leftover_whenever_it_comes() -> None:
    """It is there before its alias is, so nothing but its lease tells yet whose it is."""
    for number in itertools.count():
        with World() as world:
            world.up("there", on("lan"))
            web = world.start("web")
            calls = itertools.count()

            def begin(_name: str) -> None:
                if next(calls) == number:  # noqa: B023  # called within this turn alone
                    begin_link(world, web)  # noqa: B023  # likewise

            world.trace.before = begin
            found = world.gc()
            assert ("link", make_holder("web-id").host_ifname) not in found
            if next(calls) <= number:
                break
    assert number > 5


def begin_link(world: World, container: Container) -> None:
    """Do the first half of what an attach does: a lease, and a link without an alias."""
    world.trace.before = lambda _name: None
    holder = make_holder(container.id).replace(process=container.process, boot_id=BOOT)
    world.leases.allocate("lan", network().pools, (), holder, container.name)
    world.host.add_link(holder.host_ifname, "veth", group=LINK_GROUP, up=True)
