"""`docker run --runtime=ocinet --net=none`: a network before the first instruction."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hosts.engine.container import IMAGE, EngineContainer
from hosts.engine.hooked_runtime import host_ends
from hosts.engine.runtimes import each_runtime
from hosts.engine.wrapped_runtime import (
    DAEMON_JSON,
    LAUNCHER,
    UNDER,
    docker_under_wrapper,
    install,
    labels,
    say,
)
from hosts.lab.machine import LAB_V4
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.engine.dockerd import Docker
    from hosts.lab.machine import Lab

LOOK = ("sh", "-c", "ip -4 -o addr show eth0; ip route")
HOSTILE = {
    "ocinet.mtu": "576",
    "ocinet.publish": "2222:22",
    "ocinet.ip": "10.72.0.99",
    "ocinet.name": "victim",
}


def import_image(docker: Docker, name: str, carried: dict[str, str]) -> str:
    """Make an image that carries these labels."""
    changes = [f"--change=LABEL {json.dumps(key)}={json.dumps(carried[key])}" for key in carried]
    docker("import", *changes, str(docker.lab.rootfs.with_suffix(".tar")), name)
    return name


@each_runtime
def test_entrypoint_finds_its_network_at_the_first_instruction(lab: Lab, runtime: str) -> None:
    """A dozen starts, each with eth0, an address of its own and the default route."""
    with docker_under_wrapper(lab, runtime=runtime) as docker:
        seen = [say(docker, command=LOOK) for _ in range(12)]

        for shown in seen:
            assert "inet 10.72.0." in shown
            assert "default via 10.72.0.1 dev eth0" in shown
        assert len({shown.split("inet ")[1].split("/")[0] for shown in seen}) == 12
        assert len(lab.events("attached")) == len(lab.events("detached")) == 12
        assert {event["door"] for event in lab.events("attached")} == {"wrapper"}


def test_labels_ask_as_annotations_do(lab: Lab) -> None:
    """Network, addresses of both families, interface name and the container's name."""
    with docker_under_wrapper(lab) as docker:
        lab.make_network("lan", "10.9.0.0/24", "fd00:9::/64")
        asked = labels(net="lan", ip="10.9.0.77", ip6="fd00:9::77", ifname="lan0", name="shop")

        box = docker.run(UNDER, *asked)

        assert box.namespace.addresses("lan0") == ["10.9.0.77/24", "fd00:9::77/64"]
        assert list(lab.records()) == ["shop"]


def test_kept_ports_are_published(lab: Lab) -> None:
    """Docker keeps `-p` of a container without a network: the outside gets an answer."""
    with docker_under_wrapper(lab) as docker:
        web = docker.run(UNDER, "--name=web", "-p", "8080:80", "-p", f"{LAB_V4}:5353:53/udp")
        web.namespace.serve("tcp", 80, name="web")
        web.namespace.serve("udp", 53, name="dns")

        assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"
        assert lab.outside.ask("udp", LAB_V4, 5353).server == "dns"
        assert list(lab.records()) == ["web"]


def test_publish_all_takes_free_ports(lab: Lab) -> None:
    """`-P` publishes what the container exposes."""
    with docker_under_wrapper(lab) as docker:
        web = docker.run(UNDER, "--name=web", "--expose=80", "-P")
        web.namespace.serve("tcp", 80, name="web")

        (port,) = lab.records()["web"]["ports"]
        assert lab.outside.ask("tcp", LAB_V4, port["host_port"]).server == "web"


