"""The watcher keeps what is attached as it was made, with no engine of containers to watch."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from builders import network, on, tcp
from faults import FAULTS, FAULTS_OF_IPV6
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.keeping import Keeping
from hosts.namespace.looks import run
from hosts.namespace.wired_host import PATHS, WiredHost
from hosts.requirements import require
from hosts.waiting import wait_until
from ocinet.engine.changes import Changes
from ocinet.engine.model.bandwidth import Bandwidth, Limit, shaper_of
from ocinet.engine.model.scope import EVERYTHING, NETWORKS, NOTHING, of_container
from ocinet.engine.model.settings import Settings
from ocinet.engine.operation import no_neighbours
from ocinet.watcher.engine_calls import EngineCalls
from ocinet.watcher.keeper import Keeper
from ocinet.watcher.pace import Pace
from ocinet.watcher.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults import Fault
    from ocinet.engine.check import Finding
    from ocinet.engine.model.attachment import Attachment
    from ocinet.engine.model.scope import Scope

_IN_TIME_S = 2.0


def _break(host: WiredHost, fault: Fault, record: Attachment) -> None:
    """Do what breaks it."""
    pid = host.sleepers["web"].pid if fault.inside else None
    run("sh", "-c", fault.command_on(record), pid=pid)


def _is_whole(host: WiredHost) -> bool:
    with host.engine() as engine:
        return not engine.check()


@pytest.mark.parametrize("fault", [*FAULTS, *FAULTS_OF_IPV6])
@in_namespaces
def test_keeper_repairs_in_time(fault: str) -> None:
    """Within two seconds it is as it was made, it is told, and packets go."""
    broken = {**FAULTS, **FAULTS_OF_IPV6}[fault]
    with WiredHost() as host:
        with host.engine() as engine:
            engine.records.networks.add(network("six", "10.7.0.0/24", "fd00:7::/64"))
        host.up("other", on("six"))
        web = host.start("web", bounded=True)
        record = host.attach(web, on("six", publish=(tcp(8080), tcp(8081))))
        addresses = host.addresses("web")
        with Keeping() as keeping:
            _break(host, broken, record)
            began = time.monotonic()
            wait_until(lambda: keeping.told("repaired"), "it is repaired", timeout_s=_IN_TIME_S)
            wait_until(lambda: _is_whole(host), "it is whole", timeout_s=_IN_TIME_S)
            assert time.monotonic() - began < _IN_TIME_S
            told = "\n".join(line["what"] for line in keeping.told("repaired"))
            assert broken.told_of(record) in told
            assert host.addresses("web") == addresses
            for address in ("10.7.0.1", "10.7.0.2", "fd00:7::1", "fd00:7::2"):
                assert host.pings("web", address), address


@in_namespaces
def test_keeper_follows_what_routes_and_rules_say_of_sources() -> None:
    """A default route with another `src`, a rule of either family: as the next attach would."""
    with WiredHost() as host:
        run("ip link add up1 type bridge")
        for address in ("192.0.2.2/24", "192.0.2.9/24", "2001:db8::2/64"):
            run(f"ip addr add {address} dev up1{' nodad' if ':' in address else ''}")
        run("ip link set up1 up")
        run("ip route add default via 192.0.2.1")
        host.up("web", on("lan", publish=(tcp(8080),)))
        with Keeping():
            # The rule of IPv6 first: a repair is followed by one more look at everything shared.
            for family, source in (("-6", "2001:db8::2"), ("-4", "192.0.2.2")):
                run(f"ip {family} rule add from {source} lookup 106")
                wait_until(
                    lambda family=family: "fwmark" in run(f"ip {family} rule"),  # type: ignore[misc]  # mypy knows no defaults of lambdas
                    "the rule is followed",
                    timeout_s=_IN_TIME_S,
                )
            run("ip route replace default via 192.0.2.1 src 192.0.2.9")
            wait_until(
                lambda: "snat ip to 192.0.2.9" in run("nft list ruleset"),
                "the route is followed",
                timeout_s=_IN_TIME_S,
            )
            run("ip route replace default via 192.0.2.1")
            wait_until(
                lambda: "snat" not in run("nft list table inet ocinet-uplinks"),
                "the route is not followed any more",
                timeout_s=_IN_TIME_S,
            )


_FIGHT = "while :; do ip link set br-lan down; sleep 0.02; done"


@pytest.mark.timeout(120)
@in_namespaces
def test_keeper_stops_where_somebody_undoes_each_repair_and_goes_on_in_quiet() -> None:
    """It says so, in log and events, spends little on it, and repairs other things meanwhile."""
    with WiredHost() as host:
        host.up("web", on("lan", publish=(tcp(8080),)))
        with Keeping() as keeping, subprocess.Popen(["sh", "-c", _FIGHT]) as fighter:
            try:
                [held] = wait_until(
                    lambda: keeping.told("not repaired for a while: somebody undoes it each time"),
                    "it is held", timeout_s=10,
                )  # fmt: skip
                assert (held["what"], held["for_s"]) == ("the bridge br-lan is down", 10)
                assert "ip monitor link" in held["hint"]
                repairs = len(keeping.told("repaired"))
                before_s, began = keeping.cpu_s(), time.monotonic()
                run("nft delete table inet ocinet")
                wait_until(lambda: len(keeping.told("repaired")) > repairs, "the table is back")
                wait_until(lambda: time.monotonic() > began + 4, "a while", interval_s=0.1)
                assert keeping.cpu_s() - before_s < 0.15 * (time.monotonic() - began)
                assert len(keeping.told("repaired")) == repairs + 1
            finally:
                fighter.kill()
            wait_until(lambda: host.pings("web", "10.9.0.1"), "it is repaired", timeout_s=12)
        lines = Path(PATHS.run, "events.jsonl").read_text().splitlines()
        [event] = [line for line in map(json.loads, lines) if line["event"] == "repair held"]
        assert event["what"] == "the bridge br-lan is down"
        assert event["why"] == "somebody undoes it each time"


@pytest.mark.timeout(180)
@in_namespaces
def test_ten_thousand_foreign_links_leave_nothing_and_cost_little() -> None:
    """Pairs that others make and delete: nothing grows, and no look is taken."""
    # Deleted as one group, for which the kernel waits once: each alone would take 20 ms.
    adds = (f"link add f{n} group 77 type veth peer name g{n} group 77" for n in range(500))
    batch = "\n".join((*adds, "link del group 77"))
    with WiredHost() as host:
        host.up("web", on("lan"))
        with Keeping() as keeping:
            run("ip -batch -", given=batch)
            wait_until(lambda: _is_idle(keeping), "it has read them", timeout_s=20)
            before, before_s = _size(keeping.pid), keeping.cpu_s()
            for _round in range(10):
                run("ip -batch -", given=batch)
            wait_until(lambda: _is_idle(keeping), "it has read them", timeout_s=20)
            spent_s = keeping.cpu_s() - before_s
            grown = [now - then for now, then in zip(_size(keeping.pid), before, strict=True)]
            print(f"{spent_s:.2f} s for 10,000 pair events; grown by {grown}")  # noqa: T201  # -s
            assert grown[0] < 2048
            assert grown[1:] == [0, 0]
            assert spent_s < 3
            run("ip link set br-lan down")
            wait_until(lambda: keeping.told("repaired"), "it is repaired", timeout_s=_IN_TIME_S)


def _is_idle(keeping: Keeping) -> bool:
    before_s = keeping.cpu_s()
    time.sleep(0.3)
    return keeping.cpu_s() - before_s < 0.005


def _size(pid: int) -> tuple[int, int, int]:
    """Return a process's memory in kB, its descriptors and its threads."""
    status = Path(f"/proc/{pid}/status").read_text()
    kilobytes = int(status.partition("VmRSS:")[2].split()[0])
    return kilobytes, len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task"))


