"""The name files of a container: its image may have anything at their paths, and lead anywhere."""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hosts.namespace.isolation import in_namespaces
from ocinet.base.clock import Process
from ocinet.base.errors import SystemFailure
from ocinet.engine.kernel.name_files import NameFiles
from ocinet.engine.model.naming import HOSTS, RESOLV_CONF, NameFile, Place, Rootfs

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = "/run/image"
_SECRET = "/run/secret"  # noqa: S105  # a path
_TEXT = "10.9.0.2\tweb\n"
# As a runtime at createRuntime: the container's mounts are there, its root is the host's still.
_START = f"""
mkdir {_ROOT}; mount -t tmpfs image {_ROOT}; mkdir {_ROOT}/dev {_ROOT}/etc
mount -t tmpfs dev {_ROOT}/dev; cd {_ROOT}; PREPARE
echo ready; exec busybox sleep LASTS
"""


@contextmanager
def _container(
    prepare: str = "true", *, entered: bool = False, lasts_s: int = 1000
) -> Iterator[Place]:
    """Yield the place of a container that has what was prepared in its image."""
    script = _START.replace("PREPARE", prepare).replace("LASTS", str(lasts_s))
    if entered:
        enter = "mkdir bin proc; for part in bin lib lib64 usr; do mkdir -p $part; "
        enter += "mount --rbind /$part $part; done; mkdir -p old; busybox pivot_root . old; "
        script = script.replace("echo ready; exec", f"{enter} echo ready; exec")
    words = ("unshare", "--mount", "--propagation", "private", "sh", "-ec", script)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout
            assert child.stdout.readline() == "ready\n"
            process = Process.of(child.pid)
            assert process
            yield Place(process, None if entered else Rootfs(_ROOT), ("web",))
        finally:
            child.kill()


def _shown(place: Place, path: str) -> str:
    root = f"{place.rootfs.path}/" if place.rootfs else "/"
    return Path(f"/proc/{place.process.pid}/root{root}{path}").read_text()


def _hosts(text: str = _TEXT, *, mounted: bool = True) -> NameFile:
    return NameFile(HOSTS, text, "", mounted)


@pytest.mark.parametrize("entered", [False, True])
@in_namespaces
def test_written_covered_and_taken_back(entered: bool) -> None:
    """Before and after the container has entered its root; the image keeps what it has."""
    files = NameFiles()
    with _container("echo image > etc/hosts", entered=entered) as place:
        found = files.look(place)
        assert found
        assert (found.hosts.state, found.resolv_conf.state) == ("free", "free")
        files.write(place, (_hosts(), NameFile(RESOLV_CONF, "nameserver 192.0.2.1\n", "", True)))  # noqa: FBT003
        assert _shown(place, HOSTS) == _TEXT
        assert _shown(place, RESOLV_CONF) == "nameserver 192.0.2.1\n"
        found = files.look(place)
        assert found
        assert (found.hosts.state, found.hosts.text) == ("ours", _TEXT)
        files.write(place, (_hosts("127.0.0.1\tlocalhost\n", mounted=False),))
        assert _shown(place, HOSTS) == "127.0.0.1\tlocalhost\n"
        root = f"/proc/{place.process.pid}/root" + ("" if entered else _ROOT)
        assert [name for name in os.listdir(f"{root}/dev") if "ocinet" in name] == []


_LEADS = {
    "a link to a file of the host": f"ln -s {_SECRET} etc/hosts",
    "a link that climbs": f"ln -s ../../../../..{_SECRET} etc/hosts",
    "a link by way of /proc": (
        f"mkdir proc; mount --bind /proc proc; ln -s /proc/1/root{_SECRET} etc/hosts"
    ),
    "etc is a link to the host": "rmdir etc; mkdir run; ln -s /run etc",
    "etc is a link to nothing": "rmdir etc; ln -s /run etc",
}


@pytest.mark.parametrize("prepare", _LEADS)
@in_namespaces
def test_path_that_leads_out_of_the_image_touches_nothing_there(prepare: str) -> None:
    """Where it leads to, the host has a file: that stays as it is, wherever ours goes."""
    Path(_SECRET).write_text("secret\n")
    files = NameFiles()
    with _container(_LEADS[prepare]) as place:
        before = sorted(os.listdir("/run"))
        found = files.look(place)
        assert found
        assert "secret" not in found.hosts.text
        if prepare in ("a link by way of /proc", "etc is a link to nothing"):
            with pytest.raises(SystemFailure, match="cannot write"):
                files.write(place, (_hosts(),))
        else:
            files.write(place, (_hosts(),))
            found = files.look(place)
            assert found
            assert (found.hosts.state, found.hosts.text) == ("ours", _TEXT)
        assert Path(_SECRET).read_text() == "secret\n"
        assert sorted(os.listdir("/run")) == before


_ODD = {
    "a FIFO": ("mkfifo etc/hosts", "is no file"),
    "a device": ("mknod etc/hosts c 1 5", "is no file"),
    "a directory": ("mkdir etc/hosts", "is no file"),
    "a loop": ("ln -s hosts etc/hosts", "can't be reached"),
}


@pytest.mark.parametrize("odd", _ODD)
@in_namespaces
def test_what_is_no_file_is_left_and_told(odd: str) -> None:
    """And nobody waits for it, as opening a FIFO would."""
    prepare, why = _ODD[odd]
    with _container(prepare) as place:
        found = NameFiles().look(place)
        assert found
        assert found.hosts.state == "left"
        assert why in found.hosts.why
        with pytest.raises(SystemFailure, match="cannot write the container's /etc/hosts"):
            NameFiles().write(place, (_hosts(),))


