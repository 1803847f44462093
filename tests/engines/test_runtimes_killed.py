"""kill -9 of the container, of the runtime, of the hook: gc and the next start put it right."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from hosts.engine.hooked_runtime import (
    host_ends,
    netns_names,
    register,
    start,
)
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import LAB_V4, OUTSIDE_V4
from hosts.waiting import has_ended, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hosts.engine.bundle import Bundle
    from hosts.engine.runtimes import Container
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Background

CURES = ("gc", "next start")
both_cures = pytest.mark.parametrize("cure", CURES)
_LOCKS = "/run/ocinet/locks"
# Where the hook waits when it is killed: before it did anything, and with half of it done.
_PLACES = {"before the record": "container-", "in the middle": "global"}


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: has_ended(pid), f"the end of process {pid}")


def _lose(lab: Lab, container: Container) -> None:
    """Kill a container and let its runtime forget it: nobody runs poststop."""
    pid = container.pid
    _kill(pid)
    _forget(lab, container.runtime.program, container.id)
    lab.forget(container)


def _forget(lab: Lab, runtime: str, container_id: str) -> None:
    lab.run("rm", "-rf", f"/run/{runtime}/{container_id}")
    lab.ignored = (lab.cgroup,)  # a cgroup is the runtime's to remove


def _cure(lab: Lab, runtime: str, bundle: Bundle, cure: str) -> None:
    """Put things right in one of the two ways, and see that they are."""
    if cure == "gc":
        lab.ocinet("gc")
        lab.assert_no_container_left()
        assert lab.ocinet("gc", "--dry-run", "--format", "json").json() == []
        return
    again = lab.runtime(runtime).run(bundle)
    again.namespace.serve("tcp", 80)
    assert again.namespace.addresses("eth0") == ["10.72.0.9/24"]
    assert again.namespace.pings(OUTSIDE_V4)
    assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"
    assert netns_names(lab) == ["web"]
    wait_until(lambda: len(host_ends(lab)) == 1, "the removal of the old links")


def _bundle(lab: Lab) -> Bundle:
    return register(lab, "web", "--ip", "10.72.0.9", "-p", "8080:80")


@both_cures
@each_runtime
def test_kill_container_that_nobody_stops_is_put_right(lab: Lab, runtime: str, cure: str) -> None:
    """The process dies and the runtime forgets it."""
    bundle = _bundle(lab)
    _lose(lab, lab.runtime(runtime).run(bundle))

    _cure(lab, runtime, bundle, cure)


@each_runtime
def test_gc_of_killed_and_living_takes_the_killed_alone(lab: Lab, runtime: str) -> None:
    """What lives is not touched; a dry run says the same and does nothing."""
    dead = start(lab, runtime, "dead", "-p", "8081:80")
    alive = start(lab, runtime, "web", "-p", "8080:80")
    member = start(lab, runtime, "log", "--net", "container:web")
    alive.namespace.serve("tcp", 80)
    _lose(lab, dead)
    wait_until(lambda: len(host_ends(lab)) == 1, "the end of the dead one's link")
    before = lab.snapshot()

    told = lab.ocinet("gc", "--dry-run", "--format", "json").json()

    assert [(finding["kind"], finding["name"], finding["removed"]) for finding in told] == [
        ("attachment", "dead", False)
    ]
    lab.assert_unchanged(before)
    told = lab.ocinet("gc", "--format", "json").json()
    assert [(finding["name"], finding["removed"]) for finding in told] == [("dead", True)]
    assert len(host_ends(lab)) == 1
    assert netns_names(lab) == ["web"]
    assert lab.outside.reaches("tcp", LAB_V4, 8080)
    assert member.namespace.pings(OUTSIDE_V4)


@each_runtime
def test_gc_after_owner_was_killed_leaves_the_member_wired(lab: Lab, runtime: str) -> None:
    """A sandbox with a living member is not dead."""
    owner = start(lab, runtime, "web")
    member = start(lab, runtime, "log", "--net", "container:web")
    _lose(lab, owner)

    assert lab.ocinet("gc", "--format", "json").json() == []

    assert member.namespace.pings(OUTSIDE_V4)
    _lose(lab, member)
    lab.ocinet("gc")
    lab.assert_no_container_left()


@each_runtime
def test_start_takes_address_and_port_of_killed_container(lab: Lab, runtime: str) -> None:
    """Another container need not wait for gc: holders' lives are judged at allocation."""
    lab.ocinet("network", "create", "--subnet", "10.7.0.0/30", "tiny")
    words = ("--net", "tiny", "-p", "8080:80")
    _lose(lab, start(lab, runtime, "dead", *words))

    container = start(lab, runtime, "web", *words)

    container.namespace.serve("tcp", 80)
    assert container.namespace.addresses("eth0") == ["10.7.0.2/30"]
    assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"


