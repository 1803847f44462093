"""The watcher beside an engine at its worst: what it wires is right in the end.

Hypothesis makes up what happens to containers, and what goes wrong with the
engine meanwhile. Then all faults end, and within a few seconds every container
that runs has its network, and nothing is left of the others. What is there is
read by `ip -j` and from the directories, never with the code under test.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from fakes.engine_api import DOCKERS, ODD, Answer, FakeDocker, Refused, Sandboxes
from hosts.namespace.isolation import in_namespaces
from hosts.namespace.looks import ip_json
from hosts.namespace.watched import Watched
from hosts.namespace.wired_host import PATHS
from hosts.waiting import wait_until
from ocinet.engine.model.link import LINK_GROUP
from ocinet.engine.model.settings import Settings
from ocinet.watcher.cgroups import Cgroups
from ocinet.watcher.engine_calls import EngineCalls
from ocinet.watcher.lookout import Lookout

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.engine_api import FakeContainer, Init
    from ocinet.engine.gc import Leftover

_RIGHT_S = 15  # ends as soon as all is right; a stalled stream ends after 0.3 s
_CALM_S = 5
_FIXED = "10.72.0.77"
_ROLES = {
    "published": {"port_bindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}},
    "restarting": {"restart": "always"},
    "member": {"network_mode": "container:published"},
    "fixed": {"labels": {"ocinet.ip": _FIXED}},
}
_OWNER, _MEMBER = "published", "member"

Step = tuple[str, str]
NEWEST = list(DOCKERS)[-1]


class _Member:
    """A process in another one's network namespace."""

    def __init__(self, owner: int) -> None:
        words = ("nsenter", f"--net=/proc/{owner}/ns/net", "sh", "-c", "echo ready; exec cat")
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout
        assert self._process.stdout.readline() == b"ready\n"
        self.pid = self._process.pid

    def end(self) -> None:
        """Kill it; a second time does nothing."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream
            stream.close()


class _World:
    """A fake Docker with containers of four roles, and a watcher.

    Args:
        docker: not serving yet, or serving.
        sandboxes: of its containers.
        watcher: makes a new watcher.
    """

    def __init__(
        self, docker: FakeDocker, sandboxes: Sandboxes, watcher: Callable[[], Watched]
    ) -> None:
        self.docker = docker
        self.sandboxes = sandboxes
        self.containers: dict[str, FakeContainer] = {}
        self.by_hand: set[str] = set()
        self._watcher = watcher
        self.watched = watcher().__enter__()
        self.logs = ""

    def init(self, container_id: str) -> Init:
        """Make a first process: for a member, in its owner's namespace."""
        owner = self.docker.containers[container_id].owner
        return _Member(owner.pid) if owner else self.sandboxes(container_id)

    # What happens to containers.

    def act(self, act: str, role: str) -> None:
        """Do something to a container; what Docker refuses does not happen."""
        container = self.containers.get(role)
        if not self.docker.serves:  # then nobody can ask for anything, but processes end
            if act in ("die", "killed") and container:
                container.die(1)
            return
        with contextlib.suppress(Refused):
            if act in ("create", "start", "fail_to_start") and container is None:
                container = self.containers[role] = self.docker.create(role, **_ROLES[role])  # type: ignore[arg-type]
            if container and act != "create":
                getattr(self, f"_{act}")(container, role)

    def _start(self, container: FakeContainer, _role: str) -> None:
        container.start()

    def _die(self, container: FakeContainer, _role: str) -> None:
        container.die(1)

    def _killed(self, container: FakeContainer, _role: str) -> None:
        """Its process is dead for a while before Docker knows."""
        sandbox = self.sandboxes.latest.get(container.id)
        if container.runs and sandbox:
            sandbox.kill()
            self.watched.watch.reconcile()
            container.die(137)

    def _stop(self, container: FakeContainer, _role: str) -> None:
        container.stop()

    def _restart(self, container: FakeContainer, _role: str) -> None:
        container.restart()

    def _fail_to_start(self, container: FakeContainer, _role: str) -> None:
        container.fail_to_start()

    def _rename(self, container: FakeContainer, role: str) -> None:
        container.rename(role if container.name != role else f"{role}-2")

    def _rm(self, container: FakeContainer, role: str) -> None:
        container.remove(force=True)
        self._forget(role)

    def _forget(self, role: str) -> None:
        del self.containers[role]
        self.by_hand.discard(role)

    def _connect(self, container: FakeContainer, role: str) -> None:
        """Connect it by hand, which Docker allows when `none` is gone."""
        if role != _MEMBER and role not in self.by_hand:
            container.disconnect("none")
            container.connect("bridge")
            self.by_hand.add(role)

    # What goes wrong.

    def go_wrong(self, fault: str) -> None:
        """Begin one of `_FAULTS`."""
        _FAULTS[fault](self)

    def quit(self) -> None:
        """Stop Docker, and with it all containers."""
        if self.docker.serves:
            self.docker.quit()

    def crash(self) -> None:
        """Kill Docker; its containers live."""
        if self.docker.serves:
            self.docker.crash()

    def boot(self) -> None:
        """Start Docker, if it does not run."""
        if not self.docker.serves:
            self.docker.boot()

    def reboot_watcher(self) -> None:
        """Stop the watcher and start another one."""
        self.stop_watcher()
        self.watched = self._watcher().__enter__()

    def stop_watcher(self) -> None:
        """Stop the watcher."""
        self.watched.__exit__()
        self.logs += self.watched.log.getvalue()

    def calm(self) -> None:
        """Let the watcher do what it has been told to do by now."""
        self.watched.workers.idle(_CALM_S)

    # What has to be, in the end.

    def heal(self) -> None:
        """End all faults."""
        self.docker.faults.clear()
        self.boot()

    def wrong(self) -> list[str]:
        """Return all that is not as it should be."""
        alive = {role: container for role, container in self.containers.items() if container.runs}
        sandboxes = {
            role: os.readlink(f"/proc/{container.pid}/ns/net") for role, container in alive.items()
        }
        owners = {sandbox: role for role, sandbox in reversed(sandboxes.items())}
        inside = {sandbox: addresses(alive[role].pid, role) for sandbox, role in owners.items()}
        due = [role for role in alive if role != _MEMBER and role not in self.by_hand]
        given = [address for some in inside.values() for address in some]
        # Whoever was connected by hand may have been wired before; so a member whose
        # owner has ended.
        may_have = {*alive, *([_OWNER] if _MEMBER in alive else [])}
        found = [f"{role}: {inside[sandboxes[role]]}" for role in due
                 if len(inside[sandboxes[role]]) != 1]  # fmt: skip
        if "fixed" in due and inside[sandboxes["fixed"]] != [_FIXED]:
            found.append("fixed: has another address")
        if len(given) != len(set(given)):
            found.append(f"given twice: {inside}")
        if links("veth") != len(given):
            found.append(f"{links('veth')} links for {inside}")
        if leased() != sorted(given) or len(holders()) != len(given):
            found.append(f"leased {leased()} to {holders()}, given {given}")
        owner_id = self.containers[_OWNER].id if _OWNER in self.containers else ""
        ids = {container.id for container in alive.values()} | (
            {owner_id} if _MEMBER in alive else set()
        )
        wired = {alive[role].id for role in due}
        if not wired <= recorded() or not (recorded() <= ids or _MEMBER in alive):
            found.append(f"records {recorded()}, alive {ids}, due {wired}")
        if _OWNER in due and ports() != ["tcp-8064-8191"]:
            found.append(f"published {ports()}")
        if _OWNER not in may_have and ports():
            found.append(f"ports {ports()}")
        wired_sandboxes = {sandbox for sandbox, some in inside.items() if some}
        if named() != wired_sandboxes:
            found.append(f"named {named()}, wired {wired_sandboxes}")
        return found

    def right(self, when: str) -> None:
        """Wait until all is as it should be, and stays so."""
        seen: list[str] = []

        def is_right() -> bool:
            seen[:] = self.wrong()
            return not seen

        try:
            for _ in range(2):
                wait_until(is_right, when, timeout_s=_RIGHT_S, interval_s=0.05)
                assert self.watched.workers.idle(_RIGHT_S)
        except AssertionError as error:
            log = self.logs + self.watched.log.getvalue()
            raise AssertionError(f"{when}: {error}: {seen}\n{log[-6000:]}") from None


