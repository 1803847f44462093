"""What engines tell of their containers' lives, and to whom."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from fakes.engine_api import Refused
from hosts.engine.driven import BAD_COMMAND, DOCKERS, HUNGRY_COMMAND, NOW_AND_THEN, PODMANS
from hosts.engine.told import PATIENCE_S, Told, in_order, runs, settled, spell, word_of
from hosts.waiting import wait_until

if TYPE_CHECKING:
    from fakes.engine_api.versions import DockerVersion
    from hosts.engine.driven import Driven

pytestmark = pytest.mark.usefixtures("machine_unchanged")
ONLY_DOCKER = pytest.mark.parametrize("shared_engine", DOCKERS, indirect=True, scope="module")
ONLY_PODMAN = pytest.mark.parametrize("shared_engine", PODMANS, indirect=True, scope="module")
_LABELS = {"color": "blue"}


@dataclass(frozen=True)
class Life:
    """Acts on a container, and what is told of it from its creation to its removal.

    Attributes:
        acts: as "start rename:shop rm_f", for `Driven.act`; up: wait until it runs.
        docker: what Docker 20.10 tells of them, in this order; for the later ones' see
            `in_order`.
        docker_28: what Docker 28 tells, where not just the order is another one.
        podman: what podman tells, in no order that could be relied on, less what
            it tells now and then.
        options: of the creation.
    """

    acts: str
    docker: str
    podman: str
    options: tuple[tuple[str, Any], ...] = ()
    docker_28: str = ""

    def dockers(self, version: DockerVersion) -> list[str]:
        """Return what a version of Docker tells, from the creation on."""
        is_of_28 = version.connects_late and self.docker_28
        told = in_order(version, self.docker_28 if is_of_28 else self.docker)
        return ["create", *told]


def life(acts: str, docker: str, podman: str, *, docker_28: str = "", **options: Any) -> Life:
    """Return a life."""
    return Life(acts, docker, podman, tuple(options.items()), docker_28)


LIVES = {
    "created": life("rm_f", "destroy", "remove"),
    "removed running": life(
        "start rm_f",
        "connect(none) start kill die disconnect(none) destroy",
        "init start die remove",
    ),
    "killed": life(
        "start kill rm_f",
        "connect(none) start kill die disconnect(none) destroy",
        "init start kill die remove",
    ),
    "stopped": life(
        "start stop rm_f",
        "connect(none) start kill kill die disconnect(none) stop destroy",
        "init start die remove",
    ),
    "died": life(
        "start die rm_f",
        "connect(none) start die disconnect(none) destroy",
        "init start die remove",
    ),
    "restarted": life(
        "start restart kill rm_f",
        "connect(none) start kill kill die disconnect(none) stop connect(none) start restart "
        "kill die disconnect(none) destroy",
        "init start restart die init start kill die remove",
    ),
    "restarted dead": life(
        "start kill restart kill rm_f",
        "connect(none) start kill die disconnect(none) connect(none) start restart "
        "kill die disconnect(none) destroy",
        "init start kill die restart init start kill die remove",
    ),
    "started twice": life(
        "start start kill rm_f",
        "connect(none) start kill die disconnect(none) destroy",
        "init start kill die remove",
    ),
    "stopped twice": life(
        "start stop stop rm_f",
        "connect(none) start kill kill die disconnect(none) stop destroy",
        "init start die remove",
    ),
    "paused": life(
        "start pause unpause kill rm_f",
        "connect(none) start pause unpause kill die disconnect(none) destroy",
        "init start pause unpause kill die remove",
    ),
    "renamed": life(
        "start rename:shop kill rm_f",
        "connect(none) start rename kill die disconnect(none) destroy",
        "init start rename kill die remove",
    ),
    "failed": life(
        "fail rm_f",
        "connect(none) disconnect(none) destroy",
        "remove",
        docker_28="disconnect(none) destroy",
        command=BAD_COMMAND,
    ),
    "removed by itself": life(
        "start die",
        "connect(none) start die disconnect(none) destroy",
        "init start die remove",
        auto_remove=True,
    ),
    "restarted by policy": life(
        "start die up kill rm_f",
        "connect(none) start die disconnect(none) connect(none) start "
        "kill die disconnect(none) destroy",
        "init start die restart init start kill die remove",
        restart="always",
    ),
    "restarted by policy, once": life(
        "start die up die rm_f",
        "connect(none) start die disconnect(none) connect(none) start die disconnect(none) destroy",
        "init start die restart init start die remove",
        restart="on-failure",
        restarts_max=1,
    ),
    "stopped against its policy": life(
        "start stop rm_f",
        "connect(none) start kill kill die disconnect(none) stop destroy",
        "init start die remove",
        restart="always",
    ),
    "checked for health": life(
        "start exec kill rm_f",
        "connect(none) start exec_create:true exec_start:true exec_die "
        "kill die disconnect(none) destroy",
        "init start exec exec_died kill die remove",
    ),
    "on Docker's bridge": life(
        "start kill rm_f",
        "connect(bridge) start kill die disconnect(bridge) destroy",
        "init start kill die remove",
        network_mode="bridge",
    ),
    "on the default network": life(
        "start kill rm_f",
        "connect(bridge) start kill die disconnect(bridge) destroy",
        "init start kill die remove",
        network_mode="default",
    ),
    "on the host's network": life(
        "start kill rm_f",
        "connect(host) start kill die disconnect(host) destroy",
        "init start kill die remove",
        network_mode="host",
    ),
}
BY_HAND = {
    "connected by hand": life(
        "start disconnect:none connect:bridge restart kill rm_f",
        "connect(none) start disconnect(none) disconnect(none) connect(bridge) "
        "kill kill die disconnect(bridge) stop connect(bridge) start restart "
        "kill die disconnect(bridge) destroy",
        "",
        docker_28="connect(none) start disconnect(none) connect(bridge) "
        "kill kill die disconnect(bridge) stop connect(bridge) start restart "
        "kill die disconnect(bridge) destroy",
    ),
    "connected before it starts": life(
        "disconnect:none connect:bridge start kill rm_f",
        "disconnect(none) connect(bridge) start kill die disconnect(bridge) destroy",
        "",
        docker_28="connect(bridge) start kill die disconnect(bridge) destroy",
    ),
    "disconnected by hand": life(
        "start disconnect:none rm_f",
        "connect(none) start disconnect(none) disconnect(none) kill die destroy",
        "",
        docker_28="connect(none) start disconnect(none) kill die destroy",
    ),
}


@pytest.mark.parametrize("name", LIVES)
def test_a_life_is_told_as_the_engine_tells_it(engine: Driven, api: Any, name: str) -> None:
    """The events of a container are those of its engine, Docker's in their order."""
    wanted = LIVES[name]
    with Told(engine) as told:
        container = live(engine, api, wanted)
        if engine.kind == "docker":
            assert docker_acts(told, container) == wanted.dockers(engine.docker)
        else:
            expected = sorted(["create", *wanted.podman.split()])
            with contextlib.suppress(AssertionError):
                wait_until(lambda: _podman_acts(told, container) == expected, "all events")
            assert _podman_acts(told, container) == expected


