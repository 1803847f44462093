"""A host with a foot in two networks, which forwards since we came: packets between them.

    wan ── wan0 ── host ── lan0 ── lan      and containers, on networks of ours and of others

The host forwarded nothing before. What is neither from nor to a network of ours stays so.
"""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Self

import pytest

from builders import network, on, tcp
from hosts.namespace.bridged_host import chains_of_table
from hosts.namespace.isolation import Sleeper, in_namespaces
from hosts.namespace.looks import pings, run
from hosts.namespace.wired_host import PATHS, WiredHost
from hosts.waiting import wait_until

WAN, LAN = {4: "198.51.100.2", 6: "2001:db8:1::2"}, {4: "192.168.50.2", 6: "2001:db8:2::2"}
# The rules of the guard, and what each is for.
GUARD_RULES = {
    "iifname @bridges return": "out",
    "oifname @bridges return": "in",
    "meta nfproto . iifname . oifname @within return": "bridged",
    'meta iifkind "bridge" meta nfproto . iifname != @apart return': "out of a later bridge",
    'meta oifkind "bridge" meta nfproto . oifname != @apart return': "into a later bridge",
    "drop": "across",
}
V4, V6 = "net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"


class Router:
    """The host and its neighbours, in a `with` block.

    Attributes:
        host: with the engine.
        pids: of a process at each neighbour.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self.pids: dict[str, int] = {}
        for key in (V4, V6):
            write(key, "0")
        write("net/ipv6/conf/default/accept_dad", "0")
        self.neighbour("wan", "198.51.100.1/24", "2001:db8:1::1/64")
        self.neighbour("lan", "192.168.50.1/24", "2001:db8:2::1/64")
        self.host = self._stack.enter_context(WiredHost())

    def neighbour(self, name: str, four: str, six: str) -> None:
        """Connect one to the host, which is its way out."""
        ifname, (pid) = f"{name}0", self._stack.enter_context(Sleeper()).pid
        run(f"ip link add {ifname} type veth peer name eth0 netns {pid}")
        self._address(ifname, four, six)
        self._address("eth0", four.replace(".1/", ".2/"), six.replace("::1/", "::2/"), pid=pid)
        for gateway in (four.split("/")[0], six.split("/")[0]):
            run(f"ip route add default via {gateway}", pid=pid)
        # A pair that has just come up may lose its first packets.
        wait_until(lambda: pings(four.split("/")[0], pid), f"{name} reaches the host")
        self.pids[name] = pid

    @staticmethod
    def _address(ifname: str, four: str, six: str, pid: int | None = None) -> None:
        run(f"ip link set {ifname} up", pid=pid)
        run(f"ip addr add {four} dev {ifname}", pid=pid)
        run(f"ip addr add {six} dev {ifname} nodad", pid=pid)

    def others_bridge(self, name: str, subnet: int) -> None:
        """Make a bridge of another engine's with a container on it, as Docker has them."""
        run(f"ip link add {name} type bridge")
        self._address(name, f"10.{subnet}.0.1/24", f"fd00:{subnet}::1/64")
        pid = self._stack.enter_context(Sleeper()).pid
        run(f"ip link add {name}-p type veth peer name eth0 netns {pid}")
        run(f"ip link set {name}-p master {name} up")
        self._address("eth0", f"10.{subnet}.0.2/24", f"fd00:{subnet}::2/64", pid=pid)
        run(f"ip route add default via 10.{subnet}.0.1", pid=pid)
        self.pids[name] = pid

    def crosses(self, family: int = 4) -> tuple[bool, bool]:
        """Tell whether WAN reaches LAN, and LAN WAN."""
        return pings(LAN[family], self.pids["wan"]), pings(WAN[family], self.pids["lan"])

    def gets_out(self, name: str, family: int = 4) -> bool:
        """Tell whether a container, or a neighbour, reaches WAN."""
        sleeper = self.host.sleepers.get(name)
        return pings(WAN[family], sleeper.pid if sleeper else self.pids[name])

    def remove(self, *names: str) -> None:
        """End who is attached, and remove networks."""
        for name in list(self.host.sleepers):
            self.host.stop(name)
        with self.host.engine() as engine:
            for name in names:
                engine.networks.remove(name)

    def __enter__(self) -> Self:
        """Return itself; closed at the end of the block."""
        return self

    def __exit__(self, *exception: object) -> None:
        """End what was started."""
        self._stack.close()