def addresses(pid: int, role: str) -> list[str]:
    """Return a container's addresses; it has no interface but lo and eth0."""
    found = {link["ifname"]: link for link in ip_json("addr", pid)}
    assert set(found) <= {"lo", "eth0"}, f"{role}: {set(found)}"
    told = found.get("eth0", {}).get("addr_info", [])
    return [address["local"] for address in told if address["scope"] == "global"]


def links(kind: str) -> int:
    """Return how many links of a kind on the host are ours."""
    found = ip_json(f"-d link show group {LINK_GROUP}")
    return sum(link.get("linkinfo", {}).get("info_kind") == kind for link in found)


def _files(directory: str) -> list[str]:
    return [
        name
        for _root, _directories, names in os.walk(f"{PATHS.run}/{directory}")
        for name in names
        if name != "lock"
    ]


def leased() -> list[str]:
    """Return the addresses that have a lease."""
    return sorted(name for name in _files("ipam") if "=" not in name)


def holders() -> list[str]:
    """Return who has a lease, by container and interface."""
    return [name for name in _files("ipam") if "=" in name]


def recorded() -> set[str]:
    """Return the ids of the containers that have a record."""
    return {name.removesuffix(".json") for name in _files("attachments")}


def named() -> set[str]:
    """Return the network namespaces that have a name; each name has to lead to one."""
    with contextlib.suppress(FileNotFoundError):
        paths = [f"{PATHS.netns}/{name}" for name in os.listdir(PATHS.netns)]
        return {f"net:[{os.stat(path).st_ino}]" if os.path.exists(path) else path
                for path in paths}  # fmt: skip
    return set()


