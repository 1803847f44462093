"""attach, detach, plan, publish, ps, inspect, exec: commands on containers."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from builders import DB_ID, WEB_ID, endpoint, port, record
from fakes.shell import Shell
from ocinet.base.address import Address
from ocinet.base.clock import Process
from ocinet.base.errors import SystemFailure
from ocinet.cli.printing import spell_ports
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.model.attachment import Container, Member
from ocinet.engine.model.request import EndpointRequest, Publish, Request
from ocinet.engine.model.resolution import AddedHost, Alias, LinkedName, Resolution

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

SELF = f"pid:{os.getpid()}"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a shell on an installation of its own."""
    return Shell(tmp_path)


@pytest.fixture
def own_sandbox() -> Generator[str]:
    """Return the identity of the namespace that the tests run in."""
    with Sandbox.open_path("/proc/self/ns/net") as sandbox:
        yield sandbox.identity


@pytest.fixture
def dead() -> Process:
    """Return a process that is gone."""
    with subprocess.Popen(["/bin/true"]) as child:
        process = Process.of(child.pid)
        child.wait()
    return process or Process(child.pid, 1)


# --- attach ---------------------------------------------------------------------------------


def test_attach_of_a_process_makes_an_id_of_its_pid(shell: Shell, own_sandbox: str) -> None:
    """`pid:N` without a name is container `pid-N`, and the network is `bridge`."""
    outcome = shell.run("attach", SELF)
    assert outcome.code == 0, outcome.err
    ((act, container, request, identity),) = shell.engine.calls
    process = Process.of(os.getpid())
    assert act == "attach"
    assert container == Container(f"pid-{os.getpid()}", f"pid-{os.getpid()}", process=process)
    assert request == Request("bridge", endpoints=(EndpointRequest("bridge"),))
    assert identity == own_sandbox


@pytest.mark.parametrize(
    ("flags", "container_id", "name"),
    [
        (("--name", "web"), "web", "web"),
        (("--id", "abc"), "abc", "abc"),
        (("--id", "0123456789abcdef"), "0123456789abcdef", "0123456789ab"),
        (("--id", "abc", "--name", "web"), "abc", "web"),
    ],
)
def test_attach_of_a_process_takes_id_and_name(
    shell: Shell, flags: tuple[str, ...], container_id: str, name: str
) -> None:
    """--name is enough for both."""
    assert shell.run("attach", SELF, *flags).code == 0
    container = shell.engine.calls[0][1]
    assert (container.id, container.name) == (container_id, name)


def test_attach_of_a_namespace_takes_its_file_name(
    shell: Shell, tmp_path: Path, own_sandbox: str
) -> None:
    """`netns:/run/netns/blue` is container `blue`, with no process to follow."""
    os.symlink("/proc/self/ns/net", tmp_path / "blue")
    assert shell.run("attach", f"netns:{tmp_path}/blue").code == 0
    _, container, _, identity = shell.engine.calls[0]
    assert container == Container("blue", "blue")
    assert identity == own_sandbox


def test_attach_of_a_known_container_works_on_its_record(shell: Shell, own_sandbox: str) -> None:
    """By name, by id, by the start of its id, or by its process: it is the same one."""
    known = record(sandbox=own_sandbox)
    shell.engine.records.attachments.put(known)
    for target in ("web", WEB_ID, WEB_ID[:4], SELF):
        outcome = shell.run("attach", target, "--net", "dmz")
        assert outcome.code == 0, outcome.err
        assert shell.engine.calls[-1][1] == known.container


def test_attach_gives_no_second_name_to_a_sandbox(shell: Shell, own_sandbox: str) -> None:
    """A sandbox that is known under one id is not wired again under another."""
    shell.engine.records.attachments.put(record(sandbox=own_sandbox))
    outcome = shell.run("attach", SELF, "--name", "other")
    assert outcome.code == 4
    assert f"{SELF} is the sandbox of web already" in outcome.err
    assert shell.run("attach", SELF, "--name", "web").code == 0
    assert len(shell.engine.calls) == 1


