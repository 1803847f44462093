"""Others' chains are judged when they have changed, and by who comes then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from builders import on, tcp
from fakes.records import FakePassages
from fakes.world import World
from ocinet.base.paths import Paths
from ocinet.engine.records.passages import Passages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PORT = tcp(8080)


@pytest.fixture
def world() -> Iterator[World]:
    """Yield a world with two networks."""
    with World() as made:
        yield made


def _judged(world: World) -> int:
    """Return how often others' chains were judged since it was asked last."""
    looks = world.trace.looks
    count = looks.count("forward_accepts.judge")
    looks.clear()
    return count


def test_attach_where_nothing_changed_judges_nothing(world: World) -> None:
    """Containers come and go, with ports: those changes are our own."""
    world.up("first", on("lan"))  # enters the network, which counts as a change
    world.up("second", on("lan"))
    assert _judged(world) > 0
    for name in ("web", "again"):
        world.up(f"plain-{name}", on("lan"))
        web = world.up(name, on("lan", publish=(PORT,)))
        world.end(web)
        world.poststop(web)
    assert _judged(world) == 0


def test_attach_on_another_network_judges_that_alone(world: World) -> None:
    """What is known of one bridge says nothing of another."""
    for number, name in enumerate(("lan", "lan", "dmz", "dmz", "lan")):
        world.up(f"at-{number}", on(name))
    _judged(world)
    world.up("a", on("lan"))
    world.up("b", on("dmz"))
    assert _judged(world) == 0


def test_attach_after_anybody_changed_a_chain_judges_anew(world: World) -> None:
    """A policy that turned to drop, and a wall that nobody can open: said each time."""
    world.up("first", on("lan"))
    world.up("second", on("lan"))
    world.host.drop_forward()
    world.up("third", on("lan"))
    assert world.host.foreign.accepted() == {("ip", "br-lan"): 2}
    world.up("fourth", on("lan"))
    _judged(world)
    world.up("fifth", on("lan"))
    assert _judged(world) == 0
    world.host.raise_wall()
    for name in ("sixth", "seventh"):
        world.up(name, on("lan"))
        (told,) = world.told("attached with a warning")
        assert "inet wall gate drops packets of br-lan" in str(told["warning"])
        world.events.clear()


def test_change_of_others_during_an_attach_is_not_taken_for_ours(world: World) -> None:
    """Between the judging and the end of an attach that publishes a port."""
    world.up("first", on("lan"))
    world.up("second", on("lan"))
    world.between("links.add_veth", world.host.drop_forward)
    world.up("third", on("lan", publish=(PORT,)))
    _judged(world)
    world.up("fourth", on("lan"))
    assert _judged(world) > 0
    assert world.host.foreign.accepted() == {("ip", "br-lan"): 2}


def test_change_of_others_during_a_detach_is_not_taken_for_ours(world: World) -> None:
    """Nor is one between the two questions of a detach that closes a port."""
    web = world.up("web", on("lan", publish=(PORT,)))
    world.up("second", on("lan"))
    world.between("firewall.close", world.host.drop_forward)
    world.end(web)
    world.poststop(web)
    _judged(world)
    world.up("third", on("lan"))
    assert _judged(world) > 0


@pytest.mark.parametrize("kind", ["files", "memory"])
def test_passages_are_known_of_the_one_generation(kind: str, tmp_path: Path) -> None:
    """Of no other, and of none where the kernel has no number."""
    paths = Paths(run=str(tmp_path))
    passages = Passages(paths, "this-boot") if kind == "files" else FakePassages()
    assert passages.open(7) == ()
    passages.remember(7, ("ocinet0", "br-lan"))
    assert passages.open(7) == ("ocinet0", "br-lan")
    assert passages.open(8) == ()
    assert passages.open(0) == ()


def test_passages_of_an_earlier_boot_are_judged_anew(tmp_path: Path) -> None:
    """It has counted to the same number, on a machine that keeps its /run."""
    paths = Paths(run=str(tmp_path))
    Passages(paths, "former-boot").remember(7, ("ocinet0",))
    assert Passages(paths, "this-boot").open(7) == ()
    assert Passages(paths, "former-boot").open(7) == ("ocinet0",)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"generation": 7}', b"\xff"])
def test_damaged_passages_are_judged_anew(content: bytes, tmp_path: Path) -> None:
    """Whatever is in the file, it is no reason to fail."""
    (tmp_path / "passages.json").write_bytes(content)
    passages = Passages(Paths(run=str(tmp_path)), "this-boot")
    assert passages.open(7) == ()
    passages.remember(7, ("ocinet0",))
    assert passages.open(7) == ("ocinet0",)
