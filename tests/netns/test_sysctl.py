"""Kernel parameters: read, written only if they differ, refused with the way to do it by hand."""

from __future__ import annotations

import pytest

from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from ocinet.base.errors import SystemFailure
from ocinet.engine.kernel import sysctl

KEY = "net/ipv4/ip_forward"


@in_namespaces
def test_write_is_read_back_and_says_whether_it_changed() -> None:
    """Already so is success."""
    run("sysctl -qw net.ipv4.ip_forward=0")
    assert sysctl.read(KEY) == "0"
    assert sysctl.write(KEY, "1") is True
    assert run("sysctl -n net.ipv4.ip_forward") == "1\n"
    assert sysctl.write(KEY, "1") is False


@in_namespaces
def test_missing_parameter_is_none_and_not_written() -> None:
    """A kernel without it, or an interface that is gone."""
    assert sysctl.read("net/ipv6/conf/none/accept_ra") is None
    with pytest.raises(SystemFailure, match="this kernel does not have it"):
        sysctl.write("net/ipv6/conf/none/accept_ra", "0")


@in_namespaces
def test_refused_value_tells_the_command() -> None:
    """The kernel's reason, and what to type; by dots it would break names like eth0.5."""
    with pytest.raises(SystemFailure) as caught:
        sysctl.write(KEY, "rubbish")
    assert "Invalid argument" in caught.value.why
    assert caught.value.hint == "sysctl -w net/ipv4/ip_forward=rubbish"


@in_namespaces
def test_read_only_proc_sys_refuses_changes_alone() -> None:
    """As in a container; what is so already needs no writing."""
    now = sysctl.read(KEY)
    assert now is not None
    run("mount --bind /proc/sys /proc/sys")
    run("mount -o remount,bind,ro /proc/sys")
    assert sysctl.write(KEY, now) is False
    with pytest.raises(SystemFailure, match="Read-only file system"):
        sysctl.write(KEY, str(1 - int(now)))
