"""Which resolvers containers ask, and which names they find: `ocinet.dns` and its like."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import hosts.lab.resolver
from hosts.command import CommandFailed
from hosts.engine.container import IMAGE, EngineContainer
from hosts.engine.hooked_podman import build, copied_over, install, keys, run_image
from hosts.engine.runtimes import each_runtime
from hosts.engine.versions import version_of
from hosts.engine.wrapped_runtime import UNDER, docker_under_wrapper, labels, say
from hosts.lab.machine import OUTSIDE_V4
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Background

_HEAD = "# From here on by ocinet, which makes it anew.\n"
_LOCAL = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
_ASKED = "search corp.example\noptions ndots:2\n"
# What Docker is told itself, and what its containers' labels ask for besides.
_OWN = ("--dns=192.0.2.1", "--dns-search=docker.example", "--add-host=cache:192.0.2.8")
_ADDED = {"add-host": f"db:{OUTSIDE_V4},up:host-gateway"}
_FLAGS = ("--dns-search", "corp.example", "--dns-option", "ndots:2")


def _resolver(lab: Lab) -> Background:
    """Have the neighbour resolve names."""
    program, anybody = hosts.lab.resolver.__file__, '{"*": ["192.0.2.99"]}'
    resolver = lab.outside.start("/usr/bin/python3", "-I", "-S", program, anybody)
    assert resolver.line() == "ready"
    return resolver


def _house(lab: Lab) -> None:
    """Give the host a resolver that nobody is at."""
    text = "search house.example\noptions edns0\nnameserver 192.0.2.53\n"
    lab.path("/etc/resolv.conf").write_text(text)


@each_runtime
def test_run_bundle_asks_the_resolver_that_its_flags_name(lab: Lab, runtime: str) -> None:
    """A name of the search list is resolved there, and one that is added needs no resolver."""
    _house(lab)
    bundle = lab.bundle("web")
    lab.ocinet("hooks", "add", str(bundle.path), "--dns", OUTSIDE_V4, *_FLAGS,
               "--add-host", f"db:{OUTSIDE_V4}", "--add-host", "up:host-gateway")  # fmt: skip
    annotations = json.loads((bundle.path / "config.json").read_text())["annotations"]
    assert annotations["ocinet.add-host"] == f"db:{OUTSIDE_V4},up:host-gateway"
    for _life in range(2):
        web = lab.runtime(runtime).run(bundle)
        assert web.read("/etc/resolv.conf") == f"{_HEAD}{_ASKED}nameserver {OUTSIDE_V4}\n"
        own = f"{web.namespace.addresses('eth0')[0].partition('/')[0]}\trunc web\n"
        added = f"{OUTSIDE_V4}\tdb\n10.72.0.1\tup\n"
        assert web.read("/etc/hosts") == f"{_LOCAL}{_HEAD}{own}{added}"
        with _resolver(lab) as resolver:
            assert "192.0.2.99" in web.exec("nslookup", "www.corp.example").stdout
            assert resolver.line() == "www.corp.example"
        assert web.exec("ping", "-c1", "-W5", "db").stdout.startswith(f"PING db ({OUTSIDE_V4})")
        assert "(10.72.0.1)" in web.exec("ping", "-c1", "-W5", "up").stdout
        web.end()


@each_runtime
def test_run_in_podman_asks_the_resolver_that_its_annotations_name(lab: Lab, runtime: str) -> None:
    """podman itself refuses --dns with --network=none; a restart keeps what was asked for."""
    _house(lab)
    podman = install(lab, runtime)
    # podman 5 writes its own /etc/hosts after its hooks.
    own = ("--no-hosts",) if version_of("podman") >= (5, 0) else ("--add-host=cache:192.0.2.8",)
    asked = {"dns": OUTSIDE_V4, "dns-search": "corp.example", "dns-option": "ndots:2"}
    options = keys(net="bridge", **asked, **{"add-host": f"db:{OUTSIDE_V4},db:fd00::7"})
    web = podman.run("--name=web", *own, *options)
    for life in range(2):
        if life:
            podman("restart", "--time=0", web.id)
        again = web.current
        assert (
            f"{_HEAD}{_ASKED}nameserver {OUTSIDE_V4}\n"
            in again.exec("cat", "/etc/resolv.conf").stdout
        )
        hosts = again.exec("cat", "/etc/hosts").stdout
        assert f"{again.address()}\t{web.id[:12]} web\n{OUTSIDE_V4}\tdb\nfd00::7\tdb\n" in hosts
        assert ("192.0.2.8\tcache\n" in hosts) == (own[0] != "--no-hosts")
        with _resolver(lab) as resolver:
            assert "192.0.2.99" in again.exec("nslookup", "www.corp.example").stdout
            assert resolver.line() == "www.corp.example"
    shown = lab.ocinet("inspect", "-f", "{{.HostConfig.Dns}} {{.HostConfig.ExtraHosts}}", "web")
    assert OUTSIDE_V4 in shown.stdout
    assert f"db:{OUTSIDE_V4}" in shown.stdout
    web.remove()


@each_runtime
def test_run_in_docker_under_the_wrapper_has_dockers_lines_and_ours(lab: Lab, runtime: str) -> None:
    """At its first instruction, in Docker's own files; what Docker was told itself stays."""
    _house(lab)
    with docker_under_wrapper(lab, runtime=runtime) as docker:
        plain = docker.run(UNDER, "--name=plain", *_OWN)
        _check_dockers_own(plain)
        first = say(docker, "--hostname=till", "--name=shop", command=("cat", "/etc/hosts"))
        assert first.endswith("\ttill shop\n")
        asked = labels(**{"dns": OUTSIDE_V4, "dns-option": "ndots:3"}, **_ADDED)
        web = docker.run(UNDER, "--name=web", *_OWN, *asked)
        for life in range(2):
            if life:
                docker("restart", "--time=0", web.id)
            _check_asked(lab, web.current)