def test_attach_reads_every_flag_through_the_one_parser(shell: Shell) -> None:
    """Flags mean what annotations mean."""
    outcome = shell.run(
        "attach", SELF, "--net", "lan:ip=10.9.0.5,mtu=1400", "--network", "dmz",
        "--ip6", "fd00::5", "--ip6", "fd00::6", "--mac-address", "02:00:00:00:00:01",
        "--ifname", "lan0", "--gateway", "10.9.0.254", "--route", "10.0.0.0/8 via 10.9.0.9",
        "--route", "172.16.0.0/12", "-p", "8080:80", "--publish", "127.0.0.1::53/udp",
        "--name", "web", "--dns", "192.0.2.53", "--dns", "fd00::53", "--dns-search", "corp.example",
        "--dns-opt", "ndots:2", "--dns-option", "edns0", "--add-host", "up:host-gateway",
        "--add-host", "db:[fd00::7]", "--hostname", "Web1", "--alias", "www", "--network-alias",
        "shop", "--link", "postgres:db", "--link", "cache",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    request = shell.engine.calls[0][2]
    first, second = request.endpoints
    assert first.network == "lan"
    assert first.addresses == tuple(map(Address.parse, ("10.9.0.5", "fd00::5", "fd00::6")))
    assert (first.mac, first.ifname, first.mtu) == ("02:00:00:00:00:01", "lan0", 1400)
    assert str(first.gateway) == "10.9.0.254"
    assert [str(route.destination) for route in first.routes] == ["10.0.0.0/8", "172.16.0.0/12"]
    assert second == EndpointRequest("dmz")
    assert request.publish == (
        Publish("tcp", None, 8080, 80),
        Publish("udp", Address.parse("127.0.0.1"), 0, 53),
    )
    assert request.name == "web"
    assert request.resolution == Resolution(
        (Address.parse("192.0.2.53"), Address.parse("fd00::53")),
        ("corp.example",),
        ("ndots:2", "edns0"),
        (AddedHost("up", None), AddedHost("db", Address.parse("fd00::7"))),
        "web1",
        (Alias("www"), Alias("shop")),
        (LinkedName("postgres", "db"), LinkedName("cache", "cache")),
    )


def test_connect_with_an_alias_means_that_network_alone(shell: Shell) -> None:
    """As docker and podman do; those on others stay what they are."""
    assert shell.run("network", "create", "lan").code == 0
    outcome = shell.run("network", "connect", "--alias", "DB", "lan", SELF)
    assert outcome.code == 0, outcome.err
    assert shell.engine.calls[-1][2].resolution == Resolution(aliases=(Alias("db", "lan"),))


def test_connect_that_is_refused_tells_what_is_wrong(shell: Shell) -> None:
    """Its flags are some of attach's, and read as those are."""
    outcome = shell.run("network", "connect", "--dns", "192.0.2.1", "nosuch", SELF)
    assert outcome.code == 3, outcome.err
    assert "nosuch" in outcome.err


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (("--ip", "10.9.0"), "--ip: '10.9.0'"),
        (("--ip6", "10.9.0.5"), "--ip6: 10.9.0.5 is of IPv4"),
        (("--ip", ""), "--ip: its value is empty"),
        (("--mac-address", "x"), "--mac-address: 'x'"),
        (("--mtu", "9"), "--mtu: '9'"),
        (("--dns", "resolver.example"), "--dns: 'resolver.example'"),
        (("--add-host", "db"), "--add-host: 'db' names no host and its address"),
        (("--route", "x"), "--route: 'x'"),
        (("--alias", "a b"), "--network-alias: 'a b' is no name of a container"),
        (("--hostname", "localhost"), "--hostname: localhost means the host"),
        (("--link", "a:b:c"), "--link: 'b:c' is no name for a container"),
        (("--net", "lan:alias=-x"), "--net: lan: alias: '-x'"),
        (("-p", "99999"), "--publish: '99999'"),
        (("--net", "lan:ipp=1"), "--net: lan: 'ipp=1' is no option"),
        (("--name", "a/b"), "--name: 'a/b'"),
        (("--net", "none", "--ip", "10.9.0.5"), "--ip: it does not go with ocinet.net=none"),
    ],
)
def test_attach_with_a_wrong_flag_names_the_flag(
    shell: Shell, flags: tuple[str, ...], what: str
) -> None:
    """A person who typed a flag is told of the flag, and nothing is opened."""
    outcome = shell.run("attach", SELF, *flags)
    assert outcome.code == 2
    assert outcome.err.startswith(f"ocinet: {what}")
    assert shell.opened == 0


