"""Links between two sandboxes on a real kernel: made, gone, back, and what the host sees of it."""

from __future__ import annotations

import os
import re
import select
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from builders import on
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import ip_json, link_json, pings, run
from hosts.namespace.wired_host import PATHS, WiredHost, records, snapshot
from hosts.waiting import wait_until
from ocinet.base.address import Address, Subnet
from ocinet.base.clock import Process
from ocinet.base.errors import ConflictError, KernelError, NotFoundError, OcinetError, RequestError
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.model.attachment import Container
from ocinet.engine.model.request import Request
from ocinet.engine.plan.cable_steps import ConfigureEnd, LayCable
from ocinet.engine.plan.new_cable import CableOptions
from ocinet.engine.plan.new_network import NetworkOptions

if TYPE_CHECKING:
    from ocinet.engine.model.cable import Cable
    from ocinet.engine.plan.steps import Step

NONE = Request("none")
BOTH = CableOptions(("web", "db"), subnets=(Subnet.parse("10.7.0.0/31"),))
A, B = "10.7.0.0", "10.7.0.1"


def link(host: WiredHost, options: CableOptions = BOTH, **changes: Any) -> tuple[Cable, str]:
    """Add a link as a person does; return it, and what it waits for."""
    with host.engine() as engine:
        cable, state = engine.cables.add(options.replace(**changes))
        assert not state.flaws
        return cable, state.waits


def unlink(host: WiredHost, name: str = "web-db") -> None:
    """Remove a link as a person does."""
    with host.engine() as engine:
        engine.cables.remove(name)


def word(host: WiredHost, name: str = "web-db") -> str:
    """Return in a word how a link is."""
    with host.engine() as engine:
        return engine.cables.state(engine.cables.get(name)).word


def ifnames(host: WiredHost, name: str) -> list[str]:
    """Return the interfaces in a container's sandbox, but for lo."""
    return [found["ifname"] for found in ip_json("link", host.sleepers[name].pid)][1:]


def plugs(host: WiredHost, name: str) -> list[str]:
    """Return the links that a container's record tells of."""
    with host.engine() as engine:
        return [plug.cable for plug in engine.containers.find(name).plugs]


def macs_of(host: WiredHost) -> dict[str, str]:
    """Return the MAC of each container's end."""
    return {
        name: str(ip_json("link show link0", sleeper.pid)[0]["address"])
        for name, sleeper in host.sleepers.items()
    }


def reach_each_other(host: WiredHost) -> bool:
    """Wait until a ping goes both ways: on a busy machine one may take more than its second."""
    wait_until(lambda: host.pings("web", B) and host.pings("db", A), "both are reached")
    return True


@in_namespaces
def test_link_joins_two_sandboxes_and_the_host_has_nothing_of_it() -> None:
    """No link, no address, no rule, and no word to who listens: both ends are born inside."""
    with WiredHost() as host:
        host.up("web", NONE)
        host.up("db", NONE)
        before = snapshot()
        cable, waits = link(host)

        assert (cable.name, waits, word(host)) == ("web-db", "", "up")
        assert reach_each_other(host)
        assert {**snapshot(), "records": before["records"]} == before
        for name, end in zip(("web", "db"), cable.ends, strict=True):
            found = link_json("link0", host.sleepers[name].pid)
            assert found
            assert (found["address"], found["mtu"]) == (end.mac, 1500)
            assert found["ifalias"] == "ocinet:link/web-db"
            path = "/proc/sys/net/ipv4/conf/link0/rp_filter"
            assert run(f"cat {path}", pid=host.sleepers[name].pid) == "1\n"
        assert plugs(host, "web") == plugs(host, "db") == ["web-db"]

        unlink(host)
        assert ifnames(host, "web") == ifnames(host, "db") == []
        assert plugs(host, "web") == plugs(host, "db") == []
        assert snapshot() == before


