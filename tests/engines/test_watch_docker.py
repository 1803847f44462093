"""What a container of Docker's asks for, and what the watcher beside dockerd makes of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hosts.command import CommandFailed
from hosts.engine.container import IMAGE
from hosts.engine.versions import version_of
from hosts.lab.machine import LAB_V4, OUTSIDE_V4, OUTSIDE_V6
from hosts.lab.watcher import write_settings
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.engine.dockerd import Docker
    from hosts.lab.machine import Lab

HOSTILE = {
    "ocinet.ip": "10.9.0.66",
    "ocinet.ip6": "fd00:9::66",
    "ocinet.mac": "02:00:00:00:00:66",
    "ocinet.ifname": "evil0",
    "ocinet.mtu": "1280",
    "ocinet.publish": "22:22,80:80",
    "ocinet.name": "db",
    "ocinet.evil": "1",
}


def labels(**given: str) -> tuple[str, ...]:
    """Spell docker's options for some of our keys: `labels(net="lan", ip="10.9.0.5")`."""
    return tuple(f"--label=ocinet.{key}={text}" for key, text in given.items())


def import_image(docker: Docker, name: str, carried: dict[str, str]) -> str:
    """Make an image that carries these labels."""
    changes = [f"--change=LABEL {json.dumps(key)}={json.dumps(carried[key])}" for key in carried]
    docker("import", *changes, str(docker.lab.rootfs.with_suffix(".tar")), name)
    return name


def make_user_network(docker: Docker, name: str = "usr") -> str:
    """Make a network of Docker's own; what it brings to the lab is none of ours."""
    docker("network", "create", f"--opt=com.docker.network.bridge.name={name}0", name)
    docker.lab.ignored += (f"{name}0",)
    return name


def test_run_of_a_none_container_has_its_network_at_once(lab: Lab) -> None:
    """`docker run --net=none` shows eth0 with address and default route as its first words."""
    look = ("sh", "-c", "ip addr show dev eth0; ip route")
    with lab.docker() as docker, lab.watch():
        docker("run", "--rm", "--net=none", IMAGE, "true")  # makes the bridge
        shown = [docker("run", "--rm", "--net=none", IMAGE, *look).stdout for _ in range(5)]

        wired = [
            output
            for output in shown
            if "inet 10.72.0." in output and "default via 10.72.0.1 dev eth0" in output
        ]
        # Not all: where the machine is busy, the entrypoint may be faster now and then.
        assert len(wired) >= 3, shown


def test_run_on_a_network_with_ipv6_keeps_its_address(lab: Lab) -> None:
    """Docker up to 25 turns IPv6 off in it after early attach, and before the entrypoint."""
    look = "ip -6 addr show dev eth0 scope global; ip -6 route show default"
    command = ("sh", "-c", f"{look}; echo later; sleep 1; {look}; sleep 1000")
    write_settings(lab, "ipv6 = true\n")
    with lab.docker() as docker, lab.watch():
        docker("run", "--rm", "--net=none", IMAGE, "true")  # makes the bridge
        containers = [docker.run(command=command) for _ in range(5)]

        def logs(container: str) -> list[bool]:
            told = docker("logs", container).stdout.split("later")
            return ["inet6" in part and "default via" in part for part in told]

        wait_until(
            lambda: all(len(logs(each.id)) == 2 and logs(each.id)[1] for each in containers),
            "addresses that stay",
            timeout_s=20,
        )
        # Not all: where the machine is busy, the entrypoint may be faster now and then.
        assert sum(logs(each.id)[0] for each in containers) >= 3
        assert all(docker("exec", each.id, "ping", "-c1", "-W5", OUTSIDE_V6).status == 0
                   for each in containers)  # fmt: skip


def test_run_container_reaches_its_neighbours_and_the_world(lab: Lab) -> None:
    """Two containers reach each other and the outside, which sees the host's address."""
    with lab.docker() as docker, lab.watch():
        web, log = docker.run("--name=web"), docker.run("--name=log")
        assert web.address() != log.address()
        assert web.namespace.pings(log.address())
        assert lab.pings(web.address())
        lab.outside.serve("tcp", 80)
        assert web.namespace.ask("tcp", OUTSIDE_V4, 80).peer[0] == LAB_V4
        assert lab.records()["web"]["id"] == web.id
        inside = lab.run("ip", "netns", "exec", "log", "ip", "-o", "-4", "address").stdout
        assert log.address() in inside


