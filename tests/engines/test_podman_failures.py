"""A container of podman that can't get its network does not start, and leaves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hosts.engine.container import IMAGE
from hosts.engine.hooked_podman import (
    install,
    keys,
    why_not,
)
from hosts.engine.runtimes import each_runtime
from hosts.engine.versions import version_of

if TYPE_CHECKING:
    from hosts.engine.podman import Podman
    from hosts.lab.machine import Lab

# What gives the key `"ocinet.publish`: podman 5 is told no other way than in a shell's history.
QUOTED = (
    '--annotation="ocinet.publish=8081:80,8443:443"'
    if version_of("podman") >= (5, 0)
    else '--annotation="""ocinet.publish=8081:80"'
)
# The line that the operator reads, by what is asked for.
REFUSED = {
    "unknown network": (
        keys(net="lann"),
        "cannot attach shop: there is no network lann (hint: did you mean lan?)",
    ),
    "unknown key": (
        keys(nett="lan"),
        "cannot attach shop: annotation 'ocinet.nett': there is no such key "
        "(hint: did you mean net?)",
    ),
    "key in quotes": (
        (QUOTED,),
        "cannot attach shop: annotation '\"ocinet.publish': it is no key of ours, but "
        "ocinet.publish with quotes, blanks or capitals (hint: write ocinet.publish=…; "
        "in --annotation podman 4 alone needs and reads quotes)",
    ),
    "port in use": (
        keys(net="lan", publish="8080:80"),
        "cannot attach shop: the host's port 8080/tcp is taken",
    ),
    "address outside": (
        keys(net="lan", ip="10.8.0.5"),
        "cannot attach shop: 10.8.0.5 is not in network lan (hint: its subnets are 10.9.0.0/24)",
    ),
    "address taken": (
        keys(net="lan", ip="10.9.0.2"),
        "cannot attach shop: 10.9.0.2 is held by ",
    ),
    "pool empty": (
        keys(net="full"),
        "cannot attach shop: no address is free on full: 10.7.0.0/30 has 1 to give, 1 are held",
    ),
    "second network unknown": (
        keys(net="lan;nowhere", publish="9090:90"),
        "cannot attach shop: there is no network nowhere",
    ),
}


def _furnish(lab: Lab, runtime: str) -> Podman:
    """Return podman beside two networks, one of them full, a container on each, and a listener."""
    podman = install(lab, runtime)
    lab.make_network("lan", "10.9.0.0/24")
    lab.ocinet("network", "create", "--subnet", "10.7.0.0/30", "full")
    podman.run("--name=first", *keys(net="lan;full"))
    lab.serve("tcp", 8080)
    return podman


def _try(podman: Podman, *options: str) -> str:
    """Run a container that is to be refused, and return what the operator is told."""
    refused = podman("run", "--name=shop", "--network=none", *options, IMAGE, "true", check=False)
    told = why_not(podman.lab, refused, podman.runtime)
    podman.remove("shop")
    podman.lab.run("rm", "/run/ocinet/events.jsonl")
    return told


@each_runtime
def test_run_that_cannot_be_attached_is_refused_and_leaves_all_as_before(
    lab: Lab, runtime: str
) -> None:
    """Each refusal is one line, on stderr or in the event log; kernel and state are as before."""
    podman = _furnish(lab, runtime)
    lab.run("rm", "/run/ocinet/events.jsonl")
    before = lab.snapshot()

    told = {wish: _try(podman, *options) for wish, (options, _) in REFUSED.items()}

    for wish, (_, line) in REFUSED.items():
        assert told[wish].startswith(line), wish
        assert "\n" not in told[wish]
    lab.assert_unchanged(before)
    podman.remove("first")


@each_runtime
def test_start_after_refusal_gets_its_network_once_mended(lab: Lab, runtime: str) -> None:
    """A container that was refused can be started as it is when the reason has gone."""
    podman = install(lab, runtime)
    refused = podman("run", "--detach", "--name=shop", "--network=none", *keys(net="lan"), IMAGE,
                     "sleep", "1000", check=False)  # fmt: skip
    assert refused.status == 126

    lab.make_network("lan", "10.9.0.0/24")
    podman("start", "shop")

    assert lab.records()["shop"]["endpoints"][0]["addresses"] == ["10.9.0.2/24"]
    assert lab.pings("10.9.0.2")
    podman.remove("shop")


@each_runtime
def test_run_with_missing_entrypoint_is_put_right_by_gc(lab: Lab, runtime: str) -> None:
    """podman runs no poststop after a create that failed behind the hook: gc takes it down."""
    podman = install(lab, runtime)

    failed = podman("run", "--name=shop", "--network=none", *keys(net="bridge", publish="8080:80"),
                    IMAGE, "/no/such", check=False)  # fmt: skip

    assert failed.status == 127
    assert len(lab.events("attached")) == 1
    podman.remove("shop")
    assert lab.events("detached") == []
    assert lab.records()["shop"]["status"] == "dead"
    found = lab.ocinet("gc", "--json").json()
    assert [finding["kind"] for finding in found] == ["attachment"]
    assert lab.records() == {}
    lab.assert_no_container_left()