@in_namespaces
def test_host_hears_nothing_of_a_link() -> None:
    """Not even for a moment is an end of it in the host's namespace, where udev would see it."""
    with WiredHost() as host:
        host.up("web", NONE)
        host.up("db", NONE)
        run("ip link add probe type veth peer name eborp")  # of which it does hear
        with subprocess.Popen(
            ["ip", "monitor", "link"], stdout=subprocess.PIPE, text=True
        ) as heard:
            assert heard.stdout
            try:
                run("ip link set probe up")  # twice: what is told before it listens, is lost
                while select.select([heard.stdout], [], [], 0.1)[0] == []:
                    run("ip link set probe mtu 1400")
                    run("ip link set probe mtu 1401")
                link(host)
                unlink(host)
                run("ip link set eborp mtu 1333")
                lines: list[str] = []
                while not lines or "mtu 1333" not in lines[-1]:
                    lines.append(heard.stdout.readline())
            finally:
                heard.terminate()
        assert "link0" not in "".join(lines)


@in_namespaces
def test_link_has_both_families_and_routes() -> None:
    """What lies behind one end is reached by the other, and IPv6 works at once."""
    with WiredHost() as host:
        host.up("web", NONE)
        host.up("db")
        behind = host.sleepers["db"].pid
        run("ip addr add 10.66.0.1/32 dev lo", pid=behind)
        both = (Subnet.parse("10.7.0.0/30"), Subnet.parse("fd00:7::/126"))
        routes = tuple((0, Subnet.parse(text)) for text in ("10.66.0.0/16", "fd00:66::/64", "::/0"))
        link(host, subnets=both, routes=routes, mtu=9000)

        web = host.sleepers["web"].pid
        assert pings("10.7.0.2", web)
        assert pings("fd00:7::2", web)
        assert pings("10.66.0.1", web)
        assert ip_json("link show link0", behind)[0]["mtu"] == 9000
        assert host.pings("db", "10.9.0.1")  # its network is as it was
        assert word(host) == "up"


@pytest.mark.parametrize("returns", ["web", "db"])
@in_namespaces
def test_link_is_made_again_by_whichever_comes_back(returns: str) -> None:
    """In a new sandbox, under the same addresses and MACs, also where nobody told of the end."""
    with WiredHost() as host:
        host.up("web", NONE)
        host.up("db", NONE)
        link(host)
        macs = macs_of(host)
        for told in (True, False):
            if told:
                host.stop(returns)
                assert word(host) == "waiting"
            else:
                host.sleepers.pop(returns).end()
            host.up(returns, NONE)
            assert word(host) == "up"
            assert reach_each_other(host)
        assert macs_of(host) == macs


@in_namespaces
def test_link_waits_for_who_does_not_run_yet_in_either_order() -> None:
    """It is defined before both, and there when the second one has come."""
    with WiredHost() as host:
        _cable, waits = link(host)
        assert "web does not run" in waits
        assert "db does not run" in waits
        host.up("db", NONE)
        assert word(host) == "waiting"
        assert ifnames(host, "db") == []
        host.up("web", NONE)
        assert word(host) == "up"
        assert reach_each_other(host)


@in_namespaces
def test_detach_of_one_takes_the_link_and_leaves_the_other_as_it_was() -> None:
    """By the record, in whoever's sandbox it can; the other's record tells of it no more."""
    with WiredHost() as host:
        host.up("web")
        host.up("db")
        link(host)
        with host.engine() as engine:
            engine.detach("web-id")
        assert ifnames(host, "web") == []
        assert ifnames(host, "db") == ["eth0"]
        assert plugs(host, "db") == []
        host.stop("db")
        host.sleepers.pop("web").end()
        host.poststop("web")
        assert records() == []


@in_namespaces
def test_end_in_a_sandbox_that_something_keeps_goes_with_the_other() -> None:
    """As where `ip netns add` made it: its container has ended, and it is not to stay linked."""
    with WiredHost() as host:
        host.up("web", NONE)
        host.up("db", NONE)
        link(host)
        descriptor = os.open(f"/proc/{host.sleepers['web'].pid}/ns/net", os.O_RDONLY)
        try:
            host.stop("web")
            assert ifnames(host, "db") == []
        finally:
            os.close(descriptor)


def _kill_at(kind: type[Step]) -> Any:
    def trace(step: Step) -> None:
        if isinstance(step, kind):
            os._exit(9)

    return trace