def ports() -> list[str]:
    """Return the host ports that are claimed."""
    return sorted(_files("ports"))


def _answer(endpoint: str, answer: Answer) -> Callable[[_World], None]:
    return lambda world: world.docker.faults.answer(endpoint, answer, times=3)


_FAULTS: dict[str, Callable[[_World], None]] = {
    "calm": _World.calm,
    "heal": _World.heal,
    "quit": _World.quit,
    "crash": _World.crash,
    "boot": _World.boot,
    "watcher anew": _World.reboot_watcher,
    "cut": lambda world: world.docker.faults.cut(),
    "end": lambda world: world.docker.faults.cut("end"),
    "reset": lambda world: world.docker.faults.cut("reset"),
    "cut in line": lambda world: world.docker.faults.cut(in_line=True),
    "stall": lambda world: world.docker.faults.stall(),
    "flow": lambda world: world.docker.faults.flow(),
    "freeze": lambda world: world.docker.faults.freeze(),
    "thaw": lambda world: world.docker.faults.thaw(),
    "drop": lambda world: world.docker.faults.drop(),
    "drop start": lambda world: world.docker.faults.drop("start"),
    "drop ends": lambda world: world.docker.faults.drop("die", "destroy", "disconnect"),
    "drop some": lambda world: world.docker.faults.drop(times=3),
    "duplicate": lambda world: world.docker.faults.duplicate(),
    "reorder": lambda world: world.docker.faults.reorder(4, reversed),
    "replay": lambda world: world.docker.faults.replay(),
    "pieces": lambda world: setattr(world.docker.faults, "piece", 7),
    "noise": lambda world: world.docker.faults.inject(b'\x00{"no": json\n[1]\n"x"\nnull\n\n'),
    "deep": lambda world: world.docker.faults.inject(b"[" * 100_000 + b"\n"),
    **{
        f"odd: {name}": lambda world, odd=odd: world.docker.faults.twist(odd)  # type: ignore[misc]
        for name, odd in ODD.items()
    },
    **{
        f"{endpoint}: {name}": _answer(endpoint, answer)
        for endpoint in ("ping", "info", "list", "inspect", "events")
        for name, answer in {
            "500": Answer.error(),
            "404": Answer.error(404),
            "garbage": Answer.garbage(),
            "torn": Answer.torn(),
            "none": Answer.none(),
            "of another shape": Answer.document([{"Id": 7}]),
            "empty": Answer.document([]),
            "slow": Answer.slow(0.1),
            "too slow": Answer.slow(3),
        }.items()
    },
}
_ACTS = ("create", "start", "die", "killed", "stop", "restart", "rm", "rename", "connect",
         "fail_to_start")  # fmt: skip
_STARTS = ("start", "start", "restart")  # else most containers would not run
_STEPS = st.one_of(
    st.tuples(st.sampled_from(_STARTS), st.sampled_from(list(_ROLES))),
    st.tuples(st.sampled_from(_ACTS), st.sampled_from(list(_ROLES))),
    st.tuples(st.just("fault"), st.sampled_from(list(_FAULTS))),
)


