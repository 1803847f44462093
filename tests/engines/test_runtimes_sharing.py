"""A sandbox that several runc and crun containers share, whichever stops first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.engine.hooked_runtime import (
    host_ends,
    netns_names,
    refused,
    register,
    start,
    stop,
)
from hosts.engine.runtimes import each_runtime
from hosts.lab.machine import LAB_V4, OUTSIDE_V4
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.lab.machine import Lab


@each_runtime
def test_stop_owner_first_leaves_the_member_its_network(lab: Lab, runtime: str) -> None:
    """Address, name and published port last until the last member has gone."""
    owner = start(lab, runtime, "web", "-p", "8080:80")
    first = start(lab, runtime, "first", "--net", "container:web")
    second = start(lab, runtime, "second", "--net", "container:web")
    stop(owner)

    first.namespace.serve("tcp", 80)

    assert lab.outside.ask("tcp", LAB_V4, 8080).local[0] == "10.72.0.2"
    assert first.namespace.pings(OUTSIDE_V4)
    assert netns_names(lab) == ["web"]
    lab.run("ip", "netns", "exec", "web", "ip", "link", "show", "eth0")
    stop(second)
    assert lab.outside.reaches("tcp", LAB_V4, 8080)
    stop(first)
    lab.assert_no_container_left()


@each_runtime
def test_stop_member_first_leaves_the_owner_its_network(lab: Lab, runtime: str) -> None:
    """A member that goes takes nothing along; the owner takes all."""
    owner = start(lab, runtime, "web", "-p", "8080:80")
    stop(start(lab, runtime, "log", "--net", "container:web"))
    owner.namespace.serve("tcp", 80)

    assert lab.outside.reaches("tcp", LAB_V4, 8080)
    stop(owner)
    lab.assert_no_container_left()


@each_runtime
def test_start_member_of_member_is_counted_with_the_owner(lab: Lab, runtime: str) -> None:
    """`container:` of a container that shares itself leads to the same sandbox."""
    owner = start(lab, runtime, "web")
    middle = start(lab, runtime, "middle", "--net", "container:web")
    last = start(lab, runtime, "last", "--net", "container:middle")
    stop(middle)
    stop(owner)

    assert last.namespace.pings(OUTSIDE_V4)
    stop(last)
    lab.assert_no_container_left()


@each_runtime
def test_restart_owner_while_member_lives_takes_address_and_port_along(
    lab: Lab, runtime: str
) -> None:
    """The new sandbox gets both, though neither was asked for by its number; one event says more.

    The member is unwired, as with Docker.
    """
    bundle = register(lab, "web", "-p", "80")
    owner = lab.runtime(runtime).run(bundle)
    addresses = owner.namespace.addresses("eth0")
    port = int(lab.ocinet("port", "web", "80").stdout.rpartition(":")[2])
    member = start(lab, runtime, "log", "--net", "container:web")
    stop(owner)

    again = lab.runtime(runtime).run(bundle)

    assert again.namespace.sandbox != member.namespace.sandbox
    assert again.namespace.addresses("eth0") == addresses
    wait_until(lambda: list(member.namespace.links()) == ["lo"], "the member's link to go")
    again.namespace.serve("tcp", 80)
    assert lab.outside.ask("tcp", LAB_V4, port).local[0] == addresses[0].partition("/")[0]
    hints = [
        event["hint"] for event in lab.all_events() if event["event"].startswith("members lost")
    ]
    assert hints == ["restart log"]
    stop(member)
    assert again.namespace.pings(OUTSIDE_V4)
    assert lab.outside.reaches("tcp", LAB_V4, port)
    stop(again)
    lab.assert_no_container_left()


@each_runtime
def test_start_member_registered_before_owners_restart_is_refused(lab: Lab, runtime: str) -> None:
    """The sandbox in the bundle is another one by now: it says so, and how to mend it."""
    bundle = register(lab, "web")
    owner = lab.runtime(runtime).run(bundle)
    member = register(lab, "log", "--net", "container:web")
    # The old sandbox is held: its number must not be the new one's.
    with lab.start("nsenter", f"--net=/proc/{owner.pid}/ns/net", "sleep", "1000"):
        stop(owner)
        again = lab.runtime(runtime).run(bundle)
        before = lab.snapshot()

        told = refused(lab, runtime, member)

        assert "that has been restarted (hint: run ocinet hooks add again)" in told
        lab.assert_unchanged(before)
    lab.ocinet("hooks", "add", str(member.path), "--net", "container:web")
    assert lab.runtime(runtime).run(member).namespace.sandbox == again.namespace.sandbox


@each_runtime
def test_register_member_of_nobody_says_whom_it_knows(lab: Lab, runtime: str) -> None:
    """A typo in the other one's name is told when the bundle is edited, not at the start."""
    start(lab, runtime, "web")
    bundle = lab.bundle("log")
    before = bundle.config

    result = lab.ocinet("hooks", "add", str(bundle.path), "--net", "container:wbe", check=False)

    assert result.status != 0
    assert "wbe" in result.stderr
    assert "did you mean web?" in result.stderr
    assert bundle.config == before


@each_runtime
def test_delete_killed_owner_and_member_in_any_order_leaves_nothing(lab: Lab, runtime: str) -> None:
    """Both are dead before either poststop runs."""
    owner = start(lab, runtime, "web")
    member = start(lab, runtime, "log", "--net", "container:web")
    owner.kill()
    member.kill()

    owner.delete(force=False)
    member.delete(force=False)

    assert host_ends(lab) == []
    lab.assert_no_container_left()


@each_runtime
def test_start_member_in_sandbox_of_its_own_is_refused(lab: Lab, runtime: str) -> None:
    """A hook can't move a container into another one's sandbox."""
    start(lab, runtime, "web")
    bundle = register(lab, "log")
    bundle.annotate(ocinet_net="container:web")
    before = lab.snapshot()

    told = refused(lab, runtime, bundle)

    assert "it is not in the sandbox of web" in told
    lab.assert_unchanged(before)
