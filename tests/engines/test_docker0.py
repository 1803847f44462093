"""A network on Docker's own bridge: two allocators, one subnet, everybody reaches everybody."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import pytest

from hosts.command import CommandFailed
from hosts.lab.topology import (
    EVERY,
    HOST_SERVICE,
    OUTSIDE_SERVICE,
    SERVICE,
    SILENT,
    Question,
    Topology,
    attach,
    bridge_netfilter,
    detach_all,
    run_attached,
)

if TYPE_CHECKING:
    from hosts.engine.container import EngineContainer
    from hosts.engine.dockerd import Docker
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Namespace

_THEIR_PORT = 9090
# 172.30.0.2 to .7 for Docker, .8 to .14 for us
_SUBNET, _BIP, _FIXED = "172.30.0.0/28", "172.30.0.1/28", "172.30.0.0/29"
_THEIRS, _OURS = 6, 7


def _address(place: Namespace) -> str:
    """Return the one IPv4 address that the kernel has on a container's eth0."""
    (found,) = (address for address in place.addresses("eth0") if ":" not in address)
    return found.partition("/")[0]


def _run_theirs(docker: Docker, *options: str) -> EngineContainer:
    return docker.run(*options, network="bridge")


def _restarted(docker: Docker, container: EngineContainer) -> EngineContainer:
    """Return a container as it is after a restart: another process, another sandbox."""
    return type(container)(container.id, docker)


def _define(lab: Lab, *options: str) -> None:
    lab.ocinet("network", "create", "--bridge", "docker0", "--unmanaged", *options, "dock")


def _leave(lab: Lab) -> None:
    detach_all(lab)
    lab.ocinet("network", "rm", "dock")


def test_fill_docker0_from_both_sides_gives_no_address_twice(lab: Lab) -> None:
    """Until both are full, with Docker's stopped, restarted and removed in between."""
    with lab.docker(f"--bip={_BIP}", f"--fixed-cidr={_FIXED}") as docker:
        _define(lab)
        theirs = [_run_theirs(docker) for _ in range(2)]
        ours = [run_attached(lab, "o0", "dock")]
        docker("stop", "--time=0", theirs[0].id)
        ours.append(run_attached(lab, "o1", "dock"))
        theirs.append(_run_theirs(docker))  # gets the address of the one that was stopped
        docker("start", theirs[0].id)
        docker("restart", "--time=0", theirs[1].id)
        theirs.pop().remove()
        theirs = [_restarted(docker, container) for container in theirs]
        while len(theirs) < _THEIRS:
            theirs.append(_run_theirs(docker))
            ours.append(run_attached(lab, f"o{len(ours)}", "dock"))
        ours.append(run_attached(lab, f"o{len(ours)}", "dock"))
        assert len(ours) == _OURS

        places = [
            *(container.namespace for container in theirs),
            *(container.namespace for container in ours),
        ]
        given = [_address(place) for place in places]
        gateway, *hosts = map(str, ipaddress.ip_network(_SUBNET).hosts())
        assert sorted(given, key=ipaddress.ip_address) == hosts
        assert gateway not in given
        with pytest.raises(CommandFailed, match="no available IPv4 addresses"):
            _run_theirs(docker)
        with pytest.raises(CommandFailed, match="no address is free on dock") as refused:
            run_attached(lab, "late", "dock")
        assert f"{_SUBNET} has {_OURS} to give, {_OURS} are held" in refused.value.result.stderr
        _assert_all_reach(theirs[0].namespace, given)
        _assert_all_reach(ours[0].namespace, given)
        _leave(lab)


def _assert_all_reach(place: Namespace, addresses: list[str]) -> None:
    silent = [address for address in addresses if not place.pings(address, timeout_s=5)]
    assert not silent


def test_attach_where_docker_has_come_into_our_half_keeps_clear_of_it(lab: Lab) -> None:
    """Without a fixed CIDR, who answers is asked: none of Docker's addresses is given."""
    with lab.docker(f"--bip={_BIP}") as docker:
        theirs = [_run_theirs(docker) for _ in range(_THEIRS + 2)]
        taken = {_address(container.namespace) for container in theirs}
        assert "172.30.0.9" in taken
        _define(lab)

        first = run_attached(lab, "first", "dock")
        assert _address(first.namespace) == "172.30.0.10"

        container = lab.runc.run(lab.bundle("static"))
        with pytest.raises(CommandFailed) as refused:
            attach(container, "dock:ip=172.30.0.9")
        # Up to 26 a MAC of Docker's is made from the address, since 28 it is random.
        mac = theirs[-1].namespace.links()["eth0"]["address"]
        told = f"172.30.0.9 is in use already: {mac} answers for it on docker0"
        assert told in refused.value.result.stderr
        theirs[-1].remove()
        attach(container, "dock:ip=172.30.0.9")
        assert _address(container.namespace) == "172.30.0.9"
        _leave(lab)