@ONLY_DOCKER
@pytest.mark.parametrize("name", BY_HAND)
def test_networks_by_hand_are_told_as_docker_tells_it(engine: Driven, api: Any, name: str) -> None:
    """Before 28 what runs is disconnected twice; what does not is connected at its start."""
    wanted = BY_HAND[name]
    with Told(engine) as told:
        container = live(engine, api, wanted)
        assert docker_acts(told, container) == wanted.dockers(engine.docker)


@ONLY_DOCKER
def test_docker_tells_that_the_memory_was_at_an_end(engine: Driven, api: Any) -> None:
    """Before it tells of the death, and its inspect says so later."""
    with Told(engine) as told:
        # Of 8 MB, runc's own first stage took more at times, on Debian 13.
        container = engine.create("web", command=HUNGRY_COMMAND, memory=32 << 20)
        engine.act("start", container)
        engine.act("oom", container)
        assert api.inspect_container(container)["State"]["OOMKilled"] is True
        engine.act("rm_f", container)
        acts = "create connect(none) start oom die disconnect(none) destroy"
        assert docker_acts(told, container) == in_order(engine.docker, acts)


@ONLY_PODMAN
def test_podman_refuses_networks_by_hand(engine: Driven) -> None:
    """A container without a network can be given none."""
    engine.create("web")
    with pytest.raises(Refused) as raised:
        engine.act("connect", "web", "podman")
    assert raised.value.status == 500


def live(engine: Driven, api: Any, wanted: Life) -> str:
    """Have a container live that life; returns its id."""
    container = engine.create("web", **dict(wanted.options))
    for word in wanted.acts.split():
        act, _, argument = word.partition(":")
        if act == "up":
            wait_until(lambda: runs(api, container), "its restart", timeout_s=PATIENCE_S)
        else:
            engine.act(act, container, *filter(None, [argument]))
    return container


def docker_acts(told: Told, container: str) -> list[str]:
    """Return what was told of a container of Docker's, once that is all.

    Of a pause just a first one: containerd tells Docker of it, too, and where an
    unpause comes in between, Docker tells both again (seen 2 times in 400).
    """
    told.wait_for(container, "destroy")
    acts: list[str] = []
    for act in told.acts(container):
        if act not in ("pause", "unpause") or act not in acts:
            acts.append(act.replace(": true ", ":true"))
    return settled(acts)


def _podman_acts(told: Told, container: str) -> list[str]:
    return sorted(act for act in told.acts(container) if act not in NOW_AND_THEN)


