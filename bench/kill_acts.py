"""The acts of ocinet that write, each with what it needs and what takes it back."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from builders import on
from kill_lab import BUNDLE, HOOK, OCINET, ocinet, sh

if TYPE_CHECKING:
    from collections.abc import Callable

    from kill_lab import Lab

    Command = tuple[tuple[str, ...], str]

_STRAY = "add element inet ocinet publish4 { tcp . 8081 : 10.9.0.77 . 80 }\n"


def _nothing(_lab: Lab) -> None:
    """Need nothing."""


class Act(NamedTuple):
    """One of them.

    Attributes:
        name: for the table.
        command: what is run, and what it reads.
        prepare: what has to be there.
        finish: takes back what it did, or what was prepared.
        works: says what is missing after it was repeated; "" if nothing.
        fine: how it may end when it is repeated.
        undone: whether it leaves nothing where it fails.
        virgin: whether it finds a host that ocinet has never been on.
        stoic: whether it has to end with 0 whatever fails.
    """

    name: str
    command: Callable[[Lab], Command]
    prepare: Callable[[Lab], None] = _nothing
    finish: Callable[[Lab], None] = _nothing
    works: Callable[[Lab], str] | None = None
    fine: tuple[int, ...] = (0,)
    undone: bool = False
    virgin: bool = False
    stoic: bool = False


def _hook(stage: str, *, net: str = "lan") -> Callable[[Lab], Command]:
    def command(lab: Lab) -> Command:
        up = stage == "createRuntime"
        state: dict[str, object] = {
            "ociVersion": "1.0.2", "id": "web-id", "bundle": "/run/lab/web",
            "status": "created" if up else "stopped",
            "annotations": {"ocinet.net": net, "ocinet.publish": "8080:80"},
        }  # fmt: skip
        if up:
            state["pid"] = lab.pid("web")
        return (sys.executable, "-I", "-S", HOOK, stage), json.dumps(state)

    return command


def _cli(*words: str) -> Callable[[Lab], Command]:
    def command(lab: Lab) -> Command:
        pid = str(lab.pid("web"))
        return (OCINET, *(word.replace("PID", pid) for word in words)), ""

    return command


def _is_up(lab: Lab) -> str:
    pid = lab.pid("web")
    sh(f"nsenter -n -t {pid} ip -j addr show dev eth0")
    ports = sh("nft list map inet ocinet publish4")
    return "" if "8080" in ports else ports


def _published(lab: Lab) -> str:
    del lab
    ports = sh("nft list map inet ocinet publish4")
    return "" if "8080" in ports else ports


def _attached(lab: Lab) -> None:
    lab.attach("web")


def _attached_alone(lab: Lab) -> None:
    lab.attach("web", on("lan"))


def _ended(lab: Lab) -> None:
    lab.attach("web")
    lab.end("web")


def _detach(lab: Lab) -> None:
    lab.detach("web")
    lab.end("web")  # as a runtime ends what it could not start


def _network(lab: Lab) -> None:
    lab.create("dmz", "10.7.0.0/24", internal=True)
    lab.attach("web", on("dmz"))
    lab.detach("web")
    ocinet("reservation", "add", "dmz", "db", "--ip", "10.7.0.9")


def _remove(lab: Lab) -> None:
    lab.remove("dmz")


def _remove_default(lab: Lab) -> None:
    _detach(lab)
    lab.gc()
    lab.remove("bridge")
    sh("nft flush ruleset")  # our table stays, empty


def _closed(_lab: Lab) -> None:
    sh("iptables-nft -P FORWARD DROP")


def _open_again(lab: Lab) -> None:
    _detach(lab)
    lab.gc()
    lab.remove("bridge")
    theirs = sh("nft list chain ip filter FORWARD")
    sh("nft flush ruleset")
    if "ocinet" in theirs:  # of the whole, nothing would show it any more
        sh("nft add table ip left")


def _reserved(_lab: Lab) -> None:
    ocinet("reservation", "add", "lan", "db", "--ip", "10.9.0.99")


def _unreserve(lab: Lab) -> None:
    with lab.engine() as engine:
        engine.addresses.reservations.remove("lan", "db")


def _registered(*words: str) -> Callable[[Lab], None]:
    def act(_lab: Lab) -> None:
        ocinet(*words)

    return act


def _leftovers(lab: Lab) -> None:
    _ended(lab)
    sh("nft", "-f", "-", given=_STRAY)
    sh("ip rule add pref 1 iif ocbr-01234567 protocol kernel blackhole")


def _damage(lab: Lab) -> None:
    lab.attach("web")
    sh("nft", "-f", "-", given="delete element inet ocinet publish4 { tcp . 8080 }\n")
    sh("nft", "-f", "-", given=_STRAY)


def _everywhere(lab: Lab) -> None:
    """Have ocinet on the host by each door, beside what others have there."""
    os.makedirs("/etc/docker", exist_ok=True)
    Path(_DAEMON).write_text(_THEIRS)
    sh("nft add table ip theirs")
    for words in (_HOOKS, ("hooks", "install", "--cdi"), _RUNTIME, ("links", "install"),
                  ("firewalld", "install"), ("hooks", "add", BUNDLE, "--net", "lan")):  # fmt: skip
        ocinet(*words)
    lab.create("lan", "10.9.0.0/24")
    _reserved(lab)
    lab.attach("web")


def _nowhere(lab: Lab) -> None:
    """Take it back once more, and then what others have, if it is as it was."""
    try:
        ocinet(*_UNINSTALL)
    except RuntimeError as error:
        print(error, file=sys.stderr)  # what it has left is found
    lab.end("web")
    if Path(_DAEMON).read_text() == _THEIRS:
        Path(_DAEMON).unlink()
        with suppress(OSError):  # that of a Docker that is here
            Path(_DAEMON).parent.rmdir()
    sh("nft delete table ip theirs")


_DAEMON, _THEIRS = "/etc/docker/daemon.json", '{\n\t"log-level": "warn"\n}\n'
_UNINSTALL = ("uninstall", "--force", BUNDLE)
_HOOKS = ("hooks", "install", "--podman")
_RUNTIME = ("runtime", "install", "--docker", "--runtime", "/bin/true")
ACTS = (
    Act("attach", _hook("createRuntime"), finish=_detach, works=_is_up, undone=True),
    Act("first attach", _hook("createRuntime", net="bridge"), finish=_remove_default,
        works=_is_up, virgin=True),
    Act("attach behind DROP", _hook("createRuntime", net="bridge"), _closed, _open_again,
        works=_is_up, virgin=True),
    Act("poststop", _hook("poststop"), _ended, _detach, stoic=True),
    Act("attach by hand", _cli("attach", "pid:PID", "--name", "web", "--net", "lan",
                               "-p", "8080:80"),
        finish=lambda lab: _detach_by_name(lab), works=_is_up, undone=True),
    Act("detach", _cli("detach", "web"), _attached, _detach, fine=(0, 3)),
    Act("publish", _cli("publish", "web", "8080:80"), _attached_alone, _detach,
        works=_published, undone=True),
    Act("unpublish", _cli("unpublish", "web", "8080:80"), _attached, _detach, fine=(0, 3)),
    Act("network create", _cli("network", "create", "--ignore", "--subnet", "10.7.0.0/24", "dmz"),
        finish=_remove, undone=True),
    Act("network rm", _cli("network", "rm", "dmz"), _network, _remove, fine=(0, 3)),
    Act("network reload", _cli("network", "reload"), _damage, _detach),
    Act("reservation add", _cli("reservation", "add", "lan", "db", "--ip", "10.9.0.99"),
        finish=_unreserve, undone=True),
    Act("reservation rm", _cli("reservation", "rm", "lan", "db"), _reserved, _unreserve,
        fine=(0, 3)),
    Act("gc", _cli("gc"), _leftovers, _detach),
    Act("check --repair", _cli("check", "--repair"), _damage, _detach, fine=(0, 1)),
    Act("hooks add", _cli("hooks", "add", BUNDLE, "--net", "lan"),
        finish=_registered("hooks", "remove", BUNDLE), undone=True),
    Act("hooks remove", _cli("hooks", "remove", BUNDLE),
        _registered("hooks", "add", BUNDLE, "--net", "lan"),
        _registered("hooks", "remove", BUNDLE)),
    Act("hooks install", _cli(*_HOOKS), finish=_registered("hooks", "uninstall", "--podman"),
        undone=True),
    Act("hooks uninstall", _cli("hooks", "uninstall", "--podman"), _registered(*_HOOKS),
        _registered("hooks", "uninstall", "--podman")),
    Act("runtime install", _cli(*_RUNTIME),
        finish=_registered("runtime", "uninstall", "--docker"), undone=True),
    Act("runtime uninstall", _cli("runtime", "uninstall", "--docker"), _registered(*_RUNTIME),
        _registered("runtime", "uninstall", "--docker")),
    Act("links install", _cli("links", "install"), finish=_registered("links", "uninstall"),
        undone=True),
    Act("links uninstall", _cli("links", "uninstall"), _registered("links", "install"),
        _registered("links", "uninstall")),
    Act("firewalld install", _cli("firewalld", "install"),
        finish=_registered("firewalld", "uninstall"), undone=True),
    Act("firewalld uninstall", _cli("firewalld", "uninstall"),
        _registered("firewalld", "install"), _registered("firewalld", "uninstall")),
    Act("uninstall", _cli(*_UNINSTALL), _everywhere, _nowhere, virgin=True),
)  # fmt: skip


def _detach_by_name(lab: Lab) -> None:
    with lab.engine() as engine:
        for record in engine.records.attachments.all():
            if record.container.name == "web":
                engine.detach(record.container.id, force=True)
    lab.end("web")
