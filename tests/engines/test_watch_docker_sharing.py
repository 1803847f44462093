"""Docker's container:X beside the watcher: members are counted, and share to the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hosts.lab.machine import LAB_V4
from hosts.lab.watcher import write_settings
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.lab.machine import Lab

SETTLE_S = 10


def members(lab: Lab, owner: str) -> list[str]:
    """Return the names of those that share a container's sandbox."""
    shown = lab.records()
    return sorted(name for name in shown if shown[name].get("member_of") == shown[owner]["id"])


def test_owner_that_stops_first_leaves_its_network_to_the_member(lab: Lab) -> None:
    """Address and port stay while the member runs; with its end all is gone."""
    with lab.docker() as docker, lab.watch():
        shop = docker.run("--name=shop", "--publish=8080:80")
        address = shop.address()
        log = docker.run("--name=log", network="container:shop")
        assert log.namespace.sandbox == shop.namespace.sandbox
        wait_until(lambda: members(lab, "shop") == ["log"], "the member's record")

        docker("stop", "--time=0", "shop")

        wait_until(lambda: lab.records()["shop"]["left"], "the owner's end")
        with log.namespace.serve("tcp", 80):
            assert lab.outside.ask("tcp", LAB_V4, 8080).local == (address, 80)
        assert lab.pings(address)
        docker("stop", "--time=0", "log")
        lab.assert_no_container_left(settle_s=SETTLE_S)


def test_member_that_stops_first_takes_nothing_along(lab: Lab) -> None:
    """The owner goes on as it was, and another member can come."""
    with lab.docker() as docker, lab.watch():
        shop = docker.run("--name=shop")
        address = shop.address()
        docker.run("--name=log", network="container:shop")
        wait_until(lambda: members(lab, "shop") == ["log"], "the member's record")

        docker.remove("log")

        wait_until(lambda: list(lab.records()) == ["shop"], "the member's end")
        assert lab.pings(address)
        docker.run("--name=second", network="container:shop")
        wait_until(lambda: members(lab, "shop") == ["second"], "the next member's record")
        shop.remove()
        wait_until(lambda: lab.records()["shop"]["left"], "the owner's end")
        assert lab.pings(address)


def test_owner_that_restarts_takes_its_network_along(lab: Lab) -> None:
    """As with Docker, the member stays in the old sandbox without one, until it restarts, too."""
    with lab.docker() as docker, lab.watch():
        shop = docker.run("--name=shop", "--publish=8080:80")
        address = shop.address()
        first = shop.namespace.sandbox
        log = docker.run("--name=log", network="container:shop")
        wait_until(lambda: members(lab, "shop") == ["log"], "the member's record")

        docker("restart", "--time=0", "shop")

        again = shop.current
        assert again.address() == address
        assert again.namespace.sandbox != first
        with again.namespace.serve("tcp", 80):
            wait_until(lambda: lab.outside.reaches("tcp", LAB_V4, 8080), "the port")
            assert lab.outside.ask("tcp", LAB_V4, 8080).local == (address, 80)
        wait_until(lambda: list(log.namespace.links()) == ["lo"], "the end of the old network")
        (told,) = lab.events("members lost their network")
        assert (told["members"], told["hint"]) == ("log", "docker restart log")
        assert lab.ocinet("ps", "--filter", "status=stranded", "-q").stdout.split() == [log.id[:12]]
        assert "docker restart log" in lab.ocinet("check", "log", check=False).stdout

        docker("restart", "--time=0", "log")

        assert log.current.namespace.sandbox == again.namespace.sandbox
        wait_until(lambda: members(lab, "shop") == ["log"], "the member's record")


def test_member_of_an_unwired_owner_is_left_alone_until_it_is_wired(lab: Lab) -> None:
    """Nobody is counted in what is none of ours; once it is, the member is found."""
    write_settings(lab, 'select = "labelled"\n')
    with lab.docker() as docker, lab.watch() as watcher:
        docker.run("--name=shop")
        log = docker.run("--name=log", network="container:shop")
        strange = docker.run("--name=strange", network="bridge")
        other = docker.run("--name=other", network="container:strange")
        refused = docker.run("--name=refused", "--label=ocinet.nett=lan")
        third = docker.run("--name=third", network="container:refused")
        for container in (log, other, third):
            watcher.wait_until_said("container looked at", container.id)
        assert lab.records() == {}
        assert list(strange.namespace.links()) == ["lo", "eth0"]
        assert [entry["container"] for entry in watcher.complaints()] == [refused.id]

        watcher.configure('select = "all"\n')
        watcher.reload()

        wait_until(lambda: sorted(lab.records()) == ["log", "shop"], "both records")
        assert members(lab, "shop") == ["log"]
        assert log.address()


def test_members_that_the_watcher_finds_at_its_start_are_counted(lab: Lab) -> None:
    """Owner and members ran before it did."""
    with lab.docker() as docker:
        shop = docker.run("--name=shop")
        docker.run("--name=log", network="container:shop")
        docker.run("--name=web", network="container:log")
        with lab.watch():
            address = shop.address()
            wait_until(lambda: members(lab, "shop") == ["log", "web"], "the members' records")
            docker.remove("shop", "log")
            wait_until(lambda: sorted(lab.records()) == ["shop", "web"], "their end")
            assert lab.pings(address)


def test_member_that_says_so_is_brought_along_once_in_each_life_of_its_owner(lab: Lab) -> None:
    """By a restart; another member that does not say so stays, and is told of."""
    with lab.docker() as docker, lab.watch():
        shop = docker.run("--name=shop")
        log = docker.run("--name=log", "--label=ocinet.rejoin=true", network="container:shop")
        docker.run("--name=old", network="container:shop")
        wait_until(lambda: members(lab, "shop") == ["log", "old"], "the members' records")
        for life in (1, 2):
            docker("restart", "--time=0", "shop")
            wait_until(lambda life=life: len(lab.events("rejoined")) == life, "the restart")  # type: ignore[misc]
            again = shop.current
            wait_until(lambda: log.current.namespace.sandbox == again.namespace.sandbox, "it")  # noqa: B023
            assert again.address()
            wait_until(lambda: members(lab, "shop") == ["log", "old"], "the record")
        stranded = lab.ocinet("ps", "--filter", "status=stranded", "--format", "{{.Names}}").stdout
        assert stranded.split() == ["old"]
        assert not lab.events("rejoin failed")


def test_setting_brings_all_members_along(lab: Lab) -> None:
    """Also one that was left behind before it was set, two lives of its owner's ago."""
    with lab.docker() as docker, lab.watch() as watcher:
        shop = docker.run("--name=shop")
        log = docker.run("--name=log", network="container:shop")
        wait_until(lambda: members(lab, "shop") == ["log"], "the member's record")
        docker("restart", "--time=0", "shop")
        wait_until(lambda: lab.records()["shop"].get("left_behind") == [log.id], "the new life")
        docker("restart", "--time=0", "shop")
        wait_until(lambda: lab.records()["shop"].get("left_behind") is None, "one more")

        watcher.configure("rejoin = true\n")
        watcher.reload()

        wait_until(lambda: lab.events("rejoined"), "the restart", timeout_s=SETTLE_S)
        sandbox = shop.current.namespace.sandbox
        wait_until(lambda: log.current.namespace.sandbox == sandbox, "it is with its owner")