_MUTUAL = {
    Question("web", "theirs", SERVICE): "theirs sees web",
    Question("theirs", "web", SERVICE): "web sees theirs",
    Question("web", "theirs", SERVICE, "udp"): "theirs sees web",
    Question("theirs", "web", SERVICE, "udp"): "web sees theirs",
}
_PUBLISHED = {
    Question("outside", "uplink", EVERY): "web sees outside",
    Question("outside", "uplink", _THEIR_PORT): "theirs sees outside",
    # What goes to its own bridge through a port of the host's comes from the host.
    Question("web", "uplink", _THEIR_PORT): "theirs sees docker0 gateway",
    Question("theirs", "uplink", EVERY): "web sees docker0 gateway",
}
_OUT = {
    Question("web", "outside", OUTSIDE_SERVICE): "outside sees uplink",
    Question("theirs", "outside", OUTSIDE_SERVICE): "outside sees uplink",
    Question("web", "docker0 gateway", HOST_SERVICE): "host sees web",
}


def _six(expected: dict[Question, str]) -> dict[Question, str]:
    return {question._replace(family=6): answer for question, answer in expected.items()}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param((), _MUTUAL | _PUBLISHED | _OUT, id="default"),
        pytest.param(("--ip-forward=false",), _MUTUAL | _PUBLISHED | _OUT, id="no forwarding"),
        pytest.param(
            ("--icc=false",), dict.fromkeys(_MUTUAL, SILENT) | _PUBLISHED | _OUT, id="no icc"
        ),
        pytest.param(
            ("--ipv6", "--fixed-cidr-v6=fd00:17::/64"),
            _MUTUAL | _PUBLISHED | _OUT | _six(_MUTUAL), id="IPv6",
        ),
    ],
)  # fmt: skip
def test_reach_on_docker0_ours_as_dockers_own(
    lab: Lab, options: tuple[str, ...], expected: dict[Question, str]
) -> None:
    """Both ways, outward, and through both sides' ports; what Docker forbids its own, ours too.

    Without forwarding, it is our published port that switches it on.
    """
    lab.set_sysctl("net/ipv4/ip_forward", "0")
    with lab.docker(*options) as docker:
        bridge_netfilter(lab, on=True)
        theirs = _run_theirs(docker, f"--publish={_THEIR_PORT}:{SERVICE}")
        _define(lab, *(["--ipv6"] if "--ipv6" in options else []))
        ours = run_attached(lab, "web", "dock", f"{EVERY}:{SERVICE}")
        world = Topology(
            lab, {"web": ours.namespace, "theirs": theirs.namespace},
            {"web": "docker0", "theirs": "docker0"},
        )  # fmt: skip
        world.serve()

        assert world.ask_all(expected) == expected
        mutual = "--icc=false" not in options
        assert ours.namespace.pings(world.address("theirs")) == mutual
        assert theirs.namespace.pings(world.address("web")) == mutual
        assert ipaddress.ip_address(world.address("web")) in ipaddress.ip_network("172.17.128.0/17")
        _leave(lab)


def _look_at_docker0(lab: Lab) -> dict[str, Any]:
    """Return what docker0 is, has and does, without what changes by itself."""
    link = lab.links()["docker0"]
    keys = ("address", "mtu", "flags", "operstate", "group", "txqlen", "ifalias", "master")
    passing = ("gc_timer", "hello_timer", "tcn_timer", "topology_change_timer")
    grep = "grep -rs . /proc/sys/net/ipv?/conf/docker0/ || true"  # some can't be read
    return {
        **{key: link.get(key) for key in keys},
        **{key: value for key, value in link["linkinfo"]["info_data"].items()
           if key not in passing},
        "addresses": lab.addresses("docker0"),
        "local": lab.addresses("docker0", scope="link"),
        "ports": sorted(n for n, link in lab.links().items() if link.get("master") == "docker0"),
        "settings": set(lab.run("sh", "-c", grep).stdout.splitlines()),
        "rules": [line for line in lab.run("nft", "-s", "list", "ruleset").stdout.splitlines()
                  if "docker0" in line],
        "routes": [route for route in lab.routes() if route.get("dev") == "docker0"],
    }  # fmt: skip


def test_detach_from_docker0_leaves_it_as_it_was(lab: Lab) -> None:
    """After detach nothing of the container, after `network rm` nothing at all is left on it."""
    with lab.docker() as docker:
        theirs = _run_theirs(docker, f"--publish={_THEIR_PORT}:{SERVICE}")
        lab.wait_for_carrier("docker0")
        before = _look_at_docker0(lab)
        _define(lab)
        run_attached(lab, "web", "dock", f"{EVERY}:{SERVICE}")
        during = _look_at_docker0(lab)
        assert len(during["ports"]) == 2

        detach_all(lab)

        after = _look_at_docker0(lab)
        assert after["ports"] == before["ports"]
        assert str(EVERY) not in lab.ruleset()
        lab.ocinet("network", "rm", "dock")
        assert _look_at_docker0(lab) == before
        assert theirs.namespace.pings("172.17.0.1")