@in_namespaces
def test_more_than_there_is_room_for_is_a_look_at_everything() -> None:
    """What was told of a damage is lost then; and what is there is learned anew."""
    adds = (f"link add f{n} group 77 type veth peer name g{n} group 77" for n in range(2500))
    with WiredHost() as host:
        record = host.up("web", on("lan"))
        changes = Changes(PATHS)
        try:
            assert changes.read() == NOTHING
            run("ip -batch -", given="\n".join((*adds, "link del group 77")))
            run("ip link del br-lan")
            run("ip link add br-lan type bridge")
            assert changes.read() == EVERYTHING
            assert changes.read() == NOTHING
            run("ip link del br-lan")
            assert changes.read() == NETWORKS
            run(f"ip link set {record.endpoints[0].host_ifname} down")
            assert changes.read() == of_container("web-id", inside=False)
        finally:
            changes.close()


@in_namespaces
def test_guard_that_is_replaced_is_told_and_an_attachs_own_is_not() -> None:
    """The kernel tells both as a new filter."""
    replace = "tc filter replace dev END ingress pref 1 handle 0x6f63 bpf da bytecode"
    with WiredHost() as host:
        first = host.up("web", on("lan"))
        changes = Changes(PATHS)
        try:
            second = host.up("db", on("lan"))
            touched = changes.read()
            assert not touched.containers, "an attach is no damage"
            for record in (first, second):
                words = replace.replace("END", record.endpoints[0].host_ifname).split()
                run(*words, "1,6 0 0 -1,")
                assert changes.read() == of_container(record.container.id, inside=False)
        finally:
            changes.close()


