"""What follows from an event, from a list, and from what fails meanwhile."""

from __future__ import annotations

import os
import threading
from collections import Counter
from dataclasses import replace
from errno import EACCES, ENODEV
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from ocinet.base.clock import Process
from ocinet.base.errors import BusyError, KernelError, NotFoundError, RequestError, SystemFailure
from ocinet.engine.kernel.sandbox import Sandbox
from ocinet.engine.model.attachment import ATTACHED, Attachment, Container
from ocinet.engine.model.request import Request
from ocinet.engine.model.settings import Settings
from ocinet.watcher import container_jobs
from ocinet.watcher.container_jobs import ContainerJobs
from ocinet.watcher.dispatch import Dispatch
from ocinet.watcher.life import Life
from ocinet.watcher.observed import UNTOLD, Event, ObservedContainer
from ocinet.watcher.remembered import Remembered
from ocinet.watcher.sight import Sight
from ocinet.watcher.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

    from ocinet.base.errors import OcinetError

WEB, DB = "c0ffee" * 10, "feed" * 16
_LONG_S = 10


class Engine:
    """An engine that shows what it is told to, and counts what it is asked."""

    def __init__(self) -> None:
        self.containers: dict[str, ObservedContainer] = {}
        self.files: dict[str, ObservedContainer] = {}  # those whose files can be read
        self.images: dict[str, frozenset[tuple[str, str]]] = {}
        self.asked: Counter[str] = Counter()
        self.failures: list[OcinetError] = []
        self.held_back: dict[str, threading.Event] = {}  # answers, until they are set

    def listed(self) -> tuple[ObservedContainer, ...]:
        self.asked["list"] += 1
        return tuple(self.containers.values())

    def created(self, container_id: str) -> ObservedContainer | None:
        return self.inspect(container_id)

    def kept(self, container_id: str) -> ObservedContainer | None:
        return self.files.get(container_id)

    def glance(self, container_id: str) -> ObservedContainer | None:
        self.asked["glance"] += 1
        return self.containers.get(container_id)

    def started(self, container_id: str) -> ObservedContainer | None:
        return self.inspect(container_id)

    def restart(self, _container_id: str) -> None:
        self.asked["restart"] += 1

    def inspect(self, container_id: str) -> ObservedContainer | None:
        self.asked["inspect"] += 1
        if container_id in self.held_back:
            self.held_back[container_id].wait(_LONG_S)
        if self.failures:
            raise self.failures.pop()
        return self.containers.get(container_id)

    def carried(self, image: str, _manifest: str) -> frozenset[tuple[str, str]] | None:
        self.asked["image"] += 1
        return self.images.get(image)


class Losses:
    """Is told of nothing; it can be closed."""

    def fileno(self) -> int:
        return -1

    def read(self) -> bool:
        return False

    def close(self) -> None:
        """Do nothing."""


class Lookout:
    """Finds every container in this process's own namespace, at once."""

    def __init__(self) -> None:
        self.born: set[str] = set()
        self.expected: list[str] = []
        self.guarded: dict[str, Callable[[], None]] = {}
        self.parents: list[tuple[str, str]] = []

    def tell_parent(self, container_id: str, parent: str) -> None:
        self.parents.append((container_id, parent))

    def guard(self, container_id: str, _losses: object, lost: Callable[[], None]) -> None:
        self.guarded[container_id] = lost

    def release(self, container_id: str) -> None:
        self.guarded.pop(container_id, None)

    def expect(self, container_id: str, deliver: Callable[[Life], None]) -> None:
        self.expected.append(container_id)
        process = Process.of(os.getpid())
        assert process
        deliver(Life(process, Sandbox.open_process(process)))

    def has_appeared(self, container_id: str) -> bool:
        return container_id in self.born

    def forget(self, container_id: str) -> None:
        self.born.discard(container_id)
        self.release(container_id)