def test_attach_prints_addresses_and_ports(shell: Shell) -> None:
    """A table for people, the record for programs."""
    outcome = shell.run("attach", SELF)
    assert [line.split() for line in outcome.lines] == [
        ["INTERFACE", "ADDRESS", "NETWORK", "MAC"],
        ["eth0", "10.9.0.5/24", "lan", "02:6f:63:00:00:05"],
        ["0.0.0.0:8080->80/tcp"],
    ]
    data = shell.run("attach", SELF, "--format", "json").data
    assert data["endpoints"][0]["addresses"] == ["10.9.0.5/24"]


@pytest.mark.parametrize(
    ("target", "code", "why"),
    [
        ("pid:x", 2, "'pid:x' names no process"),
        ("pid:", 2, "'pid:' names no process"),
        ("pid:0", 2, "'pid:0' names no process"),
        ("pid:99999999999999999999", 2, "names no process"),
        ("pid:2147483647", 3, "there is no process 2147483647"),
        ("netns:blue", 2, "'netns:blue' has no absolute path"),
        ("netns:/nowhere", 3, "there is no such file"),
        ("netns:/etc/hostname", 2, "it is no network namespace"),
        ("nobody", 3, "no container nobody is known"),
        ("../x", 2, "'../x' is no container"),
    ],
)
def test_attach_of_no_target_says_why(shell: Shell, target: str, code: int, why: str) -> None:
    """What can't be found is told, with the exit code for it."""
    outcome = shell.run("attach", target)
    assert outcome.code == code
    assert why in outcome.err
    assert shell.engine.calls == []


def test_attach_of_an_unknown_name_tells_the_nearest(shell: Shell) -> None:
    """A typo in a container's name."""
    shell.engine.records.attachments.put(record())
    outcome = shell.run("attach", "wbe")
    assert outcome.code == 3
    assert "hint: did you mean web" in outcome.err


def test_attach_of_a_container_in_another_sandbox_is_refused(shell: Shell) -> None:
    """A record that no longer fits is not worked on."""
    shell.engine.records.attachments.put(record(sandbox="4:1"))
    outcome = shell.run("attach", "web")
    assert outcome.code == 1
    assert "web is in another sandbox than recorded" in outcome.err
    assert "hint: ocinet detach web" in outcome.err


def test_attach_of_a_dead_container_is_refused(shell: Shell, dead: Process) -> None:
    """No process, no sandbox."""
    shell.engine.records.attachments.put(record(container=Container(WEB_ID, "web", process=dead)))
    outcome = shell.run("attach", "web")
    assert outcome.code == 3
    assert "no process of web is alive" in outcome.err


def test_attach_finds_the_sandbox_through_a_member(
    shell: Shell, dead: Process, own_sandbox: str
) -> None:
    """The owner is gone, and a member keeps the sandbox."""
    member = Member(DB_ID, "db", process=Process.of(os.getpid()))
    container = Container(WEB_ID, "web", process=dead)
    shell.engine.records.attachments.put(
        record(container=container, members=(member,), sandbox=own_sandbox, left=True)
    )
    assert shell.run("attach", "web").code == 0
    assert shell.engine.calls[0][3] == own_sandbox


# --- detach ---------------------------------------------------------------------------------


def test_detach_prints_the_names(shell: Shell) -> None:
    """As docker rm."""
    shell.engine.records.attachments.put(record())
    shell.engine.records.attachments.put(record(DB_ID, "db"))
    outcome = shell.run("detach", "web", "db")
    assert (outcome.code, outcome.lines) == (0, ["web", "db"])
    assert shell.engine.calls == [("detach", WEB_ID, False), ("detach", DB_ID, False)]


def test_detach_by_process_finds_its_sandbox(shell: Shell, own_sandbox: str) -> None:
    """`pid:N` means the sandbox, whatever the container is called."""
    shell.engine.records.attachments.put(record(sandbox=own_sandbox))
    assert shell.run("detach", SELF).lines == ["web"]


def test_detach_by_a_process_that_is_gone_finds_its_default_id(shell: Shell) -> None:
    """What `attach pid:N` made can be taken down after N has died."""
    shell.engine.records.attachments.put(record("pid-2147483647", "pid-21474836"))
    assert shell.run("detach", "pid:2147483647").code == 0
    assert shell.engine.calls == [("detach", "pid-2147483647", False)]


