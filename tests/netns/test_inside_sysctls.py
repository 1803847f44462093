"""Kernel parameters of containers on a real host: set, compared, put back."""

from __future__ import annotations

import pytest

from builders import on
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import run
from hosts.namespace.wired_host import WiredHost
from ocinet.base.errors import KernelError, RequestError, SystemFailure
from ocinet.engine.model.request import Sysctl
from ocinet.engine.plan.port_steps import AddVeth
from ocinet.engine.plan.steps import Step

MARTIANS = Sysctl("net/ipv4/conf/IFNAME/log_martians", "1")
BACKLOG = Sysctl("net/core/somaxconn", "1234")
PORTS = Sysctl("net/ipv4/ip_local_port_range", "2000 3000")
ASKED = on("lan", sysctls=(MARTIANS, BACKLOG, PORTS))


def value(host: WiredHost, key: str, name: str = "web") -> str:
    """Return a parameter's value in a sandbox."""
    return " ".join(run(f"sysctl -n {key}", pid=host.sleepers[name].pid).split())


@in_namespaces
def test_sysctls_are_set_in_the_sandbox_and_go_with_the_attachment() -> None:
    """What is the sandbox's is as it was before, for the container may run on."""
    own = run("sysctl -n net.core.somaxconn")
    with WiredHost() as host:
        container = host.start("web", bounded=True)
        before = [value(host, key) for key in ("net/core/somaxconn", PORTS.key)]
        web = host.attach(container, ASKED)

        assert value(host, "net/ipv4/conf/eth0/log_martians") == "1"
        assert [value(host, BACKLOG.key), value(host, PORTS.key)] == ["1234", "2000 3000"]
        assert run("sysctl -n net.core.somaxconn") == own
        with host.engine() as engine:
            assert engine.check() == ()
            with engine.open_sandbox(web) as sandbox:
                again = engine.attach(container, ASKED, sandbox)
            assert again == web
            engine.detach(container.id)
        assert [value(host, BACKLOG.key), value(host, PORTS.key)] == before


@in_namespaces
def test_check_puts_sysctls_back_that_others_have_changed() -> None:
    """Each is named with what it is, and what it has to be."""
    with WiredHost() as host:
        host.up("web", ASKED, bounded=True)
        run("sysctl -w net.core.somaxconn=7", pid=host.sleepers["web"].pid)
        with host.engine() as engine:
            (found,) = engine.check()
            assert found.what == "in the sandbox, net.core.somaxconn is 7, and has to be 1234"
            assert engine.check(repair=True)
            assert engine.check() == ()
        assert value(host, BACKLOG.key) == "1234"


@in_namespaces
def test_attach_that_fails_or_disconnect_leaves_the_sandbox_as_it_was() -> None:
    """A parameter that another network of it asks for stays as it is."""

    def fail(step: Step) -> None:
        if isinstance(step, AddVeth) and step.veth.bridge == "br-dmz":
            raise KernelError("cannot connect", "as the test wants it")

    with WiredHost() as host:
        container = host.start("web")
        before = value(host, BACKLOG.key)
        lan, dmz = on("lan", "dmz").endpoints
        both = on("lan").replace(endpoints=(lan.replace(sysctls=(BACKLOG,)), dmz))
        with pytest.raises(KernelError):
            host.attach(container, both, trace=fail)
        assert value(host, BACKLOG.key) == before
        host.attach(container, both)
        host.attach(container, on("dmz"))
        with host.engine() as engine:
            engine.disconnect("web", "dmz")
        assert value(host, BACKLOG.key) == "1234"
        with host.engine() as engine:
            engine.disconnect("web", "lan")
        assert value(host, BACKLOG.key) == before


@in_namespaces
def test_sysctl_that_is_not_there_or_takes_no_such_value_is_told() -> None:
    """Before anything is made where it can be known, and with nothing left in any case."""
    with WiredHost() as host:
        container = host.start("web")
        with pytest.raises(RequestError, match=r"no sysctl net\.ipv4\.tcp_nosuch in the container"):
            host.attach(container, on("lan", sysctls=(Sysctl("net/ipv4/tcp_nosuch", "1"),)))
        with pytest.raises(SystemFailure, match="cannot set net/core/somaxconn to x: Invalid"):
            host.attach(container, on("lan", sysctls=(BACKLOG.replace(value="x"),)))
        assert "eth0" not in run("ip link", pid=host.sleepers["web"].pid)