def test_run_with_labels_has_what_they_ask_for(lab: Lab) -> None:
    """Network, address, MAC, MTU, name and ports by label; several networks in one."""
    lab.make_network("lan", "10.9.0.0/24")
    lab.make_network("dmz", "10.8.0.0/24")
    with lab.docker() as docker, lab.watch():
        shop = docker.run(
            "--name=docker-knows-me-so",
            *labels(net="lan", ip="10.9.0.77", mac="02:00:00:00:00:77", mtu="1400", name="shop"),
            *labels(publish="8080:80,127.0.0.1:8081:80,5353:53/udp"),
        )
        both = docker.run(*labels(net="lan:ip=10.9.0.5,ifname=front;dmz:ifname=back"))

        assert shop.address() == "10.9.0.77"
        eth0 = shop.namespace.links()["eth0"]
        assert (eth0["address"], eth0["mtu"]) == ("02:00:00:00:00:77", 1400)
        assert "shop" in lab.records()
        shop.namespace.serve("tcp", 80)
        shop.namespace.serve("udp", 53)
        assert lab.outside.ask("tcp", LAB_V4, 8080).local == ("10.9.0.77", 80)
        assert lab.outside.ask("udp", LAB_V4, 5353).local == ("10.9.0.77", 53)
        assert lab.ask("tcp", "127.0.0.1", 8081).local == ("10.9.0.77", 80)
        assert not lab.outside.reaches("tcp", LAB_V4, 8081, timeout_s=0.2)
        assert both.address("front") == "10.9.0.5"
        assert both.address("back").startswith("10.8.0.")
        assert both.namespace.routes()[0]["dev"] == "front"
        shop.namespace.close()


def test_run_with_dockers_own_port_options_is_published(lab: Lab) -> None:
    """Docker keeps -p and -P of a none container and does nothing with them: we do."""
    with lab.docker() as docker, lab.watch() as watcher:
        asked = docker.run(
            "--publish=8080:80", "--publish=127.0.0.1:8081:81/udp", *labels(publish="9090:80")
        )
        every = docker.run("--expose=80", "--publish-all")

        for container in (asked, every):
            container.address()
            container.namespace.serve("tcp", 80)
        asked.namespace.serve("udp", 81)
        wait_until(lambda: lab.outside.reaches("tcp", LAB_V4, 8080), "-p 8080:80")
        assert lab.outside.ask("tcp", LAB_V4, 9090).local == (asked.address(), 80)
        assert lab.ask("udp", "127.0.0.1", 8081).local == (asked.address(), 81)
        assert not lab.outside.reaches("udp", LAB_V4, 8081, timeout_s=0.2)
        (free,) = next(record for record in lab.records().values() if record["id"] == every.id)[
            "ports"
        ]
        assert lab.outside.ask("tcp", LAB_V4, free["host_port"]).local == (every.address(), 80)

        second = docker.run("--publish=8080:80")

        told = watcher.wait_until_said("container not served", second.id, timeout_s=20)
        assert "the host's port 8080/tcp is taken" in told["why"]
        assert list(second.namespace.links()) == ["lo"]
        asked.remove()
        wait_until(
            lambda: not lab.outside.reaches("tcp", LAB_V4, 8080, timeout_s=0.2), "the port's end"
        )
        every.namespace.close()


def test_run_with_net_none_is_recorded_and_left_with_lo(lab: Lab) -> None:
    """`ocinet.net=none` is Docker's own none, until the operator attaches it by name."""
    with lab.docker() as docker, lab.watch() as watcher:
        quiet = docker.run("--name=quiet", *labels(net="none"))

        watcher.wait_until_said("container attached", quiet.id)
        assert list(quiet.namespace.links()) == ["lo"]
        assert lab.records()["quiet"]["mode"] == "none"
        lab.ocinet("attach", "quiet", "--net", "bridge")
        assert lab.pings(quiet.address())