@each_runtime
def test_start_after_missing_entrypoint_is_put_right_by_the_start(lab: Lab, runtime: str) -> None:
    """The next start of the same container undoes what the failed one left, and wires it."""
    podman = install(lab, runtime)
    lab.run("mkdir", "/run/lab/bin")
    options = ("--volume=/run/lab/bin:/opt", *keys(net="bridge", publish="8080:80"))
    failed = podman("run", "--name=shop", "--network=none", *options, IMAGE, "/opt/late",
                    check=False)  # fmt: skip
    assert failed.status == 127

    lab.run("tee", "/run/lab/bin/late", stdin="#!/bin/sh\nexec sleep 1000\n")
    lab.run("chmod", "+x", "/run/lab/bin/late")
    podman("start", "shop")

    [record] = lab.records().values()
    assert record["status"] == "alive"
    assert len(record["ports"]) == 1
    shown = podman("exec", "shop", "ip", "-o", "-4", "address", "show", "dev", "eth0").stdout
    assert record["endpoints"][0]["addresses"][0] in shown
    podman.remove("shop")


@each_runtime
def test_start_after_missing_entrypoint_in_a_sandbox_of_the_same_inode_is_wired(
    lab: Lab, runtime: str
) -> None:
    """The kernel gives a dead sandbox's inode to the next one: that is no proof of being wired.

    Here the sandbox is the same for sure; what was in it is taken out, as its death would.
    """
    podman = install(lab, runtime)
    lab.make_netns("box")
    lab.run("mkdir", "/run/lab/bin")
    failed = podman("run", "--name=shop", "--network=ns:/run/netns/box", *keys(net="bridge"),
                    "--volume=/run/lab/bin:/opt", IMAGE, "/opt/late", check=False)  # fmt: skip
    assert failed.status == 127
    lab.run("ip", "link", "delete", lab.records()["shop"]["endpoints"][0]["host_ifname"])

    lab.run("tee", "/run/lab/bin/late", stdin="#!/bin/sh\nexec sleep 1000\n")
    lab.run("chmod", "+x", "/run/lab/bin/late")
    podman("start", "shop")

    shown = podman("exec", "shop", "ip", "-o", "-4", "address", "show", "dev", "eth0").stdout
    assert lab.records()["shop"]["endpoints"][0]["addresses"][0] in shown
    podman.remove("shop")
    lab.run("ip", "netns", "delete", "box")


@each_runtime
def test_run_after_missing_entrypoint_gets_its_address_and_port(lab: Lab, runtime: str) -> None:
    """What a failed start holds is nobody's: another container gets it without any gc."""
    podman = install(lab, runtime)
    wish = keys(net="bridge", ip="10.72.0.9", publish="8080:80")
    podman("run", "--rm", "--network=none", *wish, IMAGE, "/no/such", check=False)

    container = podman.run("--name=shop", *wish)

    assert container.namespace.addresses("eth0") == ["10.72.0.9/24"]
    container.remove()
    lab.ocinet("gc")


@pytest.mark.parametrize("text", ["settings", "pools"])
def test_run_with_broken_settings_is_refused_by_file_and_reason(lab: Lab, text: str) -> None:
    """A typo in ocinet.toml stops the start with the file's name, and does not mean defaults."""
    podman = install(lab, "runc")
    lab.run("mkdir", "-p", "/etc/ocinet")
    broken = {"settings": "no toml", "pools": 'poools = ["10.0.0.0/8"]'}[text]
    lab.run("tee", "/etc/ocinet/ocinet.toml", stdin=broken)

    refused = podman("run", "--rm", "--network=none", *keys(net="bridge"), IMAGE, "true",
                     check=False)  # fmt: skip

    assert refused.status == 126
    assert "/etc/ocinet/ocinet.toml" in refused.stderr
    lab.run("rm", "/etc/ocinet/ocinet.toml")


@each_runtime
def test_stop_after_hook_was_broken_still_ends_the_container(lab: Lab, runtime: str) -> None:
    """poststop never fails a stop: with the state out of reach gc does the rest later."""
    podman = install(lab, runtime)
    container = podman.run("--name=shop", *keys(net="bridge"))
    lab.run("chmod", "0777", "/run/ocinet")  # a directory that everyone may write is refused

    stopped = podman("stop", "--time=0", "shop", check=False)

    assert stopped.status == 0
    assert podman("inspect", "--format={{.State.Status}}", "shop").stdout.strip() == "exited"
    lab.run("chmod", "0700", "/run/ocinet")
    lab.ocinet("gc")
    assert lab.records() == {}
    container.current.remove()
