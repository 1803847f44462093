"""Containers of real engines on the LAN itself: `lan ─ lan0 │ lab`, where `lan` is the router."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hosts.engine.container import IMAGE
from hosts.engine.hooked_podman import install, keys
from hosts.engine.hooked_runtime import refused, register, start
from hosts.engine.runtimes import each_runtime
from hosts.lab.namespace import Unreachable
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Namespace

PARENT = "lan0"
HERE, ROUTER, FIRST = "203.0.113.1", "203.0.113.2", "203.0.113.100"


@pytest.fixture
def lan(lab: Lab) -> Iterator[Namespace]:
    """Connect a LAN, and define a network on it; yield its router."""
    lab.ignored += (PARENT,)
    router = lab.add_neighbour("lan", PARENT, (HERE, ROUTER), ("fd00:7::1", "fd00:7::2"))
    words = f"-d macvlan -o parent={PARENT} --gateway {ROUTER} --ip-range {FIRST}-203.0.113.150"
    lab.ocinet("network", "create", *words.split(), "home")
    yield router
    lab.ocinet("network", "rm", "--force", "home", check=False)
    lab.run("ip", "link", "del", PARENT)


def _ask(place: Namespace, port: int = 80) -> str:
    return place.ask("tcp", FIRST, port).server


@each_runtime
def test_runtime_puts_a_container_on_the_lan(lab: Lab, lan: Namespace, runtime: str) -> None:
    """Whoever is there reaches it at all its ports, and it the router; a second life, too."""
    lan.serve("tcp", 80)
    for _life in range(2):
        web = start(lab, runtime, "web", "--net", "home")
        web.namespace.serve("tcp", 80)
        assert _ask(lan) == "web"
        assert web.namespace.ask("tcp", ROUTER, 80).server == "lan"
        with pytest.raises(Unreachable):
            lab.ask("tcp", FIRST, 80, timeout_s=0.3)
        assert lab.ocinet("check").stdout == ""
        web.end()
    assert lab.ocinet("ps", "--quiet").stdout == ""


@each_runtime
def test_publishing_on_the_lan_alone_is_refused(lab: Lab, lan: Namespace, runtime: str) -> None:
    """With where its ports are reached."""
    bundle = register(lab, "web", "--net", "home", "-p", "8080:80")
    assert "on the LAN itself its own ports are reached" in refused(lab, runtime, bundle)


def test_podman_puts_a_container_on_the_lan(lab: Lab, lan: Namespace) -> None:
    """By the hook, and its annotations."""
    podman = install(lab, "crun")
    web = podman.run("--name=web", *keys(net="home"))
    web.namespace.serve("tcp", 80)
    assert _ask(lan)
    web.remove()
    wait_until(lambda: not lab.ocinet("ps", "--quiet").stdout, "nothing of it is left")
    lab.ocinet("hooks", "uninstall", "--podman")


def test_watcher_puts_dockers_container_on_the_lan_and_keeps_it(lab: Lab, lan: Namespace) -> None:
    """With the host's own interface: what others take of it is back soon."""
    words = f"-d macvlan -o parent={PARENT} --gateway {ROUTER} --host-access"
    lab.ocinet("network", "rm", "home")
    lab.ocinet("network", "create", *words.split(), "--ip-range", "203.0.113.100/30", "home")
    with lab.docker() as docker, lab.watch():
        docker("run", "-d", "--name=web", "--net=none", "--label=ocinet.net=home", IMAGE,
               "sleep", "600")  # fmt: skip
        web = docker.container("web")
        web.namespace.serve("tcp", 80)
        assert _ask(lan)
        assert _ask(lab)
        shim = lab.run("ip", "route", "show", FIRST).stdout.split()[2]
        for damage in (f"link del {shim}", f"route del {FIRST}", f"link set {shim} down"):
            lab.run("ip", *damage.split())
            wait_until(
                lambda: lab.run("ip", "route", "show", FIRST, check=False).stdout.strip() != "",
                f"what `ip {damage}` has taken is back",
                timeout_s=30,
            )
            assert _ask(lab)
        docker("rm", "--force", "web")
        wait_until(
            lambda: not lab.run("ip", "link", "show", shim, check=False).stdout,
            "the host's own interface goes with the last container",
            timeout_s=30,
        )


def test_commands_show_a_network_on_the_lan(lab: Lab, lan: Namespace) -> None:
    """`ls`, `inspect`, `topology`, `plan`, `explain`, `doctor`: by its parent and its mode."""
    web = start(lab, "runc", "web", "--net", "home")
    told = lab.ocinet("network", "ls").stdout
    assert PARENT in told
    assert "macvlan=bridge" in told
    template = "{{.Driver}} {{.Options.parent}} {{.Options.macvlan_mode}}"
    told = lab.ocinet("network", "inspect", "-f", template, "home").stdout
    assert told.split() == ["macvlan", PARENT, "bridge"]
    assert f"macvlan on {PARENT}" in lab.ocinet("topology").stdout
    assert "the LAN itself" in lab.ocinet("explain", "web", ROUTER, check=False).stdout
    lab.make_netns("box")
    told = lab.ocinet("plan", "netns:/run/netns/box", "--net", "home").stdout
    assert f"link {PARENT} address 02:6f:cb:00:71:65 mtu 1500" in told
    assert "type macvlan mode bridge" in told
    lab.run("ip", "netns", "delete", "box")
    assert "home" not in lab.ocinet("doctor", check=False).stdout
    web.end()