class Attacher:
    """Attaches nothing, and remembers what it was to do; fails as it is told to."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.known: set[str] = set()
        self.names: dict[str, str] = {}
        self.failures: list[OcinetError] = []
        self.told: list[tuple[str, str, str, str]] = []
        self.with_ipv6: set[str] = set()
        self.unnamed: set[str] = set()
        self.early: set[str] = set()
        self.behind: dict[str, list[Attachment]] = {}

    def guard(self, container_id: str, _sandbox: Sandbox) -> Losses | None:
        return Losses() if container_id in self.with_ipv6 else None

    def restore(self, container_id: str, *, started: bool) -> bool:
        if started and container_id in self.unnamed:
            self.unnamed.remove(container_id)
            self.done.append(("name", container_id))
        if container_id in self.with_ipv6:
            self.done.append(("restore", container_id))
        return container_id in self.with_ipv6

    def attach(
        self, shown: ObservedContainer, request: Request, life: Life, *, anew: bool, early: bool
    ) -> Attachment | None:
        if self.failures:
            raise self.failures.pop()
        if early:
            self.early.add(shown.id)
        if shown.id in self.known and not anew:
            return None
        self.known.add(shown.id)
        self.done.append(("attach", shown.id, request))
        container = Container(shown.id, shown.name, "", life.process, "watcher")
        return Attachment(container, request.mode, ATTACHED, life.sandbox.identity, "boot", "now")

    def is_known(self, container_id: str) -> bool:
        return container_id in self.known

    def naming_of(self, container_id: str) -> tuple[str, bool]:
        return self.names.get(container_id, container_id[:6]), container_id in self.unnamed

    def ended(self, container_id: str) -> bool:
        if container_id not in self.known:
            return False
        self.known.remove(container_id)
        self.done.append(("end", container_id))
        return True

    def rename(self, container_id: str, name: str) -> bool:
        self.done.append(("rename", container_id, name))
        return True

    def left_behind(self, container_id: str) -> tuple[Attachment, ...]:
        return tuple(self.behind.get(container_id, ()))

    def note_rejoin(self, member: Attachment) -> bool:
        for members in self.behind.values():
            if member in members:
                members.remove(member)
                return True
        return False

    def take_back_rejoin(self, member: Attachment) -> None:
        self.behind.setdefault(member.member_of, []).append(member)

    def tell(self, event: str, container_id: str, name: str, error: str) -> None:
        self.told.append((event, container_id, name, error))


class Scene:
    """One engine, what is done about it, and what is logged."""

    def __init__(self, log: list[MutableMapping[str, Any]]) -> None:
        self.engine, self.attacher, self.log = Engine(), Attacher(), log
        self.failures: list[BaseException] = []
        self.lookout = Lookout()
        self.workers = Workers(2, self.failures.append)
        self.settings = Settings()
        logger = structlog.get_logger()
        self.remembered = Remembered(self.engine.carried, logger)
        sight = Sight("/nowhere", logger)
        jobs = ContainerJobs(
            self.engine, self.attacher, self.remembered, sight, lambda: self.settings, logger
        )
        self.dispatch = Dispatch(
            jobs, self.remembered, self.workers, self.lookout, lambda: self.settings, logger
        )
        self.workers.start()

    def show(self, container: str, mode: str = "none", **changes: Any) -> ObservedContainer:
        """Have the engine show a container, running in this process's own namespace."""
        fields = {"name": container[:6], "pid": os.getpid(), "running": True, **changes}
        self.engine.containers[container] = ObservedContainer(container, mode=mode, **fields)
        return self.engine.containers[container]

    def tell(self, *events: Event) -> None:
        """Tell events, and wait until all that follows at once is done."""
        for event in events:
            self.dispatch.receive(event)
        assert self.workers.idle(_LONG_S)
        assert self.failures == []

    def said(self, event: str) -> list[str]:
        """Return the reasons that were logged with an event."""
        return [str(entry.get("why")) for entry in self.log if entry["event"] == event]


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A scene whose retries come at once."""
    with structlog.testing.capture_logs() as log:
        made = Scene(log)
        made.dispatch.retries_s = (0.001, 0.001, 0.001)
        yield made
        assert made.workers.stop(_LONG_S)


def eventually(scene: Scene, happened: Callable[[], bool], *, idle: bool = True) -> None:
    """Wait for what retries lead to, and, unless a job is held up, for all jobs."""
    from hosts.waiting import wait_until

    wait_until(happened, "what retries lead to", timeout_s=_LONG_S)
    assert not idle or scene.workers.idle(_LONG_S)


def test_pod_is_left_to_podmans_hook_where_there_is_one_and_that_is_said_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What keeps its sandbox is nothing to wire then; else it is as any other."""
    monkeypatch.setattr(container_jobs, "pod_hook", lambda: "/opt/x/hook.json")
    scene.show(WEB, infra=True)
    scene.tell(Event("start", WEB), Event("start", WEB))
    assert scene.attacher.done == []
    assert scene.said("container left alone") == [
        "it keeps a pod's sandbox, which podman's hook /opt/x/hook.json wires when a member asks"
    ]
    monkeypatch.setattr(container_jobs, "pod_hook", lambda: "")
    scene.tell(Event("start", WEB))
    assert [done[:2] for done in scene.attacher.done] == [("attach", WEB)]