@pytest.mark.parametrize("kind", [LayCable, ConfigureEnd])
@in_namespaces
def test_add_that_is_killed_is_finished_by_check(kind: type[Step]) -> None:
    """The definition is written first, and the records before the kernel."""
    with WiredHost() as host:
        host.up("web", NONE)
        host.up("db", NONE)
        child = os.fork()
        if not child:
            with host.engine(_kill_at(kind)) as engine:
                engine.cables.add(BOTH)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 9 << 8

        with host.engine() as engine:
            found = [finding.what for finding in engine.check()]
            assert found
            assert all("the link web-db" in what for what in found)
            assert all(finding.repaired for finding in engine.check(repair=True))
            assert engine.check() == ()
        assert reach_each_other(host)
        unlink(host)
        assert ifnames(host, "web") == ifnames(host, "db") == []


@pytest.mark.parametrize("kind", [LayCable, ConfigureEnd])
@in_namespaces
def test_add_that_fails_leaves_nothing(kind: type[Step]) -> None:
    """Neither a definition, nor an end, nor a word on record."""

    def fail(step: Step) -> None:
        if isinstance(step, kind) and not (isinstance(step, ConfigureEnd) and not step.number):
            raise KernelError("cannot do it", "it is forbidden")

    with WiredHost() as host:
        host.up("web", NONE)
        host.up("db", NONE)
        before = snapshot()
        with host.engine(fail) as engine, pytest.raises(KernelError, match="forbidden"):
            engine.cables.add(BOTH)
        assert ifnames(host, "web") == ifnames(host, "db") == []
        assert plugs(host, "web") == plugs(host, "db") == []
        assert snapshot() == before
        with host.engine() as engine:
            assert engine.cables.names() == ()


FAULTS = {
    "end deleted": ("ip link del link0", "link0 in db is gone"),
    "end down": ("ip link set link0 down", "link0 in db is down"),
    "address gone": ("ip addr del 10.7.0.1/31 dev link0", "has lost 10.7.0.1/31"),
    "route gone": ("ip route del 10.66.0.0/16", "has lost the route to 10.66.0.0/16"),
    "MTU": ("ip link set link0 mtu 1300", "an MTU of 1300 instead of 1500"),
    "MAC": ("ip link set link0 address 02:00:00:00:00:01", "link0 in db is another interface"),
}


@pytest.mark.parametrize("fault", FAULTS)
@in_namespaces
def test_damage_is_named_and_put_right(fault: str) -> None:
    """By `check --repair`, and by the next attach of either."""
    command, said = FAULTS[fault]
    with WiredHost() as host:
        host.up("web", NONE)
        container = host.start("db")
        host.attach(container, NONE)
        link(host, routes=((1, Subnet.parse("10.66.0.0/16")),))
        for how in ("check", "attach"):
            run("sh", "-c", command, pid=host.sleepers["db"].pid)
            with host.engine() as engine:
                (finding,) = engine.check()
                assert said in finding.what
                if how == "check":
                    (finding,) = engine.check(repair=True)
                    assert finding.repaired
            if how == "attach":
                host.attach(container, NONE)
            with host.engine() as engine:
                assert engine.check() == ()
            assert reach_each_other(host)


@in_namespaces
def test_removed_definition_is_a_leftover() -> None:
    """Of whoever took its file away by hand, or was killed in the middle of `link rm`."""
    with WiredHost() as host:
        host.up("web", NONE)
        host.up("db", NONE)
        link(host)
        os.unlink(f"{PATHS.config}/links/web-db.json")
        assert ("link", "web-db") in host.gc(dry_run=True)
        assert ifnames(host, "db") == ["link0"]
        assert ("link", "web-db") in host.gc()
        assert ifnames(host, "web") == ifnames(host, "db") == []
        assert plugs(host, "web") == plugs(host, "db") == []
        assert host.gc() == []


