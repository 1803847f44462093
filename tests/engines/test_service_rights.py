"""The watcher with no more rights than its systemd unit leaves it.

There is no systemd in a lab: what the unit says is done here by hand, with the
unit's own words. Its capabilities by setpriv, its mounts by mount, and its
system calls by looking at those that were made.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from hosts.requirements import require
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from hosts.engine.container import EngineContainer
    from hosts.lab.machine import Lab
    from hosts.lab.namespace import Background

UNIT = Path(__file__).parents[2] / "packaging/systemd/ocinet-watcher.service"
LOG = "/run/lab/confined.log"
CALLS = "/run/lab/confined.calls"
# What ProtectSystem=strict, PrivateTmp and PrivateDevices come to.
_CONFINE = r"""
set -e
log=$1 calls=$2 capabilities=$3 writable=$4 groups=$5; shift 5
for group in $groups; do echo $$ > $group/cgroup.procs; done
mount --make-rslave /
mkdir -p $writable
for path in $writable; do
    mountpoint -q $path || mount --bind $path $path
done
while read -r _ _ _ _ path _; do
    case $path in
    /proc | /proc/* | /sys | /sys/* | /dev | /dev/* | /run | /run/*) continue ;;
    esac
    for kept in $writable; do
        case $path in $kept | $kept/*) continue 2 ;; esac
    done
    mount -o remount,ro,bind "$path"
done < /proc/self/mountinfo
case $1 in /tmp/*) ;; *) mount -t tmpfs private /tmp ;; esac  # it may be run from there
umask UMASK
exec strace -D -f -qq -o "$calls" -e 'signal=none' setpriv --no-new-privs \
    --inh-caps=-all --bounding-set="-all,$capabilities" "$@" >> "$log" 2>&1
"""

_IP = "sa_family=AF_INET"  # and AF_INET6
_DEVICES = {f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "log")}

_LISTEN = """\
import socket
listener = socket.create_server(("", 8080))
print("ready", flush=True)
listener.accept()
"""


def said(key: str) -> list[str]:
    """Return the words that the unit gives a setting, of all its lines."""
    lines = re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)
    return [word for line in lines for word in line.split()]


def call_set(name: str) -> set[str]:
    """Return the system calls of one of systemd's sets, those of the sets in it, too."""
    shown = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], check=True, capture_output=True, text=True
    )
    words = [line.split()[0] for line in shown.stdout.splitlines()[1:] if line.strip()]
    calls = {word for word in words if word[0] not in "@#"}
    return calls.union(*(call_set(word) for word in words if word[0] == "@"))


def calls_made(lab: Lab) -> dict[str, set[str]]:
    """Return the system calls of the confined process and its children, with arguments' texts."""
    made: dict[str, set[str]] = {}
    confined = False
    for line in lab.path(CALLS).read_text(errors="replace").splitlines():
        call = re.match(r"\d+ +([a-z_0-9]+)\((.*)", line)
        if call and confined:
            # Where another thread's call comes in between, strace ends the line early.
            arguments = call[2].removesuffix(" <unfinished ...>")
            made.setdefault(call[1], set()).add(arguments)
        confined = confined or f'execve("{lab.command}"' in line
    return made


def start_confined(lab: Lab, *words: str) -> Background:
    """Run the command with the rights of the unit."""
    require("strace", "setpriv", "systemd-analyze")
    capabilities = ",".join(
        f"+{name.removeprefix('CAP_').lower()}" for name in said("CapabilityBoundingSet")
    )
    writable = {*said("ReadWritePaths"), *(f"/var/lib/{name}" for name in said("StateDirectory"))}
    confine = _CONFINE.replace("UMASK", said("UMask")[0])
    return lab.start(
        "unshare", "--mount", "--propagation=unchanged", "sh", "-c", confine, "sh",
        LOG, CALLS, capabilities, " ".join(sorted(writable)), " ".join(map(str, limits(lab))),
        lab.command, *words,
    )  # fmt: skip


def limits(lab: Lab) -> list[Path]:
    """Make control groups that have the unit's limits, as far as this machine has such; cgroups(7).

    Returns:
        Their directories, of cgroup v1: in v2 a lab's have no controllers.
    """
    most = said("MemoryMax")[0].removesuffix("G")
    made = []
    for kind, file, text in (
        ("memory", "memory.limit_in_bytes", str(int(most) << 30)),
        ("pids", "pids.max", said("TasksMax")[0]),
    ):
        above = Path(f"/sys/fs/cgroup/{kind}{lab.cgroup}")
        if not Path(f"/sys/fs/cgroup/{kind}/cgroup.procs").exists():
            continue
        group = above / "unit"
        group.mkdir(parents=True, exist_ok=True)
        (group / file).write_text(text)
        made.append(group)
    return made


def refused(group: Path) -> int:
    """Return how often a control group's limit was in the way."""
    if group.parent.parent.name == "memory":
        return int((group / "memory.failcnt").read_text())
    return int((group / "pids.events").read_text().split()[1])


def assert_limits_were_far(lab: Lab) -> None:
    """MemoryMax and TasksMax were not in the way; the groups are gone then."""
    groups = limits(lab)
    times = [refused(group) for group in groups]
    for group in groups:
        group.rmdir()
    assert not any(times)


def assert_all_made_is_roots(lab: Lab) -> None:
    """By UMask; but for the directory that is shared with `ip netns`."""
    assert lab.path("/run/netns").stat().st_mode & 0o777 == 0o755
    for place in ("/run/ocinet", "/etc/ocinet", "/var/lib/ocinet"):
        loose = lab.run(
            "find", place, "-mindepth", "1", "!", "-type", "l", "-perm", "/077", check=False
        )
        assert loose.stdout == ""


def assert_nothing_of_ip_or_devices(made: dict[str, set[str]]) -> None:
    """IPAddressDeny, DevicePolicy and PrivateMounts take away what is not used."""
    families = {re.match(r"AF_\w+", arguments) for arguments in made["socket"]}
    assert {family[0] for family in families if family} <= set(said("RestrictAddressFamilies"))
    spoken = [text for call in ("sendto", "sendmsg", "connect") for text in made.get(call, ())]
    assert [text for text in spoken if _IP in text] == []
    assert set(re.findall(r'"(/dev/[^"]+)"', " ".join(made["openat"]))) <= _DEVICES
    assert not {"mount", "umount2", "fsmount"} & made.keys()


def await_names_and_ports(lab: Lab, container: EngineContainer, resolver: str) -> None:
    """Wait until a container finds itself in Docker's files, and a resolver; its port is kept."""
    own = f"{container.address()}\t{container.id[:12]} "
    wait_until(lambda: own in container.exec("cat", "/etc/hosts").stdout, "its own name")
    # One is written behind the other, and the port kept when it is attached.
    line = f"nameserver {resolver}\n"
    wait_until(lambda: line in container.exec("cat", "/etc/resolv.conf").stdout, line)

    def kept() -> list[int]:
        return [row["port"] for row in lab.ocinet("reservation", "ports", "--json").json()]

    wait_until(lambda: kept() == [81], "its port is kept")


def test_watcher_with_the_units_rights_wires_and_unwires(lab: Lab) -> None:
    """Docker's containers, one of another user; its own bridge, IPv6, ports, Docker's bridge."""
    with lab.docker() as docker:
        service = start_confined(lab, "watch", "--log-format=json")

        def is_ready() -> bool:
            log = lab.path(LOG)
            assert service.process.poll() is None, log.read_text()[-2000:]
            return log.exists() and "watcher ready" in log.read_text()

        wait_until(is_ready, "the watcher's start", timeout_s=30, interval_s=0.1)
        lab.ocinet("network", "create", "--ipv6", "dual")
        lab.ocinet(
            "network", "create", "--bridge=docker0", "--unmanaged",
            "--ip-range=172.17.200.0/24", "dock",
        )  # fmt: skip
        web = docker.run("--user=1000", "-p=8080:80")
        dual = docker.run(
            "--label=ocinet.net=dual", "-p=8081:80", "--label=ocinet.dns=192.0.2.1",
            "--name=dual", "-p=81", "--label=ocinet.keep-ports=true",
        )  # fmt: skip
        dock = docker.run("--label=ocinet.net=dock")
        lab.ocinet("wait", web.id, dual.id, dock.id, "--timeout=20")

        for container, port in ((web, 8080), (dual, 8081)):
            with container.namespace.serve("tcp", 80, name="it"):
                assert lab.outside.ask("tcp", "198.51.100.1", port).server == "it"
        assert dock.namespace.pings("172.17.0.1")
        await_names_and_ports(lab, dual, "192.0.2.1")
        inside = web.namespace.addresses("eth0")
        web.namespace.run("ip", "address", "flush", "dev", "eth0")
        lab.run("nft", "delete", "element", "inet", "ocinet", "publish4", "{ tcp . 8080 }")
        wait_until(lambda: web.namespace.addresses("eth0") == inside, "its address is back")
        wait_until(lambda: not lab.ocinet("check", check=False).status, "it is whole")
        docker.remove(web.id, dual.id, dock.id)
        wait_until(lambda: lab.ocinet("ps", "-aq").stdout == "", "the end of all records")
        assert_all_made_is_roots(lab)
        service.process.terminate()
        assert service.process.wait(30) == 0
        assert_limits_were_far(lab)
        log = lab.path(LOG).read_text()
    assert not re.search(r'"level": *"(warning|error)"', log), log
    failed = [event for event in lab.events() if "error" in event or "warning" in event]
    assert failed == []
    wait_until(lambda: "exit_group" in calls_made(lab), "the last of the system calls")
    made = calls_made(lab)
    allowed = call_set("@system-service") - call_set("@privileged") - call_set("@resources")
    assert {"setns", "sendto", "clone3"} & made.keys()
    assert made.keys() <= allowed, sorted(made.keys() - allowed)
    entered = {arguments.partition(", ")[2].partition(")")[0] for arguments in made["setns"]}
    assert entered == {"CLONE_NEWNET"}  # RestrictNamespaces=net refuses others, and 0
    assert_nothing_of_ip_or_devices(made)


def test_refusal_with_the_units_rights_still_names_the_holder_of_a_port(lab: Lab) -> None:
    """To look into other users' processes takes capabilities that the unit keeps."""
    words = ("setpriv", "--reuid=65534", "--clear-groups", "python3", "-c", _LISTEN)
    listener = lab.start(*words)
    assert listener.line() == "ready"
    container = lab.runc.run(lab.bundle("web"))

    attach = start_confined(lab, "attach", f"pid:{container.pid}", "--id=web", "-p=8080:80")

    assert attach.process.wait(20) == 4
    assert_limits_were_far(lab)
    assert f"process {listener.pid} (python3)" in lab.path(LOG).read_text()
    container.delete()
    lab.run("rm", "/run/ocinet/events.jsonl")
