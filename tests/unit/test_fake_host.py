"""The fake host fails where it is told to, and tells what was asked of it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from builders import network_rules
from fakes.host import FakeHost
from fakes.records import FakeGuards, NoOwners
from ocinet.base.address import Address, Interface
from ocinet.base.errors import BusyError, KernelError
from ocinet.engine.model.endpoint import PortRule
from ocinet.engine.model.link import Inside, Veth
from ocinet.engine.plan.machine import Machine
from ocinet.engine.plan.own_steps import ConfigureInside, NameSandbox, OpenFirewall
from ocinet.engine.plan.port_steps import AddVeth, SetHairpin
from ocinet.engine.plan.removal_steps import ForgetFlows
from ocinet.engine.plan.shared_steps import EnterNetwork, MakeBridge, MakeTable, SetSysctl

if TYPE_CHECKING:
    from ocinet.base.clock import Process
    from ocinet.engine.plan.steps import Step

LAN = network_rules("br-lan", "10.9.0.0/24")
HTTP = PortRule("tcp", None, 8080, Address.parse("10.9.0.5"), 80)
DNS = HTTP.replace(protocol="udp", host_port=53)


def _steps(process: Process) -> tuple[Step, ...]:
    """Return a plan in which each seam but the accepts is asked for something."""
    return (
        NameSandbox("web", process),
        MakeBridge("br-lan", "02:62:00:00:00:01", 1500, (Interface.parse("10.9.0.1/24"),)),
        SetSysctl("net/ipv4/ip_forward", "1", "0"),
        MakeTable(),
        EnterNetwork("br-lan", LAN),
        OpenFirewall((), (HTTP, DNS)),
        AddVeth(Veth("oc1", "eth0", "br-lan"), "web"),
        ConfigureInside(Inside("eth0", (Interface.parse("10.9.0.5/24"),)), "web", "oc1"),
        SetHairpin("oc1"),
        ForgetFlows((DNS,)),
    )


def _go(host: FakeHost) -> None:
    """Do the plan's steps; on failure, undo them in reverse."""
    process = host.start()
    undo: list[Step] = []
    with host.open_sandbox(process) as sandbox:
        machine = Machine(host.seams(), lambda: ((), (), (), ()), FakeGuards(), NoOwners(), sandbox)
        try:
            for step in _steps(process):
                inverse = step.inverse()
                if step.apply(machine) and inverse:
                    undo.append(inverse)
        except KernelError:
            for inverse in reversed(undo):
                inverse.apply(machine)
            raise


def test_steps_on_a_fake_host_make_what_they_say() -> None:
    """The whole plan, by the seams alone, without root."""
    host = FakeHost()
    _go(host)
    state = host.state()
    assert state["names"].keys() == {"web"}
    assert state["sysctls"]["net/ipv4/ip_forward"] == "1"
    assert state["links"].keys() == {"lo", "br-lan", "oc1"}
    assert state["table"]["publish4"].keys() == {("tcp", 8080), ("udp", 53)}
    assert host.is_hairpin("oc1")
    assert host.firewall.flushed == [DNS]
    assert host.trace.acts[:3] == ["names.add", "bridges.make_bridge", "sysctls.write"]
    assert "links.link" in host.trace.looks


def test_fail_at_each_act_in_turn_and_undo_leaves_the_host_as_it_was() -> None:
    """The sweep ends where nothing fails any more, after as many acts as the plan has."""
    for number in itertools.count():
        host = FakeHost()
        before = host.state()
        host.trace.fail_at(number)
        try:
            _go(host)
        except KernelError:
            assert host.state() == before
        else:
            break
    assert number == 10


def test_fail_at_an_act_that_is_done_leaves_it_done() -> None:
    """As where a process is killed there; with the error that it is given."""
    host = FakeHost()
    host.trace.fail_at(1, BusyError("", "killed"), done=True)
    host.names.add("web", host.start())
    with pytest.raises(BusyError, match="killed"):
        host.sysctls.write("net/ipv4/ip_forward", "1")
    assert host.sysctls.read("net/ipv4/ip_forward") == "1"
    assert host.sysctls.write("net/ipv4/ip_forward", "0")  # it fails once


def test_fail_on_a_name_fails_its_next_call_alone() -> None:
    """A look as well as an act."""
    host = FakeHost()
    host.trace.fail_on("firewall.observe")
    assert host.links.link("lo")
    with pytest.raises(KernelError):
        host.firewall.observe()
    assert host.firewall.observe().table is False


def test_before_an_act_another_process_may_come_between() -> None:
    """What it does is done when the act begins."""
    host = FakeHost()

    def overtake(name: str) -> None:
        if name == "bridges.make_bridge":
            host.add_bridge("br-lan")

    host.trace.before = overtake
    with pytest.raises(Exception, match="no bridge of ours"):
        host.bridges.make_bridge("br-lan", "02:62:00:00:00:01", 1500, ())
