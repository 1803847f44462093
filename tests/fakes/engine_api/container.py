"""A container as a fake engine keeps it: its life is the test's to call."""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from fakes.engine_api.values import (
    SHARED,
    Endpoint,
    Image,
    Refused,
    Spec,
    new_id,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes.engine_api.engine import FakeEngine
    from fakes.engine_api.inits import Init

KILLED = 137
_SIGNALS = {"KILL": 9, "TERM": 15}


class FakeContainer(ABC):
    """A container; what a test does to it, its engine shows and tells.

    Acts that the real engine refuses raise `Refused` and tell nothing.

    Args:
        engine: whose it is.
        name: without a slash.
        spec: what it is created with.
        image: it is of.

    Attributes:
        id: whole.
        status: created, running, paused, restarting, exited or removing.
        pid: of its first process; 0 if there is none.
        init: its first process.
        endpoints: by the network's name.
        shared_with: the id of the container whose sandbox it shares, or "".
        busy: held while the engine works at it; its inspect waits for that.
    """

    def __init__(self, engine: FakeEngine, name: str, spec: Spec, image: Image) -> None:
        self.engine = engine
        self.id = new_id()
        self.name = name
        self.spec = spec
        self.image = image
        self.created_ns = engine.log.stamp()
        self.started_ns = self.finished_ns = 0
        self.status = "created"
        self.init: Init | None = None
        self.exit_code = 0
        self.error = ""
        self.oom_killed = False
        self.restart_count = 0
        self.sandbox_id = ""
        self.endpoints: dict[str, Endpoint] = {}
        self.shared_with = ""
        if spec.network_mode.startswith(SHARED):
            owner = engine.find(spec.network_mode.removeprefix(SHARED))
            self.shared_with = owner.id if owner else spec.network_mode.removeprefix(SHARED)
        self.busy = threading.Lock()
        self.ended_by_user = False

    @property
    def pid(self) -> int:
        """Id of its first process, 0 if there is none."""
        return self.init.pid if self.init else 0

    @property
    def runs(self) -> bool:
        """Whether it has a first process."""
        return self.init is not None

    @property
    def labels(self) -> dict[str, str]:
        """Its own labels, and its image's where they are not the same ones."""
        return {**self.image.labels, **self.spec.labels}

    @property
    def owner(self) -> FakeContainer | None:
        """The container whose sandbox it shares."""
        return self.engine.containers.get(self.shared_with)

    @property
    def mode(self) -> str:
        """Its network mode, as it is shown."""
        return f"{SHARED}{self.shared_with}" if self.shared_with else self.spec.network_mode

    # Its life.

    @contextlib.contextmanager
    def starting(self, init: Init | None = None) -> Iterator[None]:
        """Start it; the block runs while its first process is made, before it is run.

        The process is there when the block begins. The engine's inspect of it
        waits for the block's end; the list does not.

        Args:
            init: its first process; None: what the engine is given for that.

        Raises:
            Refused: the container whose network it shares does not run, or it
                runs itself.
        """
        with self.busy:
            with self.engine.lock:
                self._check_start()
                self._begin_start()
            self.init = init or self.engine.inits(self.id)
            try:
                yield
            except BaseException:
                self._end_init()
                raise
            with self.engine.lock:
                self.status, self.started_ns = "running", self.engine.log.stamp()
                self.error, self.exit_code = "", 0
                self.ended_by_user = self.oom_killed = False
                self._finish_start()

    def start(self, init: Init | None = None) -> None:
        """Start it, as `starting` does; nothing happens if it runs."""
        if not self.runs:
            with self.starting(init):
                pass

    def _check_start(self) -> None:
        if self.runs:
            raise Refused(304, f"{self.name} runs")
        if self.shared_with and not (self.owner and self.owner.runs):
            self.error = f"cannot join network of a non running container: {self.shared_with}"
            raise Refused(409 if self.owner else 404, self.error)

    def _end_init(self) -> None:
        init, self.init = self.init, None
        if init:
            init.end()

    def die(self, exit_code: int = 0) -> None:
        """Let its first process end by itself, or by a signal from the host.

        While the engine does not run, nothing is told of it, now or later.
        """
        if self.runs:
            with self.dying(exit_code):
                pass

    def kill(self, signal: int | str = 9) -> None:
        """Send a signal; only 9 is not ignored, as by `sleep` as a first process.

        Raises:
            Refused: it does not run.
        """
        number = _SIGNALS.get(str(signal).removeprefix("SIG"), 0) or int(signal)
        self._check_runs(self.engine.kill_conflict)
        with self.engine.lock:
            self._tell("kill", signal=str(number))
        if number == _SIGNALS["KILL"]:
            self.ended_by_user = True
            self.die(KILLED)

    def _check_runs(self, conflict: int = 0) -> None:
        if not self.runs:
            status = conflict or self.engine.conflict
            raise Refused(status, f"container {self.id} is not running")

    def oom(self) -> None:
        """Let the kernel kill it because its memory is at an end."""
        self.oom_killed = True
        with self.engine.lock:
            self._tell("oom")
        self.die(KILLED)

    def pause(self) -> None:
        """Freeze it.

        Raises:
            Refused: it does not run.
        """
        self._freeze("pause", "paused")

    def unpause(self) -> None:
        """Let it go on.

        Raises:
            Refused: it does not run.
        """
        self._freeze("unpause", "running")

    def _freeze(self, act: str, status: str) -> None:
        self._check_runs()
        with self.engine.lock:
            self.status = status
            self._checkpoint()
            self._tell(act)

    def rename(self, name: str) -> None:
        """Give it another name.

        Raises:
            Refused: somebody has that name.
        """
        with self.engine.lock:
            self.engine.check_name(name)
            old, self.name = self.name, name
            self._checkpoint()
            self._tell("rename", oldName=f"/{old}")

    def exec(self, program: str = "true", *words: str) -> None:
        """Run a command in it, as a health check does, every few seconds."""
        with self.engine.lock:
            self._tell_exec(f"{program} {' '.join(words)}")

    @abstractmethod
    def fail_to_start(self) -> None:
        """Try to start it, and fail, as with an entrypoint that does not exist."""

    @contextlib.contextmanager
    def dying(self, exit_code: int = 0) -> Iterator[None]:
        """End its first process; the block runs when the death is told, and no more.

        What follows, as the endpoint's removal or a restart by its policy,
        comes at the block's end.
        """
        with self._death(exit_code):
            yield
        self._follow_death(exit_code)

    @contextlib.contextmanager
    def between_lives(self, exit_code: int = 0) -> Iterator[None]:
        """End its first process; the block runs before its policy's restart or removal."""
        with self._death(exit_code):
            pass
        yield
        self._follow_death(exit_code)

    @abstractmethod
    def stop(self, exit_code: int | None = None) -> None:
        """Stop it; nothing happens if it does not run.

        Args:
            exit_code: with which it ends by SIGTERM; None: it has to be killed.
        """

    @abstractmethod
    def restart(self) -> None:
        """Stop it and start it."""

    @abstractmethod
    def remove(self, *, force: bool = False) -> None:
        """Remove it, and with force kill it first if it runs.

        Raises:
            Refused: it runs, and there is no force.
        """

    @abstractmethod
    def connect(self, network: str) -> None:
        """Connect it to a network of the engine's by hand.

        Raises:
            Refused: it is in none, host or another container's.
        """

    @abstractmethod
    def disconnect(self, network: str) -> None:
        """Disconnect it from a network by hand."""

    # What the two engines do each in their way.

    @abstractmethod
    def _death(self, exit_code: int) -> contextlib.AbstractContextManager[None]: ...

    @abstractmethod
    def _follow_death(self, exit_code: int) -> None: ...

    @abstractmethod
    def _begin_start(self) -> None: ...

    @abstractmethod
    def _finish_start(self) -> None: ...

    @abstractmethod
    def _checkpoint(self) -> None: ...

    @abstractmethod
    def _tell(self, action: str, **attributes: str) -> None: ...

    @abstractmethod
    def _tell_exec(self, command: str) -> None: ...

    # What the engine answers.

    @abstractmethod
    def listed(self) -> dict[str, Any]:
        """Return its item of `GET /containers/json`."""

    @abstractmethod
    def inspected(self) -> dict[str, Any]:
        """Return `GET /containers/ID/json`."""
