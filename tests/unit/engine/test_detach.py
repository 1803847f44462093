"""Taking down, removing and collecting, on a host in memory: repeated until nothing is left."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from builders import on, tcp, udp
from fakes.world import World, check, check_nothing_left
from ocinet.base.errors import ConflictError, KernelError, NotFoundError, OcinetError
from ocinet.engine.model.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ocinet.engine.model.attachment import Container

REQUEST = on("lan", "dmz", publish=(tcp(8080), udp(5353)))


@pytest.fixture
def world() -> Iterator[World]:
    """Return a host with the networks `lan` and `dmz`."""
    with World() as made:
        yield made


def detach(world: World, name: str, *, force: bool = False) -> bool:
    """Detach as a person does."""
    with world.engine() as engine:
        return engine.detach(f"{name}-id", force=force)


def test_detach_takes_everything_down_and_can_be_repeated(world: World) -> None:
    """Links, names, ports, addresses and the record; not there is success."""
    web = world.up("web", REQUEST)
    world.end(web)
    assert detach(world, "web")
    assert not detach(world, "web")
    state = world.state()
    assert (state["records"], state["leases"], state["ports"], state["names"]) == ((), {}, [], {})
    assert world.published() == {}
    assert world.host.firewall.flushed, "the flows of its UDP port were not forgotten"


def test_container_that_runs_on_is_known_without_a_network(world: World) -> None:
    """It can be attached by its name again, and its poststop, or a second detach, forgets it."""
    web = world.up("web", REQUEST)
    assert detach(world, "web")
    state = world.state()
    assert (state["leases"], state["ports"], state["names"]) == ({}, [], {})
    [record] = state["records"]
    assert (record.mode, record.endpoints, record.container) == ("none", (), web)
    with world.engine() as engine:
        assert engine.containers.find("web") == record
    world.attach(web, REQUEST)
    check(world)
    assert detach(world, "web")
    assert detach(world, "web")
    assert not detach(world, "web")
    assert world.state()["records"] == ()


def test_container_that_runs_on_ends_by_poststop_all_the_same(world: World) -> None:
    """What is left of it goes with the container."""
    web = world.up("web", REQUEST)
    detach(world, "web")
    world.end(web)
    assert world.poststop(web)
    assert world.state()["records"] == ()


def test_ports_and_links_go_before_the_record_and_leases_last(world: World) -> None:
    """Nothing leads to an address that is free, and no address is free while a link bears it."""
    world.up("web", REQUEST)
    done = len(world.trace.acts)
    detach(world, "web")
    acts = world.trace.acts[done:]
    order = ["firewall.close", "links.delete_links", "attachments.remove", "leases.release"]
    places = [acts.index(act) for act in order]
    assert places == sorted(places)
    assert acts.index("attachments.remove") < acts.index("ports.release")


def test_detach_that_fails_at_any_act_is_finished_by_the_next() -> None:
    """What can't be removed keeps its record, unless that had gone already."""
    for number in itertools.count():
        with World() as world:
            web = world.up("web", REQUEST)
            world.up("other", on("lan", publish=(tcp(9090),)))
            world.trace.fail_at(number)
            try:
                detach(world, "web")
            except KernelError:
                detach(world, "web")
                world.end(web)
                world.gc()  # what had lost its record is nobody's
                state = world.state()
                assert [record.container.name for record in state["records"]] == ["other"]
                assert state["leases"] == {"lan": [("10.9.0.3", "other-id")]}
                check(world)
                check_nothing_left(world)
            else:
                break
    assert number > 5


def test_detach_goes_on_past_errors_and_tells_them_together(world: World) -> None:
    """The links go, though the firewall would not."""
    world.up("web", REQUEST)
    world.trace.fail_on("firewall.close", KernelError("cannot close", "it is stuck"))
    with pytest.raises(OcinetError, match="it is stuck"):
        detach(world, "web")
    assert {link.kind for link in world.host.links.links()} == {"bridge"}
    assert world.attachments.get("web-id"), "the record is needed for a second try"


def test_forced_detach_forgets_what_it_could_not_remove(world: World) -> None:
    """And tells of it all the same."""
    world.up("web", REQUEST)
    world.trace.fail_on("links.delete_links", KernelError("cannot delete", "it is stuck"))
    with pytest.raises(OcinetError, match="it is stuck"):
        detach(world, "web", force=True)
    assert world.attachments.get("web-id") is None


def test_poststop_of_a_living_container_does_nothing(world: World) -> None:
    """Only a person may unwire one that runs."""
    web = world.up("web", REQUEST)
    before = world.state()
    assert not world.poststop(web)
    assert world.state() == before
    assert world.told("poststop ignored")[0]["why"] == "its process is alive"


def test_poststop_of_another_bundle_does_nothing(world: World) -> None:
    """It is not this container that stopped."""
    web = world.up("web", REQUEST)
    world.end(web)
    assert not world.poststop(web.replace(bundle="/elsewhere"))
    assert world.poststop(web)


def test_late_detach_leaves_what_another_has_by_now(world: World) -> None:
    """A port that was taken over stays where it leads."""
    former = world.up("web", on("lan", publish=(tcp(8080),)))
    record = world.attachments.get("web-id")
    world.end(former)
    world.up("db", on("lan", publish=(tcp(8080),)))  # takes the dead one down
    assert record
    world.attachments.put(record)  # as if that had been killed half-way
    detach(world, "web")
    check(world)
    assert (4, "tcp", 8080) in world.published()


