"""Containers of runc, crun, podman and Docker find each other by name, as their libc asks."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from hosts.engine.hooked_podman import install, keys
from hosts.engine.runtimes import each_runtime
from hosts.engine.wrapped_runtime import UNDER, docker_under_wrapper, labels
from hosts.name_server import program
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hosts.engine.container import EngineContainer
    from hosts.engine.runtimes import Container
    from hosts.lab.machine import Lab

pytestmark = pytest.mark.needs("aardvark-dns")

_HEAD = "# From here on by ocinet, which makes it anew.\n"
_GATEWAY = "10.72.0.1"
# What podman has mounted for its containers.
_UNMOUNT = """\
grep -o ' /var/lib/containers/[^ ]*' /proc/self/mountinfo | sort -ru | xargs -r umount -l
"""


@contextmanager
def _named(lab: Lab) -> Iterator[None]:
    lab.path("/etc/resolv.conf").write_text(
        "search house.example\noptions edns0 ndots:3\nnameserver 192.0.2.53\n"
    )
    lab.path("/etc/ocinet/ocinet.toml.d/50-lab.toml").unlink()
    yield
    lab.assert_no_container_left(settle_s=5)


@each_runtime
def test_run_bundles_find_each_other_by_name(lab: Lab, runtime: str) -> None:
    """Whom they ask is the network's server, at its gateway; who has ended is not found."""
    with _named(lab):
        containers = {}
        for name in ("db", "web"):
            bundle = lab.bundle(name)
            lab.ocinet("hooks", "add", str(bundle.path))
            containers[name] = lab.runtime(runtime).run(bundle)
        web, db = containers["web"], containers["db"]
        asked = "search house.example\noptions ndots:0 edns0\n"
        assert web.read("/etc/resolv.conf") == f"{_HEAD}{asked}nameserver {_GATEWAY}\n"
        address = db.namespace.addresses("eth0")[0].partition("/")[0]
        wait_until(lambda: address in web.exec("nslookup", "db.", check=False).stdout, "db's name")
        assert f"({address})" in web.exec("ping", "-c1", "-W5", "db").stdout
        assert _GATEWAY in web.exec("nslookup", "host.ocinet.internal.").stdout
        db.end()  # busybox's nslookup asks for what a search list makes of a name first
        assert address not in web.exec("nslookup", "db.", check=False).stdout
        web.end()


def test_podman_docker_and_runc_beside_each_other_find_each_other(lab: Lab) -> None:
    """One server for all doors; Docker's own copy of resolv.conf is written, and left as it was."""
    with _named(lab):
        podman = install(lab, "runc")
        with docker_under_wrapper(lab) as docker:
            shop = docker.run(UNDER, "--name=shop", *labels(net="bridge"))
            db = podman.run("--name=db", "--no-hosts", *keys(net="bridge"))
            bundle = lab.bundle("web")
            lab.ocinet("hooks", "add", str(bundle.path))
            web = lab.runc.run(bundle)
            for place in (shop, db, web):
                shown = place.exec("cat", "/etc/resolv.conf").stdout
                assert f"options ndots:0 edns0\nnameserver {_GATEWAY}\n" in shown
                for name, address in (("shop", shop.address()), ("db", db.address())):
                    # podman's may not ping; what it would is what counts here.
                    pinged = place.exec("ping", "-c1", "-W5", name, check=False)
                    assert f"PING {name} ({address})" in pinged.stdout
            own = docker.run(UNDER, "--name=own", "--dns=192.0.2.7", *labels(net="bridge"))
            assert "nameserver 192.0.2.7\n" in own.exec("cat", "/etc/resolv.conf").stdout
            web.end()
            db.remove()
            own.remove()
            shop.remove()