def test_reload_of_select_changes_which_containers_are_wired(lab: Lab) -> None:
    """`labelled` wires those with a key alone; `all`, read on SIGHUP, the others too."""
    write_settings(lab, 'select = "labelled"\n')
    with lab.docker() as docker, lab.watch() as watcher:
        image = import_image(docker, "labelled", {"ocinet.net": "bridge"})
        plain = docker.run()
        other = docker.run(image=image)
        told = docker.run(*labels(net="bridge"))
        watcher.wait_until_said("container looked at", plain.id)
        watcher.wait_until_said("container not served", other.id)

        assert told.address()
        assert list(plain.namespace.links()) == ["lo"]
        assert list(other.namespace.links()) == ["lo"], "an image's label is none"
        assert watcher.said("watcher started")[0]["policy"].endswith(
            "an ocinet.* label get a network"
        )

        watcher.configure('select = "all"\n')
        watcher.reload()

        assert plain.address()
        assert other.address()
        assert told.address() in told.namespace.addresses("eth0")[0]


def test_run_on_a_network_of_dockers_is_left_alone(lab: Lab) -> None:
    """host, bridge and user networks keep what Docker gave them, and nothing is recorded."""
    with lab.docker() as docker, lab.watch() as watcher:
        networks = ("host", "bridge", make_user_network(docker))
        host_before = lab.snapshot()
        containers = [docker.run(network=network) for network in networks]
        keyed = docker.run(*labels(net="bridge"), network="bridge")
        for container in (*containers, keyed):
            watcher.wait_until_said("container looked at", container.id)

        host, bridge, user = containers
        assert host.namespace.sandbox == lab.sandbox
        assert bridge.address().startswith("172.17.0.")
        assert user.address().startswith("172.18.0.")
        assert list(bridge.namespace.links()) == ["lo", "eth0"]
        assert list(user.namespace.links()) == ["lo", "eth0"]
        assert lab.records() == {}
        for container in containers:
            assert watcher.complaints(container.id) == []
        (told,) = watcher.complaints(keyed.id)
        assert told["why"] == "its network is bridge, not none: its ocinet.* keys count for nothing"
        docker.remove_all()
        lab.assert_unchanged(host_before)


def test_connect_by_hand_before_the_start_is_left_to_docker(lab: Lab) -> None:
    """Started on a Docker network after all: one message, whose hint is true."""
    with lab.docker() as docker, lab.watch() as watcher:
        make_user_network(docker)
        shop = docker.create("--name=shop")
        docker("network", "disconnect", "none", "shop")
        docker("network", "connect", "usr", "shop")
        docker("start", "shop")

        told = watcher.wait_until_said("container left alone", shop.id)
        assert shop.address().startswith("172.18.0.")
        assert list(shop.namespace.links()) == ["lo", "eth0"]
        assert lab.records() == {}
        assert told["why"] == (
            "it was started with none and connected to usr by hand; to have it wired: "
            "docker network disconnect usr shop, and start it anew"
        )

        docker("network", "disconnect", "usr", "shop")
        docker("restart", "--time=0", "shop")

        assert shop.current.address().startswith("10.72.0.")
        assert len(watcher.complaints(shop.id)) == 1


def test_connect_by_hand_while_it_runs_takes_nothing_from_it(lab: Lab) -> None:
    """Docker can't put its eth0 beside ours; from the next start on, the container is Docker's."""
    with lab.docker() as docker, lab.watch() as watcher:
        make_user_network(docker)
        shop = docker.run("--name=shop")
        address = shop.address()
        docker("network", "disconnect", "none", "shop")
        refused = docker("network", "connect", "usr", "shop", check=False)

        assert 'to "eth0": file exists' in refused.stderr
        assert shop.namespace.addresses("eth0") == [f"{address}/24"]
        assert lab.pings(address)

        docker("restart", "--time=0", "shop")

        watcher.wait_until_said("container left alone", shop.id)
        assert shop.current.address().startswith("172.18.0.")
        assert lab.records() == {}
        assert len(watcher.complaints(shop.id)) == 1


REFUSED = {
    "typo": (labels(nett="lan"), "there is no such key (hint: did you mean net?)"),
    "quotes": (('--label="ocinet.net=lan"',), "but ocinet.net with quotes, blanks or capitals"),
    "bad value": (labels(ip="10.9.0"), "ocinet.ip: "),
    "unknown network": (labels(net="lann"), "there is no network lann (hint: did you mean lan?)"),
    "host in a private sandbox": (labels(net="host"), "has a network namespace of its own"),
}