def test_detach_goes_on_past_one_that_is_not_there(shell: Shell) -> None:
    """The others are detached, and the error says which one was not."""
    shell.engine.records.attachments.put(record())
    outcome = shell.run("detach", "nobody", "web")
    assert outcome.code == 3
    assert outcome.lines == ["web"]
    assert outcome.err.startswith("ocinet: cannot detach nobody: no container nobody is known")


def test_detach_with_force_takes_not_there_for_success(shell: Shell) -> None:
    """And it is passed on to the engine."""
    shell.engine.records.attachments.put(record())
    assert shell.run("detach", "--force", "nobody", "web").code == 0
    assert shell.engine.calls == [("detach", WEB_ID, True)]


def test_detach_with_force_still_tells_of_other_errors(shell: Shell) -> None:
    """What could not be removed is told."""
    shell.engine.records.attachments.put(record())
    shell.engine.failure = SystemFailure("cannot detach web", "link oc1 is busy")
    outcome = shell.run("detach", "-f", "web")
    assert outcome.code == 1
    assert outcome.err == "ocinet: cannot detach web: link oc1 is busy\n"


# --- plan -----------------------------------------------------------------------------------


def test_plan_prints_commands_and_does_nothing(shell: Shell) -> None:
    """One line for each command, in order."""
    outcome = shell.run("plan", SELF, "--net", "lan")
    assert outcome.lines == ["echo one", "echo two"]
    assert [call[0] for call in shell.engine.calls] == ["plan"]
    assert shell.run("plan", SELF, "--json").data == [
        {"step": "Echo", "shared": False, "commands": ["echo one"]},
        {"step": "Echo", "shared": False, "commands": ["echo two"]},
    ]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a bundle that asks for a network."""
    path = tmp_path / "web"
    path.mkdir()
    asked = {"ocinet.net": "lan", "ocinet.publish": "8080:80", "org.other": "x"}
    (path / "config.json").write_text(json.dumps({"annotations": asked}))
    return path


def read_bundle(path: Path) -> tuple[Container, dict[str, str]]:
    """Open a bundle and let go of its sandbox."""
    from ocinet.cli.unstarted_bundle import read_bundle

    return read_bundle(str(path))


def test_read_bundle_returns_what_it_asks_for(bundle: Path) -> None:
    """The id is the directory's name; others' annotations are left out."""
    container, asked = read_bundle(bundle)
    assert container == Container("web", "web", str(bundle))
    assert asked == {"ocinet.net": "lan", "ocinet.publish": "8080:80"}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "it is not JSON"),
        ('{"annotations": {"ocinet.net": 5}}', "the annotation 'ocinet.net' is no text"),
    ],
)
def test_plan_of_a_damaged_bundle_says_so(
    shell: Shell, bundle: Path, content: str, why: str
) -> None:
    """The file is named."""
    (bundle / "config.json").write_text(content)
    outcome = shell.run("plan", str(bundle))
    assert outcome.code == 2
    assert f"cannot read {bundle}/config.json: {why}" in outcome.err


@pytest.mark.parametrize("content", ["[]", "{}", '{"annotations": null}'])
def test_read_bundle_without_annotations_asks_for_nothing(bundle: Path, content: str) -> None:
    """That is the default network, then."""
    (bundle / "config.json").write_text(content)
    assert read_bundle(bundle)[1] == {}


# --- publish --------------------------------------------------------------------------------


def test_publish_prints_what_is_published_now(shell: Shell) -> None:
    """Ports are parsed together, and shown as docker does."""
    shell.engine.records.attachments.put(record())
    outcome = shell.run("publish", "web", "8080:80", "53/udp")
    assert outcome.lines == ["0.0.0.0:8080->80/tcp"]
    wished = (Publish("tcp", None, 8080, 80), Publish("udp", None, 0, 53))
    assert shell.engine.calls == [("publish", WEB_ID, wished)]
    (shown,) = shell.run("publish", "web", "8080:80", "--json").data
    assert shown == {"protocol": "tcp", "host_address": None, "host_port": 8080,
                     "address": "10.9.0.5", "port": 80}  # fmt: skip


def test_unpublish_prints_what_is_left(shell: Shell) -> None:
    """Nothing, here."""
    shell.engine.records.attachments.put(record())
    outcome = shell.run("unpublish", "web", "8080:80")
    assert (outcome.code, outcome.out) == (0, "")
    assert shell.engine.calls == [("unpublish", WEB_ID, (Publish("tcp", None, 8080, 80),))]
    assert shell.run("unpublish", "web", "8080:80", "--json").data == []


@pytest.mark.parametrize("command", ["publish", "unpublish"])
def test_publish_of_a_wrong_port_opens_nothing(shell: Shell, command: str) -> None:
    """The port is named."""
    outcome = shell.run(command, "web", "80:x")
    assert outcome.code == 2
    assert "'80:x'" in outcome.err
    assert shell.opened == 0


@pytest.mark.parametrize(
    ("ports", "shown"),
    [
        ((port(8080, 80),), "0.0.0.0:8080->80/tcp"),
        ((port(80, 80, at="127.0.0.1", protocol="udp"),),
         "127.0.0.1:80->80/udp"),
        ((port(80, 80, "fd00::5"),), "[::]:80->80/tcp"),
        ((port(80, 80, "fd00::5", at="fd00::1"),),
         "[fd00::1]:80->80/tcp"),
        ((port(9001, 91), port(9000, 90), port(9002, 92)), "0.0.0.0:9000-9002->90-92/tcp"),
        ((port(9000, 90), port(9001, 90)), "0.0.0.0:9000->90/tcp, 0.0.0.0:9001->90/tcp"),
        ((port(9000, 90), port(9002, 92)), "0.0.0.0:9000->90/tcp, 0.0.0.0:9002->92/tcp"),
        ((port(9000, 90), port(9001, 91, protocol="udp")),
         "0.0.0.0:9000->90/tcp, 0.0.0.0:9001->91/udp"),
        ((), ""),
    ],
)  # fmt: skip
def test_spell_ports_as_docker_ps_does(ports: tuple[Any, ...], shown: str) -> None:
    """Runs of ports are one item, families and protocols are kept apart."""
    assert spell_ports(ports) == shown


# --- ps and inspect -------------------------------------------------------------------------


def fill(shell: Shell) -> None:
    """Record an owner, its member, a half-made and a dead container."""
    store = shell.engine.records.attachments
    store.put(record(ports=(port(8080, 80),)))
    store.put(record(DB_ID, "db", mode="container", member_of=WEB_ID, endpoints=()))
    store.put(record("c" * 64, "half", state="attaching", endpoints=(endpoint("dmz"),)))
    store.put(record("d" * 64, "old", boot_id="another"))


def test_ps_shows_the_living(shell: Shell) -> None:
    """One row each: a member shows its owner's network."""
    fill(shell)
    outcome = shell.run("ps")
    rows = [line.split("   ") for line in outcome.lines]
    rows = [[cell.strip() for cell in row if cell] for row in rows]
    pid = str(os.getpid())
    assert rows[0][:4] == ["CONTAINER ID", "NAME", "MODE", "NETWORK"]
    shown = {row[1]: row for row in rows[1:]}
    assert set(shown) == {"web", "db", "half"}
    assert shown["web"][:-1] == [WEB_ID[:12], "web", "bridge", "lan", "10.9.0.5",
                                 "0.0.0.0:8080->80/tcp", pid, "alive"]  # fmt: skip
    assert shown["db"][1:5] == ["db", "container:web", "lan", "10.9.0.5"]
    assert shown["half"][-2] == "attaching"