def test_status_doctor_and_explain_know_how_names_fare(lab: Lab) -> None:
    """What serves them; a firewall of the host's that keeps queries out; a missing program."""
    with _named(lab):
        bundle = lab.bundle("web")
        lab.ocinet("hooks", "add", str(bundle.path))
        web = lab.runc.run(bundle)

        def names() -> dict[str, object]:
            shown: dict[str, object] = lab.ocinet("status", "--format", "json").json()["names"]
            return shown

        wait_until(lambda: names()["state"] == "serving", "the server's start")
        assert (names()["flaws"], str(names()["version"])[:2]) == ([], "1.")
        wall = (
            "table inet wall { chain gate { type filter hook input priority 0; policy drop;"
            ' iif "lo" accept; meta l4proto { icmp, ipv6-icmp } accept; }; }'
        )
        lab.run("nft", "-f", "-", stdin=wall)
        told = lab.ocinet("doctor", check=False).stdout
        assert "web to host:53/udp" in told
        assert "chain gate" in told or "wall" in told
        lab.run("nft", "delete", "table", "inet", "wall")
        web.end()
        wait_until(lambda: names()["state"] == "idle", "the server's end")
        lab.run("mount", "--bind", "/dev/null", program())
        assert names()["state"] == "missing"
        for name in ("one", "two"):
            bundle = lab.bundle(name)
            lab.ocinet("hooks", "add", str(bundle.path))
            lab.runc.run(bundle)
        (event,) = lab.events("names not served")
        assert "apt-get install aardvark-dns" in event["why"]
        assert "names of bridge are not served: aardvark-dns" in lab.ocinet("status").stdout
        resolv_conf = lab.containers[-1].read("/etc/resolv.conf")
        assert "nameserver 192.0.2.53" in resolv_conf
        lab.delete_containers()
        lab.run("umount", program())


def test_names_come_back_after_a_reboot(lab: Lab) -> None:
    """Nobody was taken down, and /run and the kernel are empty: who starts again is found again."""
    with _named(lab):
        lab.make_network("lan", "10.9.0.0/24")
        podman = install(lab, "crun")
        podman.run("--name=early", *keys(net="lan"))  # so that addresses are others afterwards
        db = podman.run("--name=db", *keys(net="lan", alias="store"))
        bundle = lab.bundle("web")
        lab.ocinet("hooks", "add", str(bundle.path), "--net", "lan", "--link", "db:base")
        web = lab.runc.run(bundle)
        _wait_found(web, "store", db.address())
        former = db.address()
        _reboot(lab)
        lab.forget(web)
        assert lab.records() == {}
        podman("start", "db")
        web = lab.runc.run(bundle)
        again = db.current
        assert again.address() != former
        _wait_found(web, "db", again.address())
        _wait_found(web, "store", again.address())
        assert f"PING base ({again.address()})" in web.exec("ping", "-c1", "-W5", "base").stdout
        _wait_found(again, "web", web.namespace.addresses("eth0")[0].partition("/")[0])
        assert former not in web.exec("nslookup", "early.", check=False).stdout
        web.end()
        podman.remove_all()


def _wait_found(asking: Container | EngineContainer, name: str, address: str) -> None:
    wait_until(
        lambda: f"({address})" in asking.exec("ping", "-c1", "-W5", name, check=False).stdout,
        f"{name} at {address}",
        timeout_s=20,
    )


def _reboot(lab: Lab) -> None:
    """Have all that a reboot ends be gone: processes and cgroups, mounts, links, rules, /run."""

    def kill_all() -> bool:
        left = lab.processes()
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    wait_until(kill_all, "the end of all processes", timeout_s=10)
    volatile = ("ocinet", "runc", "crun", "libpod", "containers", "podman", "netns")
    lab.run("rm", "-rf", *(f"/run/{name}" for name in volatile))
    wait_until(lab._remove_cgroups, "the end of all cgroups")
    lab.run("sh", "-c", _UNMOUNT)
    lab.run("nft", "flush", "ruleset")
    for ifname, link in lab.links().items():
        if link.get("linkinfo", {}).get("info_kind") == "bridge":
            lab.run("ip", "link", "delete", ifname)