def test_run_with_a_bad_label_has_no_network_and_one_clear_error(lab: Lab) -> None:
    """Each runs without a network and is told of once; those after them are served."""
    lab.make_network("lan", "10.9.0.0/24")
    with lab.docker() as docker, lab.watch() as watcher:
        refused = {
            why: docker.run(f"--name={why.replace(' ', '-')}", *asked)
            for why, (asked, _) in REFUSED.items()
        }
        good = docker.run(*labels(net="lan"))

        assert good.address().startswith("10.9.0.")
        for why, container in refused.items():
            told = watcher.wait_until_said("container not served", container.id, timeout_s=20)
            assert REFUSED[why][1] in told["why"]
            assert told["name"] == why.replace(" ", "-")
            assert list(container.namespace.links()) == ["lo"]
        watcher.reload()
        watcher.wait_until_said("settings read")
        last = docker.run()
        assert last.address()
        for container in refused.values():
            errors = [told for told in watcher.complaints(container.id) if told["level"] == "error"]
            assert len(errors) == 1
        assert lab.records().keys() == {
            docker("inspect", "--format={{.Name}}", container.id).stdout.strip().lstrip("/")
            for container in (good, last)
        }


def test_run_of_a_hostile_image_gets_nothing_it_asks_for(lab: Lab) -> None:
    """An image's labels count for nothing; the same keys from the user, with other values, do."""
    lab.make_network("lan", "10.9.0.0/24")
    lab.make_network("dmz", "10.8.0.0/24")
    with lab.docker() as docker, lab.watch() as watcher:
        image = import_image(docker, "hostile", HOSTILE)
        mute = import_image(docker, "mute", {"ocinet.net": "none"})
        container = docker.run("--name=shop", image=image)
        muted = docker.run(image=mute)
        before = lab.run("ss", "-Hltn").stdout

        assert container.address().startswith("10.72.0.")
        assert list(container.namespace.links()) == ["lo", "eth0"]
        eth0 = container.namespace.links()["eth0"]
        assert (eth0["address"], eth0["mtu"]) != ("02:00:00:00:00:66", 1280)
        assert [route["dst"] for route in container.namespace.routes()] == [
            "default", "10.72.0.0/24",
        ]  # fmt: skip
        container.namespace.serve("tcp", 22)
        container.namespace.serve("tcp", 80)
        assert not lab.outside.reaches("tcp", LAB_V4, 22, timeout_s=0.2)
        assert not lab.outside.reaches("tcp", LAB_V4, 80, timeout_s=0.2)
        assert lab.records()["shop"]["ports"] == []
        assert lab.run("ss", "-Hltn").stdout == before
        watcher.wait_until_said("container looked at", muted.id)
        assert list(muted.namespace.links()) == ["lo"], "none is none, whoever says it"
        (told,) = watcher.complaints(container.id)
        assert all(key in told["why"] for key in HOSTILE)
        (kept,) = lab.events("image's keys ignored")
        assert (kept["name"], kept["error"]) == ("shop", told["why"])
        container.namespace.close()

        own = docker.run(
            *labels(net="dmz", ip="10.8.0.5", publish="8080:80", name="own"), image=image
        )

        assert own.address() == "10.8.0.5"
        assert "own" in lab.records()
        own.namespace.serve("tcp", 80)
        assert lab.outside.ask("tcp", LAB_V4, 8080).local == ("10.8.0.5", 80)
        assert not lab.outside.reaches("tcp", LAB_V4, 80, timeout_s=0.2)
        own.namespace.close()