@in_namespaces
def test_subnet_of_a_link_is_taken() -> None:
    """For networks, for other links, and for what either container routes by now."""
    with WiredHost() as host:
        host.up("web")
        host.up("db")
        link(host)
        wish = NetworkOptions(subnets=(Subnet.parse("10.7.0.0/24"),))
        taken = pytest.raises(ConflictError, match=r"10\.7\.0\.0/31 of the link web-db")
        with host.engine() as engine, taken:
            engine.networks.create("new", wish)
        with pytest.raises(ConflictError, match="of the link web-db"):
            link(host, name="two")
        with pytest.raises(ConflictError, match="of lan"):
            link(host, subnets=(Subnet.parse("10.9.0.0/30"),))
        run("ip route add 10.55.0.0/16 via 10.9.0.1", pid=host.sleepers["db"].pid)
        with pytest.raises(ConflictError, match=r"10\.55\.0\.0/16, which one of the two"):
            link(host, subnets=(Subnet.parse("10.55.1.0/30"),))
        one, _waits = link(host, subnets=(), name="one")
        two, _waits = link(host, subnets=(), name="two", ipv6=True)
        ours = [cable.subnets[0] for cable in (one, two)]
        assert [subnet.prefixlen for subnet in ours] == [31, 31]
        assert ours[0].first + 2 == ours[1].first
        assert [end.ifname for end in two.ends] == ["link2", "link2"]
        with host.engine() as engine:
            fresh = engine.networks.create("fresh", NetworkOptions())
        assert not any(fresh.pools[0].subnet.overlaps(subnet) for subnet in ours)


@in_namespaces
def test_what_can_not_be_linked_is_said_in_a_line() -> None:
    """Itself, a member of a shared sandbox, a name that is taken, a file that makes no sense."""
    with WiredHost() as host:
        host.up("web")
        host.up("db")
        with pytest.raises(RequestError, match="web can't be linked with itself"):
            link(host, containers=("web", "web"))
        with pytest.raises(ConflictError, match="db has an interface eth0 already"):
            link(host, ifnames=("", "eth0"))
        with pytest.raises(NotFoundError, match="there is no link web-db"):
            unlink(host)
        host.join("log", "web")
        cable, waits = link(host, containers=("log", "db"))
        assert "log shares the sandbox of web: link web" in waits
        unlink(host, cable.name)
        link(host)
        with open(f"{PATHS.config}/links/web-db.json", "w", encoding="utf-8") as file:
            file.write("{")
        with host.engine() as engine:
            assert any("web-db can't be read" in finding.what for finding in engine.check())
        host.stop("db")
        host.up("db")  # it starts all the same
        unlink(host)
        assert ifnames(host, "web") == ["eth0"]


