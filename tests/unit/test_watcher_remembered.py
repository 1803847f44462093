"""What is remembered of containers is forgotten with them, and never counts for more than it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ocinet.watcher.observed import ObservedContainer
from ocinet.watcher.remembered import Complaints, EarlyAttaches, ImageKeys, KnownContainers

if TYPE_CHECKING:
    from ocinet.watcher.policy import Carried

WEB, DB = "c0ffee" * 10, "feed" * 16
_KEYS = frozenset({("ocinet.net", "lan")})


def test_container_of_another_network_is_not_remembered() -> None:
    """Nor is one any longer that was connected to another network since."""
    known = KnownContainers()
    known.put(WEB, ObservedContainer(WEB, "web", "none"))
    known.put(DB, ObservedContainer(DB, "db", "bridge"))
    assert known.ids() == {WEB}
    known.put(WEB, ObservedContainer(WEB, "web", "lan"))
    assert known.get(WEB) is None


def test_member_is_owned_by_whose_sandbox_it_shares() -> None:
    """Whoever is not known, or has a sandbox of its own, owns itself."""
    known = KnownContainers()
    known.put(DB, ObservedContainer(DB, "db", "container", target=WEB))
    assert [known.owner_of(container_id) for container_id in (WEB, DB)] == [WEB, WEB]


def test_early_attach_counts_for_one_start() -> None:
    """The next life of the container is another one's."""
    early = EarlyAttaches()
    assert not early.started(WEB)
    early.add(WEB)
    assert early.started(WEB)
    assert not early.started(WEB)


def test_partial_attach_is_not_all_of_it_whenever_the_start_is_told() -> None:
    """Until the rest was wired, or that life ended."""
    early = EarlyAttaches()
    early.set_partial(WEB, partial=True)
    early.add(WEB)
    assert not early.started(WEB)
    assert early.is_partial(WEB)
    early.set_partial(WEB, partial=False)
    assert not early.is_partial(WEB)
    early.set_partial(WEB, partial=True)
    early.forget(WEB)
    assert not early.is_partial(WEB)


def test_image_is_asked_for_again_only_if_it_could_not_be_told() -> None:
    """What it carries never changes; whether it can be told may."""
    answers: list[Carried] = [None, _KEYS]
    images = ImageKeys(lambda _image, _manifest: answers.pop(0))
    assert [images.carried("sha256:1", "") for _ in range(3)] == [None, _KEYS, _KEYS]
    assert images.carried("", "") is None


def test_platforms_of_one_image_are_asked_for_each() -> None:
    """What the one carries says nothing of the other."""
    images = ImageKeys(lambda _image, manifest: frozenset({("a", manifest)}))
    found = [images.carried("sha256:1", manifest) for manifest in ("sha256:2", "sha256:3")]
    assert found == [frozenset({("a", "sha256:2")}), frozenset({("a", "sha256:3")})]


def test_images_are_forgotten_from_the_oldest_on() -> None:
    """However many there are in a machine's life."""
    asked: list[str] = []

    def ask(image: str, _manifest: str) -> Carried:
        asked.append(image)
        return frozenset()

    images = ImageKeys(ask)
    names = [f"sha256:{number}" for number in range(257)]
    for name in (*names, names[-1], names[0]):
        images.carried(name, "")
    assert asked == [*names, names[0]]


def test_complaint_is_made_again_only_with_another_reason() -> None:
    """With the name that the container has now, if it is known."""
    known = KnownContainers()
    known.put(WEB, ObservedContainer(WEB, "web", "none"))
    with structlog.testing.capture_logs() as log:
        complaints = Complaints(known, structlog.get_logger())
        for why in ("locked", "locked", "no network"):
            complaints.say(WEB, "not served", why)
        complaints.say(DB, "not served", "locked", level="error")
        complaints.take_back(WEB, "not served")
        complaints.say(WEB, "not served", "no network")
    assert [(entry["name"], entry["why"], entry["log_level"]) for entry in log] == [
        ("web", "locked", "warning"),
        ("web", "no network", "warning"),
        ("", "locked", "error"),
        ("web", "no network", "warning"),
    ]


def test_those_who_are_gone_are_forgotten_by_all() -> None:
    """A list tells who is left."""
    known, early = KnownContainers(), EarlyAttaches()
    with structlog.testing.capture_logs() as log:
        complaints = Complaints(known, structlog.get_logger())
        for container_id in (WEB, DB):
            known.put(container_id, ObservedContainer(container_id, "x", "none"))
            early.add(container_id)
            complaints.say(container_id, "not served", "locked")
        for memory in (known, early, complaints):
            memory.keep_only({WEB})
        complaints.say(WEB, "not served", "locked")
        complaints.say(DB, "not served", "locked")
    assert known.ids() == {WEB}
    assert [early.started(container_id) for container_id in (WEB, DB)] == [True, False]
    assert [entry["container"] for entry in log] == [WEB, DB, DB]