@pytest.mark.parametrize("select", ["all", "labelled"])
def test_label_that_its_image_carries_too_is_told_and_gives_nothing(lab: Lab, select: str) -> None:
    """Its user may have meant a network without a way out: no other one is given instead."""
    lab.ocinet("network", "create", "vault", "--internal", "--subnet=10.9.0.0/24")
    with lab.docker() as docker, lab.watch() as watcher:
        watcher.configure(f'select = "{select}"\n')
        watcher.reload()
        watcher.wait_until_said("settings read")
        vault = import_image(docker, "evil", {"ocinet.net": "vault"})
        steered = import_image(docker, "steered", {"ocinet.gateway": "10.9.0.9"})
        mute = import_image(docker, "mute", {"ocinet.net": "none"})

        lost = docker.run("--name=lost", *labels(net="vault"), image=vault)
        led = docker.run("--name=led", *labels(net="vault", gateway="10.9.0.9"), image=steered)
        for container in (lost, led):
            watcher.wait_until_said("container not served", container.id)
            assert list(container.namespace.links()) == ["lo"]
        none = docker.run("--name=none", *labels(net="none"), image=mute)
        meant = docker.run("--name=meant", *labels(net=" vault"), image=vault)

        assert meant.address().startswith("10.9.0.")
        watcher.wait_until_said("container looked at", none.id)
        assert list(none.namespace.links()) == ["lo"]
        assert lab.records().keys() == {"meant", "none"}
        shown = lab.ocinet("ps", "--all").stderr
        assert "the image carries 'vault' too" in shown
        assert "the image carries '10.9.0.9' too" in shown
        (failed,) = lab.ocinet("inspect", "lost").json()
        assert "nothing else is given" in failed["failure"]["error"]


def test_build_steps_are_never_wired(lab: Lab) -> None:
    """A classic build with --network=none stays without one, whatever its image carries."""
    with lab.docker() as docker, lab.watch() as watcher:
        watcher.wait_until_said("container attached", docker.run().id)
        lab.run("mkdir", "-p", "/run/lab/build")
        lab.run(
            "tee", "/run/lab/build/Dockerfile",
            stdin=f"FROM {IMAGE}\nLABEL ocinet.net=bridge\nRUN sleep 0.5; ip -o -4 address\n",
        )  # fmt: skip

        built = docker(
            "build", "--network=none", "--tag=built", "/run/lab/build", env={"DOCKER_BUILDKIT": "0"}
        )

        assert "127.0.0.1/8" in built.stdout
        assert "eth0" not in built.stdout
        assert len(watcher.said("container attached")) == 1
        image = docker("image", "inspect", "--format", "{{.Id}}", IMAGE).stdout.strip()
        alike = docker.run("--log-driver=none", "--no-healthcheck", image=image)
        watcher.wait_until_said("container attached", alike.id)


@pytest.mark.parametrize("early", ["true", "false"])
def test_run_of_special_containers_are_wired(lab: Lab, early: str) -> None:
    """Many capabilities or none, the host's pids, a cgroup of its own: early or at the start."""
    write_settings(lab, f"early_attach = {early}\n")
    lab.ignored += ("/deep",)  # a parent that a user names is the user's to remove
    with lab.docker() as docker, lab.watch() as watcher:
        containers = [
            docker.run("--cap-add=NET_ADMIN", "--cap-add=SYS_ADMIN"),
            docker.run("--pid=host"),
            docker.run(f"--cgroup-parent={lab.cgroup}/deep/in/there"),
            docker.run("--init"),
            docker.run("--read-only", "--cap-drop=ALL", "--user=1000"),
            docker.run("--userns=host", "--ipc=host", "--uts=host"),
        ]

        addresses = {container.address() for container in containers}

        assert len(addresses) == len(containers)
        assert all(lab.pings(address) for address in addresses)
        # Docker 28 tells too late of the first one below a parent that nobody has seen.
        may_be_late = containers[2].id if version_of("docker") >= (28, 0) else ""
        doors = {
            told["door"]
            for told in watcher.said("container attached")
            if told["container"] != may_be_late
        }
        assert doors == {"early" if early == "true" else "start"}


def test_port_that_is_held_is_refused_to_dockers_own_networks(lab: Lab) -> None:
    """Docker publishes on its bridge what nobody has; of what we have it says that it is taken."""
    with lab.docker() as docker, lab.watch():
        web = docker.run("--publish=8080:80")
        web.address()
        held = "import socket; socket.create_server(('', 8080))"
        in_use = ("/usr/bin/python3", "-c", held)
        wait_until(lambda: lab.run(*in_use, check=False).status, "the port is held")
        with pytest.raises(CommandFailed) as refused:
            docker.run("--publish=8080:80", network="bridge")
        assert "address already in use" in refused.value.result.stderr
        web.remove()
        wait_until(lambda: not lab.run(*in_use, check=False).status, "the port is free")
        docker.run("--publish=8080:80", network="bridge")
