"""Attach as a transaction, on a host in memory: all of it, or nothing, wherever it fails."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from builders import network, on, tcp
from fakes.world import World, check, check_nothing_left
from ocinet.base.address import Address
from ocinet.base.errors import ConflictError, KernelError, NotFoundError, OcinetError, RequestError
from ocinet.engine.model.attachment import Member
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.naming import UNSTARTED, FoundFile, FoundFiles, Rootfs
from ocinet.engine.model.request import EndpointRequest, Request
from ocinet.engine.model.resolution import AddedHost, Alias, Resolution
from ocinet.engine.model.settings import Settings
from ocinet.request.access import parse_access

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_OWN = {"links.add_veth", "insides.configure", "firewall.open"}  # by netlink, for it alone
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


def by_source(world: World) -> None:
    """Come to a host that routes by source, for two of its addresses."""
    world.host.add_link("eth8", up=True)
    for text, table in (("198.51.100.2/32", 102), ("2001:db8::2/128", 106)):
        world.host.add_address("eth8", text)
        world.host.add_source_rule(text, table=table, priority=100)
    world.host.add_default_route("198.51.100.1", "eth8", source="203.0.113.5")


REQUESTS = {
    "none": Request("none"),
    "lan": on("lan"),
    "two": on("lan", "dmz"),
    "ports": on("lan", publish=(PORT, PORT.replace(protocol="udp"))),
    "loopback": on("lan", publish=(LOOPBACK,)),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize(
    "arrange", [alone, beside_another, after_a_flush, where_others_drop, dual_stack, by_source]
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


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_attach_whose_answer_is_lost_takes_back_what_may_be_done(request_: Request) -> None:
    """The kernel has done it, and its answer could not be read: ENOBUFS, or no room for it."""
    lost: list[str] = []
    for number in itertools.count():
        with World() as world:
            beside_another(world)
            web = world.start("web")
            before = world.state()
            done = len(world.trace.acts)
            error = KernelError("cannot read netlink", "No buffer space", is_lost=True)
            world.trace.fail_at(number, error, done=True)
            try:
                world.attach(web, request_)
            except KernelError:
                lost.append(world.trace.acts[done + number])
                if lost[-1] in _OWN:  # networks stay in the table until they are removed
                    after = world.state()
                    assert {**after, "table": before["table"]} == before, lost[-1]
                    assert after["table"].get("publish4") == before["table"].get("publish4")
            if len(lost) == number:
                break
    assert {name for name in _OWN if name in lost} == (_OWN if request_.endpoints else set())


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


def test_attach_and_its_end_tell_how_long_they_took_and_by_which_door(world: World) -> None:
    """Figures are made of these: hooks do their work in processes of their own."""
    web = world.start("web")
    world.attach(web, on("lan", publish=(PORT,)))
    with pytest.raises(OcinetError):
        world.attach(world.start("db"), on("lan", publish=(PORT,)))
    world.engine().detach("web-id")

    (attached,), (failed,), (detached,) = map(world.told, ("attached", "attach failed", "detached"))
    assert failed["cause"] == "conflict"
    for told in attached, failed, detached:
        assert told["door"] == "hook"
        assert 0 <= float(str(told["took_ms"])) < 60_000


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


def test_attach_that_publishes_where_the_host_routes_by_source_follows_it(world: World) -> None:
    """A rule beside each of theirs, told once; with the last network it is gone."""
    by_source(world)
    web = world.up("web", on("lan"))
    assert not world.host.uplinks.rules.marks
    world.end(web)
    world.gc()
    web = world.up("web", on("lan", publish=(PORT,)))
    ours = [rule for rule in world.host.routing_rules.rules() if rule.is_ours]
    assert [(rule.family, rule.table) for rule in ours] == [(4, 102), (6, 106)]
    assert [reply.mark for reply in world.host.uplinks.rules.marks] == [rule.mark for rule in ours]
    told = [str(event["command"]) for event in world.told("host changed")]
    assert len([command for command in told if "fwmark" in command]) == 1
    world.end(web)
    world.gc()
    with world.engine() as engine:
        engine.networks.remove("lan")
        assert world.host.uplinks.rules.marks
        engine.networks.remove("dmz")
    assert not world.host.uplinks.rules.marks
    assert not any(rule.is_ours for rule in world.host.routing_rules.rules())


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
    assert world.host.namespace.sysctls["net/ipv4/ip_forward"] == "10"


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


def test_port_that_nobody_has_is_taken_over(world: World) -> None:
    """It is claimed by who publishes it, so what the firewall holds of it is a dead one's."""
    world.up("other", on("lan"))
    dead = PortRule("tcp", None, 8080, Address.parse("10.9.0.200"), 80)
    world.host.firewall.open((), (dead,))

    web = world.up("web", on("lan", publish=(PORT,)))

    record = world.attachments.get(web.id)
    assert record
    assert world.published() == {(4, "tcp", 8080): (record.ports[0].address, 80)}
    check(world)