def test_ps_all_shows_the_dead(shell: Shell) -> None:
    """-a, as docker."""
    fill(shell)
    data = shell.run("ps", "-a", "--json").data
    assert {record["name"]: record["status"] for record in data} == {
        "web": "alive", "db": "alive", "half": "attaching", "old": "dead"}  # fmt: skip


def test_ps_shows_when_only_members_are_left(shell: Shell) -> None:
    """The owner stopped, its sandbox lives on."""
    member = Member(DB_ID, "db", process=Process.of(os.getpid()))
    shell.engine.records.attachments.put(record(left=True, members=(member,)))
    assert shell.run("ps", "--json").data[0]["status"] == "left"


def test_ps_by_network_shows_who_is_on_it(shell: Shell) -> None:
    """--network is a filter."""
    fill(shell)
    assert [record["name"] for record in shell.run("ps", "--network", "dmz", "--json").data] == [
        "half"
    ]


def test_ps_quiet_prints_ids(shell: Shell) -> None:
    """Short, or whole with --no-trunc."""
    shell.engine.records.attachments.put(record())
    assert shell.run("ps", "-q").lines == [WEB_ID[:12]]
    assert shell.run("ps", "-q", "--no-trunc").lines == [WEB_ID]
    assert WEB_ID in shell.run("ps", "--no-trunc").out