def test_labels_of_an_image_count_for_nothing(lab: Lab) -> None:
    """What a hostile image asks for does not happen; what its user asks for does."""
    with docker_under_wrapper(lab) as docker:
        lab.make_network("lan", "10.9.0.0/24", "fd00:9::/64")
        image = import_image(docker, "hostile", HOSTILE)

        alone = docker.run(UNDER, "--name=alone", image=image)
        asked = docker.run(UNDER, "--name=asked", *labels(net="lan", name="mine"), image=image)

        found = lab.records()
        assert alone.namespace.sandbox != lab.sandbox
        assert set(found) == {"alone", "mine"}
        assert [record["ports"] for record in found.values()] == [[], []]
        assert alone.namespace.addresses("eth0") != ["10.72.0.99/24"]
        assert asked.namespace.addresses("eth0")[0].startswith("10.9.0.")
        told = [set(event["keys"].split(", ")) for event in lab.events("image's keys ignored")]
        assert told == [set(HOSTILE), {"ocinet.mtu", "ocinet.publish", "ocinet.ip"}]


@pytest.mark.parametrize("key", ["net=vault", "net=lan", "gateway=10.72.0.9"])
def test_label_that_its_image_carries_too_is_refused(lab: Lab, key: str) -> None:
    """It may be its user's: the default network, which leads further, is not given instead."""
    with docker_under_wrapper(lab) as docker:
        lab.ocinet("network", "create", "vault", "--internal", "--subnet=10.9.0.0/24")
        name, _, text = key.partition("=")
        image = import_image(docker, "evil", {f"ocinet.{name}": text})
        docker.create(UNDER, "--name=web", f"--label=ocinet.{key}", image=image)

        refused = docker("start", "web", check=False)

        assert f"ocinet.{name}: the image carries {text!r} too" in refused.stderr
        assert lab.events("create refused")[-1]["name"] == "web"
        assert lab.records() == {}
        assert "the image carries" in lab.ocinet("ps", "--all").stderr


def test_none_that_its_image_carries_too_is_none(lab: Lab) -> None:
    """`docker run --net=none --label ocinet.net=none` has no network, whatever the image says."""
    with docker_under_wrapper(lab) as docker:
        image = import_image(docker, "evil", {"ocinet.net": "none"})

        box = docker.run(UNDER, *labels(net="none"), image=image)

        assert list(box.namespace.links()) == ["lo"]


def test_network_that_is_written_otherwise_than_the_images_is_given(lab: Lab) -> None:
    """What the refusal says to do: a blank more, and it is its user's word for sure."""
    with docker_under_wrapper(lab) as docker:
        lab.ocinet("network", "create", "vault", "--internal", "--subnet=10.9.0.0/24")
        image = import_image(docker, "evil", {"ocinet.net": "vault", "ocinet.gateway": "10.9.0.9"})

        box = docker.run(UNDER, "--label=ocinet.net= vault", "--label=ocinet.gateway=", image=image)

        assert box.namespace.addresses("eth0") == ["10.9.0.2/24"]
        assert [route["dst"] for route in box.namespace.routes()] == ["10.9.0.0/24"]


def test_image_that_cannot_be_read_is_not_trusted(lab: Lab) -> None:
    """Where it can't be told what the image carries, a port is refused, unless it is trusted."""
    with docker_under_wrapper(lab) as docker:
        docker.create(UNDER, "--name=web", *labels(publish="8080:80"))
        lab.run("sh", "-c", "rm /var/lib/docker/image/*/imagedb/content/sha256/*")

        refused = docker("start", "web", check=False)
        lab.path("/etc/ocinet").mkdir(mode=0o700, exist_ok=True)
        lab.path("/etc/ocinet/ocinet.toml").write_text("trust_annotations = true\n")
        docker("start", "web")

        assert "ocinet.publish may be the image's wish" in refused.stderr
        assert lab.records()["web"]["ports"]


@each_runtime
def test_restart_stop_start_and_remove_leave_nothing(lab: Lab, runtime: str) -> None:
    """Each life has one attach and one detach, and the last one nothing at all."""
    with docker_under_wrapper(lab, runtime=runtime) as docker:
        web = docker.run(UNDER, "--name=web", "-p", "8080:80")
        docker("restart", "--time=0", "web")
        docker("stop", "--time=0", "web")
        lab.assert_no_container_left()
        docker("start", "web")
        again = EngineContainer(web.id, docker)
        again.namespace.serve("tcp", 80, name="web")
        assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"

        docker("rm", "--force", "web")

        lab.assert_no_container_left()
        assert len(lab.events("attached")) == len(lab.events("detached")) == 3