def write(key: str, value: str) -> None:
    """Write a sysctl of the test's own namespace."""
    with open(f"/proc/sys/{key}", "w") as file:
        file.write(value)


def value(key: str) -> str:
    """Read a sysctl."""
    with open(f"/proc/sys/{key}") as file:
        return file.read().strip()


def guarded() -> list[str]:
    """Return the families that the table guards, as `nft` has them."""
    listed = json.loads(run("nft -j list set inet ocinet guarded"))["nftables"]
    return sorted(element for entry in listed for element in entry.get("set", {}).get("elem", ()))


@pytest.mark.parametrize("family", [4, 6])
@in_namespaces
def test_attach_opens_no_way_between_networks_of_the_host(family: int) -> None:
    """Containers get out and are reached; what passes the host otherwise is dropped as before."""
    with Router() as router:
        router.host.engine().records.networks.add(network("six", "10.7.0.0/24", "fd00:7::/64"))
        assert router.crosses(family) == (False, False)
        router.host.up("web", on("six", publish=(tcp(8080),)))

        assert router.crosses(family) == (False, False)
        assert router.gets_out("web", family)
        assert pings("10.7.0.1" if family == 4 else "fd00:7::1", router.host.sleepers["web"].pid)
        assert guarded() == ["ipv4", "ipv6"]
        assert (value(V4), value(V6)) == ("10", "10")

        router.remove("six")
        assert (value(V4), value(V6), guarded()) == ("0", "0", [])
        assert router.crosses(family) == (False, False)


@in_namespaces
def test_host_that_forwarded_before_goes_on() -> None:
    """It is somebody's router: nothing of it changes, neither then nor afterwards."""
    with Router() as router:
        write(V4, "1")
        assert router.crosses() == (True, True)
        router.host.up("web")
        assert (router.crosses(), router.gets_out("web"), value(V4)) == ((True, True), True, "1")
        router.remove("lan", "dmz")
        assert (router.crosses(), value(V4)) == ((True, True), "1")


@in_namespaces
def test_families_are_guarded_apart() -> None:
    """The host routes IPv6 already, and IPv4 since we came."""
    with Router() as router:
        write(V6, "1")
        router.host.engine().records.networks.add(network("six", "10.7.0.0/24", "fd00:7::/64"))
        router.host.up("web", on("six"))
        assert (router.crosses(4), router.crosses(6)) == ((False, False), (True, True))
        assert guarded() == ["ipv4"]
        router.remove("six")
        assert (value(V4), value(V6)) == ("0", "1")


@in_namespaces
def test_who_comes_later_and_counts_on_forwarding_is_let_be() -> None:
    """Another engine's bridge that came since gets out; LAN and WAN stay apart."""
    with Router() as router:
        router.host.up("web")
        router.others_bridge("docker0", 17)
        assert (router.gets_out("docker0"), router.crosses()) == (True, (False, False))
        run("nft flush ruleset")
        router.host.up("other")
        assert (router.gets_out("docker0"), router.crosses()) == (True, (False, False))
        router.remove("lan", "dmz")
        assert (value(V4), router.gets_out("docker0")) == ("10", True)
        assert router.crosses() == (False, False)


@in_namespaces
def test_bridge_of_before_is_kept_apart_but_bridges_on() -> None:
    """A LAN on a bridge is not routed; whoever is on it reaches the others on it all the same."""
    with Router() as router:
        write("net/bridge/bridge-nf-call-iptables", "1")
        router.others_bridge("br0", 18)
        with Sleeper() as sleeper:
            run(f"ip link add p1 type veth peer name eth0 netns {sleeper.pid}")
            run("ip link set p1 master br0 up")
            Router._address("eth0", "10.18.0.3/24", "fd00:18::3/64", pid=sleeper.pid)
            router.host.up("web")
            assert not router.gets_out("br0")
            assert pings("10.18.0.3", router.pids["br0"])
            assert not pings("10.18.0.2", router.pids["wan"])