@in_namespaces
def test_two_that_come_and_go_at_once_never_wait_for_each_other() -> None:
    """Both take both locks, in one order; a round of that is many acts at the same time."""
    with WiredHost() as host:
        both = [host.start("web"), host.start("db")]
        for container in both:
            host.attach(container, NONE)
        link(host)
        failures: list[str] = []

        def turn(number: int) -> None:
            container = both[number]
            for _round in range(12):
                try:
                    with host.engine() as engine:
                        engine.detach(container.id)
                    host.attach(container, NONE)
                except OcinetError as error:
                    failures.append(str(error))

        threads = [threading.Thread(target=turn, args=(number,)) for number in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failures == []
        for container in both:
            host.attach(container, NONE)
        assert word(host) == "up"
        assert reach_each_other(host)


@in_namespaces
def test_peer_speaks_only_with_addresses_that_lead_back_to_it() -> None:
    """What claims to be from elsewhere is dropped by who receives it (rp_filter)."""
    with WiredHost() as host:
        host.up("web")
        host.up("db", NONE)
        link(host)
        db, web = host.sleepers["db"].pid, host.sleepers["web"].pid
        run("ip addr add 10.9.0.77/32 dev lo", pid=db)
        assert host.pings("db", A)  # so that both know the other's MAC
        dropped = _reverse_path_drops(web)
        run("sh", "-c", f"busybox ping -c 1 -W 1 -I 10.9.0.77 {A} || true", pid=db)
        assert _reverse_path_drops(web) > dropped


def _reverse_path_drops(pid: int) -> int:
    heading, values = re.findall(r"(?m)^TcpExt: (.*)$", run("cat /proc/self/net/netstat", pid=pid))
    return int(values.split()[heading.split().index("IPReversePathFilter")])


@in_namespaces
def test_plan_is_what_a_shell_can_do() -> None:
    """The commands, run by a shell, make the link that `check` finds to be as it is defined."""
    with WiredHost() as host:
        host.up("web", NONE)
        host.up("db", NONE)
        with host.engine() as engine:
            steps = engine.cables.plan(BOTH)
            assert engine.cables.names() == ()
        run("sh", "-e", given="\n".join(line for step in steps for line in step.describe()))
        assert reach_each_other(host)
        cable, _waits = link(
            host, ifnames=("wire0", "wire0"), subnets=(Subnet.parse("10.8.7.0/31"),), name="x"
        )
        assert cable.ends[0].address(4) == Address.parse("10.8.7.0")


@in_namespaces
def test_sandbox_that_is_given_by_its_path_lives_as_long_as_that_leads_there() -> None:
    """It has neither a process nor anything on the host: nothing else tells that it is there."""
    with WiredHost() as host:
        host.up("web", NONE)
        run("ip netns add blue")
        with host.engine() as engine, Sandbox.open_path("/run/netns/blue") as sandbox:
            engine.attach(Container("blue", "blue"), NONE, sandbox)
        _cable, waits = link(host, containers=("web", "blue"))
        assert waits == ""
        assert host.pings("web", B)
        assert host.gc() == []
        run("ip netns del blue")
        assert word(host, "web-blue") == "waiting"
        assert ("attachment", "blue") in host.gc()
        assert plugs(host, "web") == []


@in_namespaces
def test_explain_follows_a_packet_through_the_link() -> None:
    """Past the host: no rule of it is met. Also where it is routed, and with a network beside."""
    with WiredHost() as host:
        host.up("web", on("lan"))
        host.up("db", on("dmz"))
        link(host, routes=((0, Subnet.parse("10.66.0.0/16")),))
        run("ip addr add 10.66.0.1/32 dev lo", pid=host.sleepers["db"].pid)
        for end in ("db", "10.66.0.1"):
            with host.engine() as engine:
                told = engine.explain("web", end)
            texts = [hop.what for hop in told.hops]
            assert told.answer.kind == "answered"
            assert any("by the link web-db" in text for text in texts), texts
            assert not any("oc" in text for text in texts)
            assert told.rules == ()
        with host.engine() as engine:  # of two on one network, that is nearer
            host.attach(host.container("db", host.sleepers["db"].pid), on("lan", "dmz"))
            told = engine.explain("web", "db")
        assert not any("by the link" in hop.what for hop in told.hops)


@in_namespaces
def test_start_does_not_wait_for_who_hangs_with_the_others_lock() -> None:
    """It starts without the link, which is told; and the next look makes it."""
    with WiredHost() as host:
        host.up("db", NONE)
        link(host)
        container = host.start("web")
        with host.engine() as holder, holder.operation.locks.container("db-id"):
            began = time.monotonic()
            with host.engine() as engine, Sandbox.open_process(_process(container)) as sandbox:
                engine.attach(container, NONE, sandbox)
                (warning,) = engine.warnings
            assert time.monotonic() - began < 10
        assert "cannot link web" in warning
        assert word(host) == "damaged"
        with host.engine() as engine:
            assert [finding.repaired for finding in engine.check(repair=True)] == [True]
        assert reach_each_other(host)


def _process(container: Container) -> Process:
    assert container.process
    return container.process


@in_namespaces
def test_repair_waits_for_no_link_of_the_hosts_that_has_an_ends_index() -> None:
    """Each namespace counts its own: who looks the other end up on the host finds a stranger."""
    with WiredHost() as host:
        host.up("web", NONE)
        host.up("db", NONE)
        link(host)
        peer = ip_json("link show link0", host.sleepers["db"].pid)[0]["ifindex"]
        run(f"ip link add idle index {peer} type bridge")
        run("ip link set idle up")  # which never has a carrier
        run("ip addr del 10.7.0.0/31 dev link0", pid=host.sleepers["web"].pid)
        began = time.monotonic()
        with host.engine() as engine:
            assert [finding.repaired for finding in engine.check(repair=True)] == [True]
        assert time.monotonic() - began < 5
        assert reach_each_other(host)


@in_namespaces
def test_ends_have_two_indexes_so_that_packets_go_at_once() -> None:
    """Of two with one index the kernel looks for a carrier up to a second later."""
    with WiredHost() as host:
        host.up("web", NONE)
        host.up("db", NONE)
        link(host)
        ends = [ip_json("link show link0", host.sleepers[name].pid)[0] for name in ("web", "db")]
        assert ends[0]["ifindex"] != ends[1]["ifindex"]
        other, _waits = link(host, name="again", subnets=())
        assert word(host, other.name) == "up"