def test_events_carry_what_the_watcher_reads(engine: Driven) -> None:
    """Container events have id, name, image and labels; Docker's network events the container."""
    with Told(engine) as told:
        container = engine.create("web", labels=_LABELS)
        engine.act("start", container)
        engine.act("rename", container, "shop")
        engine.act("kill", container)
        engine.act("rm_f", container)
        told.wait_for(container, engine.removal)
        events = {word_of(event): event for event in told.of(container)}
    image = "busybox" if engine.kind == "docker" else "localhost/busybox:latest"
    for act in ("create", "start", "die", "rename"):
        event = events[act]
        attributes = event["Actor"]["Attributes"]
        name = "web" if act in ("create", "start") else "shop"
        assert event["Actor"]["ID"] == container
        assert (attributes["name"], attributes["image"]) == (name, image)
        assert attributes["color"] == "blue"
        assert (event["id"], event["from"], event["status"]) == (container, image, act)
        assert event["scope"] == "local"
        assert event["time"] == event["timeNano"] // 10**9
    assert events["die"]["Actor"]["Attributes"]["exitCode"] == "137"
    if engine.kind == "docker":
        network = events["connect"]
        expected = {"container": container, "name": "none", "type": "null"}
        assert network["Actor"]["Attributes"] == expected
        assert not {"id", "status", "from"} & network.keys()
        assert events["rename"]["Actor"]["Attributes"]["oldName"] == "/web"
        assert events["kill"]["Actor"]["Attributes"]["signal"] == "9"
    else:
        assert events["die"]["Actor"]["Attributes"]["containerExitCode"] == "137"
        assert (
            not {"oldName", "signal"}
            & (
                events["rename"]["Actor"]["Attributes"] | events["kill"]["Actor"]["Attributes"]
            ).keys()
        )


@pytest.mark.parametrize(
    ("filters", "docker", "podman"),
    [
        ({}, "create connect start rename kill die disconnect destroy",
         "create init start rename kill died remove"),
        ({"type": ["container"]}, "create start rename kill die destroy",
         "create init start rename kill died remove"),
        ({"type": ["network"]}, "connect disconnect", ""),
        ({"type": ["container", "network"], "event": ["connect", "start", "die", "remove"]},
         "connect start die", "start remove"),
        ({"event": ["died", "destroy"]}, "destroy", "died"),
        ({"event": ["die"]}, "die", ""),
        ({"event": ["start", "nonsense"]}, "start", "start"),
        ({"event": ["nonsense"]}, "", ""),
        ({"type": ["nonsense"]}, "", ""),
        ({"label": ["color=blue"]}, "create start rename kill die destroy",
         "create init start rename kill died remove"),
        ({"label": ["color=red"]}, "", ""),
        ({"nonsense": ["x"]}, "create connect start rename kill die disconnect destroy", ""),
    ],
)  # fmt: skip
def test_filters_of_events_are_the_engines(
    engine: Driven, filters: dict[str, list[str]], docker: str, podman: str
) -> None:
    """Podman 4 goes by its own names and knows no others; what is unknown is no error."""
    expected = (docker if engine.kind == "docker" else podman.replace("died", "die")).split()
    if engine.kind == "podman" and engine.podman.knows_die and "die" in filters.get("event", ()):
        expected.append("die")
    since = spell(time.time_ns())
    with Told(engine) as told:
        container = engine.create("web", labels=_LABELS)
        for act, word in (("start", ""), ("rename", "shop"), ("kill", ""), ("rm_f", "")):
            engine.act(act, container, *filter(None, [word]))
        told.wait_for(container, engine.removal)
    with Told(engine, filters, since=since) as again:
        wait_until(lambda: len(_acts(again, container)) >= len(expected), "the events")
        assert sorted(_acts(again, container)) == sorted(expected)


def _acts(told: Told, container: str) -> list[str]:
    words = [word_of(event) for event in told.of(container)]
    return [word for word in words if word not in NOW_AND_THEN]


def test_since_is_inclusive(engine: Driven) -> None:
    """Docker's to the nanosecond; podman's is off by less than a microsecond."""
    margin_ns = 0 if engine.kind == "docker" else 1000
    last = engine.removal
    with Told(engine) as told:
        container = engine.create("web")
        engine.act("rename", container, "shop")
        engine.act("rename", container, "store")
        engine.act("rm_f", container)
        told.wait_for(container, last)
        wanted = [event for event in told.of(container) if word_of(event) == "rename"]
        all_of_them = told.of(container)
    for left, event in ((3, wanted[0]), (2, wanted[1])):
        moments = (event["timeNano"] - margin_ns, event["timeNano"] + 1 + margin_ns)
        for since, expected in zip(moments, (left, left - 1), strict=True):
            with Told(engine, since=spell(since)) as again:
                again.wait_for(container, last)
                assert again.of(container) == all_of_them[-expected:]


@ONLY_DOCKER
def test_docker_keeps_256_events(engine: Driven) -> None:
    """Of all types; podman's log has all of them."""
    container = engine.create("web")
    for number in range(300):
        engine.act("rename", container, f"web{number}")
    with Told(engine, since="1") as told:
        wait_until(lambda: len(told.events) >= 256, "the events")
        assert told.acts(container) == ["rename"] * 256
        assert len(told.events) == 256