@pytest.mark.parametrize("how", ["check", "attach"])
@in_namespaces
def test_somebody_else_who_switches_it_on_has_the_guard_end(how: str) -> None:
    """He wants the host to route; from the next look on it does, and stays so."""
    with Router() as router:
        router.host.up("web")
        write(V4, "1")
        if how == "check":
            with router.host.engine() as engine:
                told = [finding.what for finding in engine.check(repair=True)]
            assert any("somebody wants them forwarded" in line for line in told)
        else:
            router.host.up("other")
        assert (router.crosses(), router.gets_out("web")) == ((True, True), True)
        router.remove("lan", "dmz")
        assert (value(V4), router.crosses()) == ("1", (True, True))


@pytest.mark.parametrize(
    "fault",
    ["nft flush ruleset", "nft flush set inet ocinet guarded", "nft flush chain inet ocinet guard"],
)
@in_namespaces
def test_check_puts_the_guard_back(fault: str) -> None:
    """The table gone, the element, or the rules."""
    with Router() as router:
        router.host.up("web")
        run(fault)
        assert router.crosses() == (True, True)
        with router.host.engine() as engine:
            assert engine.check() != ()
            engine.check(repair=True)
            assert engine.check() == ()
        assert (router.crosses(), router.gets_out("web")) == ((False, False), True)


@in_namespaces
def test_settings_may_have_the_host_route_for_everybody() -> None:
    """`guard_forwarding = false`: at once where it is so before, else by `check --repair`."""
    with Router() as router:
        router.host.up("web")
        run("mkdir", "-p", PATHS.config)
        with open(f"{PATHS.config}/ocinet.toml", "w") as file:
            file.write("guard_forwarding = false\n")
        with router.host.engine() as engine:
            engine.check(repair=True)
        assert router.crosses() == (True, True)
        router.remove("lan", "dmz")
        assert (value(V4), router.crosses()) == ("10", (True, True))


@in_namespaces
def test_adopted_bridge_is_one_of_the_networks() -> None:
    """A port there switches forwarding on: its own gets out as its owner lets it, and LAN not."""
    with Router() as router:
        router.others_bridge("br0", 18)
        router.host.engine().records.networks.add(
            network("dock", "10.18.0.0/24", device="br0", managed=False)
        )
        router.host.up("web", on("dock", publish=(tcp(8080),)))
        assert (router.gets_out("br0"), router.crosses()) == (True, (False, False))
        router.remove("dock")
        assert value(V4) == "0"
        assert not router.gets_out("br0")


def _cut(rule: str) -> None:
    """Delete one rule of the guard."""
    lines = run("nft -a list chain inet ocinet guard").splitlines()
    (line,) = (line for line in lines if line.strip().startswith(f"{rule} # handle"))
    run(f"nft delete rule inet ocinet guard handle {line.split()[-1]}")


@pytest.mark.parametrize("rule", GUARD_RULES)
@in_namespaces
def test_rule_of_the_guard_is_what_decides(rule: str) -> None:
    """With it it is so, and without it otherwise."""
    with Router() as router, Sleeper() as sleeper:
        write("net/bridge/bridge-nf-call-iptables", "1")
        router.others_bridge("br0", 18)
        run(f"ip link add p1 type veth peer name eth0 netns {sleeper.pid}")
        run("ip link set p1 master br0 up")
        Router._address("eth0", "10.18.0.3/24", "fd00:18::3/64", pid=sleeper.pid)
        if "@bridges" in rule:  # what is ours passes as a later bridge; an adopted one of before
            with router.host.engine() as engine:
                dock = network("dock", "10.18.0.0/24", device="br0", managed=False)
                engine.records.networks.add(dock)
            router.host.up("web", on("dock", publish=(tcp(8080),)))
        else:
            router.host.up("web", on("lan", publish=(tcp(8080),)))
        router.others_bridge("docker0", 17)

        def holds() -> bool:
            return {
                "out": lambda: router.gets_out("br0"),
                "in": lambda: pings("10.18.0.2", router.pids["wan"]),
                "bridged": lambda: pings("10.18.0.3", router.pids["br0"]),
                "out of a later bridge": lambda: router.gets_out("docker0"),
                "into a later bridge": lambda: pings("10.17.0.2", router.pids["wan"]),
                "across": lambda: router.crosses() == (False, False),
            }[GUARD_RULES[rule]]()

        assert holds()
        _cut(rule)
        assert not holds()


def test_every_rule_of_the_guard_is_proven() -> None:
    """None is there that would not be missed."""
    assert chains_of_table()["guard"] == list(GUARD_RULES)