def test_port_of_another_record_is_not_taken_over(world: World) -> None:
    """Even where its claim is lost."""
    other = world.up("other", on("lan", publish=(PORT,)))
    world.ports.release_all(other.id)

    with pytest.raises(ConflictError, match="8080/tcp"):
        world.up("web", on("lan", publish=(PORT,)))
    check(world)


@pytest.mark.parametrize("taken", [False, True])
def test_return_to_a_shared_sandbox_has_both_again_if_they_are_free(
    world: World, *, taken: bool
) -> None:
    """Address and chosen port; where another one was faster, it is given others."""
    request = on("lan", publish=(tcp(0),))
    web = world.up("web", request)
    (former,) = world.attachments.all()
    (rule,) = former.ports
    world.end(web)
    side = Member("side-id", "side", process=world.host.start())
    world.attachments.put(former.replace(left=True, members=(side,)))

    def be_faster() -> None:
        world.between("", lambda: None)
        thief = EndpointRequest("lan", (rule.address,))
        asked = Request("bridge", endpoints=(thief,), publish=(tcp(rule.host_port),))
        world.up("thief", asked)

    if taken:
        world.between("leases.allocate", be_faster)
    world.attach(world.start("web"), request)

    (again,) = [each for each in world.attachments.all() if each.container.name == "web"]
    same = [interface.address for interface in again.endpoints[0].addresses] == [rule.address]
    assert (same, again.ports == former.ports) == (not taken, not taken)
    assert len(world.told("members lost their network")) == 1
    check(world)


def test_attach_with_wishes_writes_what_they_say_until_detach(world: World) -> None:
    """On record with the rest; other wishes in the same sandbox change the files in place."""
    web = world.start("web")
    free, names = FoundFile("free"), world.host.name_files
    assert web.process
    names.found[web.process] = FoundFiles(free, free, "nameserver 192.0.2.53\n")
    wishes = Resolution(servers=(Address.parse("192.0.2.1"),), hosts=(AddedHost("up", None),))
    request = on("lan").replace(resolution=wishes)
    record = world.attach(web, request)
    assert record.resolution == wishes
    found = names.found[web.process]
    assert found.hosts.text.endswith("10.9.0.2\tweb-id web\n10.9.0.1\tup\n")
    assert "nameserver 192.0.2.1\n" in found.resolv_conf.text

    acts = len(world.trace.acts)
    world.attach(web, request)
    assert world.trace.acts[acts:] == []

    options = on("lan").replace(resolution=Resolution(options=("ndots:2",)))
    record = world.attach(web, options)
    assert record.resolution == wishes.replace(options=("ndots:2",))
    assert record.endpoints == world.attach(web, on("lan")).endpoints
    text = names.found[web.process].resolv_conf.text
    assert text.endswith("options ndots:2\nnameserver 192.0.2.1\n")
    check(world)

    with world.engine() as engine:
        engine.detach("web-id")
    found = names.found[web.process]
    assert "up" not in found.hosts.text
    assert "nameserver" not in found.resolv_conf.text
    assert world.attach(web, on("lan")).resolution is None


def test_attach_with_wishes_that_fails_leaves_files_and_record_as_they_were() -> None:
    """Wherever it fails."""
    wishes = on("lan", "dmz").replace(resolution=Resolution(search=("a.example",)))
    for number in itertools.count():
        with World() as world:
            web = world.start("web")
            free, names = FoundFile("free"), world.host.name_files
            assert web.process
            names.found[web.process] = FoundFiles(free, free, "nameserver 192.0.2.53\n")
            world.attach(web, on("lan"))
            before, files = world.state(), names.found[web.process]
            world.trace.fail_at(number)
            try:
                world.attach(web, wishes)
            except KernelError:
                assert world.state() == before
                assert names.found[web.process] == files
                check(world)
            else:
                assert "search a.example\n" in names.found[web.process].resolv_conf.text
                break
    assert number > 6, "it hardly ever failed"


def test_attach_with_wishes_of_who_has_no_files_says_so(world: World) -> None:
    """They are on record, as everything that was asked for."""
    web = world.start("web")
    record = world.attach(web, on("lan").replace(resolution=Resolution(search=("a.example",))))
    assert record.resolution
    (told,) = world.told("attached with a warning")
    assert "no files of its own" in str(told["warning"])