@in_namespaces
def test_file_that_its_user_has_mounted_is_left() -> None:
    """Whatever is in it; and it is not told, for nothing is wrong with it."""
    Path("/run/mine").write_text("mine\n")
    with _container("touch etc/hosts; mount --bind /run/mine etc/hosts") as place:
        found = NameFiles().look(place)
        assert found
        assert (found.hosts.state, found.hosts.why) == ("left", "")
        with pytest.raises(SystemFailure, match="has been mounted meanwhile"):
            NameFiles().write(place, (_hosts(),))
    assert Path("/run/mine").read_text() == "mine\n"


@in_namespaces
def test_image_without_dev_of_its_own_is_told() -> None:
    """Then a file of ours would be the image's, or the host's."""
    with _container("umount dev") as place:
        with pytest.raises(SystemFailure, match="no /dev of its own"):
            NameFiles().write(place, (_hosts(),))
        assert os.listdir(f"/proc/{place.process.pid}/root{_ROOT}/dev") == []


@in_namespaces
def test_who_has_the_hosts_files_or_is_gone_has_none() -> None:
    """Neither is an error: there is nobody to tell names."""
    files, own = NameFiles(), Process.of(os.getpid())
    assert own
    assert files.look(Place(own, None, ("web",))) is None
    files.write(Place(own, None, ("web",)), (_hosts(),))
    with _container() as place:
        pass
    assert files.look(place) is None


@in_namespaces
def test_hostname_is_set_in_the_containers_own_namespace_alone() -> None:
    """And read there; whoever has the host's keeps it."""
    files, own = NameFiles(), os.uname().nodename
    words = ("unshare", "--uts", "sh", "-c", "hostname first; echo; exec sleep 1000")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout
            child.stdout.readline()
            process = Process.of(child.pid)
            assert process
            assert files.exchange_hostname(process) == "first"
            assert files.exchange_hostname(process, "web1.example") == "first"
            enter = ("nsenter", f"--uts=/proc/{child.pid}/ns/uts", "hostname")
            shown = subprocess.run(enter, stdout=subprocess.PIPE, text=True, check=True).stdout
            assert shown == "web1.example\n"
            assert files.exchange_hostname(process.replace(start_time=1), "other") == ""
        finally:
            child.kill()
    assert os.uname().nodename == own
    with subprocess.Popen(("sleep", "1000")) as child:
        try:
            process = Process.of(child.pid)
            assert process
            assert files.exchange_hostname(process, "taken") == ""
        finally:
            child.kill()
    assert files.exchange_hostname(process, "gone") == ""
    assert os.uname().nodename == own


# FUSE that nobody answers: who asks it waits until its last holder ends.
# That is busybox, which is linked statically: ld.so would ask for /etc/ld.so.cache, and wait.
_SILENT = "exec 3<>/dev/fuse; "
_SERVED = "mount -i -t fuse -o fd=3,rootmode=ROOTMODE,user_id=0,group_id=0 silent AT"
_HANGS = {
    "over etc": _SERVED.replace("ROOTMODE", "40000").replace("AT", "etc"),
    "over the file": (
        "echo image > etc/hosts; "
        + _SERVED.replace("ROOTMODE", "100000").replace("AT", "etc/hosts")
    ),
    "where a link leads": (
        "mkdir far; " + _SERVED.replace("ROOTMODE", "40000").replace("AT", "far")
        + "; ln -s /far/hosts etc/hosts"
    ),
    "below a link that is etc": (
        "mkdir far; " + _SERVED.replace("ROOTMODE", "40000").replace("AT", "far")
        + "; rmdir etc; ln -s ../far etc"
    ),
}  # fmt: skip


@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="the kernel has no FUSE")
@pytest.mark.parametrize("where", _HANGS)
@in_namespaces
def test_container_whose_files_never_answer_stops_nobody(where: str) -> None:
    """It is told at once, of one that runs; whoever looks holds locks of others meanwhile."""
    files = NameFiles()
    with _container(_SILENT + _HANGS[where], entered=True, lasts_s=20) as place:
        for by_others in (place, place.replace(rootfs=Rootfs(_ROOT), by_others=True)):
            with pytest.raises(SystemFailure, match="is a mount of fuse, which may never answer"):
                files.look(by_others)
            with pytest.raises(SystemFailure, match="is a mount of fuse, which may never answer"):
                files.write(by_others, (_hosts(mounted=False),))


@in_namespaces
def test_container_that_runs_is_reached_by_its_links_and_on_its_own_mounts() -> None:
    """Each part of the way is looked at; who has a mount of its own over /etc is reached too."""
    prepare = (
        "mount -t tmpfs own etc; mkdir far; ln -s ../far/./hosts etc/hosts; echo own > far/hosts"
    )
    files = NameFiles()
    with _container(prepare, entered=True) as place:
        files.write(place, (_hosts(),))
        place = place.replace(by_others=True)
        found = files.look(place)
        assert found
        assert (found.hosts.state, found.hosts.text) == ("ours", _TEXT)
        files.write(place, (_hosts("127.0.0.1\tlocalhost\n", mounted=False),))
        assert _shown(place, "far/hosts") == "127.0.0.1\tlocalhost\n"