def test_restart_policy_wires_each_life(lab: Lab) -> None:
    """Docker restarts it by itself, without anybody's command."""
    with docker_under_wrapper(lab) as docker:
        docker.run(UNDER, "--restart=on-failure:2", command=("sh", "-c", "ip addr; exit 1"))

        wait_until(lambda: len(lab.events("detached")) == 3, "the last life's end", timeout_s=20)

        assert len(lab.events("attached")) == 3
        lab.assert_no_container_left()


def test_other_verbs_pass_through(lab: Lab) -> None:
    """exec, pause, kill, top, update and stats act as under the runtime itself."""
    with docker_under_wrapper(lab) as docker:
        web = docker.run(UNDER, "--name=web")

        assert web.exec("sh", "-c", "exit 7", check=False).status == 7
        assert "10.72.0.2" in web.exec("ip", "addr").stdout
        docker("pause", "web")
        assert docker("inspect", "--format={{.State.Status}}", "web").stdout == "paused\n"
        docker("unpause", "web")
        docker("update", "--memory=64m", "--memory-swap=64m", "web")
        assert "sleep" in docker("top", "web").stdout
        docker("kill", "--signal=KILL", "web")
        assert docker("wait", "web").stdout == "137\n"
        wait_until(lambda: not lab.records(), "the detach")


def test_terminal_and_standard_input_reach_the_container(lab: Lab) -> None:
    """A console socket, and stdin, go through the wrapper."""
    with docker_under_wrapper(lab) as docker:
        echoed = lab.run(
            "docker", "run", "--rm", "-i", UNDER, "--net=none", IMAGE, "cat", stdin="hello\n"
        )
        terminal = docker("run", "--rm", "-t", UNDER, "--net=none", IMAGE, "tty")

        assert echoed.stdout == "hello\n"
        assert terminal.stdout.strip() == "/dev/pts/0"


def test_dockers_own_networks_are_left_alone(lab: Lab) -> None:
    """bridge, a user's network, host and container: are Docker's under our runtime, too."""
    with docker_under_wrapper(lab) as docker:
        docker("network", "create", "--opt=com.docker.network.bridge.name=usr0", "usr")
        lab.ignored += ("usr0",)
        plain = labels(net="bridge", publish="8080:80")

        for network in ("bridge", "usr"):
            box = docker.run(UNDER, *plain, network=network)
            assert box.namespace.addresses("eth0")[0].startswith("172.")
        host = docker.run(UNDER, *plain, network="host")
        owner = docker.run(UNDER, "--name=owner", network="bridge")
        member = docker.run(UNDER, *plain, network="container:owner")

        assert host.namespace.sandbox == lab.sandbox
        assert member.namespace.sandbox == owner.namespace.sandbox
        assert lab.records() == {}
        assert lab.events() == []
        docker.remove_all()
        docker("network", "rm", "usr")


def test_none_label_leaves_a_sandbox_with_loopback_alone(lab: Lab) -> None:
    """`ocinet.net=none` is recorded, and nothing else."""
    with docker_under_wrapper(lab) as docker:
        box = docker.run(UNDER, "--name=quiet", *labels(net="none"))

        assert list(box.namespace.links()) == ["lo"]
        assert lab.records()["quiet"]["mode"] == "none"


def test_labelled_selection_leaves_those_without_labels_alone(lab: Lab) -> None:
    """`select = "labelled"` turns the policy round; `-p` alone is no label."""
    with docker_under_wrapper(lab) as docker:
        lab.path("/etc/ocinet").mkdir(mode=0o700, exist_ok=True)
        lab.path("/etc/ocinet/ocinet.toml").write_text('select = "labelled"\n')

        unasked = docker.run(UNDER, "-p", "8080:80")
        asked = docker.run(UNDER, *labels(net="bridge"))

        assert list(unasked.namespace.links()) == ["lo"]
        assert "eth0" in asked.namespace.links()


