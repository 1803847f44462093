"""The sandbox that a bundle's plan is made in."""

from __future__ import annotations

import os

from hosts.namespace.isolation import in_namespaces
from hosts.waiting import wait_until
from ocinet.cli.unstarted_bundle import empty_sandbox
from ocinet.engine.kernel.inside import Insides
from ocinet.engine.kernel.links import Links


@in_namespaces
def test_empty_sandbox_is_new_and_leaves_the_caller_where_it_was() -> None:
    """It has nothing but `lo`, and no thread of ours is left in it."""
    before = os.readlink("/proc/self/ns/net")
    with empty_sandbox("web") as sandbox, Links() as links:
        assert not sandbox.is_host
        assert [link.ifname for link in Insides(links).look_inside(sandbox)] == ["lo"]
    assert os.readlink("/proc/self/ns/net") == before
    alone = [str(os.getpid())]  # a thread that was joined is seen a moment longer
    wait_until(lambda: os.listdir("/proc/self/task") == alone, "no thread is left")


@in_namespaces
def test_empty_sandbox_is_called_as_the_container_will_be() -> None:
    """Commands that a person copies from a plan must not mean the person's own namespace."""
    with empty_sandbox("web") as sandbox:
        assert sandbox.path == "web"