@in_namespaces
def live_through(steps: list[Step], *, early: bool, version: str = NEWEST) -> None:
    """Live through what happens; all is right after it, and when all are gone."""
    directory = tempfile.mkdtemp(dir="/run")
    path = f"{directory}/docker.sock"
    current = Settings()
    calls = EngineCalls(PATHS, lambda _network: {}, lambda: current)
    broken: list[BaseException] = []
    collected: list[Leftover] = []
    with (
        Sandboxes(cgroups=early) as sandboxes,
        FakeDocker(path, sandboxes, version=version) as docker,
    ):

        def appeared(container: str) -> None:
            watched = world.watched if world else None
            if watched:
                watched.watch.appeared(container)

        world: _World | None = None
        lookout = Lookout(Cgroups(), appeared, broken.append)
        lookout.start()

        def collect() -> None:
            collected.extend(calls.collect())

        def watcher() -> Watched:
            return Watched(path, calls, collect=collect, lookout=lookout if early else None)

        world = _World(docker, sandboxes, watcher)
        docker.inits = world.init
        try:
            for act, what in steps:
                if act == "fault":
                    world.go_wrong(what)
                else:
                    world.act(act, what)
            world.heal()
            world.right(f"after {steps}")
            for role in list(world.containers):
                world.act("rm", role)
            world.right(f"with no container, after {steps}")
            assert links("bridge") <= 1
        except AssertionError as error:
            raise AssertionError(f"{error}\ncollected: {collected}") from None
        finally:
            lookout.stop()
            world.stop_watcher()
    assert not broken, broken
    shutil.rmtree(directory)


def _amidst(fault: str) -> list[Step]:
    """Return a life with a fault amidst that is the only one, and changes after it."""
    return [
        ("start", "published"), ("start", "member"), ("start", "fixed"), ("fault", "calm"),
        ("fault", fault),
        ("start", "restarting"), ("die", "fixed"), ("restart", "published"),
        ("rename", "published"), ("start", "fixed"), ("rm", "member"), ("die", "restarting"),
    ]  # fmt: skip


_HAND_PICKED = {
    "nothing": _amidst("calm"),
    "ends untold": [
        ("start", "published"), ("start", "fixed"), ("fault", "calm"), ("fault", "drop ends"),
        ("stop", "published"), ("rm", "fixed"),
    ],
    "died while Docker was down": [
        ("start", "published"), ("start", "fixed"), ("fault", "calm"), ("fault", "crash"),
        ("die", "published"), ("fault", "boot"), ("start", "restarting"),
    ],
    "Docker stopped and started": [
        ("start", "published"), ("start", "restarting"), ("start", "member"), ("fault", "calm"),
        ("fault", "quit"), ("fault", "boot"), ("start", "published"),
    ],
    "watcher was away": [
        ("start", "published"), ("fault", "watcher anew"), ("restart", "published"),
        ("start", "member"), ("fault", "watcher anew"), ("stop", "published"),
    ],
    "fails to start, then starts": [
        ("fail_to_start", "published"), ("start", "published"), ("fail_to_start", "fixed"),
    ],
    "connected by hand": [
        ("start", "published"), ("start", "fixed"), ("fault", "calm"), ("connect", "published"),
        ("create", "restarting"), ("connect", "restarting"), ("start", "restarting"),
        ("restart", "published"),
    ],
    "inspect denies what is there": [("start", "fixed"), ("fault", "calm"),
                                     ("fault", "inspect: 404"), ("rename", "fixed"),
                                     ("start", "published")],
    "the list is empty for a while": [("start", "fixed"), ("fault", "calm"), ("fault", "drop"),
                                      ("fault", "list: empty"), ("fault", "cut"),
                                      ("start", "published")],
}  # fmt: skip


@pytest.mark.parametrize("version", DOCKERS)
@pytest.mark.parametrize("name", _HAND_PICKED)
def test_a_course_of_events_ends_right(name: str, version: str) -> None:
    """Each is one that has to be put right by another way."""
    live_through(_HAND_PICKED[name], early=False, version=version)


@pytest.mark.parametrize(
    "fault",
    ["cut", "reset", "cut in line", "stall", "freeze", "drop", "drop start", "duplicate",
     "reorder", "replay", "pieces", "noise", "crash", "quit", "list: 500", "inspect: too slow",
     "events: garbage", "odd: no Actor"],
)  # fmt: skip
def test_a_fault_changes_nothing_in_the_end(fault: str) -> None:
    """One fault alone, amidst containers' lives."""
    live_through(_amidst(fault), early=False)


@pytest.mark.timeout(240)
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),  # to shrink takes longer than to read
    suppress_health_check=list(HealthCheck),
)
@example(steps=_amidst("stall"), early=True, version=NEWEST)
@given(
    steps=st.lists(_STEPS, min_size=4, max_size=12),
    early=st.booleans(),
    version=st.sampled_from(list(DOCKERS)),
)
def test_chaos_ends_right(steps: list[Step], early: bool, version: str) -> None:
    """Whatever happens: the right networks in the end, and no others."""
    live_through(steps, early=early, version=version)