@pytest.mark.parametrize(
    "fault",
    ["tc qdisc del dev END root", "tc filter del dev END ingress pref 2", "ip link del SHAPER",
     "tc qdisc del dev SHAPER root", "ip link set SHAPER down"],
)  # fmt: skip
@in_namespaces
def test_keeper_puts_a_bandwidth_back(fault: str) -> None:
    """Whatever of it goes, the kernel tells; an attach that sets one is no damage."""
    with WiredHost() as host:
        changes = Changes(PATHS)
        try:
            limits = Bandwidth(Limit(10**7), Limit(10**7))
            record = host.up("web", on("lan", bandwidth=limits))
            assert not changes.read().containers
        finally:
            changes.close()
        end = record.endpoints[0].host_ifname
        with Keeping() as keeping:
            run(fault.replace("END", end).replace("SHAPER", shaper_of(end)))
            wait_until(lambda: keeping.told("repaired"), "it is repaired", timeout_s=_IN_TIME_S)
            wait_until(lambda: _is_whole(host), "it is whole", timeout_s=_IN_TIME_S)


@in_namespaces
def test_what_was_broken_before_is_repaired_at_its_start() -> None:
    """Nobody was there to be told."""
    with WiredHost() as host:
        host.up("web", on("lan"))
        run("nft flush ruleset")
        run("ip link del br-lan")
        with Keeping() as keeping:
            wait_until(lambda: keeping.told("repaired"), "it is repaired")
            wait_until(lambda: _is_whole(host), "it is whole")
            assert host.pings("web", "10.9.0.1")


@in_namespaces
def test_who_may_change_its_network_is_left_alone_inside() -> None:
    """What it took away is its right; what is outside is not its own."""
    with WiredHost() as host:
        record = host.up("web", on("lan"))
        with Keeping() as keeping:
            run("ip addr flush dev eth0", pid=host.sleepers["web"].pid)
            run(f"ip link set {record.endpoints[0].host_ifname} nomaster")
            wait_until(lambda: keeping.told("repaired"), "it is repaired", timeout_s=_IN_TIME_S)
            assert host.addresses("web") == []


@in_namespaces
def test_attaches_and_detaches_are_no_damage() -> None:
    """Whatever it is told of them, it finds nothing, and says nothing."""
    with WiredHost() as host, Keeping() as keeping:
        for number in range(8):
            host.up(f"c{number}", on("lan", "dmz", publish=(tcp(8080 + number),)))
        for number in range(8):
            host.stop(f"c{number}")
        wait_until(lambda: _is_idle(keeping), "it is idle", timeout_s=20)
        assert [line["what"] for line in keeping.told("repaired")] == []
        assert keeping.told("not repaired") == []


_UFW = "*filter\n:FORWARD DROP [0:0]\n:ufw-before - [0:0]\n-A FORWARD -j ufw-before\nCOMMIT\n"
_NFTABLES_CONF = """\
flush ruleset
table inet filter { chain forward { type filter hook forward priority 0; policy accept; }; }
"""
RELOADS = {
    "chain flushed": (("iptables", "-F", "FORWARD"), "", True),
    "as ufw reload": (("iptables-restore",), _UFW, True),
    "as nftables restart": (("nft", "-f", "-"), _NFTABLES_CONF, False),
}


