"""Many runc and crun containers at once on one network."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import pytest

from hosts.engine.hooked_runtime import host_ends, netns_names, register

if TYPE_CHECKING:
    from hosts.engine.bundle import Bundle
    from hosts.lab.machine import Lab

_AT_ONCE = 8
# Each start is told by its own exit status; the containers' addresses by the kernel.
_LOOK = 'for pid in "$@"; do nsenter -t $pid -n ip -4 -o addr show eth0; done'


class _Crowd(NamedTuple):
    """Containers of one runtime, and their processes."""

    program: str
    bundles: list[Bundle]
    pids: list[int]


def _start_all(lab: Lab, program: str, count: int) -> _Crowd:
    """Start containers from one registered bundle, eight at a time."""
    first = register(lab, "c0", "--net", "lan")
    bundles = [first]
    for number in range(1, count):
        bundle = lab.bundle(f"c{number}", args=("sleep", "1000"))
        config = first.config
        config["linux"]["cgroupsPath"] = bundle.config["linux"]["cgroupsPath"]
        bundle.edit(lambda own, config=config: own.update(config))  # type: ignore[misc]
        bundles.append(bundle)

    def run(bundle: Bundle) -> int:
        runtime = lab.runtime(program)
        script = 'exec "$@" >/dev/null'
        words = ("run", "--detach", "--bundle", str(bundle.path), bundle.id)
        lab.run("sh", "-c", script, "sh", program, *words)
        return int(runtime("state", bundle.id).json()["pid"])

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return _Crowd(program, bundles, list(pool.map(run, bundles)))


def _addresses(lab: Lab, crowd: _Crowd) -> list[str]:
    shown = lab.run("sh", "-c", _LOOK, "sh", *map(str, crowd.pids)).stdout
    return [line.split()[3] for line in shown.splitlines()]


def _delete_all(lab: Lab, crowd: _Crowd) -> None:
    def delete(bundle: Bundle) -> None:
        lab.runtime(crowd.program)("delete", "--force", bundle.id)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(delete, crowd.bundles))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("runtime", "count"), [("runc", 50), ("crun", 16)])
def test_start_many_at_once_gives_each_its_own_address(lab: Lab, runtime: str, count: int) -> None:
    """The first one makes the bridge and the table; no address comes twice; none is left."""
    lab.ocinet("network", "create", "--subnet", "10.9.0.0/26", "lan")

    crowd = _start_all(lab, runtime, count)

    addresses = _addresses(lab, crowd)
    assert len(addresses) == count
    assert set(addresses) <= {f"10.9.0.{number}/26" for number in range(2, 63)}
    assert len(set(addresses)) == count
    assert len(host_ends(lab)) == count
    assert len(netns_names(lab)) == count
    assert lab.pings("10.9.0.2")
    _delete_all(lab, crowd)
    assert host_ends(lab) == []
    assert netns_names(lab) == []
    lab.assert_no_container_left()
    usual = ("attached", "detached", "host changed")
    assert [event for event in lab.all_events() if event["event"] not in usual] == []


@pytest.mark.timeout(120)
def test_start_more_at_once_than_the_pool_has_fills_it_to_the_last(lab: Lab) -> None:
    """Of 8 containers on a network of 5 addresses, 5 start, and 3 are told why not."""
    lab.ocinet("network", "create", "--subnet", "10.9.0.0/29", "lan")
    bundles = [register(lab, f"c{number}", "--net", "lan") for number in range(8)]

    def run(bundle: Bundle) -> bool:
        words = ("run", "--detach", "--bundle", str(bundle.path), bundle.id)
        argv = ("sh", "-c", 'exec "$@" >/dev/null', "sh", "runc", *words)
        return lab.run(*argv, check=False).status == 0

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        started = list(pool.map(run, bundles))

    assert sum(started) == 5
    assert len(host_ends(lab)) == 5
    told = [event["error"] for event in lab.all_events() if "error" in event]
    assert len(told) == 3
    assert all("no address is free on lan" in line for line in told)
    _delete_all(lab, _Crowd("runc", [b for b, up in zip(bundles, started, strict=True) if up], []))