def test_run_in_docker_beside_the_watcher_has_dockers_lines_and_ours(lab: Lab) -> None:
    """Once it has started: early attach comes before there are files. Also after a restart."""
    _house(lab)
    with lab.docker() as docker, lab.watch():
        plain = docker.run("--name=plain", *_OWN)
        _check_dockers_own(plain)
        asked = labels(**{"dns": OUTSIDE_V4, "dns-option": "ndots:3"}, **_ADDED)
        web = docker.run("--name=web", *_OWN, *asked)
        for life in range(2):
            if life:
                docker("restart", "--time=0", web.id)
            _check_asked(lab, web.current)
        member = EngineContainer(
            docker(
                "run", "--detach", "--name=side", "--net=container:web", IMAGE, "sleep", "1000"
            ).stdout.strip(),
            docker,
        )
        wait_until(lambda: "side" in lab.records(), "the member")
        hosts = member.exec("cat", "/etc/hosts").stdout
        assert f"{web.current.address()}\t{web.id[:12]} web\n" in hosts
        assert not lab.events("attached with a warning")


def test_run_read_only_beside_the_watcher_has_dockers_lines_and_ours(lab: Lab) -> None:
    """`docker run --read-only` mounts Docker's two files so, which lie on the host; it stays so."""
    _house(lab)
    with lab.docker() as docker, lab.watch():
        asked = labels(**{"dns": OUTSIDE_V4, "dns-option": "ndots:3"}, **_ADDED)
        web = docker.run("--name=web", "--read-only", *_OWN, *asked)
        for life in range(2):
            if life:
                docker("restart", "--time=0", web.id)
            _check_asked(lab, web.current)
        refused = web.exec("sh", "-c", "echo 192.0.2.6 db >> /etc/hosts", check=False)
        assert "Read-only file system" in refused.stderr
        lab.ocinet("detach", "web")
        assert OUTSIDE_V4 not in web.exec("cat", "/etc/hosts", "/etc/resolv.conf").stdout
        assert not lab.events("attached with a warning")


def test_run_of_an_image_that_names_a_resolver_asks_it_nothing(lab: Lab) -> None:
    """podman 4 gives its annotations to the container: refused. What the user says is done."""
    _house(lab)
    podman = install(lab, "crun")
    carried = {"ocinet.dns": "192.0.2.66", "ocinet.dns-search": "evil.example"}
    image = build(podman, "resolves", carried)
    if copied_over(*carried):
        with pytest.raises(CommandFailed):
            run_image(podman, image, *keys(net="bridge"))
        assert lab.records() == {}
        assert "may be the image's word alone" in lab.events("hook failed")[0]["error"]
    else:
        web = run_image(podman, image, *keys(net="bridge"))
        assert "192.0.2.66" not in web.exec("cat", "/etc/resolv.conf").stdout
        web.remove()
    web = run_image(podman, image, *keys(net="bridge", dns=OUTSIDE_V4))
    text = web.exec("cat", "/etc/resolv.conf").stdout
    assert f"nameserver {OUTSIDE_V4}\n" in text
    assert "evil" not in text
    web.remove()


def test_run_in_podman_by_hook_beside_a_watcher_has_podmans_lines_and_ours(lab: Lab) -> None:
    """podman 5 writes its own when the hook has run: the watcher adds ours at the start."""
    _house(lab)
    podman = install(lab, "crun")
    with podman.serve(), lab.watch():
        added = keys(net="bridge", **{"add-host": "db:192.0.2.7"})
        web = podman.run("--name=web", "--add-host=cache:192.0.2.8", *added)
        _wait_for_line(web, f"{_HEAD}{web.address()}\t{web.id[:12]} web\n192.0.2.7\tdb\n")
        assert "192.0.2.8\tcache\n" in web.exec("cat", "/etc/hosts").stdout
        web.remove()