@pytest.mark.parametrize("reload", RELOADS)
@in_namespaces
def test_keeper_follows_the_reload_of_another_firewall(reload: str) -> None:
    """Our accept rules are back where they are needed, and our table where it went as well."""
    require("iptables")
    words, given, needs_accept = RELOADS[reload]
    with WiredHost() as host:
        run("iptables -P FORWARD DROP")
        host.up("web", on("lan", publish=(tcp(8080),)))
        assert "ocinet:br-lan" in run("iptables -S FORWARD")
        with Keeping() as keeping:
            run(*words, given=given)
            wait_until(lambda: keeping.told("repaired"), "it is repaired", timeout_s=_IN_TIME_S)
            wait_until(lambda: _is_whole(host), "it is whole", timeout_s=_IN_TIME_S)
            assert "8080" in run("nft list map inet ocinet publish4")
            assert ("ocinet:br-lan" in run("iptables -S FORWARD")) == needs_accept
            assert keeping.told("not repaired") == []


@in_namespaces
def test_what_cannot_be_repaired_is_told_once_and_followed_when_it_is_back() -> None:
    """An adopted bridge is its owner's to bring back; who was on it is on it then."""
    with WiredHost() as host:
        run("ip link add br0 type bridge")
        run("ip link set br0 up")
        with host.engine() as engine:
            adopted = network("dock", "10.6.0.0/24", device="br0", managed=False)
            engine.records.networks.add(adopted)
        for name in ("web", "other"):
            host.up(name, on("dock"))
        with Keeping() as keeping:
            run("ip link del br0")
            [told] = wait_until(lambda: keeping.told("not repaired"), "it is told")
            assert "the bridge br0 of network dock is not there" in told["error"]
            for _time in range(3):
                run("nft add table inet somebody")
                run("nft delete table inet somebody")
                wait_until(lambda: _is_idle(keeping), "it has looked", timeout_s=20)
            assert keeping.told("not repaired") == [told]
            run("ip link add br0 type bridge")
            run("ip link set br0 up")
            wait_until(lambda: host.pings("web", "10.6.0.3"), "they are on it", timeout_s=4)


class _SlowCalls(EngineCalls):
    """Calls that come to a container each 0.1 s only, as beside a load."""

    def keep(
        self, scope: Scope, may_repair: Callable[[str, str], bool], give_way: Callable[[], None]
    ) -> tuple[Finding, ...]:
        def slowly() -> None:
            time.sleep(0.1)
            give_way()

        return super().keep(scope, may_repair, slowly if scope == EVERYTHING else give_way)


@in_namespaces
def test_flush_during_a_look_at_everything_is_repaired_in_time() -> None:
    """Fifty sandboxes take that look five seconds; table, bridge and a host end don't wait."""
    calls = _SlowCalls(PATHS, no_neighbours, Settings)
    log = structlog.testing.CapturingLogger()
    errors: list[BaseException] = []
    with WiredHost() as host:
        records = [host.up(f"c{at}", bounded=True) for at in range(50)]
        workers = Workers(2, errors.append)
        keeper = Keeper(calls.changes, calls, Pace(), workers, log, errors.append)
        workers.start()
        keeper.start()
        try:
            wait_until(lambda: workers.longest_s() > 0.2, "it is at it")
            look = time.monotonic() - workers.longest_s()
            end = records[-1].endpoints[0].host_ifname
            for command, told in (
                (f"ip link set {end} nomaster", f"{end}, the host end of eth0, is off br-lan"),
                ("nft flush ruleset", "the table inet ocinet is gone"),
                ("ip link set br-lan down", "the bridge br-lan is down"),
            ):
                run(command)
                wait_until(
                    lambda told=told: told in [call.kwargs.get("what") for call in log.calls],  # type: ignore[misc]  # mypy knows no defaults of lambdas
                    told,
                    timeout_s=_IN_TIME_S,
                )
                began = time.monotonic() - workers.longest_s()
                assert began - look < 0.2, "it is the same look"
            assert host.pings("c49", "10.9.0.1")
        finally:
            keeper.stop()
            workers.stop(20)
            keeper.join(5)
    assert errors == []