def test_ps_of_nothing_prints_the_heading(shell: Shell) -> None:
    """And `[]` for programs, nothing with --noheading."""
    assert len(shell.run("ps").lines) == 1
    assert shell.run("ps", "--noheading").out == ""
    assert shell.run("ps", "--json").data == []


def test_inspect_shows_record_and_kernel(shell: Shell, own_sandbox: str) -> None:
    """An array, with what the kernel has beside what is recorded."""
    shell.engine.records.attachments.put(record(sandbox=own_sandbox))
    (shown,) = shell.run("inspect", "web").data
    assert shown["id"] == WEB_ID
    assert shown["status"] == "alive"
    assert shown["kernel"] == {
        "host": [],
        "sandbox": [{
            "ifname": "eth0", "up": True, "mac": "02:6f:63:00:00:05", "mtu": 1500,
            "addresses": ["10.9.0.5/24"],
            "routes": [{"destination": "0.0.0.0/0", "gateway": "10.9.0.1"}],
        }],
        "error": None,
    }  # fmt: skip


def test_inspect_of_a_dead_container_shows_its_record(shell: Shell, dead: Process) -> None:
    """The kernel has nothing to say, and the reason is told."""
    shell.engine.records.attachments.put(record(container=Container(WEB_ID, "web", process=dead)))
    (shown,) = shell.run("inspect", "web").data
    assert shown["kernel"]["sandbox"] is None
    assert "no process of web is alive" in shown["kernel"]["error"]


def test_inspect_of_an_unknown_container_shows_the_others(shell: Shell, own_sandbox: str) -> None:
    """The array has what was found; the exit code is that of what was not."""
    shell.engine.records.attachments.put(record(sandbox=own_sandbox))
    outcome = shell.run("inspect", "web", "nobody")
    assert outcome.code == 3
    assert [record["name"] for record in outcome.data] == ["web"]
    assert outcome.err.startswith("ocinet: cannot inspect nobody")


# --- exec -----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("--", "ip", "-j", "address"), ("ip", "-j", "address")])
def test_exec_becomes_the_command_in_the_sandbox(shell: Shell, words: tuple[str, ...]) -> None:
    """With and without `--`; the command's own flags are its own."""
    outcome = shell.run("exec", SELF, *words)
    assert outcome.code == 0, outcome.err
    ((file, arguments),) = shell.executed
    assert file == "nsenter"
    assert arguments[1].startswith("--net=/proc/self/fd/")
    assert arguments[2:] == ["--", "ip", "-j", "address"]


def test_exec_without_a_command_is_an_error(shell: Shell) -> None:
    """No shell is guessed."""
    outcome = shell.run("exec", SELF, "--")
    assert outcome.code == 2
    assert "there is no command" in outcome.err
    assert shell.executed == []


def test_exec_lets_the_sandbox_be_inherited(shell: Shell) -> None:
    """The descriptor that is named must be open in the program that runs."""
    seen: list[tuple[bool, bool]] = []

    class Watch(list[tuple[str, list[str]]]):
        def append(self, call: tuple[str, list[str]]) -> None:
            fd = int(call[1][1].rpartition("/")[2])
            same = os.fstat(fd).st_ino == os.stat("/proc/self/ns/net").st_ino
            seen.append((os.get_inheritable(fd), same))

    shell.executed = Watch()
    shell.run("exec", SELF, "true")
    assert seen == [(True, True)]


def test_attach_to_none_of_a_wired_container_says_what_stays(
    shell: Shell, own_sandbox: str
) -> None:
    """It takes nothing away: that is said, with what does."""
    shell.engine.records.attachments.put(record(sandbox=own_sandbox))
    outcome = shell.run("attach", "web", "--net", "none")
    assert outcome.code == 0
    assert "web keeps the networks that it has\nhint: ocinet detach web takes them" in outcome.err