def test_pod_is_no_hooks_where_podmans_configuration_cant_be_read(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody can tell who wires it: that is said, as of others that can't be served."""

    def fail() -> str:
        raise RequestError("cannot read it", "it is not TOML")

    monkeypatch.setattr(container_jobs, "pod_hook", fail)
    scene.show(WEB, infra=True)
    scene.tell(Event("start", WEB))
    assert scene.attacher.done == []
    assert [told[3] for told in scene.attacher.told] == ["cannot read it: it is not TOML"]


def test_start_attaches_and_die_detaches(scene: Scene) -> None:
    """The plain life of a container."""
    scene.show(WEB)
    scene.tell(Event("start", WEB), Event("die", WEB))
    assert [call[:2] for call in scene.attacher.done] == [("attach", WEB), ("end", WEB)]


def test_start_of_what_does_not_run_detaches(scene: Scene) -> None:
    """A late event: the engine's word of now counts."""
    scene.show(WEB)
    scene.attacher.known.add(WEB)
    scene.show(WEB, running=False, pid=0)
    scene.tell(Event("start", WEB))
    assert scene.attacher.done == [("end", WEB)]


def test_start_of_what_was_wired_early_asks_nothing(scene: Scene) -> None:
    """The engine has others to start meanwhile."""
    scene.show(WEB)
    scene.tell(Event("connect", WEB, network="none"))
    before = scene.engine.asked.copy()
    scene.tell(Event("start", WEB))
    assert [call[:2] for call in scene.attacher.done] == [("attach", WEB)]
    assert scene.engine.asked == before


def test_cgroup_of_a_created_container_is_early_enough(scene: Scene) -> None:
    """It is wired before its engine says anything of a start, and once."""
    scene.show(WEB, running=False)
    scene.tell(Event("create", WEB))
    scene.dispatch.appeared(WEB)
    scene.tell()
    scene.tell(Event("connect", WEB, network="none"), Event("start", WEB))
    assert [call[:2] for call in scene.attacher.done] == [("attach", WEB)]
    assert scene.lookout.expected == [WEB]


def test_cgroup_that_is_made_before_its_container_was_observed_counts(scene: Scene) -> None:
    """`docker run` on a busy machine: the look at what was created comes after it."""
    scene.show(WEB)
    scene.lookout.born.add(WEB)
    scene.dispatch.appeared(WEB)
    assert scene.lookout.expected == []
    scene.tell(Event("create", WEB))
    assert [call[:2] for call in scene.attacher.done] == [("attach", WEB)]


def test_parent_that_a_container_asks_for_is_told_before_its_start(scene: Scene) -> None:
    """Its cgroup is expected there; those of containers that are not ours matter to nobody."""
    scene.show(WEB, running=False, cgroup_parent="shop.slice")
    scene.show(DB, "bridge", running=False, cgroup_parent="others.slice")
    scene.tell(Event("create", WEB), Event("create", DB))
    assert scene.lookout.parents == [(WEB, "shop.slice")]


@pytest.mark.parametrize("mode", ["bridge", "host", "container:feed"])
def test_cgroups_of_others_are_not_looked_into(scene: Scene, mode: str) -> None:
    """Of containers that have a network, and of whom no engine told."""
    scene.show(DB, mode, running=False)
    scene.tell(Event("create", DB))
    for container in (DB, WEB):
        scene.dispatch.appeared(container)
    assert scene.lookout.expected == []


def test_early_attach_that_is_off_heeds_no_cgroup(scene: Scene) -> None:
    """What is off is off."""
    scene.settings = Settings(early_attach=False)
    scene.show(WEB, running=False)
    scene.tell(Event("create", WEB))
    scene.dispatch.appeared(WEB)
    assert scene.lookout.expected == []


def test_early_attach_goes_by_the_networks_of_now(scene: Scene) -> None:
    """Docker 28 tells of a network that was connected by hand after the cgroup is made."""
    created = scene.show(WEB, running=False, networks=("none",))
    scene.tell(Event("create", WEB))
    scene.engine.files[WEB] = replace(created, networks=("lan",))
    scene.dispatch.appeared(WEB)
    scene.tell()
    assert scene.attacher.done == []


def test_addresses_of_ipv6_are_guarded_until_the_start(scene: Scene) -> None:
    """Docker turns IPv6 off between the two; at the start it is looked at once more.

    And named: Docker writes its files anew before that, so it would be for nothing.
    """
    scene.attacher.with_ipv6 = {WEB}
    scene.attacher.unnamed = {WEB, DB}
    for container in (WEB, DB):
        scene.show(container)
        scene.tell(Event("connect", container, network="none"))
    assert scene.attacher.early == {WEB, DB}
    assert list(scene.lookout.guarded) == [WEB]
    scene.lookout.guarded[WEB]()
    scene.tell()
    assert [call[0] for call in scene.attacher.done if call[1] == WEB] == ["attach", "restore"]
    scene.tell(Event("start", WEB), Event("start", DB))
    acts = ["attach", "restore", "name", "restore"]
    assert [call[0] for call in scene.attacher.done if call[1] == WEB] == acts
    assert scene.attacher.done[-1] == ("name", DB)
    assert scene.lookout.guarded == {}


def test_start_that_fails_guards_nothing_any_more(scene: Scene) -> None:
    """The sandbox is gone, and what listens to it is closed."""
    scene.attacher.with_ipv6 = {WEB}
    scene.show(WEB)
    scene.tell(Event("connect", WEB, network="none"), Event("disconnect", WEB, network="none"))
    assert scene.lookout.guarded == {}


@pytest.mark.parametrize(("errno", "wired"), [(EACCES, True), (ENODEV, False)])
def test_attach_that_docker_turned_ipv6_off_under_is_done_again(
    scene: Scene, errno: int, wired: bool
) -> None:
    """At once: at the start it would be too late. Whatever else fails may wait until then."""
    scene.show(WEB)
    scene.attacher.failures = [KernelError("cannot give eth0 the address", "", errno=errno)]
    scene.tell(Event("connect", WEB, network="none"))
    assert (WEB in scene.attacher.known) == wired


def test_start_of_what_was_partly_wired_early_looks_for_the_rest(scene: Scene) -> None:
    """A list tells no ports."""
    scene.show(WEB, whole=False)
    scene.tell(Event("connect", WEB, network="none"))
    scene.show(WEB)
    scene.tell(Event("start", WEB))
    assert [call[:2] for call in scene.attacher.done] == [("attach", WEB)] * 2


def test_life_after_one_that_failed_to_start_is_wired_anew(scene: Scene) -> None:
    """What was wired early counts for that life alone."""
    scene.show(WEB)
    none = {"container_id": WEB, "network": "none"}
    scene.tell(Event("connect", **none), Event("disconnect", **none), Event("start", WEB))
    assert [call[:2] for call in scene.attacher.done] == [
        ("attach", WEB), ("end", WEB), ("attach", WEB),
    ]  # fmt: skip


def test_unknown_containers_are_nobodys_matter(scene: Scene) -> None:
    """Gone before anybody looked."""
    scene.tell(Event("start", WEB), Event("die", DB), Event("connect", DB, network="lan"))
    assert scene.attacher.done == []
    assert scene.log == []


@pytest.mark.parametrize(
    "error",
    [
        BusyError("", "locked"), KernelError("", "no", errno=16), SystemFailure("", "x"),
        NotFoundError("", "no network"),
    ],
)  # fmt: skip
def test_what_may_pass_is_tried_again(scene: Scene, error: OcinetError) -> None:
    """A lock, a kernel, an engine that was slow, a network that is made later."""
    scene.show(WEB)
    scene.attacher.failures = [error, error]
    scene.tell(Event("start", WEB))
    eventually(scene, lambda: bool(scene.attacher.done))
    assert [call[:2] for call in scene.attacher.done] == [("attach", WEB)]
    # Where somebody has to do something, it is said before the last try.
    told = ["no network"] if isinstance(error, RequestError) else []
    assert scene.said("container not served") == told


def test_inspect_that_fails_is_tried_again(scene: Scene) -> None:
    """So is what the engine did not answer."""
    scene.show(WEB)
    scene.engine.failures = [SystemFailure("", "500")]
    scene.tell(Event("start", WEB))
    eventually(scene, lambda: bool(scene.attacher.done))


def test_what_does_not_pass_is_said_once(scene: Scene) -> None:
    """After as many tries as there are; a later event with the same end says nothing new."""
    scene.show(WEB)
    scene.attacher.failures = [BusyError("", "locked") for _ in range(8)]
    scene.tell(Event("start", WEB))
    eventually(scene, lambda: bool(scene.said("container not served")))
    scene.tell(Event("start", WEB))
    eventually(scene, lambda: scene.attacher.failures == [])
    assert scene.said("container not served") == ["locked"]
    assert scene.attacher.done == []


def test_wrong_wish_is_not_tried_again(scene: Scene) -> None:
    """Labels do not change; the others go on."""
    scene.show(WEB, labels=(("ocinet.nett", "lan"),))
    scene.show(DB)
    scene.tell(Event("start", WEB), Event("start", WEB), Event("start", DB))
    assert [call[:2] for call in scene.attacher.done] == [("attach", DB)]
    (why,) = scene.said("container not served")
    assert "there is no such key" in why
    assert scene.workers._later == []


def test_who_is_not_served_is_left_word_of_until_its_end(scene: Scene) -> None:
    """For `ocinet ps --all`: once for each reason, and that it has ended."""
    scene.show(WEB, labels=(("ocinet.nett", "lan"),))
    scene.tell(Event("start", WEB), Event("start", WEB))
    [(event, container_id, name, error)] = scene.attacher.told
    assert (event, container_id, name) == (
        "container not served",
        WEB,
        scene.engine.containers[WEB].name,
    )
    assert "there is no such key" in error
    scene.tell(Event("die", WEB), Event("die", WEB))
    assert scene.attacher.told[1:] == [("unserved container ended", WEB, "", "")]


def test_refusal_is_said_anew_after_it_was_wired(scene: Scene) -> None:
    """Once something else has happened, it is news."""
    scene.show(WEB)
    scene.attacher.failures = [RequestError("", "no")]
    scene.tell(Event("start", WEB))
    scene.tell(Event("start", WEB), Event("die", WEB))
    scene.attacher.failures = [RequestError("", "no")]
    scene.tell(Event("start", WEB))
    assert scene.said("container not served") == ["no", "no"]


def test_image_is_asked_for_once_and_only_for_keys(scene: Scene) -> None:
    """What it carries never changes; whether it can be told may."""
    scene.show(DB, image="plain")
    scene.tell(Event("start", DB))
    assert scene.engine.asked["image"] == 0
    keys = (("ocinet.publish", "22:22"),)
    scene.show(WEB, labels=keys, image="shop")
    scene.tell(Event("start", WEB))
    assert "may be the image's wish" in scene.said("container not served")[0]
    scene.engine.images["shop"] = frozenset(keys)
    scene.tell(Event("start", WEB), Event("die", WEB), Event("start", WEB))
    attached = [call[2] for call in scene.attacher.done if call[:2] == ("attach", WEB)]
    assert [request.publish for request in attached] == [(), ()]
    assert scene.engine.asked["image"] == 2


def test_member_waits_for_its_owner(scene: Scene) -> None:
    """Its start may be told before the owner is wired."""
    scene.show(WEB)
    scene.show(DB, "container", target=WEB)
    scene.dispatch.reconcile()
    scene.workers.idle(_LONG_S)
    assert {call[1] for call in scene.attacher.done} == {WEB, DB}
    scene.attacher.known.clear()
    scene.attacher.failures = [NotFoundError("", "not attached yet")]
    scene.tell(Event("start", DB))
    eventually(scene, lambda: DB in scene.attacher.known)


def test_member_whose_owner_is_not_shown_yet_is_wired_after_it(scene: Scene) -> None:
    """Both starts are told in one breath, and the engine answers for the member first."""
    scene.show(WEB)
    scene.show(DB, "container", target=WEB)
    owners = scene.engine.held_back[WEB] = threading.Event()
    for container_id in (WEB, DB):
        scene.dispatch.receive(Event("start", container_id))
    eventually(scene, lambda: scene.engine.asked["inspect"] > 1, idle=False)
    owners.set()
    eventually(scene, lambda: scene.attacher.known == {WEB, DB})


def test_member_of_a_strangers_sandbox_is_left_alone(scene: Scene) -> None:
    """Whether the owner is Docker's, or not selected."""
    scene.show(WEB, "bridge")
    scene.show(DB, "container", target=WEB)
    scene.tell(Event("start", WEB), Event("start", DB))
    scene.show(WEB)
    scene.settings = Settings(select="labelled")
    scene.tell(Event("start", WEB), Event("start", DB))
    assert scene.attacher.done == []
    assert {entry["event"] for entry in scene.log} == {"container looked at"}


def test_keys_of_a_container_on_another_network_are_said_to_count_for_nothing(
    scene: Scene,
) -> None:
    """Its user may wonder; one without keys is nobody's matter."""
    scene.show(WEB, "bridge", labels=(("ocinet.net", "lan"),))
    scene.show(DB, "bridge")
    scene.tell(Event("start", WEB), Event("start", WEB), Event("start", DB))
    assert scene.said("container left alone") == [
        "its network is bridge, not none: its ocinet.* keys count for nothing"
    ]
    assert scene.attacher.done == []


def test_member_of_a_refused_owner_is_no_error_of_its_own(scene: Scene) -> None:
    """The owner's bad label is said of the owner alone."""
    scene.show(WEB, labels=(("ocinet.nett", "lan"),))
    scene.show(DB, "container", target=WEB)
    scene.tell(Event("start", WEB), Event("start", DB))
    refused = [
        entry["container"] for entry in scene.log if entry["event"] == "container not served"
    ]
    assert refused == [WEB]
    assert scene.attacher.done == []


def test_reconcile_wires_what_was_missed(scene: Scene) -> None:
    """Whatever events told, or did not."""
    scene.show(WEB)
    scene.show(DB, running=False, pid=0)
    scene.dispatch.reconcile()
    assert scene.workers.idle(_LONG_S)
    assert [call[:2] for call in scene.attacher.done] == [("attach", WEB)]


def test_reconcile_inspects_none_that_is_wired(scene: Scene) -> None:
    """A thousand containers cost one list."""
    scene.show(WEB)
    scene.dispatch.reconcile()
    assert scene.workers.idle(_LONG_S)
    before = scene.engine.asked["inspect"]
    scene.dispatch.reconcile()
    assert scene.workers.idle(_LONG_S)
    assert scene.engine.asked["inspect"] == before
    assert scene.engine.asked["list"] == 2


def test_reconcile_inspects_what_a_list_does_not_tell(scene: Scene) -> None:
    """Podman's lists tell no network mode."""
    scene.show(WEB)
    scene.show(DB, "host")
    told = tuple(replace(container, mode=UNTOLD) for container in scene.engine.listed())
    scene.engine.listed = lambda: told  # type: ignore[method-assign]  # as Podman answers
    scene.dispatch.reconcile()
    assert scene.workers.idle(_LONG_S)
    assert [call[:2] for call in scene.attacher.done] == [("attach", WEB)]


def test_nothing_is_remembered_of_what_is_gone(scene: Scene) -> None:
    """Whether its end was told or not."""
    for number in range(100):
        container = f"{number:064x}"
        scene.show(container, labels=(("ocinet.nett", "lan"),))
        scene.tell(Event("create", container), Event("start", container))
        del scene.engine.containers[container]
        if number % 2:
            scene.tell(Event("destroy", container))
    assert len(scene.remembered.containers.ids()) == 50
    scene.dispatch.reconcile()
    assert not scene.remembered.containers.ids()
    assert not scene.remembered.complaints._reasons
    assert not scene.remembered.early._not_told


def test_rename_is_passed_on(scene: Scene) -> None:
    """The id stays; a name that it asked for stays, too."""
    scene.show(WEB, name="shop")
    scene.show(DB, name="store", labels=(("ocinet.name", "db"),), image="plain")
    scene.engine.images["plain"] = frozenset()
    scene.tell(Event("rename", WEB), Event("rename", DB))
    assert scene.attacher.done == [("rename", WEB, "shop"), ("rename", DB, "db")]


def test_reconcile_renames_what_nobody_told(scene: Scene) -> None:
    """Whose name is as it was is not even looked at."""
    scene.show(WEB, name="shop")
    scene.show(DB)
    scene.dispatch.reconcile()
    assert scene.workers.idle(_LONG_S)
    scene.attacher.done.clear()
    before = scene.engine.asked["inspect"]
    scene.dispatch.reconcile()
    assert scene.workers.idle(_LONG_S)
    assert scene.attacher.done == [("rename", WEB, "shop")]
    assert scene.engine.asked["inspect"] == before + 1


def test_reconcile_names_whose_start_nobody_told(scene: Scene) -> None:
    """A hook or an early attach wired it, and the watcher did not run when it started."""
    for container in (WEB, DB):
        scene.show(container, name="new")
        scene.attacher.known.add(container)
    scene.show("a" * 64, running=False, pid=0)
    scene.attacher.known.add("a" * 64)
    scene.attacher.unnamed = {WEB, "a" * 64}
    scene.attacher.names = {WEB: "old", DB: "new"}
    for _ in range(2):
        scene.dispatch.reconcile()
        assert scene.workers.idle(_LONG_S)
        scene.attacher.names[WEB] = "new"
    assert sorted(scene.attacher.done) == [("name", WEB), ("rename", WEB, "new")]


def test_disconnect_from_none_is_an_end(scene: Scene) -> None:
    """All that a create that fails tells; of other networks it means nothing."""
    scene.attacher.known.add(WEB)
    scene.tell(Event("disconnect", WEB, network="lan"))
    assert scene.attacher.done == []
    scene.tell(Event("disconnect", WEB, network="none"))
    assert scene.attacher.done == [("end", WEB)]


def test_looks_that_wait_for_starts_hold_no_other_container_up(scene: Scene) -> None:
    """Docker starts a crowd, and whoever inspects one of it waits for its start's end."""
    begun = threading.Event()
    crowd = [f"{number:064x}" for number in range(20)]
    for container_id in crowd:
        scene.show(container_id)
        scene.engine.held_back[container_id] = begun
    scene.show(WEB)
    try:
        for container_id in crowd:
            scene.dispatch.receive(Event("create", container_id))
        eventually(scene, lambda: scene.engine.asked["inspect"] > 0, idle=False)

        scene.dispatch.receive(Event("start", WEB))

        eventually(scene, lambda: scene.attacher.known == {WEB}, idle=False)
        assert scene.remembered.containers.ids() == {WEB}, "nobody of the crowd was seen yet"
    finally:
        begun.set()
    assert scene.workers.idle(_LONG_S)
    assert scene.remembered.containers.ids() == {WEB, *crowd}


def test_process_of_a_test_is_itself() -> None:
    """The scenes above follow this very process."""
    process = Process.of(os.getpid())
    assert process
    assert process.alive