def test_links_live_until_the_last_member_has_gone(world: World) -> None:
    """Whichever of those that share a sandbox stops first."""
    web = world.up("web", on("lan", publish=(tcp(8080),)))
    side = shared(world, "side", web)
    world.attach(side, Request("container", target="web"))
    forget(world, web)
    world.poststop(web)
    assert world.published(), "the member has lost its port"
    forget(world, side)
    world.poststop(side)
    check_nothing_left(world)
    assert world.attachments.all() == ()


def test_pod_whose_sandbox_has_gone_is_known_by_who_kept_it(world: World) -> None:
    """While a member lives: by that the pod is found again that is started anew."""
    web = world.up("web", on("lan", publish=(tcp(8080),)))
    infra = shared(world, "infra", web).replace(door="pod")
    world.attach(infra, Request("container", target="web"))
    forget(world, infra)
    world.poststop(infra)
    kept, gone = world.attachments.get(web.id), world.attachments.get(infra.id)
    assert kept
    assert [member.id for member in kept.members] == [infra.id]
    assert gone is None
    assert world.published()
    world.end(web)
    world.poststop(web)
    check_nothing_left(world)


def shared(world: World, name: str, owner: Container) -> Container:
    """Start a container in another one's sandbox."""
    assert owner.process
    home = world.host.processes.home(owner.process)
    assert home
    process = world.host.start()
    world.host.processes.move(process, home)
    return world.again(name, process)


def forget(world: World, container: Container) -> None:
    """End a process whose sandbox others live in, or not."""
    assert container.process
    world.host.end(container.process)


def test_remove_network_in_use_names_who_is_on_it(world: World) -> None:
    """And changes nothing."""
    world.up("web", on("lan"))
    before = world.state()
    with world.engine() as engine, pytest.raises(ConflictError, match="web is on it"):
        engine.networks.remove("lan")
    assert world.state() == before


def test_remove_network_that_fails_at_any_act_removes_the_rest() -> None:
    """The definition has gone by then, so collecting ends what is left of its bridge."""
    for number in itertools.count():
        with World() as world:
            world.end(world.up("web", on("lan")))
            world.gc()
            world.trace.fail_at(number)
            try:
                with world.engine() as engine:
                    engine.networks.remove("lan")
            except OcinetError:
                check_nothing_left(world)
            else:
                break
            with world.engine() as engine:  # a second try is told how it is
                try:
                    engine.networks.remove("lan")
                except NotFoundError:
                    assert "lan" not in world.networks.names()
            check_nothing_left(world)
    assert number > 3


def test_remove_network_takes_the_dead_down_first(world: World) -> None:
    """They are in nobody's way."""
    world.end(world.up("web", on("lan")))
    with world.engine() as engine:
        engine.networks.remove("lan")
    assert world.networks.names() == ("dmz",)
    assert world.attachments.all() == ()


def claim_for_nobody(world: World) -> None:
    """Claim a port for a container without a record."""
    world.ports.claim("gone-id", "gone", (tcp(8080),))


LEFTOVERS: dict[str, tuple[Callable[[World], None], list[tuple[str, str]]]] = {
    "a dead container": (
        lambda world: world.end(world.up("web", on("lan"))),
        [("attachment", "web-id")],
    ),
    "a link of nobody's": (
        lambda world: world.host.add_link("oc0123456789abc", "veth", group=0x6F63),
        [("link", "oc0123456789abc")],
    ),
    "a bridge of no network": (
        lambda world: world.host.add_link("ocbr-1", "bridge", group=0x6F63),
        [("bridge", "ocbr-1")],
    ),
    "a claim without a record": (
        claim_for_nobody,
        [("port", "gone-id")],
    ),
}


@pytest.mark.parametrize(("leave", "found"), LEFTOVERS.values(), ids=LEFTOVERS)
def test_gc_finds_what_nobody_holds_and_removes_it(
    world: World, leave: Callable[[World], None], found: list[tuple[str, str]]
) -> None:
    """Beside one that lives, who keeps all that is his."""
    world.up("other", REQUEST.replace(publish=(tcp(9090),)))
    leave(world)
    assert world.gc() == found
    assert world.gc() == []
    check(world)


def test_gc_that_fails_at_any_act_is_finished_by_the_next() -> None:
    """One thing that can't be had keeps nothing else from being collected."""
    for number in itertools.count():
        with World() as world:
            world.up("other", on("lan", publish=(tcp(9090),)))
            for leave, _found in LEFTOVERS.values():
                leave(world)
            world.trace.fail_at(number)
            made = len(world.trace.acts)
            world.gc()
            if len(world.trace.acts) - made <= number:
                break
            world.gc()
            assert world.gc() == []
            check(world)
            check_nothing_left(world)
    assert number > 5


def test_undo_leaves_what_others_use_by_now(world: World) -> None:
    """The first container fails, and in between a second one has come to its bridge and table."""
    web, other = world.start("web"), world.start("other")
    failing = KernelError("cannot set", "it was made to fail")

    def fail_first(name: str) -> None:
        if name == "insides.configure":
            world.trace.before = lambda _name: None
            world.attach(other, on("lan", publish=(tcp(9090),)))
            raise failing

    world.trace.before = fail_first
    with pytest.raises(KernelError, match="made to fail"):
        world.attach(web, on("lan"))
    check(world)
    assert world.host.links.link("br-lan"), "the bridge that the other one is on"
    assert world.table is not None
    assert world.host.namespace.sysctls["net/ipv4/ip_forward"] == "10"
