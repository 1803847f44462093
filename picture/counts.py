"""What the events of the log come to, counted: by words of which there are few.

A container's name is never among them: what it is called, and how often it is started, is
others' choice, and each word is a series that Prometheus keeps.
"""

from __future__ import annotations

from bisect import bisect_left

from ocinet.base.events import ENDED_UNSERVED, IMAGE_IGNORED, NOT_SERVED, WARNED
from ocinet.engine.plan.repair_kinds import KINDS, OTHER
from ocinet.picture.exposition import Distribution

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

OK, FAILED = "ok", "failed"
ATTACH, DETACH = "attach", "detach"
DOORS = ("hook", "wrapper", "watcher", "cli", "pod", OTHER)
CAUSES = (
    "request", "not_found", "conflict", "exhausted", "busy", "kernel", "untrusted", "transient",
    "unreachable", "system", "internal", OTHER,
)  # fmt: skip
# Each event: which act it ended, whether well, and the door where it tells of none.
_ACTS = {
    "attached": (ATTACH, OK, ""),
    "attach failed": (ATTACH, FAILED, ""),
    "hook failed": (ATTACH, FAILED, "hook"),
    "create refused": (ATTACH, FAILED, "wrapper"),
    "detached": (DETACH, OK, ""),
    "detach failed": (DETACH, FAILED, ""),
}
REPAIRED = "repaired"
EVENTS = (
    *_ACTS, NOT_SERVED, ENDED_UNSERVED, WARNED, IMAGE_IGNORED, REPAIRED, "repair failed",
    "repair held", "collected", "renamed", "disconnected", "unpublished", "network removed",
    "host changed", "forwarding stays on", "port kept", "port not held", "poststop ignored",
    "left alone", "settings ignored", "undo failed", "members lost their network",
    "names not told", "names not served", "refused", "name opens nothing", "name not looked up",
    "linked", "link failed", "unlinked", "rejoined", "rejoin failed",
    "addresses of IPv6 restored", "address in use by another", "answers for others' addresses",
    OTHER,
)  # fmt: skip
# An attach takes some 10 ms; one that takes longer than the last is slow whatever its deadline.
BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)


class Counts:
    """Counters, by their words; they only grow.

    Attributes:
        events: by the event's phrase.
        operations: by act, door and outcome.
        durations: of acts that ended well, by act and door.
        failures: by act, door and cause.
        repairs: by kind.
        gaps: how often lines of the log were gone before they were counted.
    """

    def __init__(self) -> None:
        self.events: dict[tuple[str, ...], int] = {}
        self.operations: dict[tuple[str, ...], int] = {}
        self.durations: dict[tuple[str, ...], Distribution] = {}
        self.failures: dict[tuple[str, ...], int] = {}
        self.repairs: dict[tuple[str, ...], int] = {}
        self.gaps = 0

    def add(self, events: Iterable[dict[str, Any]]) -> None:
        """Count events, each as it stands in a line of the log."""
        for event in events:
            phrase = str(event.get("event", ""))
            # Of what comes again and again, a line may stand for those before it as well.
            untold = event.get("suppressed")
            times = 1 + (untold if isinstance(untold, int) and untold > 0 else 0)
            _grow(self.events, times, _known(phrase, EVENTS))
            if phrase in _ACTS:
                self._add_act(event, phrase, times)
            elif phrase == REPAIRED:
                kinds = event.get("kinds")
                for kind in kinds if isinstance(kinds, list) and kinds else [OTHER]:
                    _grow(self.repairs, 1, _known(str(kind), KINDS))

    def _add_act(self, event: dict[str, Any], phrase: str, times: int) -> None:
        act, outcome, usual = _ACTS[phrase]
        if event.get("act") == DETACH:  # a hook may fail of either
            act = DETACH
        door = _known(str(event.get("door") or usual), DOORS)
        _grow(self.operations, times, act, door, outcome)
        if outcome == FAILED:
            _grow(self.failures, times, act, door, _known(str(event.get("cause", "")), CAUSES))
            return
        took_ms = event.get("took_ms")
        if isinstance(took_ms, int | float) and took_ms >= 0:
            took_s = took_ms / 1000
            known = self.durations.get(
                (act, door), Distribution(BOUNDS_S, (0,) * (len(BOUNDS_S) + 1), 0.0)
            )
            counts = list(known.counts)
            counts[bisect_left(BOUNDS_S, took_s)] += 1
            total_s = round(known.total_s + took_s, 6)
            self.durations[act, door] = known.replace(counts=tuple(counts), total_s=total_s)

    def encode(self) -> dict[str, Any]:
        """Return them as a JSON object."""
        return {
            **{name: _encoded(getattr(self, name)) for name in _PLAIN},
            "durations": [
                [*words, list(each.counts), each.total_s] for words, each in self.durations.items()
            ],
            "bounds_s": list(BOUNDS_S),
            "gaps": self.gaps,
        }

    @classmethod
    def decode(cls, content: dict[str, Any]) -> Counts:
        """Read what `encode` returned.

        Raises:
            ValueError, LookupError, TypeError: it is something else, or of other buckets.
        """
        if tuple(content["bounds_s"]) != BOUNDS_S:
            raise ValueError("other buckets")
        counts = cls()
        for name in _PLAIN:
            known = getattr(counts, name)
            for *words, count in content[name]:
                known[tuple(map(str, words))] = int(count)
        for act, door, each, total_s in content["durations"]:
            numbers = tuple(map(int, each))
            if len(numbers) != len(BOUNDS_S) + 1:
                raise ValueError("other buckets")
            counts.durations[str(act), str(door)] = Distribution(BOUNDS_S, numbers, float(total_s))
        counts.gaps = int(content["gaps"])
        return counts


_PLAIN = ("events", "operations", "failures", "repairs")


def _encoded(counts: dict[tuple[str, ...], int]) -> list[list[Any]]:
    return [[*words, count] for words, count in counts.items()]


def _grow(counts: dict[tuple[str, ...], int], by: int, *words: str) -> None:
    counts[words] = counts.get(words, 0) + by


def _known(word: str, words: tuple[str, ...]) -> str:
    return word if word in words else OTHER
