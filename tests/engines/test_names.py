"""What containers find in /etc/hosts and /etc/resolv.conf, whatever their image has there."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from hosts.engine.hooked_podman import install, keys
from hosts.engine.runtimes import each_runtime
from hosts.engine.versions import version_of
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hosts.engine.bundle import Bundle, Config
    from hosts.lab.machine import Lab

_RESOLVERS = """\
# those of the house
search corp.example
options edns0
nameserver 127.0.0.53
nameserver fe80::1%uplink
nameserver fd00::53
nameserver 192.0.2.53
"""
_HEAD = "# From here on by ocinet, which makes it anew.\n"
_LOCAL = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
_RESOLV_CONF = _HEAD + "search corp.example\noptions edns0\nnameserver 192.0.2.53\n"
# podman 5.4 fills its containers' /etc/hosts after its hooks, 4.3 before.
_FILLED_LATE = bool(shutil.which("podman")) and version_of("podman") >= (5, 0)


def _house(lab: Lab) -> None:
    """Give the host some resolvers."""
    lab.path("/etc/resolv.conf").write_text(_RESOLVERS)


def _registered(lab: Lab, bundle: Bundle, **words: str) -> Bundle:
    options = [f"--{name}={text}" for name, text in words.items()]
    lab.ocinet("hooks", "add", str(bundle.path), *options)
    return bundle


def _with_image(lab: Lab, tmp_path: Path, change: Callable[[Path], object]) -> Bundle:
    """Return a bundle whose root file system is its own, and writable."""
    rootfs = tmp_path / "rootfs"
    shutil.copytree(lab.rootfs, rootfs, symlinks=True)
    change(rootfs)
    bundle = lab.bundle("web")

    def place(config: Config) -> None:
        config["root"] = {"path": str(rootfs), "readonly": False}

    bundle.edit(place)
    return _registered(lab, bundle, net="bridge")


@each_runtime
def test_run_bundle_finds_itself_and_the_hosts_resolvers(lab: Lab, runtime: str) -> None:
    """On a read-only root file system that others share; of the resolvers those it can reach."""
    _house(lab)
    lab.rootfs.joinpath("etc/resolv.conf").unlink(missing_ok=True)  # of a test before
    before = sorted(os.listdir(lab.rootfs / "etc"))
    bundle = lab.bundle("web", args=("sh", "-c", "cat /etc/hosts /etc/resolv.conf; sleep 1000"))
    bundle.edit(lambda config: config.update(hostname="shop.example"))
    web = lab.runtime(runtime).run(_registered(lab, bundle, net="bridge"))
    other = lab.runtime(runtime).run(_registered(lab, lab.bundle("db"), net="bridge"))

    hosts = _LOCAL + _HEAD + "10.72.0.2\tshop.example web\n"
    assert web.read("/etc/hosts") == hosts
    assert web.read("/etc/resolv.conf") == _RESOLV_CONF
    assert web.output() == hosts + _RESOLV_CONF  # from its first instruction on
    assert "10.72.0.3\trunc db\n" in other.read("/etc/hosts")
    web.exec("sh", "-c", "echo 192.0.2.9 more >> /etc/hosts; ls -A /dev > /tmp/dev")
    assert "192.0.2.9 more" in web.read("/etc/hosts")
    assert ".ocinet" not in web.read("/tmp/dev")
    web.end()
    other.end()

    lab.rootfs.joinpath("etc/resolv.conf").unlink()  # what it is mounted on, as by any runtime
    assert sorted(os.listdir(lab.rootfs / "etc")) == before
    assert lab.rootfs.joinpath("etc/hosts").read_text() == "127.0.0.1 localhost\n::1 localhost\n"


@each_runtime
def test_run_in_podman_finds_itself_and_the_hosts_resolvers(lab: Lab, runtime: str) -> None:
    """podman's own lines stay, but that the container is not at 127.0.0.1 any more.

    podman 5 writes them after its hooks: there it is.
    """
    _house(lab)
    podman = install(lab, runtime)
    options = ("--add-host=db:192.0.2.7", "--read-only", *keys(net="bridge"))
    web = podman.run("--name=web", *options)

    hosts = web.exec("cat", "/etc/hosts").stdout
    assert "192.0.2.7\tdb\n" in hosts
    assert web.exec("cat", "/etc/resolv.conf").stdout == _RESOLV_CONF
    if _FILLED_LATE:
        assert f"127.0.0.1\t{web.id[:12]} web\n" in hosts
        web.remove()
        return
    head, tail = hosts.split(_HEAD)
    assert tail == f"10.72.0.2\t{web.id[:12]} web\n"
    assert web.id[:12] not in head

    podman("restart", "--time=0", web.id)
    again = web.current
    assert again.exec("cat", "/etc/hosts").stdout.endswith(
        f"{again.address()}\t{web.id[:12]} web\n"
    )
    assert again.exec("cat", "/etc/resolv.conf").stdout == _RESOLV_CONF
    web.remove()


@each_runtime
@pytest.mark.parametrize("hosts", [(), ("--no-hosts", "--read-only")])
def test_run_in_a_user_namespace_finds_itself_and_the_hosts_resolvers(
    lab: Lab, runtime: str, hosts: tuple[str, ...]
) -> None:
    """Its /dev, in which files of ours lie, is of that namespace, and knows no other ids."""
    _house(lab)
    podman = install(lab, runtime)
    # Without a /dev/shm: podman 4.3 now and then can't remove that of such a container.
    options = ("--name=web", "--uidmap=0:100000:65536", "--ipc=none")
    web = podman.run(*options, *hosts, *keys(net="bridge"))
    assert web.exec("cat", "/etc/resolv.conf").stdout == _RESOLV_CONF
    assert web.exec("stat", "-c", "%u:%g %a", "/etc/resolv.conf").stdout == "0:0 644\n"
    if hosts or not _FILLED_LATE:
        assert f"10.72.0.2\t{web.id[:12]} web\n" in web.exec("cat", "/etc/hosts").stdout
    assert not lab.events("attached with a warning")
    web.remove()


def test_run_where_the_hosts_resolv_conf_is_a_fifo_starts(lab: Lab) -> None:
    """Nobody waits for who would write to it; that the container has no resolver is told."""
    lab.path("/etc/resolv.conf").unlink()
    lab.run("mkfifo", "/etc/resolv.conf")
    web = lab.runc.run(_registered(lab, lab.bundle("web"), net="bridge"))
    [told] = lab.events("attached with a warning")
    assert "has no resolver that the container could reach" in told["warning"]
    web.end()


@each_runtime
def test_run_with_files_of_the_users_own_leaves_them(
    lab: Lab, runtime: str, tmp_path: Path
) -> None:
    """What is mounted there is somebody's word."""
    _house(lab)
    own = tmp_path / "own"
    own.write_text("192.0.2.1 mine\n")
    podman = install(lab, runtime)
    volumes = [f"--volume={own}:/etc/{name}" for name in ("hosts", "resolv.conf")]
    web = podman.run(*volumes, *keys(net="bridge"))

    for name in ("hosts", "resolv.conf"):
        assert web.exec("cat", f"/etc/{name}").stdout == "192.0.2.1 mine\n"
    assert own.read_text() == "192.0.2.1 mine\n"
    assert not lab.events("attached with a warning")
    web.remove()


