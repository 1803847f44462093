"""Types a page into a machine of its own, and looks whether it prints what the page shows."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hosts.docs.page import parted, prints
from hosts.engine.container import IMAGE
from hosts.requirements import require
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hosts.docs.page import Block, Scene
    from hosts.lab.machine import Lab

_HOME = "/run/lab/page"
_BLOCK_S = 40
_SOON_S = 10
_SERVES = (
    'CMD ["sh","-c","mkdir -p /www; echo welcome > /www/index.html; exec httpd -fp80 -h /www"]'
)
# What pages run, under the names that they have in a registry.
_IMAGES = {"nginx": ("--change", _SERVES), "busybox:1.36": ()}
# A runtime that is told no cgroup takes one beside its caller's, so the caller has one of
# the lab's: what a page leaves running ends with the lab.
_SHELL = r"""
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then trees=/sys/fs/cgroup/
else trees=$(echo /sys/fs/cgroup/*/); fi
for tree in $trees; do
    below=$tree
    for part in $CGROUP page; do
        mkdir -p "$below$part" 2> /dev/null || continue 2
        for key in cpuset.cpus cpuset.mems; do
            [ ! -e "$below$key" ] || cat "$below$key" > "$below$part/$key"
        done
        below=$below$part/
    done
    echo $$ > "${below}cgroup.procs" 2> /dev/null || true
done
mkdir -p "$HOME"
cd "$(cat /run/lab/where 2> /dev/null || echo "$HOME")"
exec 2>&1
set -e
"""
_HERE = "@last@"  # is printed before what the last command prints
_REMEMBER = "\npwd > /run/lab/where\n"
_END_ALL = r"""
for id in $(runc list -q 2> /dev/null); do runc delete --force "$id"; done
"""


@contextmanager
def machine_for(lab: Lab, parts: tuple[str, ...]) -> Iterator[None]:
    """Have a lab what a scene says is on its machine: see `_PARTS`."""
    _sh(lab, "true")  # its cgroup is the lab's own
    lab.baseline = lab.snapshot()
    with ExitStack() as stack:
        for part in parts:
            _PARTS[part](lab, stack)
        try:
            yield
        finally:
            lab.run("sh", "-c", _END_ALL, check=False)


def _docker(lab: Lab, stack: ExitStack) -> None:
    docker = stack.enter_context(lab.docker())
    for name, words in _IMAGES.items():
        docker("import", *words, str(lab.rootfs.with_suffix(".tar")), name)


def _podman(lab: Lab, stack: ExitStack) -> None:
    podman = lab.podman("crun")
    stack.callback(podman.remove_all)
    stack.callback(podman, "kill", "--all", check=False)  # which waits for nobody's end
    for name, words in _IMAGES.items():
        tar = str(lab.rootfs.with_suffix(".tar"))
        podman("import", *words, tar, f"docker.io/library/{name}")
    podman("tag", IMAGE, "docker.io/library/busybox")
    lab.run("tee", "/etc/containers/containers.conf.d/10-runtime.conf",
            stdin='[engine]\nruntime = "crun"\n')  # fmt: skip


def _watcher(lab: Lab, stack: ExitStack) -> None:
    stack.enter_context(lab.watch())
    lab.ignored += ("refused",)  # is counted for an hour, whoever has ended since


def _sbin(lab: Lab, _stack: ExitStack) -> None:
    """`/usr` is the machine's own: what installs a launcher gets a place of the lab's."""
    lab.run("mount", "-t", "tmpfs", "-o", "mode=755", "sbin", "/usr/local/sbin")


_PARTS: dict[str, Callable[[Lab, ExitStack], None]] = {
    "docker": _docker,
    "podman": _podman,
    "watcher": _watcher,
    "sbin": _sbin,
}


def type_scene(lab: Lab, scene: Scene) -> None:
    """Type what a scene shows, in its order.

    Raises:
        AssertionError: a command failed, or printed something else; tells the place.
    """
    require("runc", "curl", "busybox")
    with machine_for(lab, scene.parts):
        for block in scene.blocks:
            if block.file:
                _write(lab, block)
            elif not block.unrun:
                _type(lab, block)


def _write(lab: Lab, block: Block) -> None:
    _sh(lab, f'mkdir -p "$(dirname {block.file})"; cat > {block.file}', stdin=block.typed)


def _type(lab: Lab, block: Block) -> None:
    for hidden in block.said("first"):
        status, printed = _sh(lab, hidden)
        assert status == 0, f"{block.place}: {hidden}\n{printed}"
    undo = block.said("after each")
    for text in block.typed.splitlines() if undo else [block.typed]:
        _expect(lab, block, text)
        for hidden in undo:
            status, printed = _sh(lab, hidden)
            assert status == 0, f"{block.place}: after {text}: {hidden}\n{printed}"


def _expect(lab: Lab, block: Block, text: str) -> None:
    before, last = parted(text) if block.shown else ("", text)
    found = [0, ""]

    def as_shown() -> bool:
        found[:] = _sh(lab, f"{before}\nprintf {_HERE}\n{last}")
        printed = str(found[1]).rpartition(_HERE)[2]
        return (found[0] != 0) == bool(block.said("fails")) and prints(block.shown, printed)

    if block.said("soon"):
        wait_until(as_shown, f"{block.place}: {text}", timeout_s=_SOON_S, interval_s=0.2)
        return
    if not as_shown():
        shown = block.shown and f"the page shows\n{block.shown}"
        raise AssertionError(
            f"{block.place}: {text}\nended with {found[0]}, and printed\n{found[1]}{shown}"
        )


def _sh(lab: Lab, text: str, stdin: str = "") -> tuple[int, str]:
    path = f"{Path(lab.command).parent}:{lab.environment['PATH']}"
    env = {"CGROUP": lab.cgroup.strip("/"), "HOME": _HOME, "PATH": path}
    done = lab.run("bash", "-c", f"{_SHELL}\n{text}\n{_REMEMBER}",
                   check=False, env=env, stdin=stdin, timeout_s=_BLOCK_S)  # fmt: skip
    return done.status, done.stdout.replace("\r", "")  # of what HTTP prints