@contextmanager
def _held(lab: Lab, lock: str) -> Iterator[Background]:
    """Hold a lock of ocinet's while a block runs."""
    script = "echo held; exec sleep 1000"
    with lab.start("flock", "--no-fork", lock, "sh", "-c", script) as holder:
        assert holder.line() == "held"
        yield holder


def _lock_of_web(lab: Lab) -> str:
    """Return the lock file of the container `web`: the one that its start has made."""
    names = [name for name in os.listdir(lab.path(_LOCKS)) if name.startswith("container-")]
    assert len(names) == 1
    return f"{_LOCKS}/{names[0]}"


def _prepare(lab: Lab, runtime: str, place: str) -> tuple[Bundle, str]:
    """Return a bundle, and the lock that its hook will wait for at a place."""
    bundle = _bundle(lab)
    lab.runtime(runtime).run(bundle).delete(force=True)
    if place == "global":
        # The bridge has to be made anew: that is done under the global lock.
        lab.run("ip", "link", "delete", "ocinet0")
        return bundle, f"{_LOCKS}/global"
    return bundle, _lock_of_web(lab)


def _waiting_hook(lab: Lab, lock: str) -> int:
    """Return the hook's process once it waits for a lock."""
    found: list[int] = []

    def look() -> bool:
        for pid, words in lab.processes().items():
            if "/ocinet/hooks/hook.py createRuntime" in words and _has_open(pid, lock):
                found.append(pid)
        return bool(found)

    wait_until(look, f"a hook that waits for {lock}")
    return found[0]


def _containers(lab: Lab) -> list[int]:
    """Return the processes of the lab that are in a sandbox."""
    return [pid for pid in lab.processes() if _sandbox_of(pid) not in ("", lab.sandbox)]


def _sandbox_of(pid: int) -> str:
    try:
        status = os.stat(f"/proc/{pid}/ns/net")
    except OSError:
        return ""  # it has just ended
    return f"{status.st_dev}:{status.st_ino}"


def _has_open(pid: int, path: str) -> bool:
    try:
        return any(
            os.readlink(f"/proc/{pid}/fd/{number}") == path
            for number in os.listdir(f"/proc/{pid}/fd")
        )
    except OSError:
        return False


def _start_in_background(lab: Lab, runtime: str, bundle: Bundle) -> Background:
    words = (runtime, "run", "--detach", "--bundle", str(bundle.path), "web")
    return lab.start("sh", "-c", 'exec "$@" >"$0" 2>&1', str(bundle.path / "out"), *words)


@both_cures
@pytest.mark.parametrize("place", _PLACES)
@each_runtime
def test_kill_hook_at_work_is_put_right(lab: Lab, runtime: str, place: str, cure: str) -> None:
    """The start fails; what the hook had done by then goes."""
    bundle, lock = _prepare(lab, runtime, _PLACES[place])
    with _held(lab, lock), _start_in_background(lab, runtime, bundle) as starting:
        _kill(_waiting_hook(lab, lock))
        assert starting.process.wait(10) != 0
    lab.runtime(runtime)("delete", "--force", "web", check=False)

    _cure(lab, runtime, bundle, cure)


@both_cures
@pytest.mark.parametrize("place", _PLACES)
@each_runtime
def test_kill_runtime_while_its_hook_works_is_put_right(
    lab: Lab, runtime: str, place: str, cure: str
) -> None:
    """The hook goes on alone, for a container that never starts."""
    bundle, lock = _prepare(lab, runtime, _PLACES[place])
    with _held(lab, lock), _start_in_background(lab, runtime, bundle) as starting:
        hook = _waiting_hook(lab, lock)
        _kill(starting.pid)
    wait_until(lambda: has_ended(hook), "the hook's end")
    for pid in _containers(lab):  # crun's goes on without crun
        _kill(pid)
    _forget(lab, runtime, "web")

    _cure(lab, runtime, bundle, cure)


@each_runtime
def test_kill_container_while_its_hook_waits_fails_the_start(lab: Lab, runtime: str) -> None:
    """The sandbox is judged under the lock: a process that is gone gets no network."""
    bundle, lock = _prepare(lab, runtime, "container-")
    before = lab.snapshot()
    with _start_in_background(lab, runtime, bundle) as starting:
        with _held(lab, lock):
            _waiting_hook(lab, lock)
            (init,) = _containers(lab)
            _kill(init)
        assert starting.process.wait(10) != 0
    lab.runtime(runtime)("delete", "--force", "web", check=False)

    assert "the process is gone" in lab.all_events()[-1]["error"]
    lab.assert_unchanged(before)


@each_runtime
def test_start_after_run_directory_is_lost_works(lab: Lab, runtime: str) -> None:
    """As after a reboot: no record, no lease, no name; an empty ruleset."""
    bundle = _bundle(lab)
    container = lab.runtime(runtime).run(bundle)
    _lose(lab, container)
    lab.run("sh", "-c", "rm -r /run/ocinet /run/netns/*; nft flush ruleset")
    wait_until(lambda: not host_ends(lab), "the end of the old link")

    _cure(lab, runtime, bundle, "next start")