def test_attach_before_the_start_is_named_at_the_start_again(world: World) -> None:
    """A busy host's early attach found Docker's file, which Docker wrote once more after it."""
    web = world.start("web")
    names = world.host.name_files
    assert web.process
    filled = FoundFile("engine", "192.0.2.8\tcache\n")
    engines = FoundFile("engine", "nameserver 192.0.2.53\n")
    names.found[web.process] = FoundFiles(filled, engines, "", hostname="till")
    with world.engine() as engine, world.host.open_sandbox(web.process) as sandbox:
        assert engine.attach(web, on("lan"), sandbox, UNSTARTED).unnamed
        names.found[web.process] = FoundFiles(filled, engines, "", hostname="till")
        engine.tell_names("web-id")
    assert names.found[web.process].hosts.text.endswith("10.9.0.2\ttill web\n")
    assert not world.attach(web, on("lan")).unnamed
    check(world)


def test_attach_before_a_hosts_file_is_filled_is_named_later(world: World) -> None:
    """By who comes after the engine: once, and its own lines stay."""
    web = world.start("web")
    names = world.host.name_files
    assert web.process
    engines = FoundFile("engine", "nameserver 192.0.2.53\n")
    names.found[web.process] = FoundFiles(FoundFile("engine"), engines, "")
    assert world.attach(web, on("lan")).unnamed
    assert world.attach(web, on("lan", publish=(PORT,))).unnamed
    with world.engine() as engine:
        engine.tell_names("web-id")  # nobody has filled it
        assert world.attach(web, on("lan")).unnamed
        filled = FoundFile("engine", "192.0.2.8\tcache\n")
        names.found[web.process] = FoundFiles(filled, engines, "", hostname="till")
        engine.tell_names("web-id")
    text = names.found[web.process].hosts.text
    assert text.startswith("192.0.2.8\tcache\n# From here on by ocinet")
    assert text.endswith("10.9.0.2\ttill web\n")
    assert not world.attach(web, on("lan")).unnamed
    check(world)


@pytest.mark.parametrize(
    ("rootfs", "comes", "told"),
    [
        (None, "web1", 0),
        (Rootfs("/r"), "web1", 0),
        (Rootfs("/r", "web1"), "first", 0),  # its runtime will set it
        (Rootfs("/r", "other"), "first", 1),
        (UNSTARTED, "first", 0),  # at its start
    ],
)
def test_attach_with_a_hostname_sets_it_where_nobody_else_will(
    world: World, rootfs: Rootfs | None, comes: str, told: int
) -> None:
    """Its own line in /etc/hosts has it in any case; a plan says how, and a failure undoes it."""
    web = world.start("web")
    free, names = FoundFile("free"), world.host.name_files
    assert web.process
    names.found[web.process] = FoundFiles(free, free, "nameserver 192.0.2.53\n")
    names.hostnames[web.process] = "first"
    asked = on("lan").replace(resolution=Resolution(hostname="web1"))
    with world.engine() as engine, world.host.open_sandbox(web.process) as sandbox:
        record = engine.attach(web, asked, sandbox, rootfs)
    assert record.unnamed == (rootfs == UNSTARTED)
    assert names.hostnames[web.process] == comes
    assert names.found[web.process].hosts.text.endswith("10.9.0.2\tweb1 web\n")
    assert len(world.told("attached with a warning")) == told
    if record.unnamed:
        with world.engine() as engine:
            engine.tell_names(web.id)
        assert names.hostnames[web.process] == "web1"


@pytest.mark.parametrize("name", ["store", "data"])
def test_who_comes_while_another_is_attached_may_talk_to_it_by_any_name(
    world: World, name: str
) -> None:
    """By an alias, or a hostname: the other one has looked for those who mean it before."""
    world.networks.add(network("apart", "10.7.0.0/24", siblings=False))
    db, web = world.start("db"), world.start("web")
    wished = Resolution(hostname="data", aliases=(Alias("store"),))
    allowed = parse_access({"ocinet.allow": f"{name}:80"})

    def come() -> None:
        world.attach(web, on("apart").replace(access=allowed))

    # The first put has it attaching, the second one attached.
    world.between("attachments.put", lambda: world.between("attachments.put", come))
    world.attach(db, on("apart").replace(resolution=wished))
    assert [each for each in world.host.firewall.entered() if each.set.name == "pair4"]


def test_wishes_are_on_record_once_files_say_so(world: World) -> None:
    """Else who was killed before, and asks again, would have them for done."""
    wished = Resolution(search=("example",), hostname="data", aliases=(Alias("store"),))
    seen: list[Resolution | None] = []

    def look() -> None:
        seen.extend(each.resolution for each in world.attachments.all())

    web = world.start("web")
    for wish in (wished, wished.replace(options=("ndots:2",))):
        world.between("attachments.put", lambda: world.between("attachments.put", look))
        world.attach(web, on("lan").replace(resolution=wish))
    assert seen == [wished.replace(search=()), wished]