def test_run_on_an_internal_network_asks_nobody(lab: Lab) -> None:
    """There is no way to a resolver; its own name it has."""
    _house(lab)
    lab.ocinet("network", "create", "vault", "--internal", "--subnet", "10.9.0.0/24")
    web = lab.runc.run(_registered(lab, lab.bundle("web"), net="vault"))
    assert web.read("/etc/resolv.conf") == _HEAD + "search corp.example\noptions edns0\n"
    assert web.read("/etc/hosts").endswith("10.9.0.2\trunc web\n")
    web.end()


def test_detach_of_a_container_that_runs_takes_names_back_until_it_is_attached(lab: Lab) -> None:
    """What it finds is what it can reach, in the files that it has open."""
    _house(lab)
    web = lab.runc.run(_registered(lab, lab.bundle("web"), net="bridge"))
    lab.ocinet("detach", "web")
    assert web.read("/etc/hosts") == _LOCAL
    assert "nameserver" not in web.read("/etc/resolv.conf")

    lab.make_network("lan", "10.9.0.0/24")
    lab.ocinet("attach", "web", "--net", "lan")
    assert web.read("/etc/hosts") == f"{_LOCAL}{_HEAD}10.9.0.2\tweb\n"
    assert web.read("/etc/resolv.conf") == _RESOLV_CONF
    web.end()


def test_run_where_the_host_asks_a_stub_gets_whom_that_asks(lab: Lab) -> None:
    """As systemd-resolved tells beside; where it does not, that is told."""
    lab.path("/etc/resolv.conf").write_text("nameserver 127.0.0.53\n")
    web = lab.runc.run(_registered(lab, lab.bundle("web"), net="bridge"))
    assert web.read("/etc/resolv.conf") == _HEAD
    (told,) = lab.events("attached with a warning")
    assert "no resolver" in told["warning"]
    web.end()

    behind = lab.path("/run/systemd/resolve/resolv.conf")
    behind.parent.mkdir(parents=True)
    behind.write_text("nameserver 192.0.2.54\nsearch .\n")
    web = lab.runc.run(_registered(lab, lab.bundle("again"), net="bridge"))
    assert "nameserver 192.0.2.54\n" in web.read("/etc/resolv.conf")
    web.end()


