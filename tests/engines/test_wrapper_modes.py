"""`host` and `container:` by label: another's network, and not one setting of it touched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hosts.command import CommandFailed
from hosts.engine.container import EngineContainer
from hosts.engine.runtimes import each_runtime
from hosts.engine.versions import require_earlier
from hosts.engine.wrapped_runtime import (
    UNDER,
    call_runtime,
    changes,
    docker_under_wrapper,
    everything_of,
    install,
    labels,
    state,
)
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from hosts.engine.dockerd import Docker
    from hosts.lab.machine import Lab

ASKED = ("--sysctl=net.ipv4.ping_group_range=1 1", "--sysctl=net.ipv6.conf.all.disable_ipv6=1")


@pytest.fixture
def by_label() -> None:
    """Skip where dockerd takes hold of the sandbox itself: there the label is refused."""
    require_earlier("docker", (26, 0), "a hook by which it takes hold of the sandbox")


def live_through_everything(docker: Docker, name: str, look: Callable[[], None]) -> None:
    """Put a container through all that Docker does to one, looking each time."""
    for act in ("restart", "pause", "unpause", "kill", "start", "stop", "start"):
        quick = ("--time=0",) if act in ("restart", "stop") else ()
        docker(act, *quick, name)
        look()
    docker("rm", "--force", name)
    look()


@pytest.mark.usefixtures("by_label")
@each_runtime
def test_host_label_shares_the_hosts_network_and_changes_nothing(lab: Lab, runtime: str) -> None:
    """Every address, IPv6 too, and every net.* setting is the same through its whole life."""
    with docker_under_wrapper(lab, runtime=runtime) as docker:
        before = everything_of(lab)

        def look() -> None:
            assert changes(before, everything_of(lab)) == []

        box = docker.run(UNDER, "--name=box", *ASKED, *labels(net="host"))
        assert box.namespace.sandbox == lab.sandbox
        assert "198.51.100.1" in box.exec("ip", "addr").stdout
        look()
        assert lab.records() == {}
        live_through_everything(docker, "box", look)


@pytest.mark.usefixtures("by_label")
@each_runtime
def test_container_label_shares_a_sandbox_and_changes_nothing(lab: Lab, runtime: str) -> None:
    """X's addresses and settings, and the host's, are the same through Y's whole life."""
    with docker_under_wrapper(lab, runtime=runtime) as docker:
        lab.make_network("lan", "10.9.0.0/24", "fd00:9::/64")
        owner = docker.run(UNDER, "--name=db", *labels(net="lan"), "-p", "8080:80")
        wait_until(lambda: "tentative" not in owner.namespace.run("ip", "a").stdout, "IPv6")
        before = everything_of(owner.namespace)
        before_host = everything_of(lab)

        def look() -> None:
            assert changes(before, everything_of(owner.namespace)) == []
            assert changes(before_host, everything_of(lab)) == []

        member = docker.run(UNDER, "--name=app", *ASKED, *labels(net="container:db"))
        assert member.namespace.sandbox == owner.namespace.sandbox
        assert "10.9.0.2" in member.exec("ip", "addr").stdout
        assert [member["name"] for member in lab.records()["db"]["members"]] == ["app"]
        look()
        live_through_everything(docker, "app", look)
        assert lab.records()["db"]["members"] == []


@pytest.mark.usefixtures("by_label")
def test_members_keep_the_network_of_an_owner_that_stops(lab: Lab) -> None:
    """X goes first: Y keeps links and address until it goes, too; then all is gone."""
    with docker_under_wrapper(lab) as docker:
        docker.run(UNDER, "--name=db")
        member = docker.run(UNDER, "--name=app", *labels(net="container:db"))
        address = member.namespace.addresses("eth0")

        docker("stop", "--time=0", "db")

        assert member.namespace.addresses("eth0") == address
        docker("stop", "--time=0", "app")
        lab.assert_no_container_left()


@pytest.mark.usefixtures("by_label")
def test_container_label_finds_the_owners_new_sandbox_at_each_start(lab: Lab) -> None:
    """After X's restart, Y's restart joins what X has now."""
    with docker_under_wrapper(lab) as docker:
        docker.run(UNDER, "--name=db")
        docker.run(UNDER, "--name=app", *labels(net="container:db"))
        docker("restart", "--time=0", "db")

        docker("restart", "--time=0", "app")

        owner, member = docker.container("db"), docker.container("app")
        assert member.namespace.sandbox == owner.namespace.sandbox


@pytest.mark.usefixtures("by_label")
def test_container_label_of_one_that_is_not_there_is_refused(lab: Lab) -> None:
    """Nobody is made to start in a sandbox that nobody has."""
    with docker_under_wrapper(lab) as docker:
        with pytest.raises(CommandFailed) as caught:
            docker.run(UNDER, "--name=app", *labels(net="container:nobody"))

        assert "cannot attach app: no container nobody is known" in caught.value.result.stderr
        docker("rm", "app")