def test_container_connected_by_hand_is_left_alone_with_a_word(lab: Lab) -> None:
    """It was none once and is on a Docker network now: two eth0 would not go."""
    with docker_under_wrapper(lab) as docker:
        docker("network", "create", "--opt=com.docker.network.bridge.name=usr0", "usr")
        lab.ignored += ("usr0",)
        docker.create(UNDER, "--name=moved")
        docker("network", "disconnect", "none", "moved")
        docker("network", "connect", "usr", "moved")

        docker("start", "moved")

        assert docker.container("moved").namespace.addresses("eth0")[0].startswith("172.")
        (told,) = lab.events("left alone")
        assert "connected to usr by hand" in told["why"]
        assert "docker network disconnect usr moved" in told["hint"]
        docker.remove_all()
        docker("network", "rm", "usr")


def test_build_steps_are_not_wired(lab: Lab) -> None:
    """The classic builder's containers stay as they are; what looks almost like one does not."""
    with docker_under_wrapper(lab, "--default") as docker:
        lab.path("/run/lab/build").mkdir()
        file = f"FROM {IMAGE}\nRUN ip -o link > /seen\n"
        lab.path("/run/lab/build/Dockerfile").write_text(file)
        build = ("build", "--quiet", "--network=none", "--tag=built", "/run/lab/build")
        lab.run("docker", *build, env={"DOCKER_BUILDKIT": "0"})

        seen = docker("run", "--rm", "--network=host", "built", "cat", "/seen").stdout

        assert "lo:" in seen
        assert "eth0" not in seen
        assert lab.events() == []
        image = docker("image", "inspect", "--format", "{{.Id}}", IMAGE).stdout.strip()
        alike = docker.run("--log-driver=none", "--no-healthcheck", image=image)
        assert alike.namespace.addresses("eth0") == ["10.72.0.2/24"]


def test_default_runtime_serves_containers_that_name_none(lab: Lab) -> None:
    """With `--default` nobody needs `--runtime`; bridge containers are Docker's still."""
    with docker_under_wrapper(lab, "--default") as docker:
        none, bridge = docker.run("--name=none"), docker.run(network="bridge")

        assert none.namespace.addresses("eth0") == ["10.72.0.2/24"]
        assert bridge.namespace.addresses("eth0")[0].startswith("172.17.0.")
        assert list(lab.records()) == ["none"]


def test_two_launchers_side_by_side(lab: Lab) -> None:
    """One for runc and one for crun, by name."""
    install(lab, "--docker", "--name", "ocinet-crun", "--runtime", "crun")
    with docker_under_wrapper(lab) as docker:
        one = docker.run(UNDER)
        two = docker.run("--runtime=ocinet-crun")

        assert one.namespace.addresses("eth0") == ["10.72.0.2/24"]
        assert two.namespace.addresses("eth0") == ["10.72.0.3/24"]
        config = json.loads(lab.path(DAEMON_JSON).read_text())
        assert set(config["runtimes"]) == {"ocinet", "ocinet-crun"}


def test_reload_takes_the_runtime_and_uninstall_gives_it_back(lab: Lab) -> None:
    """It is waited for until dockerd knows the runtime; what was there before is there after."""
    lab.path("/etc/docker").mkdir(exist_ok=True)
    before = '{\n  "log-level": "warn",\n  "labels": ["a=b", "c=d"]\n}\n'
    lab.path(DAEMON_JSON).write_text(before)
    with lab.docker() as docker:
        told = install(lab, "--docker")
        known = ("info", "--format={{json .Runtimes}}")
        assert "ocinet" not in docker(*known).stdout
        reloaded = install(lab, "--docker", "--reload")

        docker.run(UNDER, "--name=web")

        assert "the same with --reload" in told.stderr
        assert "the same with --reload" not in reloaded.stderr
        assert list(lab.records()) == ["web"]
        docker.remove("web")
        lab.ocinet("runtime", "uninstall")
        assert lab.path(DAEMON_JSON).read_text() == before
        docker.stop()
        docker.start()
        assert "ocinet" not in docker(*known).stdout