def _check_dockers_own(plain: EngineContainer) -> None:
    """Look at one that asks Docker alone: its words count, and it finds itself besides."""
    own = f"{plain.address()}\t{plain.id[:12]} plain\n"
    _wait_for_line(plain, own)
    hosts = plain.exec("cat", "/etc/hosts").stdout
    assert "192.0.2.8\tcache\n" in hosts
    assert hosts.endswith(f"{_HEAD}{own}")
    resolv_conf = plain.exec("cat", "/etc/resolv.conf").stdout
    assert "nameserver 192.0.2.1\n" in resolv_conf
    assert "search docker.example\n" in resolv_conf
    assert _HEAD not in resolv_conf


def _check_asked(lab: Lab, web: EngineContainer) -> None:
    """Look at one whose labels ask for more: ours in the place of Docker's, kind by kind."""
    own = f"{web.address()}\t{web.id[:12]} web\n"
    _wait_for_line(web, own)
    hosts = web.exec("cat", "/etc/hosts").stdout
    assert "192.0.2.8\tcache\n" in hosts
    assert hosts.endswith(f"{_HEAD}{own}{OUTSIDE_V4}\tdb\n10.72.0.1\tup\n")
    wished = f"{_HEAD}search docker.example\noptions ndots:3\nnameserver {OUTSIDE_V4}\n"
    wait_until(  # it is written behind hosts
        lambda: web.exec("cat", "/etc/resolv.conf").stdout.startswith(wished), wished
    )
    with _resolver(lab) as resolver:
        assert "192.0.2.99" in web.exec("nslookup", "www.docker.example").stdout
        assert resolver.line() == "www.docker.example"


def _wait_for_line(web: EngineContainer, line: str) -> None:
    wait_until(lambda: line in web.exec("cat", "/etc/hosts").stdout, line)


def test_attach_of_dockers_container_by_its_name_writes_in_dockers_files(lab: Lab) -> None:
    """Where no door listens; `detach` gives back what Docker had there."""
    _house(lab)
    with lab.docker() as docker:
        web = docker.run("--name=web", *_OWN)
        before = [web.exec("cat", path).stdout for path in ("/etc/hosts", "/etc/resolv.conf")]
        asked = ("--dns", OUTSIDE_V4, "--dns-option", "ndots:3", "--add-host", f"db:{OUTSIDE_V4}")
        lab.ocinet("attach", "web", *asked, "--add-host", "up:host-gateway")
        _check_asked(lab, web)
        lab.ocinet("detach", "web")
        after = [web.exec("cat", path).stdout for path in ("/etc/hosts", "/etc/resolv.conf")]
        assert after == before
        lab.ocinet("detach", "web")  # it is not known any more


def test_attach_of_a_container_that_runs_changes_its_files_in_place(lab: Lab) -> None:
    """Each kind takes the place of its own, as whoever has the file open sees."""
    _house(lab)
    bundle = lab.bundle("web", args=("sh", "-c", "exec 3</etc/resolv.conf; sleep 1000"))
    lab.ocinet("hooks", "add", str(bundle.path))
    web = lab.runc.run(bundle)
    text = f"{_HEAD}search house.example\noptions edns0\nnameserver 192.0.2.53\n"
    assert web.read("/proc/1/fd/3") == text

    lab.ocinet("attach", "web", "--dns", OUTSIDE_V4, "--add-host", "db:192.0.2.7")
    lab.ocinet("attach", "web", *_FLAGS)
    wished = f"{_HEAD}{_ASKED}nameserver {OUTSIDE_V4}\n"
    assert web.read("/proc/1/fd/3") == wished
    assert "192.0.2.7\tdb\n" in web.read("/etc/hosts")
    lab.make_network("lan", "10.9.0.0/24")
    lab.ocinet("network", "connect", "--add-host", "up:host-gateway", "lan", "web")
    hosts = web.read("/etc/hosts")
    assert "10.72.0.1\tup\n" in hosts
    assert "\tdb\n" not in hosts
    assert "10.9.0.2\tweb\n" in hosts
    plan = lab.ocinet("plan", "web", "--dns", "192.0.2.54").stdout
    assert "# /etc/resolv.conf of the container:\n" in plan
    assert "#   nameserver 192.0.2.54\n" in plan
    assert web.read("/etc/resolv.conf") == wished

    lab.ocinet("detach", "web")
    assert web.read("/etc/hosts") == _LOCAL
    assert "nameserver" not in web.read("/proc/1/fd/3")
    web.end()


def test_run_with_a_value_that_makes_no_sense_starts_nothing(lab: Lab) -> None:
    """One line that names the key, by flag and by annotation."""
    bundle = lab.bundle("web")
    refused = lab.ocinet("hooks", "add", str(bundle.path), "--dns", "resolver", check=False)
    assert refused.status == 2
    assert "--dns: 'resolver' is no IP address" in refused.stderr
    lab.ocinet("hooks", "add", str(bundle.path))
    bundle.edit(lambda config: config["annotations"].update({"ocinet.add-host": "db:web"}))
    with pytest.raises(CommandFailed, match=r"ocinet\.add-host: 'web' is no IP address"):
        lab.runc.run(bundle)
    assert lab.records() == {}