@pytest.mark.parametrize("net", ["host", "container:db"])
def test_hook_that_is_not_known_is_refused_in_anothers_network(lab: Lab, net: str) -> None:
    """podman's hooks.d may configure the network that they find: not the host's, nor X's."""
    install(lab)
    hooks = lab.path("/usr/share/containers/oci/hooks.d")
    hooks.mkdir(parents=True, exist_ok=True)
    document = {
        "version": "1.0.0",
        "hook": {"path": "/bin/sh", "args": ["sh", "-c", "ip link set lo down"]},
        "when": {"annotations": {"^ocinet.net$": "host|container:db"}},
        "stages": ["prestart"],
    }
    (hooks / "tune.json").write_text(json.dumps(document))
    podman = lab.podman("runc")
    podman.runtime = "/usr/local/sbin/ocinet-runtime"
    podman.run("--name=db", "--annotation=ocinet.name=db")

    with pytest.raises(CommandFailed) as caught:
        podman.run("--name=app", f"--annotation=ocinet.net={net}")

    # podman 5 makes a createRuntime hook of it.
    assert " hook /bin/sh may change the network of" in caught.value.result.stderr
    assert f"--network={net}" in caught.value.result.stderr
    assert "UP" in lab.links()["lo"]["flags"]
    podman.remove_all()


@each_runtime
def test_bundle_by_hand_asks_for_host_where_it_is_trusted(lab: Lab, runtime: str) -> None:
    """Of unknown origin: refused at first; then the host's network, with no setting changed."""
    install(lab, "--runtime", runtime)
    bundle = lab.bundle("box", annotations={"ocinet.net": "host"})
    bundle.edit(lambda config: config["linux"].update(sysctl={"net.ipv4.ip_forward": "1"}))
    create = ("create", "--bundle", str(bundle.path), "--pid-file", "/run/box.pid", "box")
    refused = call_runtime(lab, *create, check=False)
    lab.path("/etc/ocinet").mkdir(mode=0o700, exist_ok=True)
    lab.path("/etc/ocinet/ocinet.toml").write_text("trust_annotations = true\n")
    before = everything_of(lab)

    call_runtime(lab, *create)

    assert "ocinet.net=host may be the image's wish" in refused.stderr
    assert lab.enter("box", state(lab, "box")["pid"]).sandbox == lab.sandbox
    call_runtime(lab, "delete", "--force", "box")
    assert changes(before, everything_of(lab)) == []


def test_container_that_comes_into_another_sandbox_is_deleted(lab: Lab) -> None:
    """X was restarted between the edit and the create: Y must not stay where X is not."""
    lab.path("/run/lab/late").write_text(
        '#!/bin/sh\nsed -i s#/run/netns/db#/run/netns/other# "$3/config.json"\nexec runc "$@"\n'
    )
    lab.path("/run/lab/late").chmod(0o755)
    install(lab, "--runtime", "/run/lab/late")
    lab.path("/etc/ocinet").mkdir(mode=0o700, exist_ok=True)
    lab.path("/etc/ocinet/ocinet.toml").write_text("trust_annotations = true\n")
    lab.make_netns("other")
    owner = lab.bundle("db", annotations={"ocinet.name": "db"})
    member = lab.bundle("app", annotations={"ocinet.net": "container:db"})
    for bundle in (owner, member):
        words = ("--bundle", str(bundle.path), "--pid-file", f"/run/{bundle.id}.pid", bundle.id)
        result = call_runtime(lab, "create", *words, check=bundle is owner)

    assert "its sandbox is not that of db: that has been restarted" in result.stderr
    assert state(lab, "app") == {}
    assert list(lab.records()) == ["db"]
    call_runtime(lab, "delete", "--force", "db")
    lab.run("ip", "netns", "delete", "other")


def test_dockerd_that_configures_sandboxes_itself_is_refused(lab: Lab) -> None:
    """From Docker 26 on there is no hook to take out, and it would take the host's for its own."""
    with docker_under_wrapper(lab) as docker:
        # What such a dockerd's config looks like: the hook is taken out before we see it.
        lab.path("/run/lab/no-setkey").write_text(_WITHOUT_SETKEY)
        lab.path("/run/lab/no-setkey").chmod(0o755)
        config = json.loads(lab.path("/etc/docker/daemon.json").read_text())
        config["runtimes"]["newer"] = {"path": "/run/lab/no-setkey"}
        lab.path("/etc/docker/daemon.json").write_text(json.dumps(config))
        docker.stop()
        docker.start()
        before = everything_of(lab)

        for net in ("host", "container:db"):
            with pytest.raises(CommandFailed) as caught:
                docker.run("--runtime=newer", "--name=box", *labels(net=net))
            assert f"docker run --network={net}" in caught.value.result.stderr
            docker("rm", "box")

        assert changes(before, everything_of(lab)) == []
        assert len(lab.events("create refused")) == 2
        plain = docker.run("--runtime=newer")
        assert plain.namespace.addresses("eth0") == ["10.72.0.2/24"]
        assert isinstance(plain, EngineContainer)


_WITHOUT_SETKEY = """\
#!/bin/sh
case " $* " in
*" create "*) sed -i 's/"prestart":\\[[^]]*\\][^]]*\\],\\{0,1\\}//' config.json ;;
esac
exec /usr/local/sbin/ocinet-runtime "$@"
"""