def test_containers_outlive_a_dockerd_that_is_restarted(lab: Lab) -> None:
    """With live-restore their network stays; the new dockerd stops them as ever."""
    lab.path("/etc/docker").mkdir(exist_ok=True)
    lab.path(DAEMON_JSON).write_text('{"live-restore": true}')
    with docker_under_wrapper(lab) as docker:
        web = docker.run(UNDER, "--name=web", "-p", "8080:80")
        web.namespace.serve("tcp", 80, name="web")
        docker.stop()

        assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"
        docker.start()
        assert lab.outside.ask("tcp", LAB_V4, 8080).server == "web"

        docker.remove("web")
        lab.assert_no_container_left()


def test_containers_that_start_with_dockerd_are_wired(lab: Lab) -> None:
    """At boot Docker starts them before its API listens: files are all there is."""
    with docker_under_wrapper(lab) as docker:
        docker.run(UNDER, "--name=web", "--restart=always", *labels(net="bridge", ip="10.72.0.9"))
        docker.stop()
        lab.assert_no_container_left()

        docker.start()

        wait_until(lambda: "web" in lab.records(), "the container's start", timeout_s=20)
        assert docker.container("web").namespace.addresses("eth0") == ["10.72.0.9/24"]


def test_watcher_beside_the_wrapper_wires_once(lab: Lab) -> None:
    """Whoever comes second finds the work done: one interface, one address, one record."""
    with docker_under_wrapper(lab) as docker, lab.watch():
        for number in range(4):
            web = docker.run(UNDER, f"--name=web{number}", "-p", f"808{number}:80")
            web.namespace.serve("tcp", 80, name=web.id)

            assert list(web.namespace.links()) == ["lo", "eth0"]
            assert len(web.namespace.addresses("eth0")) == 1
            assert lab.outside.ask("tcp", LAB_V4, 8080 + number).server == web.id

        assert len(lab.records()) == len(host_ends(lab)) == 4
        assert lab.events("attach failed") == lab.events("create refused") == []


def test_reload_of_a_dockerd_that_does_not_read_the_file_is_told(lab: Lab) -> None:
    """It is told which runtime it does not know; without a dockerd, that none listens."""
    lab.path("/etc/docker").mkdir(exist_ok=True)
    other = str(lab.path("/etc/docker/other.json"))
    install(lab)
    nobody = lab.ocinet("runtime", "install", "--docker", "--reload", check=False)
    with lab.docker() as docker:
        taken = install(lab, "--docker", "--reload")
        told = lab.ocinet(
            "runtime", "install", "--docker", other, "--name=second", "--reload", check=False
        )

        docker.run(UNDER, "--name=web")
        docker.remove("web")
        lab.ocinet("runtime", "uninstall", "--name=second")
        lab.ocinet("runtime", "uninstall")

    assert nobody.status == 3
    assert "no dockerd listens" in nobody.stderr
    assert not taken.stderr
    assert told.status == 1
    assert "knows no runtime second" in told.stderr


def test_launcher_stays_while_a_container_can_be_stopped_by_it_alone(lab: Lab) -> None:
    """Without it Docker could not remove what it has started; new ones it is given no more."""
    with docker_under_wrapper(lab) as docker:
        docker.run(UNDER, "--name=web")
        told = lab.ocinet("runtime", "uninstall").stderr

        docker.remove("web")
        lab.ocinet("runtime", "uninstall")

        assert f"{LAUNCHER} stays: it alone can stop" in told
        assert not lab.path(DAEMON_JSON).exists()
        assert not lab.path(LAUNCHER).exists()
        assert not lab.records()
