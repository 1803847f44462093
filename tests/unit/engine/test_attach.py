"""Attach as a transaction, on a host in memory: all of it, or nothing, wherever it fails."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from builders import network, on, tcp
from fakes.world import World, check, check_nothing_left
from ocinet.base.address import Address
from ocinet.base.errors import ConflictError, KernelError, NotFoundError, OcinetError, RequestError
from ocinet.engine.model.request import Request
from ocinet.engine.model.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PORT = tcp(8080)
LOOPBACK = PORT.replace(host_address=Address.parse("127.0.0.1"))


@pytest.fixture
def world() -> Iterator[World]:
    """Return a host with the networks `lan` and `dmz`."""
    with World() as made:
        yield made


def alone(_world: World) -> None:
    """Be the first on the host."""


def beside_another(world: World) -> None:
    """Come to a network that has a container with a port."""
    world.up("other", on("lan", publish=(tcp(9090),)))


def after_a_flush(world: World) -> None:
    """Come when somebody has flushed the ruleset of one that lives."""
    beside_another(world)
    world.host.drop_table()


def where_others_drop(world: World) -> None:
    """Come to a host whose FORWARD drops, as Docker has it."""
    world.host.drop_forward(docker=True)


def dual_stack(world: World) -> None:
    """Come to a network of both families, on a host that lives by router advertisements."""
    world.networks.remove("lan")
    world.networks.add(network("lan", "10.9.0.0/24", "fd00:9::/64"))
    world.host.add_link("eth9", up=True)
    world.host.add_default_route("fe80::1", "eth9", advertised=True)


REQUESTS = {
    "none": Request("none"),
    "lan": on("lan"),
    "two": on("lan", "dmz"),
    "ports": on("lan", publish=(PORT, PORT.replace(protocol="udp"))),
    "loopback": on("lan", publish=(LOOPBACK,)),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize(
    "arrange", [alone, beside_another, after_a_flush, where_others_drop, dual_stack]
)
def test_attach_that_fails_at_any_act_leaves_all_as_it_was(
    arrange: Callable[[World], None], request_: Request
) -> None:
    """Every change of the kernel, and every write of a record, fails once."""
    failed: list[str] = []
    for number in itertools.count():
        with World() as world:
            arrange(world)
            web = world.start("web")
            before = world.state()
            done = len(world.trace.acts)
            world.trace.fail_at(number)
            try:
                world.attach(web, request_)
            except KernelError:
                failed.append(world.trace.acts[done + number])
                # Whoever finds the table missing makes it, and it may stay: `check` looks at it.
                expected = before if before["table"] else {**before, "table": world.table}
                assert world.state() == expected
                assert world.told("attach failed")
                world.attach(web, request_)  # and can be tried again
            if request_.endpoints or arrange is not after_a_flush:  # who needs it mends the table
                check(world)
            if len(failed) == number:  # nothing failed: there are no more acts
                break
    assert "attachments.put" in failed
    if request_.endpoints:
        assert {"links.add_veth", "insides.configure", "leases.allocate"} <= set(failed)


def test_attach_wires_and_records_it(world: World) -> None:
    """Address, name, port, and what the record says of them."""
    web = world.start("web")
    record = world.attach(web, on("lan", publish=(PORT,)))
    assert record.state == "attached"
    assert world.attachments.get("web-id") == record
    assert [str(address) for end in record.endpoints for address in end.addresses] == [
        "10.9.0.2/24"
    ]
    assert world.host.shown("web") == (web.process and web.process.pid)
    assert len(world.told("attached")) == 1
    check(world)


def test_record_is_written_before_the_kernel_is_touched(world: World) -> None:
    """Whatever a kill leaves behind is named by a file, marked as not done."""
    states: list[str] = []

    def look(name: str) -> None:
        if name == "links.add_veth":
            states.extend(record.state for record in world.attachments.all())

    world.trace.before = look
    world.up("web", on("lan"))
    assert states == ["attaching"]
    acts = world.trace.acts
    kernel = ("bridges", "links", "insides", "firewall", "sysctls", "names")
    first = next(number for number, act in enumerate(acts) if act.partition(".")[0] in kernel)
    assert acts.index("attachments.put") < first


def test_attach_twice_changes_nothing(world: World) -> None:
    """runc runs prestart and createRuntime both."""
    web = world.up("web", on("lan", publish=(PORT,)))
    before, acts = world.state(), len(world.trace.acts)
    world.attach(web, on("lan", publish=(PORT,)))
    assert world.state() == before
    assert world.trace.acts[acts:] == []


def test_attach_of_more_adds_to_what_is_there(world: World) -> None:
    """A second network and a port, in the same sandbox."""
    web = world.up("web", on("lan"))
    record = world.attach(web, on("lan", "dmz", publish=(PORT,)))
    assert [endpoint.ifname for endpoint in record.endpoints] == ["eth0", "eth1"]
    assert len(record.ports) == 1
    check(world)


def test_attach_of_more_that_fails_leaves_what_was_there() -> None:
    """The container that runs keeps its network, wherever it fails."""
    for number in itertools.count():
        with World() as world:
            web = world.up("web", on("lan", publish=(tcp(9090),)))
            before = world.state()
            world.trace.fail_at(number)
            try:
                world.attach(web, on("lan", "dmz", publish=(PORT, tcp(9090))))
            except KernelError:
                assert world.state() == before
                check(world)
            else:
                break
    assert number > 6, "it hardly ever failed"


def test_attach_killed_at_any_act_is_finished_by_the_next() -> None:
    """A kill undoes nothing; the record, where there is one, tells what there was."""
    request = on("lan", "dmz", publish=(PORT,))
    for number in itertools.count():
        with World() as world:
            web = world.start("web")
            done = len(world.trace.acts)
            world.trace.fail_at(number, Killed(), done=True)
            try:
                kill(world, web, request)
            except Killed:
                world.attach(web, request)
                check(world)
                check_nothing_left(world)
                assert len(world.trace.acts) > done
            else:
                assert number > 8, "it was never killed"
                break


@pytest.mark.parametrize("when", ["before", "after"])
def test_attach_killed_at_any_act_is_collected_once_it_ended(when: str) -> None:
    """What has a record, and what has not: nothing is left of either."""
    for number in itertools.count():
        with World() as world:
            web = world.start("web")
            world.trace.fail_at(number, Killed(), done=when == "after")
            try:
                kill(world, web, on("lan", publish=(PORT,)))
            except Killed:
                check_nothing_left(world)
            else:
                break
    assert number > 8


class Killed(SystemExit):
    """The process is gone: no handler of ours runs."""


def kill(world: World, container: Any, request: Request) -> None:
    """Attach, and be gone when something raises `Killed`: what would undo does nothing."""
    try:
        world.attach(container, request)
    finally:
        world.trace.fail_at(-1)


def test_first_error_is_told_whatever_undoing_meets(world: World) -> None:
    """The one that led here, not the one that came of it."""
    web = world.start("web")

    def fail(name: str) -> None:
        if name == "insides.configure":
            raise KernelError("cannot configure", "the first error")

    world.trace.before = fail
    world.trace.fail_on("links.delete_links", KernelError("cannot undo", "it is stuck"))
    with pytest.raises(OcinetError, match="the first error"):
        world.attach(web, on("lan"))
    assert "it is stuck" in str(world.told("undo failed")[0]["error"])
    assert world.leases.leases("lan") == (), "undoing went on"


def test_attach_out_of_time_still_undoes_everything(world: World) -> None:
    """Undoing has a few seconds of its own: locks are still to be had."""
    web = world.start("web")
    before = world.state()
    engine = world.engine(timeout_s=0.05)

    left_s: list[float] = []

    def run_out(name: str) -> None:
        if name == "links.add_veth":
            while engine.operation.deadline.left_s:
                pass
        if name == "leases.give_back":  # among the last things that are undone
            left_s.append(engine.operation.deadline.left_s)

    world.trace.before = run_out
    assert web.process
    with pytest.raises(OcinetError, match="longer than"):
        engine.attach(web, on("lan"), world.host.open_sandbox(web.process))
    assert world.state() == before
    assert left_s[0] > 1, "no lock could be waited for"
    assert not world.told("undo failed")


def test_attach_to_an_unknown_network_tells_the_nearest(world: World) -> None:
    """And makes nothing."""
    web = world.start("web")
    before = world.state()
    with pytest.raises(NotFoundError, match="there is no network lann"):
        world.attach(web, on("lann"))
    assert world.state() == before


def test_attach_in_the_hosts_sandbox_is_refused(world: World) -> None:
    """Nothing is to be wired there."""
    with pytest.raises(RequestError, match="host's network"), world.engine() as engine:
        engine.attach(world.start("web"), on("lan"), world.host.open_host())


def test_attach_of_a_live_containers_id_is_refused(world: World) -> None:
    """Ids are unique only within one runtime and root."""
    world.up("web", on("lan"))
    before = world.state()
    with pytest.raises(ConflictError, match="in use by a running container"):
        world.attach(world.start("web"), on("lan"))
    assert world.state() == before


def test_attach_after_a_silent_death_undoes_the_former_life(world: World) -> None:
    """Its links, its address and its port are free for the new one."""
    former = world.up("web", on("lan", publish=(PORT,)))
    world.end(former)
    world.attach(world.start("web"), on("lan", publish=(PORT,)))
    check(world)
    assert len(world.leases.leases("lan")) == 1


def test_settings_may_explain_instead_of_doing(world: World) -> None:
    """With manage_sysctls off, forwarding is told and not set."""
    with World(settings=Settings(manage_sysctls=False)) as told:
        engine = told.engine()
        web = told.start("web")
        assert web.process
        engine.attach(web, on("lan"), told.host.open_sandbox(web.process))
        assert any("ip_forward" in warning for warning in engine.warnings)
        assert told.host.namespace.sysctls["net/ipv4/ip_forward"] == "0"
    world.up("web", on("lan"))
    assert world.host.namespace.sysctls["net/ipv4/ip_forward"] == "1"


def test_plan_shows_the_steps_and_keeps_nothing(world: World) -> None:
    """No address, no port, no record, no link."""
    web = world.start("web")
    before = world.state()
    assert web.process
    with world.engine() as engine, world.host.open_sandbox(web.process) as sandbox:
        steps = engine.plan(web, on("lan", publish=(PORT,)), sandbox)
    assert any("10.9.0.2" in command for step in steps for command in step.describe())
    assert world.state() == before


def test_default_network_is_defined_by_the_first_attach() -> None:
    """Not by who asks for it by name."""
    with World(network()) as world:
        with pytest.raises(NotFoundError):
            world.networks.get("bridge")
        world.up("web", on("bridge"))
        assert world.networks.names() == ("bridge", "lan")
        check(world)