def _link(to: str) -> Callable[[Path], object]:
    return lambda rootfs: _free(rootfs).symlink_to(to)


def _free(rootfs: Path) -> Path:
    """Return where an image has its resolv.conf: one that others shared has been covered."""
    path = rootfs / "etc/resolv.conf"
    path.unlink(missing_ok=True)
    return path


def _link_etc(rootfs: Path) -> None:
    shutil.rmtree(rootfs / "etc")
    rootfs.joinpath("etc").symlink_to("/root/../../../../root")


@each_runtime
@pytest.mark.parametrize(
    "change",
    [
        _link("../../../../../etc/passwd"),
        _link("/etc/passwd"),
        _link("../run/systemd/resolve/stub-resolv.conf"),
        _link_etc,
        lambda rootfs: shutil.rmtree(rootfs / "etc"),
    ],
    ids=["passwd", "absolute", "dangling", "etc", "no etc"],
)
def test_run_an_image_whose_links_lead_elsewhere_stays_in_it(
    lab: Lab, runtime: str, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    """Where the container itself would read is where its files are; the host's stay."""
    _house(lab)
    bundle = _with_image(lab, tmp_path, change)
    before = {path: path.read_bytes() for path in lab.path("/etc").iterdir() if path.is_file()}
    web = lab.runtime(runtime).run(bundle)
    assert web.read("/etc/resolv.conf") == _RESOLV_CONF
    assert "10.72.0.2\trunc web\n" in web.read("/etc/hosts")
    web.end()
    assert before == {path: path.read_bytes() for path in before}
    assert not lab.path("/root/hosts").exists()


def _huge(path: Path) -> None:
    path.write_bytes(b"1" * (1 << 20))


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (os.mkfifo, "no file"),
        (lambda path: os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3)), "no file"),
        (os.mkdir, "no file"),
        (lambda path: path.symlink_to("resolv.conf"), "can't be reached"),
        (lambda path: path.symlink_to("/proc/1/root/etc/passwd"), ""),
        (_huge, ""),
    ],
    ids=["fifo", "device", "directory", "loop", "proc", "huge"],
)
def test_run_an_image_with_something_odd_there_starts(
    lab: Lab, tmp_path: Path, make: Callable[[Path], object], shown: str
) -> None:
    """It is never opened; what can't be covered is told."""
    _house(lab)
    web = lab.runc.run(_with_image(lab, tmp_path, lambda rootfs: make(_free(rootfs))))
    assert "10.72.0.2\trunc web\n" in web.read("/etc/hosts")
    told = [event["warning"] for event in lab.events("attached with a warning")]
    if shown:
        assert shown in told[0]
    elif not told:
        assert web.read("/etc/resolv.conf") == _RESOLV_CONF
    web.end()


@each_runtime
def test_run_with_a_hostname_calls_itself_so(lab: Lab, runtime: str) -> None:
    """By a bundle's config, and by a hook where that has none; what a runtime sets itself stays."""
    engine = lab.runtime(runtime)
    bundle = lab.bundle("web", args=("sh", "-c", "hostname; sleep 1000"))
    web = engine.run(_registered(lab, bundle, net="bridge", hostname="Web1"))
    wait_until(lambda: web.output() == "web1\n", "its first word")
    assert "\tweb1 web\n" in web.read("/etc/hosts")
    assert '"hostname": "web1"' in lab.ocinet("inspect", "web").stdout
    web.end()
    lab.ocinet("hooks", "remove", str(bundle.path))
    assert bundle.config["hostname"] == "runc"

    def ask(config: Config) -> None:
        del config["hostname"]
        config["annotations"] = {"ocinet.hostname": "web2"}

    bundle.edit(ask)
    web = engine.run(_registered(lab, bundle))
    assert web.exec("hostname").stdout == "web2\n"
    web.end()

    podman = install(lab, runtime)
    shop = podman.run("--name=shop", "--hostname=own", *keys(net="bridge", hostname="web3"))
    assert shop.exec("hostname").stdout == "own\n"
    warned = [str(event["warning"]) for event in lab.events("attached with a warning")]
    assert any("--hostname=web3" in warning for warning in warned)
    shop.remove()
