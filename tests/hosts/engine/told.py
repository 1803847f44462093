"""What an engine, real or fake, tells and shows to docker-py."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, Any

import docker

from hosts.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.engine_api.versions import DockerVersion
    from hosts.engine.driven import Driven


Document = dict[str, Any]
State = tuple[str, bool, bool, bool, int]  # Status, Running, Paused, Restarting; 1: has a pid
PATIENCE_S = 15.0


def client_of(engine: Driven) -> Any:
    """Return a docker-py client; to be closed."""
    # A version of its own choice would be a request more, and podman's are slow.
    return docker.APIClient(base_url=f"unix://{engine.path}", version="1.41", timeout=PATIENCE_S)


class Told:
    """What an engine tells from now on, as docker-py reads it; a context manager.

    Args:
        engine: who tells.
        filters: as docker-py takes them.
        since: of the query; None: now.
    """

    def __init__(
        self, engine: Driven, filters: Mapping[str, Any] | None = None, since: str | None = None
    ) -> None:
        self._api = client_of(engine)
        # The header may come before the subscription: so it is asked for from now on.
        since = since or spell(time.time_ns())
        self._stream = self._api.events(since=since, filters=filters, decode=True)
        self._events: list[Document] = []
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._read, name="told")
        self._thread.start()

    def _read(self) -> None:
        try:
            for event in self._stream:
                self._events.append(event)
        except Exception as error:  # noqa: BLE001  # it is told to whoever asks
            self.error = error

    def __enter__(self) -> Told:
        """Return itself."""
        return self

    def __exit__(self, *_exception: object) -> None:
        """Listen no more."""
        self.close()

    def close(self) -> None:
        """Listen no more."""
        if self._thread.is_alive():
            self._stream.close()
        self._thread.join(PATIENCE_S)
        self._stream._response.close()
        self._api.close()

    @property
    def events(self) -> list[Document]:
        """All events so far."""
        return list(self._events)

    def of(self, container_id: str) -> list[Document]:
        """Return the events so far about one container."""
        return [event for event in self.events if container_id in _subjects(event)]

    def acts(self, container_id: str) -> list[str]:
        """Return what has been told of a container, as "start" and "connect(none)"."""
        return [_spell_act(event) for event in self.of(container_id)]

    def wait_for(self, container_id: str, *acts: str) -> None:
        """Wait until a container's latest events are these."""
        wait_until(
            lambda: all(act in self.acts(container_id) for act in acts),
            f"{acts} of {container_id[:12]}; told were {self.acts(container_id)}",
            timeout_s=PATIENCE_S,
        )

    def wait_for_end(self) -> None:
        """Wait until the stream ends.

        Raises:
            AssertionError: it does not, or not silently.
        """
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the stream does not end"
        assert self.error is None, self.error


def word_of(event: Document) -> str:
    """Return an event's action."""
    return str(event["Action"])


def runs(api: Any, container: str) -> bool:
    """Tell whether a container runs, as its engine shows it."""
    state = api.inspect_container(container)["State"]
    return bool(state["Pid"] and state["Running"])


def state_of(api: Any, container: str) -> State:
    """Return a container's state, as its engine shows it."""
    return _state(api.inspect_container(container)["State"])


def _state(state: Document) -> State:
    keys = ("Running", "Paused", "Restarting")
    running, paused, restarting = (state[key] for key in keys)
    return state["Status"], running, paused, restarting, min(state["Pid"], 1)


def item_of(api: Any, container: str) -> Document:
    """Return a container's item of the list."""
    found = api.containers(all=True, filters={"id": [container]})
    assert [item["Id"] for item in found] == [container]
    document: Document = found[0]
    return document


def _subjects(event: Document) -> tuple[str, str]:
    actor = event["Actor"]
    return actor["ID"], actor["Attributes"].get("container", "")


def in_order(version: DockerVersion, acts: str) -> list[str]:
    """Return what a version of Docker tells, as "kill disconnect(none) die".

    Args:
        version: whose order it is.
        acts: as 20.10 tells it.
    """
    if version.releases_first:
        acts = re.sub(r"\bdie (disconnect\(\w+\))", r"\1 die", acts)
    return acts.split()


def settled(acts: list[str]) -> list[str]:
    """Return what Docker told, with a death before the stop that caused it.

    Since 26 both are told at once, by two goroutines, in either order.
    """
    return " ".join(acts).replace("stop die", "die stop").split()


def _spell_act(event: Document) -> str:
    name = event["Actor"]["Attributes"].get("name")
    return f"{event['Action']}({name})" if event["Type"] == "network" else str(event["Action"])


def spell(nanoseconds: int) -> str:
    """Return a time as `since` takes it, to the nanosecond."""
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"
